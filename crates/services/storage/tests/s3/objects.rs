//! Objects and buckets by the S3 protocol, in both tenancies.

use crate::client::Client;
use crate::world::{World, dedicated, pooled, role, shard};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

async fn worlds() -> [World; 2] {
    [dedicated().await, pooled(&shard().await, 1).await]
}

#[tokio::test]
async fn buckets_come_and_go() {
    for world in worlds().await {
        let s3 = Client::of(&world);
        assert_eq!(s3.send("PUT", "/b", &[], b"").await.ok().header("location"), "/b");
        assert_eq!(s3.send("PUT", "/b", &[], b"").await.refusal(), (409, "BucketAlreadyExists"));
        s3.send("PUT", "/open/", &[("x-amz-acl", "public-read")], b"").await.ok();
        assert_eq!(s3.get("/").await.ok().all("Name"), ["b", "open"]);
        let rows = world.get("/bucket/open", &role("service_role")).await.ok();
        assert_eq!(rows["public"], true);
        assert_eq!(s3.head("/b").await.ok().header("x-amz-bucket-region"), "local");
        assert_eq!(s3.head("/none").await.status, 404);
        assert!(s3.get("/b?location").await.ok().text().ends_with(">local</LocationConstraint>"));
        assert_eq!(s3.get("/b?versioning").await.ok().one("Status"), "Suspended");
        s3.put("/b/k", b"x").await.ok();
        assert_eq!(s3.delete("/b").await.refusal(), (409, "BucketNotEmpty"));
        assert_eq!(s3.delete("/b/k").await.status, 204);
        assert_eq!(s3.delete("/b").await.status, 204);
        assert_eq!(s3.delete("/b").await.refusal(), (404, "NoSuchBucket"));
        assert_eq!(s3.send("PUT", "/a~b", &[], b"").await.refusal(), (400, "InvalidBucketName"));
    }
}

#[tokio::test]
async fn what_is_put_is_got() {
    for world in worlds().await {
        let s3 = Client::of(&world);
        s3.send("PUT", "/b", &[], b"").await.ok();
        let headers =
            [("content-type", "text/css"), ("cache-control", "max-age=5"), ("x-amz-meta-who", "me")];
        let put = s3.send("PUT", "/b/dir/a%20b%2Bc.css", &headers, b"hello, world").await.ok();
        assert_eq!(put.header("etag"), "\"e4d7f1b4ed2e42d15898f4b27b019da4\"");
        let got = s3.get("/b/dir/a%20b%2Bc.css").await.ok();
        assert_eq!(&got.bytes[..], b"hello, world");
        for (name, value) in headers {
            assert_eq!(got.header(name), value);
        }
        assert_eq!(got.header("etag"), put.header("etag"));
        // The same object on the other surface.
        let service = role("service_role");
        let rest = world.get("/object/authenticated/b/dir/a%20b+c.css", &service).await;
        assert_eq!(&rest.bytes[..], b"hello, world");
        let info = world.get("/object/info/authenticated/b/dir/a%20b+c.css", &service).await.ok();
        assert_eq!(info["metadata"]["who"], "me");
        let head = s3.head("/b/dir/a%20b%2Bc.css").await.ok();
        assert_eq!((head.header("content-length"), head.header("x-amz-meta-who")), ("12", "me"));
        assert!(head.bytes.is_empty());
        let part = s3.send("GET", "/b/dir/a%20b%2Bc.css", &[("range", "bytes=7-")], b"").await;
        assert_eq!(
            (part.status, &part.bytes[..], part.header("content-range")),
            (206, &b"world"[..], "bytes 7-11/12")
        );
        let none = s3.send("GET", "/b/dir/a%20b%2Bc.css", &[("range", "bytes=12-")], b"").await;
        assert_eq!(none.refusal(), (416, "InvalidRange"));
        let known =
            s3.send("GET", "/b/dir/a%20b%2Bc.css", &[("if-none-match", put.header("etag"))], b"").await;
        assert_eq!((known.status, known.bytes.len()), (304, 0));
        let other = s3.send("GET", "/b/dir/a%20b%2Bc.css", &[("if-match", "\"0\"")], b"").await;
        assert_eq!(other.refusal(), (412, "PreconditionFailed"));
        let chosen = s3.get("/b/dir/a%20b%2Bc.css?response-content-type=a%2Fb&response-expires=x").await.ok();
        assert_eq!((chosen.header("content-type"), chosen.header("expires")), ("a/b", "x"));
        assert_eq!(s3.get("/b/none").await.refusal(), (404, "NoSuchKey"));
        assert_eq!(s3.get("/b/dir/a%20b%2Bc.css?tagging").await.ok().text().matches("<TagSet/>").count(), 1);
        assert_eq!(s3.put("/none/a", b"x").await.refusal(), (404, "NoSuchBucket"));
        assert_eq!(s3.put("/b/a%00b", b"x").await.refusal(), (400, "InvalidKey"));
    }
}

