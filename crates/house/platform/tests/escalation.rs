//! The owner of a dedicated project is no superuser and cannot become one, nor reach the server's files and programs.

use pg::{Config, Connection};
use platform::bootstrap;
use testkit::Postgres;

async fn project() -> (Postgres, Config) {
    let server = Postgres::start(&[]).await;
    let config = server.database().await.config;
    let mut admin = Connection::connect(&config).await.unwrap();
    bootstrap::run(&mut admin, &bootstrap::dedicated()).await.unwrap();
    (server, config)
}

async fn refused(owner: &mut Connection, sql: &str) {
    match owner.batch(sql).await {
        Ok(_) => panic!("not refused: {sql}"),
        Err(error) => {
            assert!(matches!(error.sqlstate(), Some("42501" | "42939" | "0LP01" | "2BP01")), "{sql}: {error}")
        }
    }
}

async fn is_superuser(admin: &mut Connection, role: &str) -> bool {
    let sql = "select rolsuper from pg_roles where rolname = $1";
    admin.query(sql, &[pg::text(role)]).await.unwrap().one().unwrap().get(0).unwrap()
}

#[tokio::test]
async fn roles_that_reach_files_and_programs_cannot_be_had() {
    let (_server, config) = project().await;
    let mut owner = Connection::connect(&config.with_user("postgres")).await.unwrap();
    owner.batch("create role mine; grant mine to postgres; create table t (line text)").await.unwrap();
    for reach in ["pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"] {
        refused(&mut owner, &format!("grant {reach} to postgres")).await;
        refused(&mut owner, &format!("create role x in role {reach}")).await;
        refused(&mut owner, &format!("alter group {reach} add user mine")).await;
        refused(&mut owner, &format!("set role {reach}")).await;
    }
    for sql in [
        "copy t from program 'id'",
        "copy t from '/etc/passwd'",
        "copy t to '/tmp/rowhouse-escalation'",
        "alter role postgres superuser",
        "create role x superuser",
        "set role supabase_admin",
        "set session authorization supabase_admin",
        "grant supabase_admin to postgres",
        "create extension adminpack",
        "create extension file_fdw",
        "select pg_create_logical_replication_slot('z', 'test_decoding')",
        "grant supabase_replication_admin to postgres; set role supabase_replication_admin; \
         select pg_create_logical_replication_slot('z', 'test_decoding')",
        "create role x replication",
        "create subscription s connection 'host=127.0.0.1' publication p",
        "alter system set archive_command = 'id'",
    ] {
        refused(&mut owner, sql).await;
    }
    for role in ["supabase_auth_admin", "supabase_storage_admin", "supabase_realtime_admin"] {
        owner.batch(&format!("set role {role}")).await.unwrap();
        refused(&mut owner, "create role x").await;
        refused(&mut owner, "grant pg_execute_server_program to supabase_auth_admin").await;
        owner.batch("reset role").await.unwrap();
    }
}

#[tokio::test]
async fn what_runs_with_a_superusers_rights_is_out_of_reach() {
    let (_server, config) = project().await;
    let mut owner = Connection::connect(&config.with_user("postgres")).await.unwrap();
    for sql in [
        "drop function rowhouse.create_extension() cascade",
        "create or replace function rowhouse.create_extension() returns event_trigger language plpgsql as 'begin end'",
        "create function extensions.mine() returns int language sql as 'select 1'",
        "create function rowhouse.mine() returns int language sql as 'select 1'",
        "drop schema extensions cascade",
        "alter schema rowhouse owner to postgres",
        "drop event trigger rowhouse_create_extension",
        "create event trigger mine on ddl_command_start execute function extensions.pgrst_ddl_watch()",
    ] {
        refused(&mut owner, sql).await;
    }
}

#[tokio::test]
async fn creating_an_extension_runs_nothing_of_the_owners() {
    let (_server, config) = project().await;
    let mut admin = Connection::connect(&config).await.unwrap();
    let mut owner = Connection::connect(&config.with_user("postgres")).await.unwrap();
    owner
        .batch(
            "create function pg_temp.evil(text) returns boolean language plpgsql as
               $$ begin execute 'alter role postgres superuser'; return true; end $$;
             create domain pg_temp.text as pg_catalog.text check (pg_temp.evil(value));
             create domain pg_temp.bool as pg_catalog.bool",
        )
        .await
        .unwrap();
    owner.batch("create extension if not exists moddatetime").await.unwrap();
    owner.batch("create schema tools").await.unwrap();
    owner.batch("create extension if not exists autoinc with schema tools").await.unwrap();
    let placed = "select extname || ' ' || extnamespace::regnamespace from pg_extension where extname in ('moddatetime', 'autoinc') order by 1";
    let rows = admin.query(placed, &[]).await.unwrap();
    let placed: Vec<_> = rows.iter().map(|row| row.text(0).unwrap().to_owned()).collect();
    assert_eq!(placed, ["autoinc tools", "moddatetime extensions"]);
    assert!(!is_superuser(&mut admin, "postgres").await);
}

