//! Keys in all scripts, where a project wants them.

use crate::world::{dedicated, dedicated_with, role};
use http::Method;
use serde_json::json;

const CAT: &str = "%E5%86%99%E7%9C%9F/%E7%8C%AB%201.jpg";

#[tokio::test]
async fn keys_in_all_scripts_go_every_way() {
    let world = dedicated_with(|settings| settings.unicode_keys = true).await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "a", "public": true })).await.ok();
    let stored = world.upload(&format!("a/{CAT}"), &service, "miau", false).await.ok();
    assert_eq!(stored["Key"], "a/写真/猫 1.jpg");
    assert_eq!(world.names("a", &service, "写真").await, ["猫 1.jpg"]);
    assert_eq!(world.get(&format!("/object/public/a/{CAT}"), "").await.bytes, "miau");
    let signed =
        world.post(&format!("/object/sign/a/{CAT}"), &service, json!({ "expiresIn": 60 })).await.ok();
    let url = signed["signedURL"].as_str().unwrap();
    let token = url.split_once("?token=").unwrap().1;
    assert_eq!(world.get(&format!("/object/sign/a/{CAT}?token={token}"), "").await.bytes, "miau");
    let moved = json!({ "bucketId": "a", "sourceKey": "写真/猫 1.jpg", "destinationKey": "γάτα.jpg" });
    world.post("/object/move", &service, moved).await.ok();
    let copied = json!({ "bucketId": "a", "sourceKey": "γάτα.jpg", "destinationKey": "кот.jpg" });
    world.post("/object/copy", &service, copied).await.ok();
    assert_eq!(world.names("a", &service, "").await, ["γάτα.jpg", "кот.jpg"]);
    let gone = json!({ "prefixes": ["γάτα.jpg"] });
    world.with_json(Method::DELETE, "/object/a", &service, gone).await.ok();
    world.send(Method::DELETE, "/object/a/%D0%BA%D0%BE%D1%82.jpg", &service, &[], "").await.ok();
    assert!(world.names("a", &service, "").await.is_empty());
}

#[tokio::test]
async fn without_the_setting_they_are_refused_as_by_the_reference() {
    let world = dedicated().await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "a", "public": true })).await.ok();
    let refused = world.upload(&format!("a/{CAT}"), &service, "miau", false).await;
    assert_eq!(refused.refusal().1, "InvalidKey");
    assert_eq!(world.get(&format!("/object/public/a/{CAT}"), "").await.refusal().1, "InvalidKey");
}