#[tokio::test]
async fn conditions_of_writers_hold() {
    for world in worlds().await {
        let s3 = Client::of(&world);
        s3.send("PUT", "/b", &[], b"").await.ok();
        let new_only = [("if-none-match", "*")];
        let etag = s3.send("PUT", "/b/k", &new_only, b"one").await.ok().header("etag").to_owned();
        assert_eq!(s3.send("PUT", "/b/k", &new_only, b"two").await.refusal(), (412, "PreconditionFailed"));
        let put = async |tag: &str, body: &[u8]| s3.send("PUT", "/b/k", &[("if-match", tag)], body).await;
        assert_eq!(put("\"0123\"", b"two").await.refusal(), (412, "PreconditionFailed"));
        put(&etag, b"three").await.ok();
        assert_eq!(put(&etag, b"four").await.refusal(), (412, "PreconditionFailed"));
        assert_eq!(&s3.get("/b/k").await.ok().bytes[..], b"three");
        let gone = s3.send("PUT", "/b/none", &[("if-match", &etag)], b"x").await;
        assert_eq!(gone.refusal(), (412, "PreconditionFailed"));
        assert_eq!(
            s3.send("PUT", "/b/k", &[("if-none-match", &etag)], b"x").await.refusal(),
            (501, "NotImplemented")
        );
    }
}

#[tokio::test]
async fn what_is_not_here_changes_nothing() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    s3.put("/b/k", b"body").await.ok();
    for (method, target) in [
        ("PUT", "/b/k?acl"),
        ("PUT", "/b/k?tagging"),
        ("PUT", "/b/k?retention"),
        ("PUT", "/b/k?legal-hold="),
        ("DELETE", "/b/k?tagging"),
        ("GET", "/b/k?versionId=abc"),
        ("GET", "/b/k?attributes"),
        ("POST", "/b/k?restore"),
        ("POST", "/b/k?select&select-type=2"),
        ("PUT", "/b?acl"),
        ("PUT", "/b?versioning"),
        ("PUT", "/new?policy"),
        ("DELETE", "/b?policy"),
        ("GET", "/b?policy"),
        ("GET", "/b?tagging"),
        ("PUT", "/b?versions"),
        ("GET", "/b?lifecycle"),
    ] {
        let answer = s3.send(method, target, &[], b"<xml/>").await;
        assert_eq!(answer.refusal(), (501, "NotImplemented"), "{method} {target}");
    }
    assert_eq!(&s3.get("/b/k?versionId=null").await.ok().bytes[..], b"body");
    assert_eq!(s3.get("/").await.ok().all("Name"), ["b"]);
    assert_eq!(s3.send("PATCH", "/b/k", &[], b"").await.refusal(), (405, "MethodNotAllowed"));
    let own_key = [("x-amz-server-side-encryption-customer-algorithm", "AES256")];
    assert_eq!(s3.send("PUT", "/b/k", &own_key, b"x").await.refusal(), (501, "NotImplemented"));
}

