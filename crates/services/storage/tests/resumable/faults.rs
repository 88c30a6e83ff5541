//! Resumable uploads when something breaks: connections, processes, disks of rows and bodies apart.

use crate::world::{Own, dedicated, named, pooled, service, shard, token};
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Method;
use md5::{Digest, Md5};
use serde_json::json;
use std::time::Duration;

async fn own() -> Own {
    let own = dedicated(|_| {}).await;
    own.bucket(json!({ "name": "b" })).await;
    own
}

/// A body of these pieces that breaks after them.
fn broken(pieces: &[&'static str]) -> Body {
    let pieces: Vec<Result<Bytes, std::io::Error>> = pieces
        .iter()
        .map(|piece| Ok(Bytes::from_static(piece.as_bytes())))
        .chain([Err(std::io::ErrorKind::ConnectionReset.into())])
        .collect();
    Body::from_stream(stream::iter(pieces))
}

#[tokio::test]
async fn a_broken_connection_keeps_what_came() {
    let own = own().await;
    let service = service();
    let path = own.begin(&service, &named("b", "k"), 10).await;
    assert_ne!(own.patch(&path, &service, 0, broken(&["abc", "de"])).await.status, 204);
    assert_eq!(own.head(&path, &service).await.offset(), 5);
    assert_eq!(own.patch(&path, &service, 5, "fghij").await.header("tus-complete"), "1");
    assert_eq!(own.object("b/k").await.text(), "abcdefghij");
}

#[tokio::test]
async fn too_many_bytes_without_a_length_change_nothing() {
    let own = own().await;
    let service = service();
    let path = own.begin(&service, &named("b", "k"), 6_000_000).await;
    own.patch(&path, &service, 0, "abc").await;
    // Pieces that are on the disk before the last one is one too many.
    let pieces = [1_000_000; 6].map(|length| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; length])));
    let answer = own.patch(&path, &service, 3, Body::from_stream(stream::iter(pieces))).await;
    assert_eq!(answer.said(), (413, "upload's size exceeded\n"));
    assert_eq!(own.head(&path, &service).await.offset(), 3);
    assert_eq!(own.object("b/k").await.status, 400);
    let rest = vec![b'y'; 5_999_997];
    assert_eq!(own.patch(&path, &service, 3, rest).await.header("tus-complete"), "1");
    let bytes = own.object("b/k").await.bytes;
    assert!(bytes.starts_with(b"abcyyy") && bytes.ends_with(b"yyy") && bytes.len() == 6_000_000);
    let etag = format!("\"{}\"", hex::encode(Md5::digest(&bytes)));
    assert_eq!(own.object("b/k").await.header("etag"), etag);
}

#[tokio::test]
async fn an_upload_that_nobody_can_find_is_not_kept() {
    let own = own().await;
    let service = service();
    let metadata = named("b", "k");
    let headers = [
        ("upload-length", "4"),
        ("upload-metadata", metadata.as_str()),
        ("content-type", "application/offset+octet-stream"),
    ];
    for body in [Body::from_stream(stream::iter([Ok::<_, std::io::Error>("abcde")])), broken(&["abc"])] {
        let answer = own.tus(Method::POST, "/upload/resumable", &service, &headers, body).await;
        assert!(answer.status >= 400, "{answer:?}");
    }
    assert_eq!(own.bodies().await, (0, 0));
    let mut session = own.database.connect().await;
    let rows = session.query("select 1 from storage.resumable_uploads", &[]).await.unwrap();
    assert!(rows.is_empty());
}

