//! Uploads in parts by the S3 protocol.

use crate::client::{Answer, Client};
use crate::world::{World, dedicated, pooled, role, shard, user};

async fn worlds() -> [World; 2] {
    [dedicated().await, pooled(&shard().await, 1).await]
}

async fn begin(s3: &Client<'_>, target: &str, headers: &[(&str, &str)]) -> String {
    s3.send("POST", &format!("{target}?uploads"), headers, b"").await.ok().one("UploadId").to_owned()
}

async fn part(s3: &Client<'_>, target: &str, id: &str, number: u32, body: &[u8]) -> Answer {
    s3.send("PUT", &format!("{target}?partNumber={number}&uploadId={id}"), &[], body).await
}

fn list(parts: &[(u32, &str)]) -> String {
    let part =
        |(n, tag): &(u32, &str)| format!("<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>");
    let parts: String = parts.iter().map(part).collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

#[tokio::test]
async fn parts_become_one_object() {
    for world in worlds().await {
        let s3 = Client::of(&world);
        s3.send("PUT", "/b", &[], b"").await.ok();
        let id = begin(&s3, "/b/dir/big", &[("content-type", "text/css"), ("x-amz-meta-a", "1")]).await;
        let second = part(&s3, "/b/dir/big", &id, 2, b" world").await.ok().header("etag").to_owned();
        let wrong = part(&s3, "/b/dir/big", &id, 1, b"adieu").await.ok().header("etag").to_owned();
        let first = part(&s3, "/b/dir/big", &id, 1, b"hello").await.ok().header("etag").to_owned();
        part(&s3, "/b/dir/big", &id, 9, b"not in the list").await.ok();
        assert_eq!(first, "\"5d41402abc4b2a76b9719d911017c592\"");
        let parts = s3.get(&format!("/b/dir/big?uploadId={id}")).await.ok();
        assert_eq!((parts.all("PartNumber"), parts.all("Size")), (vec!["1", "2", "9"], vec!["5", "6", "15"]));
        assert_eq!(s3.get("/b/dir/big").await.refusal(), (404, "NoSuchKey"));
        let target = format!("/b/dir/big?uploadId={id}");
        for (parts, code) in [
            (list(&[(1, &wrong), (2, &second)]), "InvalidPart"),
            (list(&[(1, &first), (3, &second)]), "InvalidPart"),
            (list(&[(2, &second), (1, &first)]), "InvalidPartOrder"),
            ("<Other/>".to_owned(), "MalformedXML"),
        ] {
            assert_eq!(s3.post(&target, &parts).await.refusal(), (400, code));
        }
        let done = s3.post(&target, &list(&[(1, &first), (2, &second)])).await.ok();
        assert_eq!((done.one("Bucket"), done.one("Key")), ("b", "dir/big"));
        let got = s3.get("/b/dir/big").await.ok();
        assert_eq!(&got.bytes[..], b"hello world");
        let told = ["content-type", "x-amz-meta-a", "etag"].map(|name| got.header(name).to_owned());
        assert_eq!(told, ["text/css", "1", "\"5eb63bbbe01eeed093cb22bb8f5acdc3\""]);
        // Nothing of the upload is left.
        assert_eq!(s3.post(&target, "").await.refusal(), (404, "NoSuchUpload"));
        assert_eq!(part(&s3, "/b/dir/big", &id, 1, b"x").await.refusal(), (404, "NoSuchUpload"));
        assert_eq!(world.bodies().await, 1);
    }
}

#[tokio::test]
async fn without_a_list_all_parts_are_taken() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    let id = begin(&s3, "/b/k", &[]).await;
    let target = format!("/b/k?uploadId={id}");
    assert_eq!(s3.post(&target, "").await.refusal(), (400, "MalformedXML"));
    part(&s3, "/b/k", &id, 10_000, b"two").await.ok();
    part(&s3, "/b/k", &id, 1, b"one ").await.ok();
    s3.post(&target, "").await.ok();
    assert_eq!(&s3.get("/b/k").await.ok().bytes[..], b"one two");
}

