//! Start, health, reloads, refusals.

use super::{DEADLINE, Server, uri};
use rest::standalone::Error;
use testkit::{Database, Postgres};

const SCRIPT: &str = "
create schema api;
create table api.things (id int primary key);
insert into api.things values (1), (2), (3);
";

async fn database() -> Database {
    Postgres::shared().await.database_like("rest standalone", SCRIPT).await
}

const SETTINGS: [(&str, &str); 2] = [("PGRST_DB_SCHEMAS", "api"), ("PGRST_DB_ANON_ROLE", "supabase_admin")];

#[tokio::test]
async fn serves_and_tells_its_health() {
    let database = database().await;
    let server = Server::start(&uri(&database), &SETTINGS).await;
    server.wait_for("/things?id=eq.2", 200, r#"[{"id":2}]"#).await;
    assert_eq!(server.admin("/live").await.unwrap().0, 200);
    server.wait_until_ready().await;
    assert_eq!(server.admin("/nothing").await.unwrap().0, 404);
    let metrics = server.admin("/metrics").await.unwrap().1;
    assert!(metrics.contains("pgrst_schema_cache_loads_total{status=\"FAIL\"} 0.0"), "{metrics}");
    assert!(metrics.contains("pgrst_db_pool_max 10"), "{metrics}");
    assert!(server.admin("/schema_cache").await.unwrap().1.contains(r#""things""#));
    server.end().await.unwrap();
}

#[tokio::test]
async fn a_notification_reloads_the_schema() {
    let database = database().await;
    let server = Server::start(&uri(&database), &SETTINGS).await;
    server.wait_for("/things", 200, "[").await;
    server.wait_for("/more", 404, "PGRST205").await;
    let mut session = database.connect().await;
    session.batch("create table api.more (id int)").await.unwrap();
    let reloaded = async {
        // The listener may not listen yet when the first notification is sent.
        while server.api("/more").await.is_none_or(|(status, _)| status != 200) {
            session.batch("notify pgrst, 'reload schema'").await.unwrap();
        }
    };
    tokio::time::timeout(DEADLINE, reloaded).await.unwrap();
    server.end().await.unwrap();
}

#[tokio::test]
async fn settings_kept_in_the_database_win_and_are_read_again() {
    let database = database().await;
    let mut session = database.connect().await;
    let setting = |value: &str| {
        let name = &database.config.dbname;
        format!("alter role supabase_admin in database \"{name}\" set pgrst.db_max_rows = '{value}'")
    };
    session.batch(&setting("2")).await.unwrap();
    let server = Server::start(&uri(&database), &SETTINGS).await;
    server
        .wait_for(
            "/things",
            200,
            r#"[{"id":1}, 
 {"id":2}]"#,
        )
        .await;
    session.batch(&setting("1")).await.unwrap();
    let reloaded = async {
        while server.api("/things").await.is_none_or(|(_, body)| body != r#"[{"id":1}]"#) {
            session.batch("notify pgrst, 'reload config'").await.unwrap();
        }
    };
    tokio::time::timeout(DEADLINE, reloaded).await.unwrap();
    server.end().await.unwrap();
}

#[tokio::test]
async fn a_pre_config_function_sets_settings() {
    let database = database().await;
    let script = "create function public.settings() returns void language sql as
        $$ select set_config('pgrst.db_max_rows', '1', true), set_config('pgrst.unknown', 'x', true) $$";
    database.connect().await.batch(script).await.unwrap();
    let settings = [SETTINGS[0], SETTINGS[1], ("PGRST_DB_PRE_CONFIG", "public.settings")];
    let server = Server::start(&uri(&database), &settings).await;
    server.wait_for("/things", 200, r#"[{"id":1}]"#).await;
    server.end().await.unwrap();
}

#[tokio::test]
async fn without_a_database_requests_wait_for_another_time() {
    let server = Server::start("host=/nonexistent user=nobody dbname=nothing", &SETTINGS).await;
    server.wait_for("/things", 503, "PGRST002").await;
    assert_eq!(server.admin("/ready").await.unwrap().0, 503);
    assert_eq!(server.admin("/live").await.unwrap().0, 200);
    server.end().await.unwrap();
}

#[tokio::test]
async fn without_recovery_a_missing_database_ends_the_server() {
    let settings = [SETTINGS[0], ("PGRST_DB_POOL_AUTOMATIC_RECOVERY", "false")];
    let server = Server::start("host=/nonexistent user=nobody dbname=nothing", &settings).await;
    let ended = tokio::time::timeout(DEADLINE, server.task).await.unwrap().unwrap();
    assert!(matches!(ended, Err(Error::Database(_))), "{ended:?}");
}
