//! Resumable uploads.

use crate::world::{Own, dedicated, metadata, named, pooled, service, shard, token};
use axum::body::Body;
use bytes::Bytes;
use http::Method;
use serde_json::json;
use std::time::Duration;

const NONE: &str = "";

/// A dedicated project with the bucket `b`.
async fn own() -> Own {
    let own = dedicated(|_| {}).await;
    own.bucket(json!({ "name": "b" })).await;
    own
}

fn noise(length: usize) -> Bytes {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[tokio::test]
async fn an_upload_in_pieces_becomes_an_object() {
    let own = own().await;
    let (all, service) = (noise(1_500_000), service());
    let said = metadata(&[
        ("bucketName", "b"),
        ("objectName", "a/big file.txt"),
        ("contentType", "text/plain"),
        ("cacheControl", "60"),
        ("metadata", r#"{"mine":1}"#),
    ]);
    let path = own.begin(&service, &said, all.len()).await;
    let head = own.head(&path, &service).await;
    assert_eq!(head.status, 200);
    assert_eq!((head.header("upload-offset"), head.header("upload-length")), ("0", "1500000"));
    assert_eq!(head.header("cache-control"), "no-store");
    let shown = head.header("upload-metadata").to_owned();
    assert_eq!(
        shown,
        said.replace(&metadata(&[("cacheControl", "60")]), &metadata(&[("cacheControl", "max-age=60")]))
    );
    let mut offset = 0;
    for piece in [1, 700_000, 70_000] {
        let answer = own.patch(&path, &service, offset as u64, all.slice(offset..offset + piece)).await;
        offset += piece;
        assert_eq!((answer.status, answer.offset(), answer.header("tus-complete")), (204, offset as u64, ""));
        assert_ne!(answer.header("upload-expires"), "");
        assert_eq!(own.head(&path, &service).await.offset(), offset as u64);
        assert_eq!(own.object("b/a/big file.txt".replace(' ', "%20").as_str()).await.status, 400, "not yet");
    }
    let last = own.patch(&path, &service, offset as u64, all.slice(offset..)).await;
    assert_eq!((last.status, last.header("tus-complete")), (204, "1"));
    let object = own.object("b/a/big%20file.txt").await;
    assert!(object.bytes == all);
    assert_eq!((object.header("content-type"), object.header("cache-control")), ("text/plain", "max-age=60"));
    assert_eq!(own.bodies().await, (1, 0));
    let head = own.head(&path, &service).await;
    assert_eq!((head.status, head.header("upload-offset")), (200, "1500000"), "for a while");
    let info = own.plain(Method::GET, "/object/info/b/a/big%20file.txt", &service, &[], Body::empty()).await;
    let info: serde_json::Value = serde_json::from_slice(&info.bytes).unwrap();
    assert_eq!(info["metadata"], json!({ "mine": 1 }));
}

#[tokio::test]
async fn one_request_is_enough() {
    let own = own().await;
    let octets = ("content-type", "application/offset+octet-stream");
    let (said, service) = (named("b", "k"), service());
    let headers = [("upload-length", "5"), ("upload-metadata", said.as_str()), octets];
    let answer = own.tus(Method::POST, "/upload/resumable", &service, &headers, "hello").await;
    assert_eq!((answer.status, answer.offset(), answer.header("tus-complete")), (201, 5, "1"));
    assert_eq!(own.object("b/k").await.text(), "hello");
    // Some of it.
    let said = named("b", "part");
    let headers = [("upload-length", "5"), ("upload-metadata", said.as_str()), octets];
    let answer = own.tus(Method::POST, "/upload/resumable/", &service, &headers, "he").await;
    assert_eq!((answer.offset(), answer.header("tus-complete")), (2, ""));
    let path = answer.path();
    assert_eq!(own.patch(&path, &service, 2, "llo").await.header("tus-complete"), "1");
    assert_eq!(own.object("b/part").await.text(), "hello");
    // Nothing at all.
    let said = named("b", "empty");
    let headers = [("upload-length", "0"), ("upload-metadata", said.as_str())];
    let answer = own.tus(Method::POST, "/upload/resumable", &service, &headers, Body::empty()).await;
    assert_eq!((answer.status, answer.header("tus-complete")), (201, "1"));
    assert_eq!(own.object("b/empty").await.said(), (200, ""));
}

#[tokio::test]
async fn the_length_may_come_later() {
    let own = own().await;
    let (said, service) = (named("b", "k"), service());
    let headers = [("upload-defer-length", "1"), ("upload-metadata", said.as_str())];
    let path = own.tus(Method::POST, "/upload/resumable", &service, &headers, Body::empty()).await.path();
    own.patch(&path, &service, 0, "abc").await;
    let head = own.head(&path, &service).await;
    assert_eq!((head.header("upload-defer-length"), head.header("upload-length")), ("1", ""));
    let short = own.patch_with(&path, &service, 3, &[("upload-length", "2")], "").await;
    assert_eq!(short.status, 400);
    let said = own.patch_with(&path, &service, 3, &[("upload-length", "6")], "d").await;
    assert_eq!((said.status, said.offset()), (204, 4));
    assert_eq!(own.head(&path, &service).await.header("upload-length"), "6");
    assert_eq!(own.patch_with(&path, &service, 4, &[("upload-length", "7")], "ef").await.status, 400, "once");
    assert_eq!(own.patch(&path, &service, 4, "ef").await.header("tus-complete"), "1");
    assert_eq!(own.object("b/k").await.text(), "abcdef");
}

#[tokio::test]
async fn requests_that_are_wrong_are_told_so() {
    let own = dedicated(|settings| settings.file_size_limit = 1000).await;
    own.bucket(json!({ "name": "b", "file_size_limit": 100, "allowed_mime_types": ["text/*"] })).await;
    let (said, service) = (named("b", "k"), service());
    let said = said.as_str();
    let options = own.plain(Method::OPTIONS, "/upload/resumable", NONE, &[], Body::empty()).await;
    assert_eq!(options.status, 204);
    assert_eq!((options.header("tus-version"), options.header("tus-max-size")), ("1.0.0", "1000"));
    assert_eq!(
        options.header("tus-extension"),
        "creation,creation-with-upload,creation-defer-length,termination,expiration"
    );
    let no_version = own.plain(Method::POST, "/upload/resumable", &service, &[], Body::empty()).await;
    assert_eq!(no_version.said(), (412, "Tus-Resumable Required\n"));
    assert_eq!(no_version.header("tus-version"), "1.0.0");
    let unsigned = own.plain(Method::POST, "/upload/resumable", NONE, &[], Body::empty()).await;
    assert_eq!(unsigned.status, 400);
    assert!(unsigned.text().contains("\"statusCode\":\"403\""), "{}", unsigned.text());
    let other = metadata(&[("bucketName", "b"), ("objectName", "k"), ("contentType", "image/png")]);
    let (nowhere, bad_key) = (named("nowhere", "k"), named("b", "a/../k"));
    for (headers, wanted) in [
        (vec![("upload-metadata", said)], (400, "Upload-Length or Upload-Defer-Length header required\n")),
        (vec![("upload-length", "5")], (400, "Metadata header is required")),
        (vec![("upload-length", "x"), ("upload-metadata", said)], (400, "Invalid upload-length\n")),
        (vec![("upload-length", "5"), ("upload-metadata", "a a a")], (400, "Invalid upload-metadata\n")),
        (vec![("upload-length", "101"), ("upload-metadata", said)], (413, "Maximum size exceeded\n")),
        (vec![("upload-length", "5"), ("upload-metadata", &nowhere)], (404, "Bucket not found")),
        (vec![("upload-length", "5"), ("upload-metadata", &bad_key)], (400, "Invalid key: a/../k")),
        (
            vec![("upload-length", "5"), ("upload-metadata", &other)],
            (415, "mime type image/png is not supported"),
        ),
    ] {
        let answer = own.tus(Method::POST, "/upload/resumable", &service, &headers, Body::empty()).await;
        assert_eq!(answer.said(), wanted, "{headers:?}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
    let path = own.begin(&service, said, 10).await;
    let octets = ("content-type", "application/offset+octet-stream");
    for (headers, wanted) in [
        (vec![octets], (403, "Upload-Offset header required\n")),
        (vec![("upload-offset", "0"), ("content-type", "text/plain")], (400, "Invalid content-type\n")),
        (vec![("upload-offset", "3"), octets], (409, "Upload-Offset conflict\n")),
        (vec![("upload-offset", "0"), octets, ("content-length", "11")], (413, "upload's size exceeded\n")),
    ] {
        let answer = own.tus(Method::PATCH, &path, &service, &headers, Body::from("01234567890")).await;
        assert_eq!(answer.said(), wanted, "{headers:?}");
        assert_eq!(own.head(&path, &service).await.offset(), 0, "{headers:?}");
    }
    for unknown in ["/upload/resumable/bm9uZQ", "/upload/resumable/a/b"] {
        let answer = own.head(unknown, &service).await;
        assert_eq!(answer.status, 404);
    }
    assert_eq!(own.bodies().await, (0, 0));
}

#[tokio::test]
async fn policies_are_asked_every_time() {
    let own = own().await;
    own.sql(
        "create policy own on storage.objects for insert to authenticated
             with check (owner_id = auth.uid()::text and (storage.foldername(name))[1] = auth.uid()::text
               and storage.operation() in ('storage.tus.upload.create', 'storage.tus.upload.part'))",
    )
    .await;
    let (user, anon) = (token("authenticated", Some(7)), token("anon", None));
    let key = format!("{}/k", crate::world::id(7));
    let said = named("b", &key);
    for (who, metadata) in [(&anon, &said), (&user, &named("b", "elsewhere/k"))] {
        let headers = [("upload-length", "3"), ("upload-metadata", metadata.as_str())];
        let refused = own.tus(Method::POST, "/upload/resumable", who, &headers, Body::empty()).await;
        assert_eq!(refused.said(), (403, "new row violates row-level security policy"));
    }
    let path = own.begin(&user, &said, 3).await;
    assert_eq!(own.patch(&path, &anon, 0, "abc").await.status, 403);
    assert_eq!(own.patch(&path, &user, 0, "abc").await.status, 204);
    assert_eq!(own.object(&format!("b/{key}")).await.text(), "abc");
    // What is there is not overwritten, unless each request says so.
    let service = service();
    let headers = [("upload-length", "3"), ("upload-metadata", said.as_str())];
    let refused = own.tus(Method::POST, "/upload/resumable", &service, &headers, Body::empty()).await;
    assert_eq!(refused.said(), (409, "The resource already exists"));
    let headers = [("upload-length", "3"), ("upload-metadata", said.as_str()), ("x-upsert", "true")];
    let path = own.tus(Method::POST, "/upload/resumable", &service, &headers, Body::empty()).await.path();
    assert_eq!(own.patch(&path, &service, 0, "new").await.said(), (409, "The resource already exists"));
    let upsert = [("x-upsert", "true")];
    assert_eq!(own.patch_with(&path, &service, 0, &upsert, "new").await.status, 204);
    assert_eq!(own.object(&format!("b/{key}")).await.text(), "new");
    assert_eq!(own.bodies().await, (1, 0), "the old body is gone");
}

#[tokio::test]
async fn an_upload_can_be_given_up() {
    let own = own().await;
    let service = service();
    let path = own.begin(&service, &named("b", "k"), 10).await;
    own.patch(&path, &service, 0, "abc").await;
    assert_eq!(own.bodies().await, (0, 1));
    assert_eq!(own.tus(Method::DELETE, &path, &service, &[], Body::empty()).await.status, 204);
    assert_eq!(own.bodies().await, (0, 0));
    assert_eq!(own.head(&path, &service).await.said().0, 404);
    let path = own.begin(&service, &named("b", "k"), 3).await;
    own.patch(&path, &service, 0, "abc").await;
    let finished = own.tus(Method::DELETE, &path, &service, &[("x-upsert", "true")], Body::empty()).await;
    assert_eq!(finished.said(), (400, "Cannot terminate an already completed upload"));
    assert_eq!(own.object("b/k").await.text(), "abc");
}

#[tokio::test]
async fn an_upload_has_its_time() {
    let own = dedicated(|settings| settings.resumable_time = Duration::from_secs(3600)).await;
    own.bucket(json!({ "name": "b" })).await;
    let service = service();
    let finished = own.begin(&service, &named("b", "finished"), 3).await;
    own.patch(&finished, &service, 0, "abc").await;
    let path = own.begin(&service, &named("b", "k"), 10).await;
    own.patch(&path, &service, 0, "abc").await;
    let swept = own.storage.sweep(&mut storage::Sweep::default()).await.unwrap();
    assert_eq!((swept.uploads, swept.bodies), (0, 0));
    own.later(Duration::from_secs(3601));
    let gone = (410, "The file for this url no longer exists\n");
    assert_eq!(own.patch(&path, &service, 3, "d").await.said(), gone);
    assert_eq!(own.head(&path, &service).await.status, 410);
    let swept = own.storage.sweep(&mut storage::Sweep::default()).await.unwrap();
    assert_eq!((swept.uploads, own.bodies().await), (1, (1, 0)));
    assert_eq!(own.head(&path, &service).await.status, 410, "said for a day");
    own.later(Duration::from_secs(25 * 3600));
    own.storage.sweep(&mut storage::Sweep::default()).await.unwrap();
    assert_eq!(own.head(&path, &service).await.status, 404);
    assert_eq!(own.object("b/finished").await.text(), "abc");
}

#[tokio::test]
async fn a_signature_is_enough() {
    let own = own().await;
    let service = service();
    let signed = own.plain(Method::POST, "/object/upload/sign/b/k", &service, &[], Body::empty()).await;
    let signed: serde_json::Value = serde_json::from_slice(&signed.bytes).unwrap();
    let signature = ("x-signature", signed["token"].as_str().unwrap());
    let said = named("b", "k");
    let headers = [("upload-length", "6"), ("upload-metadata", said.as_str())];
    let base = "/upload/resumable/sign";
    let missing = own.tus(Method::POST, base, NONE, &headers, Body::empty()).await;
    assert_eq!(missing.said(), (400, "Missing x-signature header"));
    let other = named("b", "other");
    let elsewhere = [("upload-length", "6"), ("upload-metadata", other.as_str()), signature];
    assert_eq!(own.tus(Method::POST, base, NONE, &elsewhere, Body::empty()).await.status, 400);
    let path =
        own.tus(Method::POST, base, NONE, &[headers[0], headers[1], signature], Body::empty()).await.path();
    assert!(path.starts_with("/upload/resumable/sign/"), "{path}");
    assert_eq!(own.head(&path, NONE).await.status, 400);
    assert_eq!(own.tus(Method::HEAD, &path, NONE, &[signature], Body::empty()).await.offset(), 0);
    assert_eq!(own.patch(&path, NONE, 0, "abc").await.status, 400);
    assert_eq!(own.patch_with(&path, NONE, 0, &[signature], "abc").await.offset(), 3);
    assert_eq!(own.patch_with(&path, NONE, 3, &[signature], "def").await.header("tus-complete"), "1");
    assert_eq!(own.object("b/k").await.text(), "abcdef");
}

#[tokio::test]
async fn apps_of_a_shard_do_not_meet() {
    let shard = shard().await;
    let (one, two) = (pooled(&shard, 1).await, pooled(&shard, 2).await);
    let service = service();
    for app in [&one, &two] {
        app.bucket(json!({ "name": "b" })).await;
    }
    let path = one.begin(&service, &named("b", "k"), 6).await;
    assert_eq!(one.patch(&path, &service, 0, "abc").await.offset(), 3);
    assert_eq!(two.head(&path, &service).await.status, 404);
    assert_eq!(two.patch(&path, &service, 3, "xyz").await.status, 404);
    assert_eq!(two.tus(Method::DELETE, &path, &service, &[], Body::empty()).await.status, 404);
    two.later(Duration::from_secs(90 * 24 * 3600));
    let swept = two.storage.sweep(&mut storage::Sweep::default()).await.unwrap();
    assert_eq!((swept.uploads, swept.bodies), (0, 0));
    assert_eq!(one.patch(&path, &service, 3, "def").await.header("tus-complete"), "1");
    assert_eq!(one.object("b/k").await.text(), "abcdef");
    assert_eq!(two.object("b/k").await.status, 400);
}