#[tokio::test]
async fn only_so_many_are_open_at_a_time() {
    let own = dedicated(|settings| settings.open_resumable_max = 2).await;
    own.bucket(json!({ "name": "b" })).await;
    let service = service();
    let open = |key: &str| {
        let (own, service, metadata) = (&own, &service, named("b", key));
        async move {
            let headers = [("upload-length", "3"), ("upload-metadata", metadata.as_str())];
            own.tus(Method::POST, "/upload/resumable", service, &headers, Body::empty()).await
        }
    };
    let first = open("1").await.path();
    let second = open("2").await.path();
    let refused = open("3").await;
    assert_eq!((refused.status, refused.text().contains("Too many resumable uploads")), (429, true));
    assert_eq!(own.patch(&first, &service, 0, "abc").await.header("tus-complete"), "1");
    let third = open("3").await.path();
    assert_eq!(open("4").await.status, 429);
    own.tus(Method::DELETE, &second, &service, &[], Body::empty()).await;
    let fourth = open("4").await.path();
    assert_eq!(open("5").await.status, 429);
    own.later(Duration::from_secs(25 * 3600));
    assert_eq!(open("5").await.status, 201, "those whose time is over are not open");
    for path in [third, fourth] {
        assert_eq!(own.head(&path, &service).await.status, 410);
    }
}

#[tokio::test]
async fn who_holds_an_upload_is_asked_to_stop() {
    let own = own().await;
    let service = service();
    let path = own.begin(&service, &named("b", "k"), 6).await;
    // A connection that its client has left without saying so.
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"abc"))]);
    let endless = Body::from_stream(futures_util::StreamExt::chain(first, stream::pending()));
    let (stuck, resumed) = tokio::join!(own.patch(&path, &service, 0, endless), async {
        // It holds the upload as soon as its bytes are there.
        while own.bodies().await != (0, 1) {
            tokio::task::yield_now().await;
        }
        own.head(&path, &service).await
    });
    assert_eq!(stuck.said(), (400, "Request aborted due to lock acquired"));
    assert_eq!(resumed.offset(), 3, "what had come is kept");
    assert_eq!(own.patch(&path, &service, 3, "def").await.header("tus-complete"), "1");
    assert_eq!(own.object("b/k").await.text(), "abcdef");
}

#[tokio::test]
async fn a_holder_in_another_process_is_asked_too() {
    let mut own = own().await;
    let service = service();
    let path = own.begin(&service, &named("b", "k"), 6).await;
    let other = own.storage.clone();
    own.restart().await;
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"abc"))]);
    let endless = Body::from_stream(futures_util::StreamExt::chain(first, stream::pending()));
    let request = http::Request::builder()
        .method(Method::PATCH)
        .uri(&path)
        .header("authorization", format!("Bearer {service}"))
        .header("tus-resumable", "1.0.0")
        .header("upload-offset", "0")
        .header("content-type", "application/offset+octet-stream")
        .body(endless)
        .unwrap();
    let (stuck, resumed) = tokio::join!(other.handle(request), async {
        while own.bodies().await != (0, 1) {
            tokio::task::yield_now().await;
        }
        own.head(&path, &service).await
    });
    assert_eq!(stuck.status(), 400);
    assert_eq!(resumed.offset(), 3);
    assert_eq!(own.patch(&path, &service, 3, "def").await.header("tus-complete"), "1");
}

#[tokio::test]
async fn a_lease_of_a_killed_process_ends() {
    let own = own().await;
    let service = service();
    let path = own.begin(&service, &named("b", "k"), 6).await;
    own.sql("update storage.resumable_uploads set holder = gen_random_uuid(), held_until = now() + interval '1 second'")
        .await;
    assert_eq!(own.patch(&path, &service, 0, "abcdef").await.header("tus-complete"), "1");
}

#[tokio::test]
async fn a_lease_that_is_kept_refuses_others() {
    let own = own().await;
    let service = service();
    let path = own.begin(&service, &named("b", "k"), 6).await;
    own.sql("update storage.resumable_uploads set holder = gen_random_uuid(), held_until = now() + interval '1 hour'")
        .await;
    let answer = own.patch(&path, &service, 0, "abcdef").await;
    assert_eq!(answer.said(), (503, "failed to acquire lock before timeout"));
}

#[tokio::test]
async fn a_restart_goes_on() {
    let mut own = own().await;
    let service = service();
    let path = own.begin(&service, &named("b", "k"), 6).await;
    own.patch(&path, &service, 0, "abc").await;
    own.restart().await;
    assert_eq!(own.head(&path, &service).await.offset(), 3);
    assert_eq!(own.patch(&path, &service, 3, "def").await.header("tus-complete"), "1");
    assert_eq!(own.object("b/k").await.text(), "abcdef");
}

