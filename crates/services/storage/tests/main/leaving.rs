//! Clients that leave, callers that may do nothing, rows that others wrote.

use crate::world::{World, dedicated, role};
use axum::body::Body;
use http::{Method, Request};
use serde_json::json;
use std::time::Duration;

/// Has whoever deletes an object wait for a lock.
const HOLD: &str = "
    create function public.hold() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock(4712); return old; end $$;
    create trigger hold before delete on storage.objects for each row execute function public.hold();";
const WAITING: &str = "select 1 from pg_locks where locktype = 'advisory' and objid = 4712 and not granted
    and database = (select oid from pg_database where datname = current_database())";

async fn with_objects() -> World {
    let world = dedicated().await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    for key in ["one", "two"] {
        world.upload(&format!("b/{key}"), &service, "x", false).await.ok();
    }
    world
}

#[tokio::test]
async fn what_is_deleted_is_deleted_whether_or_not_the_client_waits() {
    for (method, path, body) in [
        (Method::DELETE, "/object/b", r#"{"prefixes":["one","two"]}"#),
        (Method::DELETE, "/object/b/one", "{}"),
        (Method::POST, "/bucket/b/empty", "{}"),
    ] {
        let world = with_objects().await;
        let left = if path.ends_with("one") { 1 } else { 0 };
        let mut session = world.database.connect().await;
        session.batch(HOLD).await.unwrap();
        session.batch("select pg_advisory_lock(4712)").await.unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", role("service_role")))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let storage = world.storage.clone();
        let client = tokio::spawn(async move { storage.handle(request).await });
        while session.query(WAITING, &[]).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled());
        session.batch("select pg_advisory_unlock(4712)").await.unwrap();
        let gone = async {
            while world.bodies() > left {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), gone).await.expect(path);
        let rows = session.query("select 1 from storage.objects", &[]).await.unwrap();
        assert_eq!(rows.len(), left, "{path}");
    }
}

/// Who may not delete a bucket has nobody wait for them, and waits for nobody.
#[tokio::test]
async fn a_bucket_is_not_locked_against_uploads_by_anybody() {
    let world = with_objects().await;
    let mut session = world.database.connect().await;
    let uploading = "begin; insert into storage.objects (bucket_id, name) values ('b', 'coming')";
    session.batch(uploading).await.unwrap();
    let refusal = world.send(Method::DELETE, "/bucket/b", &role("anon"), &[], "").await.refusal();
    assert_eq!(refusal, ("409".to_owned(), "ResourceNotEmpty".to_owned()));
    session.batch("rollback").await.unwrap();
}

#[tokio::test]
async fn a_bucket_is_not_deleted_under_an_upload() {
    let world = dedicated().await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    let (mut session, mut watch) = (world.database.connect().await, world.database.connect().await);
    session.batch("begin; insert into storage.objects (bucket_id, name) values ('b', 'k')").await.unwrap();
    let waiting =
        "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let (deleted, ()) = tokio::join!(world.send(Method::DELETE, "/bucket/b", &service, &[], ""), async {
        while watch.query(waiting, &[]).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        session.batch("commit").await.unwrap();
    });
    assert_eq!(deleted.refusal(), ("409".to_owned(), "ResourceNotEmpty".to_owned()));
}

#[tokio::test]
async fn a_limit_below_nothing_is_nothing() {
    let world = with_objects().await;
    let mut session = world.database.connect().await;
    session.batch("update storage.buckets set file_size_limit = -1").await.unwrap();
    let refusal = world.upload("b/three", &role("service_role"), "x", false).await.refusal();
    assert_eq!(refusal, ("413".to_owned(), "EntityTooLarge".to_owned()));
}
