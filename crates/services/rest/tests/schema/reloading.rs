//! Reloads: on demand, by notification, after failures.

use super::exposing;
use rest::schema::{SchemaHandle, SchemaListener};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use testkit::{Database, Postgres};
use tokio_util::sync::CancellationToken;

async fn database() -> Database {
    Postgres::shared().await.database_like("rest reload", "create schema a; create schema b;").await
}

/// Waits for something that another task does.
async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), waiting).await.is_ok(), "never: {what}");
}

fn has(handle: &SchemaHandle, schema: &str, name: &str) -> bool {
    handle.current().is_some_and(|cache| cache.relation(schema, name).is_some())
}

#[tokio::test]
async fn the_first_request_loads() {
    let database = database().await;
    let handle = SchemaHandle::new(database.pool(), Arc::new(exposing(&["a"])));
    assert!(handle.current().is_none());
    assert!(handle.get().await.unwrap().schema("a").is_some());
    assert_eq!(handle.status().loads, 1);
}

#[tokio::test]
async fn a_burst_of_requests_is_one_reload_or_two() {
    let database = database().await;
    let handle = SchemaHandle::new(database.pool(), Arc::new(exposing(&["a"])));
    handle.get().await.unwrap();
    database.connect().await.batch("create table a.t ()").await.unwrap();
    for _ in 0..50 {
        handle.reload();
    }
    eventually("the table is known", || async { has(&handle, "a", "t") }).await;
    eventually("the work ends", || async { !handle.status().loading }).await;
    assert!(handle.status().loads <= 3, "{:?}", handle.status());
}

#[tokio::test]
async fn without_a_database_there_is_no_cache() {
    let config = pg::Config::unix("/nonexistent", 1, "nobody", "nothing");
    let pool = pg::Pool::new(config, pg::PoolOptions::default());
    let handle = SchemaHandle::new(pool, Arc::new(exposing(&["a"])));
    let error = handle.get().await.unwrap_err();
    assert!(error.cause.is_some());
    assert!(error.retry_after >= Duration::from_secs(1));
    assert_eq!(handle.status().failures, 1);
}

#[tokio::test]
async fn notifications_reload_the_schemas_that_they_name() {
    let database = database().await;
    let listener = SchemaListener::new(database.config.clone(), "pgrst");
    let stop = CancellationToken::new();
    let task = tokio::spawn(listener.clone().run(stop.clone()));
    let make = |schema| SchemaHandle::new(database.pool(), Arc::new(exposing(&[schema])));
    let (a, b, unused) = (make("a"), make("b"), make("a"));
    for handle in [&a, &b, &unused] {
        listener.register(handle);
    }
    a.get().await.unwrap();
    b.get().await.unwrap();
    let mut session = database.connect().await;
    eventually("the listener listens", || {
        let database = database.clone();
        async move {
            let mut session = database.connect().await;
            let rows = session.query("select count(*) from pg_stat_activity where query ilike 'listen%' and datname = current_database()", &[]).await.unwrap();
            rows.first().and_then(|row| row.text(0)) != Some("0")
        }
    })
    .await;
    session.batch("create table a.t (); create table b.t (); notify pgrst, 'a'").await.unwrap();
    eventually("a is read again", || async { has(&a, "a", "t") }).await;
    assert!(!has(&b, "b", "t"));
    session.batch("notify pgrst, 'reload schema'").await.unwrap();
    eventually("b is read again", || async { has(&b, "b", "t") }).await;
    assert!(unused.current().is_none(), "what was never used is not loaded");
    session.batch("notify pgrst, 'reload config'").await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), listener.config_changed().notified()).await.unwrap();
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_listener_that_lost_its_connection_reloads_what_it_may_have_missed() {
    let database = database().await;
    let listener = SchemaListener::new(database.config.clone(), "pgrst");
    let stop = CancellationToken::new();
    let task = tokio::spawn(listener.clone().run(stop.clone()));
    let handle = SchemaHandle::new(database.pool(), Arc::new(exposing(&["a"])));
    listener.register(&handle);
    handle.get().await.unwrap();
    let mut session = database.connect().await;
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
        where query ilike 'listen%' and datname = current_database()";
    let cutting = async {
        loop {
            let rows = session.query(cut, &[]).await.unwrap();
            if rows.first().and_then(|row| row.text(0)) != Some("0") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), cutting).await.unwrap();
    session.batch("create table a.unheard ()").await.unwrap();
    eventually("the table is known", || async { has(&handle, "a", "unheard") }).await;
    stop.cancel();
    task.await.unwrap();
}