/// The version of the only upload.
async fn key(own: &Own) -> blob::Key {
    let mut session = own.database.connect().await;
    let rows = session.query("select version from storage.resumable_uploads", &[]).await.unwrap();
    blob::Key::new(&own.project, rows.first().unwrap().text(0).unwrap().parse().unwrap())
}

#[tokio::test]
async fn killed_before_the_row_it_is_finished_later() {
    let own = own().await;
    let service = service();
    let path = own.begin(&service, &named("b", "k"), 6).await;
    own.patch(&path, &service, 0, "abc").await;
    // As a process that was killed between sealing and the row leaves it.
    let mut appender = own.blobs.append(&key(&own).await, 3).await.unwrap();
    appender.push(Bytes::from_static(b"def")).await.unwrap();
    appender.sync().await.unwrap();
    own.blobs.seal(&key(&own).await).await.unwrap();
    assert_eq!(own.object("b/k").await.status, 400);
    assert_eq!(own.patch(&path, &service, 6, "").await.header("tus-complete"), "1");
    assert_eq!(own.object("b/k").await.text(), "abcdef");
}

/// Clients that hear that all bytes are here go away: whoever says so has to have stored them.
#[tokio::test]
async fn asking_how_far_it_has_come_finishes_it() {
    let own = own().await;
    let service = service();
    let path = own.begin(&service, &named("b", "k"), 6).await;
    own.patch(&path, &service, 0, "abc").await;
    let failing = "create function storage.fail() returns trigger language plpgsql as
           $$ begin if new.version <> '1' then raise exception using errcode = '57P01'; end if; return new; end $$;
         create trigger fail before insert on storage.objects for each row execute function storage.fail()";
    own.sql(failing).await;
    assert!(own.patch(&path, &service, 3, "def").await.status >= 500);
    assert_eq!(own.head(&path, &service).await.status, 423);
    assert_eq!(own.head(&path, &token("anon", None)).await.status, 403);
    own.sql("drop trigger fail on storage.objects").await;
    assert_eq!(own.object("b/k").await.status, 400);
    assert_eq!(own.head(&path, &service).await.offset(), 6);
    assert_eq!(own.object("b/k").await.text(), "abcdef");
    assert_eq!(own.head(&path, &service).await.offset(), 6);
}

#[tokio::test]
async fn killed_after_the_row_nothing_is_lost() {
    let own = own().await;
    let service = service();
    let path = own.begin(&service, &named("b", "k"), 6).await;
    own.patch(&path, &service, 0, "abcdef").await;
    // As a process that was killed between the row and the word that it is finished leaves it.
    own.sql("update storage.resumable_uploads set completed_at = null").await;
    assert_eq!(own.head(&path, &service).await.offset(), 6);
    own.sql("update storage.resumable_uploads set completed_at = null").await;
    assert_eq!(own.patch(&path, &service, 6, "").await.header("tus-complete"), "1");
    own.sql("update storage.resumable_uploads set completed_at = null").await;
    let upsert = [("x-upsert", "true")];
    assert_eq!(own.patch_with(&path, &service, 6, &upsert, "").await.header("tus-complete"), "1");
    assert_eq!(own.object("b/k").await.text(), "abcdef");
    own.sql("update storage.resumable_uploads set completed_at = null").await;
    assert_eq!(own.tus(Method::DELETE, &path, &service, &upsert, Body::empty()).await.status, 204);
    assert_eq!(own.object("b/k").await.text(), "abcdef", "the object is another's to delete");
}

#[tokio::test]
async fn what_can_become_no_object_is_forgotten() {
    let own = own().await;
    let service = service();
    let path = own.begin(&service, &named("b", "k"), 6).await;
    own.patch(&path, &service, 0, "abc").await;
    own.sql(
        "create function storage.refuse() returns trigger language plpgsql as
           $$ begin if new.version <> '1' then raise exception 'not this one'; end if; return new; end $$;
         create trigger refuse before insert on storage.objects for each row execute function storage.refuse()",
    )
    .await;
    assert_eq!(own.patch(&path, &service, 3, "def").await.said(), (400, "not this one"));
    assert_eq!(own.head(&path, &service).await.status, 404);
    assert_eq!(own.bodies().await, (0, 0));
}

