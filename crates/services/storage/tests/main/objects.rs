//! Objects of a dedicated project over the REST surface: who may write what, and what becomes of bodies.

use crate::world::{World, dedicated, id, role, user};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use serde_json::json;

/// Users write below a folder of their name, and read what anybody has there; nobody else does anything.
const POLICIES: &str = "
    create policy own_write on storage.objects for insert to authenticated
      with check (bucket_id = 'files' and (storage.foldername(name))[1] = auth.uid()::text);
    create policy own_update on storage.objects for update to authenticated
      using (bucket_id = 'files' and (storage.foldername(name))[1] = auth.uid()::text);
    create policy see on storage.objects for select to authenticated using (bucket_id = 'files');
    create policy own_delete on storage.objects for delete to authenticated
      using (bucket_id = 'files' and owner_id = auth.uid()::text);";

async fn world() -> World {
    let world = dedicated().await;
    world.database.connect().await.batch(POLICIES).await.unwrap();
    bucket(&world, json!({ "name": "files" })).await;
    world
}

async fn bucket(world: &World, body: serde_json::Value) {
    world.post("/bucket", &role("service_role"), body).await.ok();
}

fn own(name: &str) -> String {
    format!("files/{}/{name}", id(1))
}

/// Status, headers and body of a read.
async fn read(world: &World, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, Bytes) {
    let bearer = format!("Bearer {}", role("service_role"));
    let mut request = Request::builder().uri(path).header("authorization", bearer);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = world.storage.handle(request.body(Body::empty()).unwrap()).await;
    let (parts, body) = response.into_parts();
    (parts.status.as_u16(), parts.headers, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn policies_decide_and_nothing_remains_of_what_they_refuse() {
    let world = world().await;
    let (mine, me, other) = (own("a.txt"), user(1), user(2));
    world.upload(&mine, &me, "one", false).await.ok();
    assert_eq!(
        world.upload(&mine, &me, "two", false).await.refusal(),
        ("409".into(), "KeyAlreadyExists".into())
    );
    for upsert in [false, true] {
        let refused = world.upload(&own("b.txt"), &other, "theirs", upsert).await;
        assert_eq!(refused.refusal(), ("403".into(), "AccessDenied".into()));
        let refused = world.upload(&mine, &role("anon"), "theirs", upsert).await;
        assert_eq!(refused.refusal(), ("403".into(), "AccessDenied".into()));
    }
    world.upload(&mine, &me, "two", true).await.ok();
    assert_eq!(read(&world, &format!("/object/{mine}"), &[]).await.2, "two");
    assert_eq!(world.bodies(), 1, "of the refused and the overwritten nothing is left");
    let gone = world.send(Method::DELETE, &format!("/object/{mine}"), &other, &[], "").await;
    assert_eq!(gone.refusal(), ("403".into(), "AccessDenied".into()));
    world.send(Method::DELETE, &format!("/object/{mine}"), &me, &[], "").await.ok();
    assert_eq!(world.bodies(), 0);
}

#[tokio::test]
async fn a_copy_needs_sight_of_the_source_and_a_move_the_right_to_change_it() {
    let world = world().await;
    let (me, other) = (user(1), user(2));
    world.upload(&own("a.txt"), &me, "one", false).await.ok();
    let from = |to: String| json!({ "bucketId": "files", "sourceKey": format!("{}/a.txt", id(1)), "destinationKey": to });
    let theirs = format!("{}/copy.txt", id(2));
    world.post("/object/copy", &other, from(theirs.clone())).await.ok();
    let refused = world.post("/object/copy", &other, from(format!("{}/copy.txt", id(1)))).await;
    assert_eq!(refused.refusal().1, "AccessDenied");
    let refused = world.post("/object/copy", &role("anon"), from(theirs.clone())).await;
    assert_eq!(refused.refusal().1, "NoSuchKey");
    let again = world.post("/object/copy", &other, from(theirs.clone())).await;
    assert_eq!(again.refusal(), ("409".into(), "KeyAlreadyExists".into()));
    let refused = world.post("/object/move", &other, from(format!("{}/moved.txt", id(2)))).await;
    assert_ne!(refused.status, 200);
    world.post("/object/move", &me, from(format!("{}/moved.txt", id(1)))).await.ok();
    assert_eq!(read(&world, &format!("/object/{}", own("moved.txt")), &[]).await.2, "one");
    assert_eq!(read(&world, &format!("/object/files/{theirs}"), &[]).await.2, "one");
    let taken = world
        .post(
            "/object/move",
            &role("service_role"),
            json!({ "bucketId": "files",
        "sourceKey": format!("{}/moved.txt", id(1)), "destinationKey": theirs }),
        )
        .await;
    assert_eq!(taken.refusal().1, "ResourceAlreadyExists");
    assert_eq!(world.bodies(), 2);
}

#[tokio::test]
async fn limits_of_buckets_hold_for_declared_and_undeclared_lengths() {
    let world = world().await;
    bucket(&world, json!({ "name": "small", "file_size_limit": 100_000, "allowed_mime_types": ["text/*"] }))
        .await;
    let service = role("service_role");
    let long = "x".repeat(100_001);
    let refused = world.upload("small/long", &service, &long, false).await;
    assert_eq!(refused.refusal(), ("413".into(), "EntityTooLarge".into()));
    // In pieces, as a client sends that does not know its length.
    let pieces: Vec<Result<Bytes, std::io::Error>> =
        long.as_bytes().chunks(1000).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    let refused = world
        .send(Method::POST, "/object/small/long", &service, &[("content-type", "text/plain")], body)
        .await;
    assert_eq!(refused.refusal(), ("413".into(), "EntityTooLarge".into()));
    let refused =
        world.send(Method::POST, "/object/small/p", &service, &[("content-type", "image/png")], "x").await;
    assert_eq!(refused.refusal(), ("415".into(), "InvalidMimeType".into()));
    world
        .send(
            Method::POST,
            "/object/small/t",
            &service,
            &[("content-type", "text/plain; charset=utf-8")],
            "x",
        )
        .await
        .ok();
    let refused = world.upload("none/long", &service, &long, false).await;
    assert_eq!(refused.refusal(), ("404".into(), "NoSuchBucket".into()));
    assert_eq!(world.bodies(), 1);
}

#[tokio::test]
async fn odd_names_are_refused_or_come_back_as_they_went() {
    let world = world().await;
    let service = role("service_role");
    for key in ["a%20b/c+d@e,f;g=h&i$.txt", "a//b", "trailing/", "%2Fx", "...", "(1)%20'x'!"] {
        let path = format!("files/{key}");
        world.upload(&path, &service, key, false).await.ok();
        assert_eq!(read(&world, &format!("/object/{path}"), &[]).await.2, key);
    }
    let bodies = world.bodies();
    let long = "x".repeat(1025);
    for key in
        ["..", "a/../b", "%2e%2e/x", "a/%2e/b", "na%C3%AFve", "a%00b", "a%0Ab", "a%5Cb", "%ff", "[a]", &long]
    {
        let refused = world.upload(&format!("files/{key}"), &service, "x", false).await;
        assert_eq!(refused.refusal(), ("400".into(), "InvalidKey".into()), "{key}");
    }
    assert_eq!(world.bodies(), bodies);
}

#[tokio::test]
async fn readers_get_parts_and_what_they_have_is_not_sent_again() {
    let world = world().await;
    world.upload("files/a.txt", &role("service_role"), "0123456789", false).await.ok();
    let (status, headers, body) = read(&world, "/object/files/a.txt", &[("range", "bytes=2-4")]).await;
    assert_eq!(
        (status, &body[..], headers["content-range"].to_str().unwrap()),
        (206, &b"234"[..], "bytes 2-4/10")
    );
    let (status, ..) = read(&world, "/object/files/a.txt", &[("range", "bytes=10-")]).await;
    assert_eq!(status, 416);
    let (_, headers, _) = read(&world, "/object/files/a.txt", &[]).await;
    let (etag, modified) = (headers["etag"].to_str().unwrap(), headers["last-modified"].to_str().unwrap());
    for (name, value) in [("if-none-match", etag), ("if-modified-since", modified)] {
        let (status, _, body) = read(&world, "/object/files/a.txt", &[(name, value)]).await;
        assert_eq!((status, body.len()), (304, 0), "{name}");
    }
    let (status, ..) = read(&world, "/object/files/a.txt", &[("if-none-match", "\"other\"")]).await;
    assert_eq!(status, 200);
    let (_, headers, _) = read(&world, "/object/files/a.txt?download=a%20b.txt", &[]).await;
    assert_eq!(headers["content-disposition"], "attachment; filename=a%20b.txt; filename*=UTF-8''a%20b.txt");
}

#[tokio::test]
async fn of_two_writers_of_a_new_key_one_is_told_that_it_was_second() {
    let world = world().await;
    let service = role("service_role");
    let (one, two) = tokio::join!(
        world.upload("files/a", &service, "one", false),
        world.upload("files/a", &service, "two", false)
    );
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    let uploads = (0..8).map(|n| {
        let (world, service) = (&world, &service);
        async move { world.upload("files/a", service, &n.to_string(), true).await.status }
    });
    assert!(futures_util::future::join_all(uploads).await.iter().all(|status| *status == 200));
    assert_eq!(world.bodies(), 1, "the row names one body and the others are gone");
    assert_eq!(read(&world, "/object/files/a", &[]).await.2.len(), 1);
}

#[tokio::test]
async fn a_download_goes_on_while_its_object_is_deleted() {
    let world = world().await;
    let service = role("service_role");
    let long = "0123456789".repeat(300_000);
    world.upload("files/long", &service, &long, false).await.ok();
    let request =
        Request::builder().uri("/object/files/long").header("authorization", format!("Bearer {service}"));
    let mut body = world.storage.handle(request.body(Body::empty()).unwrap()).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    world.send(Method::DELETE, "/object/files/long", &service, &[], "").await.ok();
    let rest = body.collect().await.unwrap().to_bytes();
    assert_eq!(first.len() + rest.len(), long.len());
    assert_eq!(world.bodies(), 0);
}

#[tokio::test]
async fn a_row_whose_body_is_lost_says_so_without_where_it_was() {
    let world = world().await;
    world.upload("files/a", &role("service_role"), "x", false).await.ok();
    world.lose_bodies();
    let (status, headers, body) = read(&world, "/object/files/a", &[]).await;
    let body = String::from_utf8_lossy(&body).into_owned();
    assert_eq!((status, headers["cache-control"].to_str().unwrap()), (400, "no-store"));
    assert!(body.contains("The resource was not found") && !body.contains('/'), "{body}");
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_leaves_nothing() {
    let world = world().await;
    let first = futures_util::stream::iter([
        Ok(Bytes::from(vec![b'x'; 200_000])),
        Err(std::io::Error::other("gone")),
    ]);
    let service = role("service_role");
    let left = world
        .send(Method::POST, "/object/files/a", &service, &[("content-type", "a/b")], Body::from_stream(first))
        .await;
    assert_eq!(left.status, 499);
    assert_eq!(world.bodies(), 0);
    assert_eq!(world.get("/object/files/a", &service).await.refusal().1, "NoSuchKey");
}

#[tokio::test]
async fn signed_urls_are_good_for_what_they_name() {
    let world = world().await;
    let (me, key) = (user(1), format!("{}/a%20b.txt", id(1)));
    world.upload(&format!("files/{key}"), &me, "one", false).await.ok();
    let signed = world.post(&format!("/object/sign/files/{key}"), &me, json!({ "expiresIn": 60 })).await.ok();
    let url = signed["signedURL"].as_str().unwrap().replace(' ', "%20");
    let request = Request::builder().uri(url).body(Body::empty()).unwrap();
    let response = world.storage.handle(request).await;
    assert_eq!((response.status().as_u16(), response.headers().contains_key("expires")), (200, true));
    let refused = world.post("/object/sign/files/none", &me, json!({ "expiresIn": 60 })).await;
    assert_eq!(refused.refusal().1, "NoSuchKey");
    let upload = world.post(&format!("/object/upload/sign/files/{}/new", id(1)), &me, json!({})).await.ok();
    let token = upload["token"].as_str().unwrap();
    let elsewhere = format!("/object/upload/sign/files/{}/other?token={token}", id(1));
    let refused = world.send(Method::PUT, &elsewhere, "x", &[], "x").await;
    assert_eq!(refused.refusal().1, "InvalidSignature");
    let there = format!("/object/upload/sign/files/{}/new?token={token}", id(1));
    world.send(Method::PUT, &there, "x", &[], "x").await.ok();
    assert_eq!(world.send(Method::PUT, &there, "x", &[], "y").await.refusal().1, "KeyAlreadyExists");
    let denied = world.post(&format!("/object/upload/sign/files/{}/new", id(2)), &me, json!({})).await;
    assert_eq!(denied.refusal().1, "AccessDenied");
}