#[tokio::test]
async fn many_are_deleted_at_once() {
    for world in worlds().await {
        let s3 = Client::of(&world);
        s3.send("PUT", "/b", &[], b"").await.ok();
        for key in ["a", "b", "c%26d"] {
            s3.put(&format!("/b/{key}"), b"x").await.ok();
        }
        let list = "<Delete><Object><Key>a</Key></Object><Object><Key>c&amp;d</Key></Object>\
                    <Object><Key>never</Key></Object></Delete>";
        let answer = s3.post("/b?delete", list).await.ok();
        assert_eq!(answer.all("Key"), ["a", "c&amp;d", "never"]);
        assert_eq!((answer.all("Deleted").len(), answer.all("Error").len()), (3, 0));
        assert_eq!(s3.get("/b").await.ok().all("Key"), ["b"]);
        let quiet =
            s3.post("/b?delete", "<Delete><Quiet>true</Quiet><Object><Key>b</Key></Object></Delete>").await;
        assert_eq!(quiet.ok().all("Key"), [""; 0]);
        assert_eq!(s3.post("/none?delete", list).await.refusal(), (404, "NoSuchBucket"));
        assert_eq!(s3.post("/b?delete", "{}").await.refusal(), (400, "MalformedXML"));
        assert_eq!(s3.delete("/b/absent").await.status, 204);
        assert_eq!(s3.delete("/none/absent").await.refusal(), (404, "NoSuchBucket"));
    }
}

#[tokio::test]
async fn copies() {
    for world in worlds().await {
        let s3 = Client::of(&world);
        s3.send("PUT", "/b", &[], b"").await.ok();
        s3.send("PUT", "/to", &[], b"").await.ok();
        let said = [("content-type", "text/css"), ("x-amz-meta-a", "1")];
        let etag = s3.send("PUT", "/b/from%20here", &said, b"copied").await.ok().header("etag").to_owned();
        let source = ("x-amz-copy-source", "/b/from%20here");
        let copy = s3.send("PUT", "/to/kept", &[source], b"").await.ok();
        assert_eq!(copy.one("ETag"), etag.replace('"', "&quot;"));
        assert!(copy.one("LastModified").ends_with('Z'));
        let kept = s3.get("/to/kept").await.ok();
        assert_eq!(
            (&kept.bytes[..], kept.header("content-type"), kept.header("x-amz-meta-a")),
            (&b"copied"[..], "text/css", "1")
        );
        let replace =
            [source, ("x-amz-metadata-directive", "REPLACE"), ("content-type", "a/b"), ("x-amz-meta-b", "2")];
        s3.send("PUT", "/to/changed", &replace, b"").await.ok();
        let changed = s3.head("/to/changed").await.ok();
        let told =
            ["content-type", "x-amz-meta-a", "x-amz-meta-b"].map(|name| changed.header(name).to_owned());
        assert_eq!(told, ["a/b", "", "2"]);
        for (name, value, status) in [
            ("x-amz-copy-source-if-match", etag.as_str(), 200),
            ("x-amz-copy-source-if-match", "\"0\"", 412),
            ("x-amz-copy-source-if-none-match", etag.as_str(), 412),
            ("x-amz-copy-source-if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT", 412),
            ("x-amz-copy-source-if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT", 412),
            ("if-none-match", "*", 412),
        ] {
            let answer = s3.send("PUT", "/to/kept", &[source, (name, value)], b"").await;
            assert_eq!(answer.status, status, "{name}: {value}");
        }
        let absent = s3.send("PUT", "/to/x", &[("x-amz-copy-source", "b/none")], b"").await;
        assert_eq!(absent.refusal(), (404, "NoSuchKey"));
        let nothing = s3.send("PUT", "/to/x", &[("x-amz-copy-source", "b")], b"").await;
        assert_eq!(nothing.refusal(), (400, "InvalidArgument"));
    }
}

#[tokio::test]
async fn folders_of_tools_are_those_of_the_dashboard() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    s3.put("/b/folder/", b"").await.ok();
    assert_eq!(s3.get("/b").await.ok().all("Key"), ["folder/.emptyFolderPlaceholder"]);
    assert_eq!(world.names("b", &role("service_role"), "").await, ["folder"]);
}

