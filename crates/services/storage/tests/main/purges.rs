//! Caches in front are told what they are to forget.

use crate::events::Ear;
use crate::world::{World, dedicated, dedicated_with, role, user};
use axum::body::Body;
use http::Method;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use storage::Cdn;

async fn world(ear: &Ear) -> World {
    let endpoint = ear.open().await;
    dedicated_with(|settings| {
        let outbound = outbound::Client::new(outbound::Reach::Anywhere).unwrap();
        settings.cdn = Some(Cdn { endpoint, key: Some("key of the caches".into()), outbound });
    })
    .await
}

async fn purge(world: &World, path: &str, token: &str) -> (u16, Value) {
    let answer = world.send(Method::DELETE, path, token, &[], Body::empty()).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn purges_are_handed_on() {
    let ear = Ear::default();
    let world = world(&ear).await;
    let (service, project) = (role("service_role"), world.project.as_str());
    let tenant = json!({ "ref": project });
    for (path, message) in [
        ("/cdn", json!({ "type": "tenant", "tenant": tenant })),
        ("/cdn/?transformations=true", json!({ "type": "tenant-transforms", "tenant": tenant })),
        ("/cdn/b", json!({ "type": "bucket", "tenant": tenant, "bucketId": "b" })),
        (
            "/cdn/b?transformations=true",
            json!({ "type": "bucket-transforms", "tenant": tenant, "bucketId": "b" }),
        ),
        (
            "/cdn/b/not%20there/k?transformations=false",
            json!({ "type": "object", "tenant": tenant, "bucketId": "b", "objectName": "not there/k" }),
        ),
        (
            "/cdn/b/k?transformations=true",
            json!({ "type": "object-transforms", "tenant": tenant, "bucketId": "b", "objectName": "k" }),
        ),
    ] {
        assert_eq!(purge(&world, path, &service).await, (200, json!({ "message": "success" })), "{path}");
        let heard = ear.last();
        assert_eq!(heard, ("/events/purge".to_owned(), "Bearer key of the caches".to_owned(), message));
    }
    let before = ear.count();
    for token in [user(1), role("anon")] {
        assert_eq!(purge(&world, "/cdn/b/k", &token).await.0, 403);
    }
    let (status, refused) = purge(&world, "/cdn/b?transformations=maybe", &service).await;
    assert_eq!((status, &refused["message"]), (400, &json!("querystring/transformations must be boolean")));
    assert_eq!(ear.count(), before);
}

#[tokio::test]
async fn caches_that_refuse_are_an_error_of_ours() {
    let ear = Ear::default();
    let world = world(&ear).await;
    ear.deaf.store(true, Ordering::Relaxed);
    let (status, refused) = purge(&world, "/cdn/b", &role("service_role")).await;
    assert_eq!((status, &refused["code"]), (500, &json!("InternalError")));
    assert_eq!(refused["message"], "Error purging cache");
}

#[tokio::test]
async fn without_caches_there_is_nothing_to_forget() {
    let world = dedicated().await;
    let (status, answer) = purge(&world, "/cdn/b/k", &role("service_role")).await;
    assert_eq!((status, answer), (200, json!({ "message": "success" })));
    assert_eq!(purge(&world, "/cdn/b/k", &role("anon")).await.0, 403);
}

#[tokio::test]
async fn buckets_that_are_hidden_or_gone_are_purged() {
    let ear = Ear::default();
    let world = world(&ear).await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "b", "public": true })).await.ok();
    world.with_json(Method::PUT, "/bucket/b", &service, json!({ "file_size_limit": 5 })).await.ok();
    world.with_json(Method::PUT, "/bucket/b", &service, json!({ "public": false })).await.ok();
    ear.until(1).await;
    world.send(Method::DELETE, "/bucket/b", &service, &[], Body::empty()).await.ok();
    ear.until(2).await;
    let message = json!({ "type": "bucket", "tenant": { "ref": world.project.as_str() }, "bucketId": "b" });
    assert!(ear.messages().iter().all(|heard| *heard == message), "{:?}", ear.messages());
}
