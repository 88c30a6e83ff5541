//! What a bucket does not take: neither by uploads, nor from other buckets.

use crate::world::{World, dedicated, pooled, role, shard};
use http::Method;
use serde_json::{Value, json};

/// The beginning of a picture.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

async fn world(world: World) -> World {
    let service = role("service_role");
    let small = json!({ "name": "small", "file_size_limit": 100, "allowed_mime_types": ["image/*"] });
    for body in [json!({ "name": "any" }), small] {
        world.post("/bucket", &service, body).await.ok();
    }
    let long = vec![b'x'; 101];
    for (name, mime, body) in [
        ("long", "image/png", long.as_slice()),
        ("text", "text/plain", b"a text"),
        ("lie", "image/png", b"<html>"),
        ("picture", "image/png", PICTURE),
    ] {
        let path = format!("/object/any/{name}");
        world.send(Method::POST, &path, &service, &[("content-type", mime)], body.to_vec()).await.ok();
    }
    world
}

fn to_small(name: &str) -> Value {
    json!({ "bucketId": "any", "sourceKey": name, "destinationBucket": "small", "destinationKey": name })
}

#[tokio::test]
async fn copies_and_moves_are_held_to_the_limits_of_the_bucket_that_they_go_to() {
    for world in [world(dedicated().await).await, world(pooled(&shard().await, 21).await).await] {
        let service = role("service_role");
        let bodies = world.bodies();
        for way in ["/object/copy", "/object/move"] {
            for (name, refusal) in [
                ("long", ("413", "EntityTooLarge")),
                ("text", ("415", "InvalidMimeType")),
                ("lie", ("415", "InvalidMimeType")),
            ] {
                let refused = world.post(way, &service, to_small(name)).await.refusal();
                assert_eq!((refused.0.as_str(), refused.1.as_str()), refusal, "{way} {name}");
            }
        }
        let mut renamed = to_small("text");
        renamed["copyMetadata"] = json!(false);
        renamed["metadata"] = json!({ "mimetype": "image/png" });
        let refused = world.post("/object/copy", &service, renamed.clone()).await;
        assert_eq!(refused.refusal().1, "InvalidMimeType", "the bytes are a text");
        renamed["destinationBucket"] = json!("any");
        renamed["destinationKey"] = json!("x");
        renamed["metadata"] = json!({ "mimetype": "no type" });
        assert_eq!(world.post("/object/copy", &service, renamed).await.refusal().1, "InvalidMimeType");
        assert_eq!(world.bodies(), bodies, "of what was refused nothing is left");
        world.post("/object/copy", &service, to_small("picture")).await.ok();
        world.send(Method::DELETE, "/object/small/picture", &service, &[], "").await.ok();
        world.post("/object/move", &service, to_small("picture")).await.ok();
    }
}

#[tokio::test]
async fn what_no_object_can_be_called_is_not_there() {
    let world = world(dedicated().await).await;
    for way in ["/object/copy", "/object/move"] {
        let body = json!({ "bucketId": "any", "sourceKey": "te\u{0}xt", "destinationKey": "x" });
        assert_eq!(world.post(way, &role("service_role"), body).await.refusal().1, "NoSuchKey", "{way}");
    }
}

#[tokio::test]
async fn what_is_in_a_bucket_already_can_be_copied_and_moved_there() {
    let world = world(dedicated().await).await;
    let service = role("service_role");
    world.post("/object/move", &service, to_small("picture")).await.ok();
    let limits = json!({ "file_size_limit": 1, "allowed_mime_types": ["text/plain"] });
    world.with_json(Method::PUT, "/bucket/small", &service, limits).await.ok();
    let within = |to: &str| json!({ "bucketId": "small", "sourceKey": "picture", "destinationKey": to });
    world.post("/object/copy", &service, within("copy")).await.ok();
    world.post("/object/move", &service, within("moved")).await.ok();
}