#[tokio::test]
async fn uploads_are_given_up() {
    for world in worlds().await {
        let s3 = Client::of(&world);
        s3.send("PUT", "/b", &[], b"").await.ok();
        let id = begin(&s3, "/b/k", &[]).await;
        part(&s3, "/b/k", &id, 1, b"one").await.ok();
        assert_eq!(s3.delete("/b").await.refusal(), (409, "ResourceReferenced"));
        assert_eq!(s3.delete(&format!("/b/other?uploadId={id}")).await.refusal(), (404, "NoSuchUpload"));
        s3.delete(&format!("/b/k?uploadId={id}")).await.ok();
        assert_eq!(s3.delete(&format!("/b/k?uploadId={id}")).await.refusal(), (404, "NoSuchUpload"));
        assert_eq!(world.bodies().await, 0);
        assert_eq!(s3.delete("/b").await.status, 204);
    }
}

#[tokio::test]
async fn numbers_lengths_and_promises_of_parts() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    let id = begin(&s3, "/b/k", &[]).await;
    for number in ["0", "10001", "x", "-1"] {
        let answer = s3.put(&format!("/b/k?partNumber={number}&uploadId={id}"), b"x").await;
        assert_eq!(answer.refusal(), (400, "InvalidRequest"), "{number}");
    }
    let zero = s3.put(&format!("/b/k?partNumber=0&uploadId={id}"), b"x").await;
    assert_eq!(zero.one("Message"), "Querystring, partNumber must be &gt;= 1");
    assert_eq!(s3.put(&format!("/b/k?uploadId={id}"), b"x").await.refusal(), (400, "InvalidRequest"));
    let target = format!("/b/k?partNumber=1&uploadId={id}");
    let broken = s3.send("PUT", &target, &[("x-amz-checksum-crc32", "AAAAAA==")], b"x").await;
    assert_eq!(broken.refusal(), (400, "BadDigest"));
    let endless = s3.send("PUT", &target, &[("content-length", "x")], b"x").await;
    assert_eq!(endless.refusal(), (400, "MissingContentLength"));
    assert_eq!(s3.get(&format!("/b/k?uploadId={id}")).await.ok().all("Part").len(), 0);
    assert_eq!(world.bodies().await, 0);
}

#[tokio::test]
async fn the_limit_is_for_all_parts_together() {
    for world in worlds().await {
        let s3 = Client::of(&world);
        let limits = serde_json::json!({ "name": "b", "file_size_limit": 10 });
        world.post("/bucket", &role("service_role"), limits).await.ok();
        let id = begin(&s3, "/b/k", &[]).await;
        part(&s3, "/b/k", &id, 1, b"123456").await.ok();
        assert_eq!(part(&s3, "/b/k", &id, 2, b"12345").await.refusal(), (413, "EntityTooLarge"));
        // A part that is sent again counts once.
        part(&s3, "/b/k", &id, 1, b"1234567").await.ok();
        part(&s3, "/b/k", &id, 2, b"123").await.ok();
        assert_eq!(part(&s3, "/b/k", &id, 3, b"1").await.refusal(), (413, "EntityTooLarge"));
        s3.post(&format!("/b/k?uploadId={id}"), "").await.ok();
        assert_eq!(s3.head("/b/k").await.ok().header("content-length"), "10");
    }
}

#[tokio::test]
async fn parts_are_copied_from_objects() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    s3.put("/b/source", b"0123456789").await.ok();
    let id = begin(&s3, "/b/k", &[]).await;
    let copy = async |number: u32, range: Option<&str>| {
        let mut headers = vec![("x-amz-copy-source", "b/source")];
        headers.extend(range.map(|range| ("x-amz-copy-source-range", range)));
        s3.send("PUT", &format!("/b/k?partNumber={number}&uploadId={id}"), &headers, b"").await
    };
    let first = copy(1, Some("bytes=2-4")).await.ok();
    let second = copy(2, None).await.ok();
    assert_eq!(copy(3, Some("bytes=8-10")).await.refusal(), (400, "InvalidRange"));
    assert_eq!(copy(3, Some("bytes=8-")).await.refusal(), (400, "InvalidRange"));
    s3.post(&format!("/b/k?uploadId={id}"), &list(&[(1, first.one("ETag")), (2, second.one("ETag"))]))
        .await
        .ok();
    assert_eq!(&s3.get("/b/k").await.ok().bytes[..], b"2340123456789");
}

#[tokio::test]
async fn conditions_hold_for_the_completion() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    let id = begin(&s3, "/b/k", &[]).await;
    part(&s3, "/b/k", &id, 1, b"parts").await.ok();
    s3.put("/b/k", b"came first").await.ok();
    let target = format!("/b/k?uploadId={id}");
    let refused = s3.send("POST", &target, &[("if-none-match", "*")], b"").await;
    assert_eq!(refused.refusal(), (412, "PreconditionFailed"));
    assert_eq!(&s3.get("/b/k").await.ok().bytes[..], b"came first");
    s3.post(&target, "").await.ok();
    assert_eq!(&s3.get("/b/k").await.ok().bytes[..], b"parts");
    assert_eq!(world.bodies().await, 1);
}

