//! Projects that may hold so much in all.

use crate::world::{dedicated_with, role};
use axum::body::Body;
use http::Method;
use serde_json::json;

const FULL: (&str, &str) = ("507", "QuotaExceeded");

#[tokio::test]
async fn a_project_holds_no_more_than_its_quota() {
    let world = dedicated_with(|settings| settings.quota_bytes = Some(250_000)).await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    let text = |length: usize| "x".repeat(length);
    world.upload("b/small", &service, &text(10_000), false).await.ok();
    world.upload("b/large", &service, &text(200_000), false).await.ok();
    for length in [60_000, 100_000, 300_000] {
        let refused = world.upload("b/more", &service, &text(length), false).await;
        assert_eq!(refused.status, 507);
        let (status, code) = refused.refusal();
        assert_eq!((&*status, &*code), FULL, "{length}");
    }
    // Nothing says how long it is.
    let pieces = futures_util::stream::iter((0..10).map(move |_| Ok::<_, std::io::Error>(text(20_000))));
    let headers = [("content-type", "text/plain")];
    let body = Body::from_stream(pieces);
    let refused = world.send(Method::POST, "/object/b/streamed", &service, &headers, body).await;
    assert_eq!(refused.status, 507);
    let copy = json!({ "bucketId": "b", "sourceKey": "large", "destinationKey": "copy" });
    assert_eq!(world.post("/object/copy", &service, copy).await.status, 507);
    assert_eq!(world.names("b", &service, "").await, ["large", "small"]);
}

#[tokio::test]
async fn what_was_there_before_counts() {
    let world = dedicated_with(|settings| settings.quota_bytes = Some(100_000)).await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    let sql = "insert into storage.objects (bucket_id, name, version, metadata) \
      values ('b', 'old', gen_random_uuid()::text, '{\"size\": 99000}')";
    world.database.connect().await.batch(sql).await.unwrap();
    let refused = world.upload("b/new", &service, &"x".repeat(2000), false).await;
    assert_eq!(refused.status, 507);
    world.upload("b/new", &service, &"x".repeat(500), false).await.ok();
}