#[tokio::test]
async fn limits_of_the_bucket_hold() {
    for world in worlds().await {
        let s3 = Client::of(&world);
        let limits =
            serde_json::json!({ "name": "b", "file_size_limit": 10, "allowed_mime_types": ["text/*"] });
        world.post("/bucket", &role("service_role"), limits).await.ok();
        s3.put("/b/fits", b"0123456789").await.ok();
        assert_eq!(s3.put("/b/large", b"0123456789x").await.refusal(), (413, "EntityTooLarge"));
        let picture = s3.send("PUT", "/b/p", &[("content-type", "image/png")], b"x").await;
        assert_eq!(picture.refusal(), (415, "InvalidMimeType"));
        assert_eq!(s3.get("/b").await.ok().all("Key"), ["fits"]);
    }
}

#[tokio::test]
async fn checksums_are_kept() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    let body = b"123456789";
    let base64 = |hex_text: &str| STANDARD.encode(hex::decode(hex_text).unwrap());
    for (name, right) in [
        ("content-md5", base64("25f9e794323b453885f5181f1b624d0b")),
        ("x-amz-checksum-crc32", base64("cbf43926")),
        ("x-amz-checksum-crc32c", base64("e3069283")),
        ("x-amz-checksum-crc64nvme", base64("ae8b14860a799888")),
        ("x-amz-checksum-sha1", base64("f7c3bc1d808e04732adf679965ccc34ca7ae3441")),
        ("x-amz-checksum-sha256", base64("15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225")),
    ] {
        let put = s3.send("PUT", "/b/right", &[(name, &right)], body).await.ok();
        if name != "content-md5" {
            assert_eq!(put.header(name), right);
        }
        let wrong = s3.send("PUT", "/b/wrong", &[(name, &right)], b"123456780").await;
        assert_eq!(wrong.refusal(), (400, "BadDigest"), "{name}");
        let code = if name == "content-md5" { "InvalidDigest" } else { "InvalidRequest" };
        assert_eq!(
            s3.send("PUT", "/b/wrong", &[(name, "AAA=")], body).await.refusal(),
            (400, code),
            "{name}"
        );
    }
    assert_eq!(s3.get("/b").await.ok().all("Key"), ["right"]);
}

#[tokio::test]
async fn the_length_of_an_answer_is_that_of_its_bytes() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    s3.put("/b/k", b"hello, world").await.ok();
    let lie = "update storage.objects set metadata = metadata || '{\"size\":3}'";
    world.database.connect().await.batch(lie).await.unwrap();
    let got = s3.get("/b/k").await.ok();
    assert_eq!((&got.bytes[..], got.header("content-length")), (&b"hello, world"[..], "12"));
    let part = s3.send("GET", "/b/k", &[("range", "bytes=0-1")], b"").await;
    assert_eq!(part.refusal(), (500, "InternalError"));
}

#[tokio::test]
async fn what_belongs_to_another_request_changes_no_object() {
    let world = dedicated().await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    s3.put("/b/k", b"whole").await.ok();
    assert_eq!(s3.put("/b/k?partNumber=1", b"a part").await.refusal(), (400, "InvalidRequest"));
    for target in ["/b/k?uploads", "/b/k?delete", "/other?uploads"] {
        assert_eq!(s3.put(target, b"other").await.refusal(), (405, "MethodNotAllowed"), "{target}");
        assert_eq!(s3.delete(target).await.refusal(), (405, "MethodNotAllowed"), "{target}");
    }
    assert_eq!(&s3.get("/b/k").await.ok().bytes[..], b"whole");
    assert_eq!(&s3.get("/b/k?partNumber=1").await.ok().bytes[..], b"whole");
    // Texts with a NUL are nobody's.
    assert_eq!(s3.get("/b/k%00").await.status, 400);
    let meta = s3.presigned("PUT", "/b/k?x-amz-meta-a=%00", time::Duration::minutes(1));
    let sent = s3.raw("PUT", &meta, &[("host", crate::client::HOST)], b"x".to_vec()).await;
    assert_eq!(sent.refusal(), (400, "InvalidParameter"));
}