#[tokio::test]
async fn uploads_are_listed() {
    for world in worlds().await {
        let s3 = Client::of(&world);
        s3.send("PUT", "/b", &[], b"").await.ok();
        let mut ids = Vec::new();
        for key in ["a", "dir/b", "dir/c", "z", "z"] {
            ids.push(begin(&s3, &format!("/b/{key}"), &[]).await);
        }
        let all = s3.get("/b?uploads").await.ok();
        assert_eq!(all.all("Key"), ["a", "dir/b", "dir/c", "z", "z"]);
        let folded = s3.get("/b?uploads&delimiter=%2F").await.ok();
        assert_eq!(
            (folded.all("Key"), folded.one("CommonPrefixes")),
            (vec!["a", "z", "z"], "<Prefix>dir/</Prefix>")
        );
        assert_eq!(s3.get("/b?uploads&prefix=dir").await.ok().all("Key"), ["dir/b", "dir/c"]);
        let (mut seen, mut more) = (Vec::new(), String::new());
        loop {
            let page = s3.get(&format!("/b?uploads&max-uploads=2{more}")).await.ok();
            seen.extend(page.all("UploadId").into_iter().map(str::to_owned));
            if page.one("IsTruncated") == "false" {
                break;
            }
            let (key, id) = (page.one("NextKeyMarker"), page.one("NextUploadIdMarker"));
            more = format!("&key-marker={}&upload-id-marker={}", sigv4::encode(key), sigv4::encode(id));
        }
        assert_eq!(seen.len(), 5);
        ids.sort();
        seen.sort();
        assert_eq!(seen, ids);
        assert_eq!(s3.get("/b?uploads&max-uploads=0").await.refusal(), (400, "InvalidRequest"));
        assert_eq!(s3.get("/none?uploads").await.refusal(), (404, "NoSuchBucket"));
    }
}

#[tokio::test]
async fn pages_of_parts() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    let id = begin(&s3, "/b/k", &[]).await;
    for number in [1, 2, 3] {
        part(&s3, "/b/k", &id, number, b"x").await.ok();
    }
    let page = s3.get(&format!("/b/k?uploadId={id}&max-parts=2")).await.ok();
    assert_eq!((page.all("PartNumber"), page.one("NextPartNumberMarker")), (vec!["1", "2"], "2"));
    let rest = s3.get(&format!("/b/k?uploadId={id}&max-parts=2&part-number-marker=2")).await.ok();
    assert_eq!((rest.all("PartNumber"), rest.one("IsTruncated")), (vec!["3"], "false"));
}

#[tokio::test]
async fn every_step_asks_the_policies() {
    let world = dedicated().await;
    let service = Client::of(&world);
    service.send("PUT", "/b", &[], b"").await.ok();
    let mut session = world.database.connect().await;
    let policy = "create policy own on storage.objects to authenticated
        using (name like 'own/%') with check (name like 'own/%');";
    session.batch(policy).await.unwrap();
    let token = user(1);
    let s3 = Client::session(&world, &token);
    assert_eq!(s3.post("/b/other?uploads", "").await.refusal(), (403, "AccessDenied"));
    let id = begin(&s3, "/b/own/k", &[]).await;
    part(&s3, "/b/own/k", &id, 1, b"mine").await.ok();
    // Policies show uploads to nobody.
    assert_eq!(s3.get("/b?uploads").await.ok().all("UploadId"), [""; 0]);
    assert_eq!(s3.get(&format!("/b/own/k?uploadId={id}")).await.ok().all("Part"), [""; 0]);
    let theirs = begin(&service, "/b/theirs", &[]).await;
    assert_eq!(part(&s3, "/b/theirs", &theirs, 1, b"x").await.refusal(), (403, "AccessDenied"));
    assert_eq!(s3.post(&format!("/b/theirs?uploadId={theirs}"), "").await.refusal(), (403, "AccessDenied"));
    assert_eq!(s3.delete(&format!("/b/theirs?uploadId={theirs}")).await.refusal(), (403, "AccessDenied"));
    s3.post(&format!("/b/own/k?uploadId={id}"), "").await.ok();
    assert_eq!(&s3.get("/b/own/k").await.ok().bytes[..], b"mine");
}
