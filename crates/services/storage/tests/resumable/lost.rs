//! Writes whose answer is lost on the way from the database: nobody knows whether they were done.

use crate::world::{Own, dedicated, named, service};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::json;
use std::time::Duration;
use testkit::Relay;

/// What the row says of [`NEW`], and of nothing else.
const ETAG: &str = "6217b98b7d21775fed13d433a2d94e56";
const NEW: &str = "the new one";

async fn own() -> (Own, Relay) {
    let mut own = dedicated(|_| {}).await;
    own.bucket(json!({ "name": "b" })).await;
    let relay = Relay::to(&own.database);
    own.through(&relay);
    (own, relay)
}

async fn put(own: &Own, body: impl Into<Body>) -> u16 {
    let headers = [("content-type", "text/plain"), ("x-upsert", "true")];
    own.plain(Method::POST, "/object/b/k", &service(), &headers, body).await.status
}

#[tokio::test]
async fn an_upload_keeps_its_body() {
    let (own, relay) = own().await;
    for (text, left) in [("the old one", 0), (NEW, 1)] {
        assert_eq!(put(&own, text).await, 200);
        assert_eq!(own.bodies().await, (left + 1, 0));
        relay.lose_answer_to(ETAG);
        assert_eq!(put(&own, NEW).await, 500);
        assert!(!relay.is_armed(), "the answer was lost");
        assert_eq!(own.bodies().await, (left + 2, 0));
        assert_eq!(own.object("b/k").await.text(), NEW);
    }
    // What was overwritten without anybody knowing is swept.
    assert_eq!(own.bodies().await, (3, 0));
    own.later(Duration::from_secs(25 * 3600));
    own.storage.sweep(&mut storage::Sweep::default()).await.unwrap();
    assert_eq!(own.bodies().await, (1, 0));
    assert_eq!(own.object("b/k").await.text(), NEW);
}

#[tokio::test]
async fn an_upload_that_was_refused_leaves_nothing() {
    let (own, _relay) = own().await;
    own.sql(
        "create function storage.refuse() returns trigger language plpgsql as
           $$ begin raise exception 'not this one'; end $$;
         create trigger refuse before insert on storage.objects for each row execute function storage.refuse()",
    )
    .await;
    assert_eq!(put(&own, NEW).await, 400);
    assert_eq!(own.bodies().await, (0, 0));
}

#[tokio::test]
async fn a_resumable_upload_is_done_when_it_is_tried_again() {
    let (own, relay) = own().await;
    let service = service();
    let path = own.begin(&service, &named("b", "k"), NEW.len()).await;
    relay.lose_answer_to(ETAG);
    assert_eq!(own.patch(&path, &service, 0, NEW).await.status, 500);
    assert!(!relay.is_armed(), "the answer was lost");
    assert_eq!(own.object("b/k").await.text(), NEW);
    assert_eq!(own.head(&path, &service).await.offset(), NEW.len() as u64);
    let again = own.patch(&path, &service, NEW.len() as u64, "").await;
    assert_eq!(again.header("tus-complete"), "1", "{again:?}");
    assert_eq!(own.object("b/k").await.text(), NEW);
}

#[tokio::test]
async fn metadata_as_deep_as_it_gets_comes_back() {
    let (own, _relay) = own().await;
    for depth in [100, 127, 128] {
        let deep = ["{\"a\":".repeat(depth).as_str(), "1", "}".repeat(depth).as_str()].concat();
        let deep = STANDARD.encode(deep);
        let headers = [("content-type", "text/plain"), ("x-upsert", "true"), ("x-metadata", deep.as_str())];
        let answer = own.plain(Method::POST, "/object/b/k", &service(), &headers, NEW).await;
        let answered: serde_json::Value = serde_json::from_slice(&answer.bytes).unwrap();
        assert_eq!((answer.status, answered["Key"].as_str()), (200, Some("b/k")), "{depth}: {answered}");
        assert!(answered["Id"].as_str().is_some_and(|id| !id.is_empty()), "{depth}: {answered}");
        assert_eq!(own.object("b/k").await.text(), NEW, "{depth}");
        let info = own.plain(Method::GET, "/object/info/b/k", &service(), &[], Body::empty()).await;
        assert_eq!(info.status, 200, "{depth}");
        let info = serde_json::from_slice::<serde_json::Value>(&info.bytes);
        assert!(info.is_ok(), "{depth}: {info:?}");
    }
}
