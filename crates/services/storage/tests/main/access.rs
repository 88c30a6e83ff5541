//! Who reaches what in a pooled project: never another app's, and in one's own what the bucket's access says.

use crate::world::{World, id, named, pooled, role, shard, user};
use http::Method;
use serde_json::json;

async fn bucket(world: &World, name: &str, access: &str) {
    let body = json!({ "name": name, "access": access });
    world.post("/bucket", &role("service_role"), body).await.ok();
}

/// May they read, overwrite, make anew beside it, and delete?
async fn rights(world: &World, token: &str, bucket: &str, key: &str) -> String {
    let mut may = String::new();
    let (folder, _) = key.rsplit_once('/').unwrap_or(("", key));
    if world.get(&format!("/object/authenticated/{bucket}/{key}"), token).await.status == 200 {
        may.push('r');
    }
    let names = world.names(bucket, token, folder).await;
    if !names.is_empty() {
        may.push('l');
    }
    if world.upload(&format!("{bucket}/{key}"), token, "theirs", true).await.status == 200 {
        may.push('o');
    }
    let new = format!("{bucket}/{key}-new");
    if world.upload(&new, token, "new", false).await.status == 200 {
        may.push('n');
        world.send(Method::DELETE, &format!("/object/{new}"), &role("service_role"), &[], "").await.ok();
    }
    let delete = world.send(Method::DELETE, &format!("/object/{bucket}/{key}"), token, &[], "").await;
    if delete.status == 200 {
        may.push('d');
        world.upload(&format!("{bucket}/{key}"), &user(1), "again", true).await.ok();
    }
    may
}

#[tokio::test]
async fn a_buckets_access_says_who_may_what() {
    let world = pooled(&shard().await, 7).await;
    let folder = format!("{}/k", id(1));
    for (access, key, owner, other, anon) in [
        ("owner", "k", "rlond", "n", ""),
        ("project", "k", "rlond", "rlond", ""),
        ("public_read", "k", "rlond", "rln", "rl"),
        ("folder", folder.as_str(), "rlond", "", ""),
    ] {
        bucket(&world, access, access).await;
        world.upload(&format!("{access}/{key}"), &user(1), "mine", false).await.ok();
        assert_eq!(rights(&world, &user(1), access, key).await, owner, "{access}: the owner");
        assert_eq!(rights(&world, &user(2), access, key).await, other, "{access}: another user");
        assert_eq!(rights(&world, &role("anon"), access, key).await, anon, "{access}: nobody");
        assert_eq!(
            rights(&world, &role("service_role"), access, key).await,
            "rlond",
            "{access}: the service key"
        );
    }
    // Nobody files under another's folder, or under none.
    let elsewhere = world.upload("folder/k", &user(2), "x", false).await;
    assert_eq!(elsewhere.refusal(), ("403".to_owned(), "AccessDenied".to_owned()));
}

/// Whoever has a project's secret names users as they like: `owner_id` is text for that.
#[tokio::test]
async fn users_whose_names_are_no_uuids_have_files_too() {
    let world = pooled(&shard().await, 9).await;
    let [alice, bob] = ["alice", "auth0|b/ob"].map(named);
    bucket(&world, "own", "owner").await;
    bucket(&world, "folder", "folder").await;
    for path in ["own/k", "folder/alice/k"] {
        world.upload(path, &alice, "mine", false).await.ok();
        assert_eq!(world.get(&format!("/object/authenticated/{path}"), &alice).await.bytes, "mine");
        assert_eq!(world.get(&format!("/object/authenticated/{path}"), &bob).await.refusal().0, "404");
        let refused = world.upload(path, &bob, "his", true).await;
        assert_eq!(refused.refusal(), ("403".to_owned(), "AccessDenied".to_owned()));
    }
    assert_eq!(world.names("own", &alice, "").await, ["k"]);
    assert_eq!(world.names("own", &bob, "").await, [""; 0]);
}

#[tokio::test]
async fn access_is_shown_changed_and_checked() {
    let world = pooled(&shard().await, 8).await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    assert_eq!(world.get("/bucket/b", &service).await.ok()["access"], "owner");
    world.with_json(Method::PUT, "/bucket/b", &service, json!({ "access": "project" })).await.ok();
    assert_eq!(world.get("/bucket", &service).await.ok()[0]["access"], "project");
    world.with_json(Method::PUT, "/bucket/b", &service, json!({ "public": true })).await.ok();
    assert_eq!(world.get("/bucket/b", &service).await.ok()["access"], "project");
    let refused = world.with_json(Method::PUT, "/bucket/b", &service, json!({ "access": "everybody" })).await;
    assert_eq!(refused.refusal(), ("400".to_owned(), "InvalidRequest".to_owned()));
    for token in [user(1), role("anon")] {
        let refused = world.post("/bucket", &token, json!({ "name": "theirs" })).await;
        assert_eq!(refused.refusal(), ("403".to_owned(), "AccessDenied".to_owned()));
        let refused = world.with_json(Method::PUT, "/bucket/b", &token, json!({ "access": "owner" })).await;
        assert_eq!(refused.refusal(), ("404".to_owned(), "NoSuchBucket".to_owned()));
        assert_eq!(world.get("/bucket", &token).await.ok(), json!([]));
    }

    let own = crate::world::dedicated().await;
    let refused = own.post("/bucket", &service, json!({ "name": "b", "access": "owner" })).await;
    assert!(refused.json()["message"].as_str().unwrap().contains("policies"));
    own.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    assert!(own.get("/bucket/b", &service).await.ok().get("access").is_none());
}

#[tokio::test]
async fn two_apps_of_a_shard_do_not_meet() {
    let shard = shard().await;
    let (mine, theirs) = (pooled(&shard, 21).await, pooled(&shard, 22).await);
    let service = role("service_role");
    for world in [&mine, &theirs] {
        bucket(world, "same", "project").await;
    }
    theirs.upload("same/k", &user(1), "theirs", false).await.ok();
    bucket(&theirs, "only", "public_read").await;
    theirs.upload("only/k", &user(1), "theirs", false).await.ok();

    for token in [user(1), service.clone(), role("anon")] {
        assert_eq!(mine.names("same", &token, "").await, [""; 0]);
        assert_eq!(mine.names("only", &token, "").await, [""; 0]);
        for path in ["/object/authenticated/same/k", "/object/authenticated/only/k", "/object/public/only/k"]
        {
            assert_eq!(mine.get(path, &token).await.refusal().0, "404", "{path}");
        }
        let deleted =
            mine.with_json(Method::DELETE, "/object/same", &token, json!({ "prefixes": ["k"] })).await;
        assert_eq!(deleted.ok(), json!([]));
        let refused = mine.upload("only/x", &token, "x", true).await;
        assert_eq!(refused.refusal().0, "404");
        let copy = json!({ "bucketId": "same", "sourceKey": "k", "destinationKey": "c" });
        assert_ne!(mine.post("/object/copy", &token, copy).await.status, 200);
    }
    // The same key is free here, and what is done to it leaves the other alone.
    mine.upload("same/k", &user(1), "mine", false).await.ok();
    mine.upload("same/k", &user(1), "mine again", true).await.ok();
    mine.post("/bucket/same/empty", &service, json!({})).await.ok();
    mine.send(Method::DELETE, "/bucket/same", &service, &[], "").await.ok();
    assert_eq!(theirs.get("/object/authenticated/same/k", &user(1)).await.bytes, "theirs");
    assert_eq!(mine.get("/bucket", &service).await.ok(), json!([]));
    assert_eq!(theirs.get("/bucket", &service).await.ok().as_array().unwrap().len(), 2);
}