#[tokio::test]
async fn an_upgrade_runs_nothing_of_the_owners() {
    let (_server, config) = project().await;
    let mut admin = Connection::connect(&config).await.unwrap();
    let mut owner = Connection::connect(&config.with_user("postgres")).await.unwrap();
    owner
        .batch(
            "create function public.evil() returns trigger language plpgsql as
               $$ begin execute 'reset role'; execute 'alter role postgres superuser'; return new; end $$;
             grant execute on function public.evil() to public;
             grant usage on schema public to supabase_auth_admin, supabase_storage_admin;
             set role supabase_auth_admin;
             create trigger evil before insert or update or delete on auth.schema_migrations
               for each row execute function public.evil();
             set role supabase_storage_admin;
             create trigger evil before insert or update or delete on storage.migrations
               for each row execute function public.evil()",
        )
        .await
        .unwrap();
    admin.batch("update rowhouse.bootstrap set version = 'old'").await.unwrap();
    assert!(bootstrap::upgrade_dedicated(&mut admin).await.unwrap());
    assert!(!is_superuser(&mut admin, "postgres").await);
    refused(&mut owner, "reset role; create table rowhouse.mine (id int)").await;
    refused(&mut owner, "update rowhouse.bootstrap set version = 'x'").await;
}

#[tokio::test]
async fn schemas_are_upgraded_as_their_owners_and_the_projects_code_gains_nothing() {
    let (_server, config) = project().await;
    let mut admin = Connection::connect(&config).await.unwrap();
    assert!(!bootstrap::upgrade_owned(&mut admin, &config).await.unwrap(), "a new database is up to date");
    let mut owner = Connection::connect(&config.with_user("postgres")).await.unwrap();
    owner
        .batch(
            "create table public.ran (as_whom text, session text);
             grant insert on public.ran to public;
             create function public.evil() returns trigger language plpgsql as $$
             begin
               insert into public.ran values (current_user, session_user);
               begin
                 execute 'reset role';
                 execute 'alter role postgres superuser';
               exception when others then null;
               end;
               return new;
             end $$;
             grant execute on function public.evil() to public;
             grant usage on schema public to supabase_auth_admin, supabase_storage_admin;
             set role supabase_auth_admin;
             create trigger evil before insert or update or delete on auth.schema_migrations
               for each row execute function public.evil();
             set role supabase_storage_admin;
             create trigger evil before insert or update or delete on storage.migrations
               for each row execute function public.evil();
             delete from storage.migrations where id = 63;
             drop function storage.search;
             reset role;
             alter role supabase_storage_admin set search_path = public",
        )
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    admin
        .batch("truncate public.ran; update rowhouse.owned_schemas set version = 'old'; drop function auth.jwt()")
        .await
        .unwrap();
    assert!(bootstrap::upgrade_owned(&mut admin, &config).await.unwrap());
    assert!(!bootstrap::upgrade_owned(&mut admin, &config).await.unwrap());

    let ran = "select distinct as_whom || ' ' || session from public.ran order by 1";
    let ran = admin.query(ran, &[]).await.unwrap();
    let ran: Vec<_> = ran.iter().map(|row| row.text(0).unwrap()).collect();
    assert_eq!(
        ran,
        ["supabase_auth_admin supabase_auth_admin", "supabase_storage_admin supabase_storage_admin"]
    );
    assert!(!is_superuser(&mut admin, "postgres").await);
    assert!(!is_superuser(&mut admin, "supabase_storage_admin").await);
    let there = "select (select count(*) from storage.migrations) = 64
        and to_regproc('storage.search') is not null and to_regproc('auth.jwt') is not null";
    assert_eq!(admin.query(there, &[]).await.unwrap().one().unwrap().text(0), Some("t"));
    // What is recorded of versions is the superuser's.
    refused(&mut owner, "update rowhouse.owned_schemas set version = 'x'").await;
}

#[tokio::test]
async fn a_project_that_is_in_the_way_of_an_upgrade_stays_as_it_is_until_it_is_not() {
    let (_server, config) = project().await;
    let mut admin = Connection::connect(&config).await.unwrap();
    let mut owner = Connection::connect(&config.with_user("postgres")).await.unwrap();
    owner
        .batch(
            "set role supabase_storage_admin;
             drop function storage.search_v2, storage.extension;
             create function storage.search_v2(prefix text, bucket_name text, limits integer default 100, levels integer
               default 1, start_after text default '', sort_order text default 'asc', sort_column text default 'name',
               sort_column_after text default '') returns text language sql as 'select 1::text'",
        )
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    admin.batch("update rowhouse.owned_schemas set version = 'old'").await.unwrap();
    let error = bootstrap::upgrade_owned(&mut admin, &config).await.unwrap_err();
    assert_eq!((error.script, error.cause.sqlstate()), ("storage", Some("42P13")));
    let state = "select concat_ws(' ',
        (select version = 'old' from rowhouse.owned_schemas where owner = 'supabase_auth_admin'),
        (select version = 'old' from rowhouse.owned_schemas where owner = 'supabase_storage_admin'),
        to_regproc('storage.extension') is null)";
    assert_eq!(admin.query(state, &[]).await.unwrap().one().unwrap().text(0), Some("f t t"));
    owner.batch("drop function storage.search_v2").await.unwrap();
    assert!(bootstrap::upgrade_owned(&mut admin, &config).await.unwrap());
    assert_eq!(admin.query(state, &[]).await.unwrap().one().unwrap().text(0), Some("f f f"));
}
