use super::{Api, settings};
use http::StatusCode;
use rest::config::TxEnd;

#[tokio::test]
async fn a_write_that_is_refused_afterwards_is_undone() {
    let api = Api::new().await;
    let singular = [("accept", "application/vnd.pgrst.object+json"), ("prefer", "return=representation")];
    let answer = api.send("PATCH", "/todos", &singular, r#"{"done":true}"#).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::NOT_ACCEPTABLE, "PGRST116"));
    let limited = [("prefer", "handling=strict, max-affected=1")];
    assert_eq!(api.send("DELETE", "/todos", &limited, "").await.code(), "PGRST124");
    assert_eq!(api.value("select count(*) from api.todos where not done").await, "3");
    let answer = api.send("PATCH", "/todos?id=eq.1", &singular, r#"{"done":true}"#).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(api.value("select count(*) from api.todos where done").await, "1");
}

#[tokio::test]
async fn clients_may_choose_the_end_where_they_are_let() {
    let tx_end = TxEnd { rollback: false, allow_override: true };
    let api = Api::with(rest::config::Settings { db_tx_end: tx_end, ..settings() }).await;
    let answer = api
        .send("POST", "/todos", &[("prefer", "tx=rollback, return=representation")], r#"{"title":"x"}"#)
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("preference-applied"), "return=representation, tx=rollback");
    assert_eq!(api.value("select count(*) from api.todos").await, "3");
    let api = Api::new().await;
    assert_eq!(
        api.send("POST", "/todos", &[("prefer", "tx=rollback")], r#"{"title":"x"}"#).await.status,
        201
    );
    assert_eq!(api.value("select count(*) from api.todos").await, "4");
}

#[tokio::test]
async fn reads_cannot_write() {
    let api = Api::new().await;
    let answer = api.get("/rpc/add_todo?title=x").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::METHOD_NOT_ALLOWED, "25006"));
    let answer = api.send("POST", "/rpc/add_todo", &[], r#"{"title":"x"}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "4"));
}

#[tokio::test]
async fn a_transaction_decides_about_its_response() {
    let api = Api::new().await;
    let answer = api.send("POST", "/rpc/teapot", &[], "").await;
    assert_eq!(answer.status.as_u16(), 418);
    let tea: Vec<_> = answer.headers.get_all("x-tea").iter().collect();
    assert_eq!(tea, ["green", "black"]);
    let answer = api.send("POST", "/rpc/refuse", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("x-price")), (402, "1"));
    assert_eq!(answer.body, r#"{"code":"no","details":null,"hint":null,"message":"never"}"#);
    // What one request set, the next does not see.
    assert_eq!(api.get("/people").await.status, StatusCode::OK);
}

#[tokio::test]
async fn work_for_a_client_that_left_is_cancelled() {
    let api = Api::new().await;
    api.value("create function api.sleep() returns void language sql stable as 'select pg_sleep(60)'").await;
    {
        let request = api.send("POST", "/rpc/sleep", &[], "");
        let running = "select count(*) from pg_stat_activity where query like '%api%sleep%' and state = 'active' \
                       and pid <> pg_backend_pid() and datname = current_database()";
        let started = async {
            while api.value(running).await != "1" {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = request => panic!("it sleeps for a minute"),
            () = started => {}
        }
    }
    let busy =
        "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
    let idle = async {
        while api.value(busy).await != "0" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), idle).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_gone_is_a_503() {
    let api = Api::new().await;
    assert_eq!(api.get("/people").await.status, StatusCode::OK);
    let mut config = api.database.config.clone();
    config.dbname = "nowhere".to_owned();
    let settings = std::sync::Arc::new(settings());
    let pool = pg::Pool::new(config, pg::PoolOptions::default());
    let schema = rest::schema::SchemaHandle::new(pool.clone(), std::sync::Arc::clone(&settings));
    let gone = Api { rest: rest::Rest::new(pool, schema, settings), database: api.database.clone() };
    let answer = gone.get("/people").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "PGRST002"));
    assert!(!answer.header("retry-after").is_empty());
}
