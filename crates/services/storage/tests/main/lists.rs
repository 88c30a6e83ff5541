//! Lists over HTTP. That they say the right things of any keys is tested with the schema.

use crate::world::{World, dedicated, pooled, role, shard, user};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

async fn filled(world: World) -> World {
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    for key in KEYS {
        world.upload(&format!("b/{key}"), &service, key, false).await.ok();
    }
    // An upload a second.
    let mut session = world.database.connect().await;
    let sql = "update storage.objects set created_at = '2026-01-01Z'::timestamptz
        + array_position($1::text[], name) * interval '1 s'";
    session.query(sql, &[pg::text(format!("{{{}}}", KEYS.join(",")))]).await.unwrap();
    world
}

const KEYS: [&str; 6] =
    ["a.txt", "docs/one.txt", "docs/two.txt", "docs/deep/three.txt", "docs/1_0.txt", "z.txt"];

/// Both tenancies answer the same.
async fn worlds() -> [World; 2] {
    [filled(dedicated().await).await, filled(pooled(&shard().await, 1).await).await]
}

fn names(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_first_api_shows_one_level() {
    for world in worlds().await {
        let service = role("service_role");
        let root = world.post("/object/list/b", &service, json!({ "prefix": "" })).await.ok();
        assert_eq!(names(&root), ["a.txt", "docs", "z.txt"]);
        let folder = json!({ "name": "docs", "id": null, "updated_at": null, "created_at": null,
            "last_accessed_at": null, "metadata": null });
        assert_eq!(root[1], folder);
        let file = &root[0];
        assert_eq!(file["metadata"]["size"], 5);
        assert_eq!(file["metadata"]["mimetype"], "text/plain");
        let at = file["created_at"].as_str().unwrap();
        assert!(at.len() == 24 && at.ends_with('Z') && at.contains('T'), "{at}");
        for (body, wanted) in [
            (json!({ "prefix": "docs" }), vec!["deep", "one.txt", "two.txt"]),
            (json!({ "prefix": "docs/", "limit": "2", "offset": 2 }), vec!["one.txt", "two.txt"]),
            (json!({ "prefix": "docs", "search": "T" }), vec!["two.txt"]),
            (
                json!({ "prefix": "", "sortBy": { "column": "name", "order": "desc" } }),
                vec!["z.txt", "docs", "a.txt"],
            ),
            (
                json!({ "prefix": "", "sortBy": { "column": "created_at", "order": "desc" } }),
                vec!["docs", "z.txt", "a.txt"],
            ),
            (json!({ "prefix": "nothing" }), vec![]),
        ] {
            let rows = world.post("/object/list/b", &service, body.clone()).await.ok();
            let shown: Vec<_> = names(&rows).into_iter().filter(|name| !name.starts_with("1_")).collect();
            assert_eq!(shown, wanted, "{body}");
        }
        assert_eq!(world.names("missing", &service, "").await, [""; 0]);
        assert_eq!(world.names("b", &user(1), "").await, [""; 0]);
        assert_eq!(world.names("b", &role("anon"), "").await, [""; 0]);
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_together() {
    let world = dedicated().await;
    let service = role("service_role");
    let body = json!({ "limit": 0, "offset": -1, "sortBy": { "order": "up" } });
    let refused = world.post("/object/list/b", &service, body).await;
    assert_eq!(refused.status, 400);
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    for part in [
        "body must have required property 'prefix'",
        "body/limit must be >= 1",
        "body/offset must be >= 0",
        "body/sortBy must have required property 'column'",
        "body/sortBy/order must be equal to one of the allowed values",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let refused = world.post("/object/list-v2/b", &service, json!({ "cursor": "?" })).await;
    assert_eq!(refused.refusal().1, "InvalidParameter");
    let refused = world.post("/object/list/b", &service, json!({ "prefix": "a\0b" })).await;
    assert_eq!(refused.refusal().1, "InvalidParameter");
    let refused = world.post("/object/list/a/b", &service, json!({ "prefix": "" })).await;
    assert_eq!(refused.status, 404);
    let refused = world.post("/object/list/a%2Fb", &service, json!({ "prefix": "" })).await;
    assert_ne!(refused.status, 200);
}

#[tokio::test]
async fn the_second_api_pages_by_cursor() {
    for world in worlds().await {
        let service = role("service_role");
        for (delimiter, sort, wanted) in [
            (false, json!(null), "a.txt docs/1_0.txt docs/deep/three.txt docs/one.txt docs/two.txt z.txt"),
            (true, json!(null), "a.txt docs/ z.txt"),
            (true, json!({ "column": "name", "order": "desc" }), "z.txt docs/ a.txt"),
            (true, json!({ "column": "created_at", "order": "desc" }), "z.txt docs/ a.txt"),
            (
                false,
                json!({ "column": "created_at" }),
                "a.txt docs/one.txt docs/two.txt docs/deep/three.txt docs/1_0.txt z.txt",
            ),
        ] {
            for limit in [1, 2, 100] {
                let (mut all, mut cursor) = (Vec::new(), None::<Value>);
                loop {
                    let mut body = json!({ "prefix": "", "limit": limit, "with_delimiter": delimiter });
                    if !sort.is_null() {
                        body["sortBy"] = sort.clone();
                    }
                    if let Some(cursor) = &cursor {
                        body["cursor"] = cursor.clone();
                    }
                    let page = world.post("/object/list-v2/b", &service, body).await.ok();
                    let (folders, objects) = (names(&page["folders"]), names(&page["objects"]));
                    assert!(folders.len() + objects.len() <= limit);
                    let mut both: Vec<&str> = folders.into_iter().chain(objects).collect();
                    both.sort_by_key(|name| wanted.split(' ').position(|w| w == *name));
                    all.extend(both.into_iter().map(str::to_owned));
                    if page["hasNext"] == false {
                        assert!(page.get("nextCursor").is_none());
                        break;
                    }
                    let key = page["nextCursorKey"].as_str().unwrap();
                    assert_eq!(key, all.last().unwrap().trim_end_matches('/'));
                    cursor = Some(page["nextCursor"].clone());
                    assert!(all.len() < 20);
                }
                assert_eq!(all.join(" "), wanted, "{delimiter} {sort} {limit}");
            }
        }
    }
}

#[tokio::test]
async fn the_second_api_shows_rows_and_takes_the_references_cursors() {
    for world in worlds().await {
        let service = role("service_role");
        let list = async |body: Value| world.post("/object/list-v2/b", &service, body).await.ok();
        let page = list(json!({ "prefix": "docs/", "with_delimiter": true })).await;
        let folder = json!({ "key": "deep", "name": "docs/deep/", "id": null, "updated_at": null, "created_at": null,
            "last_accessed_at": null, "metadata": null });
        assert_eq!(page["folders"], json!([folder]));
        assert_eq!(page["objects"][1]["key"], "one.txt");
        assert_eq!(page["objects"][1]["name"], "docs/one.txt");
        assert!(page["objects"][1]["id"].is_string());
        let plain = list(json!({ "prefix": "docs/1" })).await;
        assert_eq!(names(&plain["objects"]), ["docs/1_0.txt"]);
        assert!(plain["objects"][0].get("key").is_none());
        assert_eq!(names(&list(json!({ "prefix": "docs/__" })).await["objects"]), [""; 0]);
        let timed = json!({ "prefix": "", "with_delimiter": true, "sortBy": { "column": "updated_at" } });
        let folder = &list(timed).await["folders"][0];
        assert!(folder["created_at"].is_string() && folder["created_at"] == folder["updated_at"]);

        for (cursor, wanted) in
            [("l:docs", vec!["z.txt"]), ("l:a.txt\no:asc\nc:name", vec!["docs/", "z.txt"])]
        {
            let body = json!({ "prefix": "", "with_delimiter": true, "cursor": STANDARD.encode(cursor) });
            let page = list(body).await;
            let mut both = names(&page["folders"]);
            both.extend(names(&page["objects"]));
            assert_eq!(both, wanted, "{cursor}");
        }
    }
}

#[tokio::test]
async fn deleting_what_a_page_showed_does_not_hide_what_follows() {
    let world = dedicated().await;
    let service = role("service_role");
    world.post("/bucket", &service, json!({ "name": "b" })).await.ok();
    for key in ["a", "a/b", "c"] {
        world.upload(&format!("b/{key}"), &service, "x", false).await.ok();
    }
    let list = async |cursor: Option<&Value>| {
        let mut body = json!({ "limit": 1, "with_delimiter": true });
        if let Some(cursor) = cursor {
            body["cursor"] = cursor.clone();
        }
        world.post("/object/list-v2/b", &service, body).await.ok()
    };
    let first = list(None).await;
    assert_eq!(names(&first["objects"]), ["a"]);
    world.with_json(http::Method::DELETE, "/object/b", &service, json!({ "prefixes": ["a"] })).await.ok();
    let second = list(Some(&first["nextCursor"])).await;
    assert_eq!(names(&second["folders"]), ["a/"]);
}