#[tokio::test]
async fn bodies_without_a_row_are_swept_when_they_are_old() {
    let own = own().await;
    let service = service();
    let put =
        own.plain(Method::POST, "/object/b/kept", &service, &[("content-type", "text/plain")], "kept").await;
    assert_eq!(put.status, 200);
    let goes_on = own.begin(&service, &named("b", "goes-on"), 6).await;
    own.patch(&goes_on, &service, 0, "abc").await;
    let orphan = |n: u128| blob::Key::new(&own.project, uuid::Uuid::from_u128(n << 120 | 1));
    for n in [0, 3, 255] {
        let mut writer = own.blobs.write(&orphan(n)).await.unwrap();
        writer.push(Bytes::from_static(b"nobody's")).await.unwrap();
        writer.finish().await.unwrap();
        let mut appender = own.blobs.append(&orphan(n), 0).await.unwrap();
        appender.push(Bytes::from_static(b"nobody's")).await.unwrap();
        appender.sync().await.unwrap();
    }
    let growing = own.bodies().await.1;
    let swept = own.storage.sweep(&mut storage::Sweep::default()).await.unwrap();
    assert_eq!((swept.uploads, swept.bodies), (0, 0), "too young");
    // A day later the upload that goes on has no time left; it is one of them.
    own.sql("update storage.resumable_uploads set expires_at = now() + interval '1 year'").await;
    // As an import wrote it.
    own.sql("update storage.objects set version = upper(version)").await;
    own.later(Duration::from_secs(24 * 3600 + 60));
    let swept = own.storage.sweep(&mut storage::Sweep::default()).await.unwrap();
    assert_eq!(swept.bodies as usize, 3 + growing - 1);
    assert_eq!(own.bodies().await, (1, 1));
    assert_eq!(own.object("b/kept").await.text(), "kept");
    assert_eq!(own.head(&goes_on, &service).await.offset(), 3);
    let again = own.storage.sweep(&mut storage::Sweep::default()).await.unwrap();
    assert_eq!((again.uploads, again.bodies), (0, 0));
}

#[tokio::test]
async fn a_sweeper_that_does_not_see_everything_deletes_nothing() {
    let own = pooled(&shard().await, 1).await;
    own.bucket(json!({ "name": "b" })).await;
    let service = service();
    own.plain(Method::POST, "/object/b/kept", &service, &[("content-type", "text/plain")], "kept").await;
    own.later(Duration::from_secs(90 * 24 * 3600));
    let outcome = own.without_its_app().await.sweep(&mut storage::Sweep::default()).await;
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(own.object("b/kept").await.text(), "kept");
}

#[tokio::test]
async fn a_sweeper_without_its_policies_deletes_nothing() {
    let own = pooled(&shard().await, 1).await;
    own.bucket(json!({ "name": "b" })).await;
    let service = service();
    own.plain(Method::POST, "/object/b/kept", &service, &[("content-type", "text/plain")], "kept").await;
    own.later(Duration::from_secs(90 * 24 * 3600));
    let table = ["objects", "s3_multipart_uploads_parts", "resumable_uploads"];
    let missing = table.map(|table| {
        let again = format!("create policy service on storage.{table} to service_role using (true)");
        (format!("drop policy service on storage.{table}"), again)
    });
    let hiding = "create policy less on storage.objects as restrictive using (false)".to_owned();
    let faults = missing.into_iter().chain([(hiding, "drop policy less on storage.objects".to_owned())]);
    for (fault, mend) in faults {
        own.sql(&fault).await;
        assert!(own.storage.sweep(&mut storage::Sweep::default()).await.is_err(), "{fault}");
        own.sql(&mend).await;
    }
    own.storage.sweep(&mut storage::Sweep::default()).await.unwrap();
    assert_eq!(own.object("b/kept").await.text(), "kept");
}
