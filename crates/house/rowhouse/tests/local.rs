//! `rowhouse start` and the commands around it.

use crate::program::{Client, Folder, Program, free_port, run, run_failing, run_json};
use std::net::TcpListener;

const TODOS: &str = "
    create table public.todos (
      id bigint generated always as identity primary key,
      user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
      text text not null
    );
    alter table public.todos enable row level security;
    create policy \"own todos\" on public.todos for all to authenticated
      using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);";

fn client(program: &Program) -> Client<'_> {
    Client { program, prefix: String::new(), key: program.value("ANON_KEY").to_owned(), token: None }
}

fn folder_with_todos() -> Folder {
    let folder = Folder::new();
    folder.write("migrations/20240101000000_todos.sql", TODOS);
    folder
}

async fn query(program: &Program, sql: &str) -> Vec<String> {
    let config = pg::Config::from_url(program.value("DB_URL")).unwrap();
    let mut connection = pg::Connection::connect(&config).await.unwrap();
    let rows = connection.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.text(0).unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn users_keep_their_rows_to_themselves_and_the_rows_survive_stops_and_crashes() {
    let folder = folder_with_todos();
    let program = Program::start(&folder, None);
    assert!(program.value("ANON_KEY").ends_with("CRXP1A7WOeoJeXxjNni43kdQwgnWNReilDMblYTn_I0"));
    assert_eq!(program.value("API_URL"), format!("http://127.0.0.1:{}", program.api));

    let anon = client(&program);
    let nobodys = |path: &str, headers: &[(&str, &str)]| program.send("GET", path, headers, "").status;
    assert_eq!(nobodys("/auth/v1/settings", &[]), 200, "auth needs no key here");
    assert_eq!(nobodys("/auth/v1/settings", &[("apikey", "sb_publishable_wrong")]), 401);
    assert_eq!(nobodys("/rest/v1/todos", &[]), 401);
    let one = anon.signed_up("one@example.com");
    let added = one.send("POST", "/rest/v1/todos", r#"[{"text":"mine"}]"#);
    assert_eq!(added.status, 201, "{added:?}");
    let two = anon.signed_up("two@example.com");
    assert_eq!((one.rows("todos"), two.rows("todos"), anon.rows("todos")), (1, 0, 0));
    let service = Client { key: program.value("SECRET_KEY").to_owned(), ..anon.clone() };
    assert_eq!(service.rows("todos"), 1);
    assert_eq!(query(&program, "select current_user::text").await, ["postgres"]);

    // Stopped in order, and started again.
    let (ports, token) = (program.ports(), one.token.clone());
    assert!(program.stop());
    let program = Program::start(&folder, ports);
    let one = Client { token: token.clone(), ..client(&program) };
    assert_eq!(one.rows("todos"), 1);
    assert_eq!(one.send("POST", "/rest/v1/todos", r#"[{"text":"second"}]"#).status, 201);

    // Killed: its servers are left behind, and taken over.
    program.kill();
    let program = Program::start(&folder, ports);
    let one = Client { token, ..client(&program) };
    assert_eq!(one.rows("todos"), 2);
    assert_eq!(
        query(&program, "select version from supabase_migrations.schema_migrations").await,
        ["20240101000000"]
    );
    assert!(program.stop());
}

#[tokio::test]
async fn migrations_apply_once_seeds_at_first_and_reset_does_both_again() {
    let folder = folder_with_todos();
    folder
        .write("seed.sql", "create table public.notes (t text); insert into public.notes values ('seeded');");
    folder.write("config.toml", "[api]\nmax_rows = 2\nschemas = [\"public\", \"factory_app\"]\n");
    let program = Program::start(&folder, None);
    let workdir = folder.path().to_str().unwrap();
    let service = Client { key: program.value("SERVICE_ROLE_KEY").to_owned(), ..client(&program) };
    assert_eq!(service.rows("notes"), 1);
    assert_eq!(service.send("POST", "/rest/v1/notes", r#"[{"t":"a"},{"t":"b"}]"#).status, 201);
    assert_eq!(service.rows("notes"), 2, "max_rows of config.toml");
    let ports = program.ports();
    assert!(program.stop());

    folder.write(
        "migrations/20240102000000_factory.sql",
        "create schema factory_app; create table factory_app.jobs (id int primary key);
         grant usage on schema factory_app to anon; grant select on factory_app.jobs to anon;",
    );
    let program = Program::start(&folder, ports);
    assert_eq!(query(&program, "select count(*)::text from public.notes").await, ["3"], "the seed ran once");
    let headers = [("apikey", program.value("ANON_KEY")), ("accept-profile", "factory_app")];
    assert_eq!(program.send("GET", "/rest/v1/jobs", &headers, "").status, 200);

    // While it runs, and while it does not.
    let reset = run(&["db", "reset", "--workdir", workdir]);
    assert!(reset.status.success(), "{}", String::from_utf8_lossy(&reset.stderr));
    assert_eq!(query(&program, "select count(*)::text from public.notes").await, ["1"]);
    let service = Client { key: program.value("SERVICE_ROLE_KEY").to_owned(), ..client(&program) };
    assert_eq!(service.rows("notes"), 1);
    assert!(program.stop());
    let reset = String::from_utf8(run(&["db", "reset", "--workdir", workdir]).stdout).unwrap();
    for line in
        ["applied 20240101000000_todos.sql", "applied 20240102000000_factory.sql", "seeded supabase/seed.sql"]
    {
        assert!(reset.contains(line), "{reset}");
    }
}

#[test]
fn a_bad_migration_is_named_with_its_statement() {
    let folder = folder_with_todos();
    folder.write(
        "migrations/20240102000000_bad.sql",
        "create table a (i int);\n\ninsert into nowhere values (1);",
    );
    let (api, db) = (free_port().to_string(), free_port().to_string());
    let workdir = folder.path().to_str().unwrap();
    let line = ["start", "--workdir", workdir, "--api-port", &api, "--db-port", &db];
    let error = run_failing(&line);
    for part in ["20240102000000_bad.sql", "statement 2", "relation \"nowhere\" does not exist", "42P01"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    folder.write("migrations/20240102000000_bad.sql", "create table a (i int);");
    let program = Program::start(&folder, Some((api.parse().unwrap(), db.parse().unwrap())));
    let service = Client { key: program.value("SERVICE_ROLE_KEY").to_owned(), ..client(&program) };
    assert_eq!(service.rows("a"), 0);
}

#[test]
fn a_taken_port_names_the_flag_and_the_setting() {
    let folder = Folder::new();
    let (taken, free) = (TcpListener::bind("127.0.0.1:0").unwrap(), free_port().to_string());
    let port = taken.local_addr().unwrap().port().to_string();
    let workdir = folder.path().to_str().unwrap();
    for (flag, other, section) in [("--api-port", "--db-port", "[api]"), ("--db-port", "--api-port", "[db]")]
    {
        let error = run_failing(&["start", "--workdir", workdir, flag, &port, other, &free]);
        for part in [&port, flag, section, "config.toml"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
    folder.write("config.toml", "[api]\nport = \"many\"\n");
    let error = run_failing(&["start", "--workdir", workdir]);
    assert!(error.contains("api.port: expected a whole number from 1 to 65535"), "{error}");
}

#[test]
fn a_program_in_the_background_is_seen_and_stopped() {
    let folder = Folder::new();
    let workdir = folder.path().to_str().unwrap();
    assert!(run_failing(&["status", "--workdir", workdir]).contains("rowhouse start"));
    let (api, db) = (free_port().to_string(), free_port().to_string());
    let line = ["start", "--workdir", workdir, "--api-port", &api, "--db-port", &db, "-o", "json"];
    let detached = run_json(&[&line[..], &["--detach"]].concat());
    assert_eq!(run_json(&["status", "--workdir", workdir, "-o", "json"]), detached);
    let lines = run(&["status", "--workdir", workdir, "-o", "env"]).stdout;
    let lines = String::from_utf8(lines).unwrap();
    assert!(lines.contains(&format!("API_URL=\"http://127.0.0.1:{api}\"\n")), "{lines}");
    assert!(run_failing(&line).contains("already runs"));
    assert!(run(&["stop", "--workdir", workdir]).stdout.starts_with(b"stopped"));
    assert!(run(&["stop", "--workdir", workdir]).stdout.starts_with(b"nothing was running"));
}

#[test]
fn the_doctor_names_what_is_wrong_and_the_cure() {
    let folder = Folder::new();
    let workdir = folder.path().to_str().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let (taken, free) = (holder.local_addr().unwrap().port(), free_port());
    folder.write("config.toml", &format!("colour = 1\n[api]\nport = {free}\n[db]\nport = {free}\n"));
    let output = run(&["doctor", "--workdir", workdir]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    for part in [
        "ok    PostgreSQL 1",
        "ok    the data directory",
        "warn  supabase/config.toml: colour",
        "MB are free",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    folder.write("config.toml", &format!("[api]\nport = {taken}\n[db]\nport = {free}\n"));
    let output = run(&["doctor", "--workdir", workdir, "--pg-bin", "/nonexistent"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success(), "{said}");
    for part in [format!("fail  port {taken}"), "--api-port".to_owned(), "fail  no PostgreSQL".to_owned()] {
        assert!(said.contains(&part), "{part}: {said}");
    }
}
