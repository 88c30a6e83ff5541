//! `rowhouse serve` and its projects.

use crate::program::{Client, Folder, Program, run, run_failing, run_json, until};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The command line on one platform.
pub(crate) struct Operator<'a> {
    pub(crate) data: String,
    folder: &'a Folder,
}

impl Operator<'_> {
    pub(crate) fn of(folder: &Folder) -> Operator<'_> {
        Operator { data: folder.path().join("data").to_str().unwrap().to_owned(), folder }
    }

    pub(crate) fn projects(&self, args: &[&str]) -> Value {
        run_json(&[&["projects"], args, &["--data", &self.data, "-o", "json"]].concat())
    }

    pub(crate) fn created(&self, name: &str, tenancy: &str) -> Value {
        self.projects(&["create", name, "--tenancy", tenancy])
    }

    fn apply_line(&self, project: &Value, model: &Value) -> Vec<String> {
        let file = self.folder.path().join("model.json");
        std::fs::write(&file, model.to_string()).unwrap();
        let words = [
            "entities",
            "apply",
            file.to_str().unwrap(),
            "--project",
            text(project, "ref"),
            "--data",
            &self.data,
        ];
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    pub(crate) fn apply(&self, project: &Value, model: &Value) {
        let line = self.apply_line(project, model);
        let output = run(&line.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn client<'p>(&self, program: &'p Program, project: &Value) -> Client<'p> {
        let keys = self.projects(&["keys", text(project, "ref")]);
        let prefix = format!("/p/{}", text(project, "ref"));
        Client { program, prefix, key: text(&keys, "anon_key").to_owned(), token: None }
    }
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

pub(crate) fn todos() -> Value {
    json!({ "entities": [{ "name": "todos", "scope": "user_scoped",
        "columns": [{ "name": "text", "type": "text", "required": true }] }] })
}

#[test]
fn two_pooled_projects_share_a_shard_and_nothing_else() {
    let folder = Folder::new();
    let program = Program::serve(&folder, None);
    let operator = Operator::of(&folder);
    let (first, second) = (operator.created("first", "pooled"), operator.created("second", "pooled"));
    assert_eq!((&first["shard"], &second["shard"]), (&json!(1), &json!(1)));
    for project in [&first, &second] {
        operator.apply(project, &todos());
    }
    let (one, two) = (operator.client(&program, &first), operator.client(&program, &second));

    // The same address is another user in the other project.
    let (alice, other_alice) = (one.signed_up("alice@example.com"), two.signed_up("alice@example.com"));
    assert_eq!(alice.send("POST", "/rest/v1/todos", r#"[{"text":"of first"}]"#).status, 201);
    let prefixed = format!("app_{}_todos", first["app_id"]);
    assert_eq!((alice.rows("todos"), alice.rows(&prefixed)), (1, 1));
    assert_eq!((one.rows("todos"), two.rows("todos"), other_alice.rows("todos")), (0, 0, 0));
    assert_eq!(two.get(&format!("/rest/v1/{prefixed}")).status, 404, "the other app's prefix names nothing");

    // Keys and tokens of one are nothing to the other.
    let wrong_key = Client { key: one.key.clone(), ..two.clone() };
    assert_eq!(wrong_key.get("/rest/v1/todos").status, 401);
    let wrong_token = Client { token: alice.token.clone(), ..two.clone() };
    assert_eq!(wrong_token.get("/rest/v1/todos").status, 401);
    assert_eq!(wrong_token.get("/auth/v1/user").status, 403);
    let body = two.get("/rest/v1/").body;
    assert!(!body.contains("app_1") && !body.contains("app_2"), "physical names stay inside");

    // Without a prefix the key says which project is meant.
    let bare = Client { prefix: String::new(), ..alice.clone() };
    assert_eq!(bare.rows("todos"), 1);

    let deleted = run(&["projects", "delete", text(&first, "ref"), "--yes", "--data", &operator.data]);
    assert!(deleted.status.success(), "{}", String::from_utf8_lossy(&deleted.stderr));
    assert_eq!(alice.get("/rest/v1/todos").status, 404);
    assert_eq!(other_alice.rows("todos"), 0);
    assert!(program.stop());
}

#[test]
fn entities_are_changed_over_http_with_a_secret_key_only() {
    let folder = Folder::new();
    let operator = Operator::of(&folder);
    // Made while nothing runs.
    let project = operator.created("offline", "pooled");
    let keys = operator.projects(&["keys", text(&project, "ref")]);
    let program = Program::serve(&folder, None);
    let anon = operator.client(&program, &project);
    let path = "/rowhouse/v1/entities";
    assert_eq!(anon.send("POST", path, &todos().to_string()).status, 403);
    let service = Client { key: text(&keys, "secret_key").to_owned(), ..anon.clone() };
    let applied = service.send("POST", path, &todos().to_string());
    assert_eq!((applied.status, &applied.json()["changed"]), (200, &json!(true)), "{applied:?}");
    assert_eq!(service.rows("todos"), 0, "the data API sees the table without being told");
    assert_eq!(service.get(path).json()["model"]["entities"][0]["name"], "todos");

    let bad = json!({ "entities": [{ "name": "todos", "scope": "user_scoped",
        "columns": [{ "name": "x", "type": "blob" }] }] });
    let refused = service.send("POST", path, &bad.to_string());
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("entities[0].columns[0].type"), "{refused:?}");
    let nothing = json!({ "entities": [] });
    assert_eq!(service.send("POST", path, &nothing.to_string()).status, 409, "dropping needs permission");
    let line = operator.apply_line(&project, &nothing);
    let error = run_failing(&line.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(error.contains("--allow-destructive"), "{error}");
    assert_eq!(service.rows("todos"), 0);
    let permitted = format!("{path}?allow_destructive=true");
    assert_eq!(service.send("POST", &permitted, &nothing.to_string()).status, 200);
    assert_eq!(service.get("/rest/v1/todos").status, 404);
}

#[tokio::test]
async fn a_dedicated_project_is_reached_over_http_and_by_postgresql_clients() {
    let folder = Folder::new();
    let program = Program::serve(&folder, None);
    let operator = Operator::of(&folder);
    let project = operator.created("own", "dedicated");
    let keys = operator.projects(&["keys", text(&project, "ref")]);
    let (reference, password) = (text(&project, "ref"), text(&keys, "database_password"));
    let url = format!("postgresql://postgres.{reference}:{password}@127.0.0.1:{}/postgres", program.db);
    let mut connection = pg::Connection::connect(&pg::Config::from_url(&url).unwrap()).await.unwrap();
    connection.batch("create table public.notes (t text); insert into notes values ('a')").await.unwrap();
    let service = Client { key: text(&keys, "secret_key").to_owned(), ..operator.client(&program, &project) };
    assert_eq!(service.rows("notes"), 1);
    let user = service.signed_up("user@example.com");
    assert_eq!(user.rows("notes"), 1);

    // Schema and settings change without a word to us.
    connection
        .batch("insert into notes values ('b'), ('c'); create table public.more (t text)")
        .await
        .unwrap();
    until("the new table is seen", || service.get("/rest/v1/more").status == 200);
    connection.batch("alter role authenticator set pgrst.db_max_rows = '2'").await.unwrap();
    connection.batch("notify pgrst, 'reload config'").await.unwrap();
    until("the new limit holds", || service.rows("notes") == 2);

    let wrong = format!("postgresql://postgres.{reference}:wrong@127.0.0.1:{}/postgres", program.db);
    assert!(pg::Connection::connect(&pg::Config::from_url(&wrong).unwrap()).await.is_err());
    let line = ["projects", "env", reference, "--format", "next", "--data", &operator.data];
    let lines = String::from_utf8(run(&line).stdout).unwrap();
    assert!(
        lines.contains(&format!("NEXT_PUBLIC_SUPABASE_URL=http://127.0.0.1:{}/p/{reference}\n", program.api)),
        "{lines}"
    );
}

/// The file that is there while the server of a dedicated project runs.
fn pid_file(folder: &Folder, project: &Value) -> PathBuf {
    folder.path().join("data/instances").join(text(project, "ref")).join("data/postmaster.pid")
}

#[test]
fn an_idle_server_sleeps_and_wakes_and_a_killed_one_comes_back() {
    let folder = Folder::new();
    let program = Program::serve_with(&folder, &["--idle-sleep", "1"]);
    let operator = Operator::of(&folder);
    let project = operator.created("own", "dedicated");
    let client = operator.client(&program, &project).signed_up("user@example.com");
    let file = pid_file(&folder, &project);
    until("the server sleeps", || !file.exists());
    assert_eq!(client.get("/auth/v1/user").status, 200, "a request wakes it");

    let text = std::fs::read_to_string(&file).unwrap();
    let pid = text.lines().next().and_then(|line| line.parse().ok()).and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL).unwrap();
    until("it has come back", || {
        let answer = client.get("/auth/v1/user");
        assert!([200, 500, 503, 504].contains(&answer.status), "{answer:?}");
        answer.json();
        answer.status == 200
    });
}

#[test]
fn files_of_a_project_that_is_deleted_while_nothing_runs_go_at_the_next_start() {
    let folder = Folder::new();
    let program = Program::serve(&folder, None);
    let operator = Operator::of(&folder);
    let (gone, stays) = (operator.created("gone", "pooled"), operator.created("stays", "pooled"));
    assert!(program.stop());
    let files = |project: &Value| folder.path().join("data/files").join(text(project, "ref"));
    for project in [&gone, &stays] {
        let body = files(project).join("c0/c0ffee00-1111-4222-8333-444455556666");
        std::fs::create_dir_all(body.parent().unwrap()).unwrap();
        std::fs::write(body, "somebody's").unwrap();
    }
    let deleted = run(&["projects", "delete", text(&gone, "ref"), "--yes", "--data", &operator.data]);
    assert!(deleted.status.success(), "{}", String::from_utf8_lossy(&deleted.stderr));
    let _program = Program::serve(&folder, None);
    until("the files are removed", || !files(&gone).exists());
    assert!(files(&stays).exists());
}
