//! Who may, by the S3 protocol: signatures, keys, sessions.

use crate::client::{Client, HOST};
use crate::world::{S3_ACCESS_KEY, S3_USER_KEY, World, dedicated, pooled, role, shard, user};
use serde_json::json;
use time::Duration;

/// A bucket that users write below `own/` only.
async fn ruled() -> World {
    let world = dedicated().await;
    let mut session = world.database.connect().await;
    let policies = "
        create policy see on storage.buckets for select to authenticated using (id = 'seen');
        create policy own on storage.objects to authenticated
          using (bucket_id = 'seen' and name like 'own/%') with check (bucket_id = 'seen' and name like 'own/%');";
    session.batch(policies).await.unwrap();
    let s3 = Client::of(&world);
    for bucket in ["/seen", "/hidden"] {
        s3.send("PUT", bucket, &[], b"").await.ok();
        s3.put(&format!("{bucket}/theirs"), b"x").await.ok();
    }
    world
}

#[tokio::test]
async fn sessions_run_under_policies() {
    let world = ruled().await;
    let token = user(1);
    let s3 = Client::session(&world, &token);
    s3.put("/seen/own/a", b"mine").await.ok();
    assert_eq!(&s3.get("/seen/own/a").await.ok().bytes[..], b"mine");
    let url = s3.presigned("GET", "/seen/own/a", Duration::minutes(1));
    assert_eq!(&s3.raw("GET", &url, &[("host", HOST)], Vec::new()).await.ok().bytes[..], b"mine");
    assert_eq!(s3.put("/seen/other", b"x").await.refusal(), (403, "AccessDenied"));
    assert_eq!(s3.get("/seen/theirs").await.refusal(), (404, "NoSuchKey"));
    assert_eq!(s3.head("/hidden").await.status, 404);
    assert_eq!(s3.get("/").await.ok().all("Name"), ["seen"]);
    assert_eq!(s3.get("/seen").await.ok().all("Key"), ["own/a"]);
    assert_eq!(s3.get("/hidden?list-type=2").await.ok().one("KeyCount"), "0");
    assert_eq!(s3.get("/none").await.refusal(), (404, "NoSuchBucket"));
    assert_eq!(s3.delete("/seen/theirs").await.refusal(), (403, "AccessDenied"));
    assert_eq!(s3.delete("/seen/absent").await.status, 204);
    assert_eq!(s3.send("PUT", "/mine", &[], b"").await.refusal(), (403, "AccessDenied"));
    let copy = s3.send("PUT", "/seen/own/b", &[("x-amz-copy-source", "seen/theirs")], b"").await;
    assert_eq!(copy.refusal(), (404, "NoSuchKey"));
    let copy = s3.send("PUT", "/seen/b", &[("x-amz-copy-source", "seen/own/a")], b"").await;
    assert_eq!(copy.refusal(), (403, "AccessDenied"));
    let list = "<Delete><Object><Key>own/a</Key></Object><Object><Key>theirs</Key></Object></Delete>";
    let deleted = s3.post("/seen?delete", list).await.ok();
    assert_eq!(deleted.all("Deleted").len(), 1);
    assert_eq!((deleted.one("Error").contains("theirs"), deleted.all("Code")), (true, vec!["AccessDenied"]));
    s3.put("/seen/own/c", b"1").await.ok();
    assert_eq!(s3.delete("/seen/own/c").await.status, 204);
}

#[tokio::test]
async fn sessions_need_a_good_token_and_the_public_key() {
    let world = ruled().await;
    let forged = format!("{}AAAA", user(1).trim_end_matches(|c| c != '.'));
    let answer = Client::session(&world, &forged).get("/").await;
    assert_eq!(answer.refusal(), (403, "AccessDenied"));
    // The token is looked at first: what nobody could be is not hashed for.
    let mut s3 = Client::session(&world, &forged);
    s3.signer.secret.push('x');
    assert_eq!(s3.get("/").await.refusal(), (403, "AccessDenied"));
    let token = user(1);
    let mut s3 = Client::session(&world, &token);
    s3.signer.secret.push('x');
    assert_eq!(s3.get("/").await.refusal(), (403, "SignatureDoesNotMatch"));
    let mut s3 = Client::session(&world, &token);
    s3.signer.access_key = "aaaaaaaaaaaaaaaaaaaa".to_owned();
    assert_eq!(s3.get("/").await.refusal(), (403, "AccessDenied"));
    // A user's token makes a key of the service nobody else's.
    let mut s3 = Client::of(&world);
    s3.signer.token = Some(token);
    assert_eq!(s3.get("/").await.refusal(), (403, "AccessDenied"));
    assert_eq!(s3.signer.access_key, S3_ACCESS_KEY);
    let anybody = role("anon");
    assert_eq!(Client::session(&world, &anybody).get("/").await.ok().all("Name"), [""; 0]);
}

#[tokio::test]
async fn keys_may_be_of_a_user() {
    let world = ruled().await;
    let (access, secret) = S3_USER_KEY;
    let s3 = Client::with(&world, access, secret);
    s3.put("/seen/own/k", b"x").await.ok();
    assert_eq!(s3.put("/seen/k", b"x").await.refusal(), (403, "AccessDenied"));
    let info =
        world.post("/object/list-v2/seen", &role("service_role"), json!({ "prefix": "own/" })).await.ok();
    assert_eq!(info["objects"][0]["name"], "own/k");
}

#[tokio::test]
async fn signatures_are_checked() {
    let world = ruled().await;
    let mut s3 = Client::of(&world);
    s3.signer.access_key.push('x');
    let answer = s3.get("/").await;
    assert_eq!((answer.refusal(), answer.one("Message")), ((403, "AccessDenied"), "Invalid Access Key"));
    let mut s3 = Client::of(&world);
    s3.signer.secret.push('x');
    assert_eq!(s3.get("/").await.refusal(), (403, "SignatureDoesNotMatch"));
    let mut s3 = Client::of(&world);
    s3.late = Duration::minutes(16);
    assert_eq!(s3.get("/").await.refusal(), (403, "RequestTimeTooSkewed"));
    s3.late = -Duration::minutes(16);
    assert_eq!(s3.get("/").await.refusal(), (403, "RequestTimeTooSkewed"));
    let mut s3 = Client::of(&world);
    s3.signer.region = "eu-central-1".to_owned();
    assert_eq!(s3.get("/").await.refusal(), (403, "SignatureDoesNotMatch"));
    let s3 = Client::of(&world);
    let none = s3.raw("GET", "/s3/seen/theirs", &[("host", HOST)], Vec::new()).await;
    assert_eq!(none.refusal(), (403, "AccessDenied"));
    assert!(!none.text().contains("xmlns"), "botocore finds nothing in an error with a namespace");
    assert_eq!(none.one("Resource"), "seen/theirs");
    let bearer = [("host", HOST), ("authorization", "Bearer x")];
    assert_eq!(s3.raw("GET", "/s3/seen/theirs", &bearer, Vec::new()).await.status, 403);
}

#[tokio::test]
async fn urls_are_good_for_what_they_were_signed_for() {
    let world = ruled().await;
    let mut s3 = Client::of(&world);
    let host = [("host", HOST)];
    let url = s3.presigned("GET", "/seen/theirs", Duration::minutes(1));
    // A header of somebody else's is not in the way.
    let bearer = [host[0], ("authorization", "Bearer x")];
    assert_eq!(&s3.raw("GET", &url, &bearer, Vec::new()).await.ok().bytes[..], b"x");
    let other = url.replace("theirs", "others");
    assert_eq!(s3.raw("GET", &other, &host, Vec::new()).await.refusal(), (403, "SignatureDoesNotMatch"));
    assert_eq!(s3.raw("DELETE", &url, &host, Vec::new()).await.refusal(), (403, "SignatureDoesNotMatch"));
    let put = s3.presigned("PUT", "/seen/put", Duration::minutes(1));
    let copy = [host[0], ("x-amz-copy-source", "hidden/theirs")];
    assert_eq!(s3.raw("PUT", &put, &copy, Vec::new()).await.refusal(), (403, "AccessDenied"));
    s3.raw("PUT", &put, &host, b"sent".to_vec()).await.ok();
    assert_eq!(&s3.get("/seen/put").await.ok().bytes[..], b"sent");
    s3.late = Duration::minutes(2);
    let late = s3.presigned("GET", "/seen/theirs", Duration::minutes(1));
    assert_eq!(s3.raw("GET", &late, &host, Vec::new()).await.refusal(), (400, "ExpiredToken"));
    let day = s3.presigned("GET", "/seen/theirs", Duration::days(1));
    s3.raw("GET", &day, &host, Vec::new()).await.ok();
}

#[tokio::test]
async fn a_prefix_of_the_clients_makes_no_bucket_of_a_key() {
    let world = ruled().await;
    let s3 = Client::of(&world);
    let signed = |path: &str| {
        let request = sigv4::Request { method: "PUT", path, query: "", headers: &[("host", HOST)] };
        s3.signer.presign(&request, Duration::minutes(1), s3.now())
    };
    // A URL for a file of a user's, who chose its name.
    let query = signed("/storage/v1/s3/seen/42/s3/hidden/theirs");
    let target = format!("/s3/hidden/theirs?{query}");
    for prefix in ["/storage/v1/s3/seen/42", "/storage/v1/s3/seen/42/"] {
        let headers = [("host", HOST), ("x-forwarded-prefix", prefix)];
        let answer = s3.raw("PUT", &target, &headers, b"hers".to_vec()).await;
        assert_eq!(answer.refusal(), (403, "SignatureDoesNotMatch"));
    }
    assert_eq!(&s3.get("/hidden/theirs").await.ok().bytes[..], b"x");
    // A proxy's own is believed.
    let target = format!("/s3/seen/42/s3/hidden/theirs?{query}");
    let headers = [("host", HOST), ("x-forwarded-prefix", "/storage/v1")];
    s3.raw("PUT", &target, &headers, b"theirs".to_vec()).await.ok();
    assert_eq!(&s3.get("/seen/42/s3/hidden/theirs").await.ok().bytes[..], b"theirs");
}

#[tokio::test]
async fn headers_that_are_no_text_pass_by_no_signature() {
    let world = ruled().await;
    let s3 = Client::of(&world);
    let send = async |url: &str, headers: &[(&str, &[u8])]| {
        let mut request = http::Request::builder().method("PUT").uri(url).header("host", HOST);
        for (name, value) in headers {
            request = request.header(*name, http::HeaderValue::from_bytes(value).unwrap());
        }
        let request = request.body(axum::body::Body::from("new")).unwrap();
        world.storage.handle(request).await.status().as_u16()
    };
    let url = s3.presigned("PUT", "/seen/new", Duration::minutes(1));
    for (name, value) in [
        ("x-amz-meta-role", &b"admin\xff"[..]),
        ("x-amz-copy-source", &b"hidden/theirs\xff"[..]),
        ("x-amz-copy-source", "hidden/\u{fc}".as_bytes()),
    ] {
        assert_eq!(send(&url, &[(name, value)]).await, 400, "{name}");
    }
    // One that is signed, behind one that would be read in its place.
    let headers = [("host", HOST), ("if-none-match", "*")];
    let request = sigv4::Request { method: "PUT", path: "/s3/seen/theirs", query: "", headers: &headers };
    let query = s3.signer.presign(&request, Duration::minutes(1), s3.now());
    let url = format!("/s3/seen/theirs?{query}");
    assert_eq!(send(&url, &[("if-none-match", b"\xff"), ("if-none-match", b"*")]).await, 400);
    assert_eq!(send(&url, &[("if-none-match", b"*")]).await, 412);
    assert_eq!(&s3.get("/seen/theirs").await.ok().bytes[..], b"x");
    // What is none of these is nobody's business, and text in metadata need not be ASCII.
    let url = s3.presigned("PUT", "/seen/new", Duration::minutes(1));
    assert_eq!(send(&url, &[("x-city", b"S\xe3o Paulo")]).await, 200);
    let headers = [("x-amz-meta-name", "\u{fc}")];
    assert_eq!(s3.send("PUT", "/seen/named", &headers, b"x").await.status, 200);
}

#[tokio::test]
async fn projects_of_a_shard_do_not_meet() {
    let shard = shard().await;
    let (one, two) = (pooled(&shard, 1).await, pooled(&shard, 2).await);
    let (first, second) = (Client::of(&one), Client::of(&two));
    for s3 in [&first, &second] {
        s3.send("PUT", "/b", &[], b"").await.ok();
    }
    first.put("/b/k", b"first").await.ok();
    assert_eq!(second.get("/b/k").await.refusal(), (404, "NoSuchKey"));
    assert_eq!(second.get("/b").await.ok().all("Key"), [""; 0]);
    let copy = second.send("PUT", "/b/k", &[("x-amz-copy-source", "b/k")], b"").await;
    assert_eq!(copy.refusal(), (404, "NoSuchKey"));
    let upload = first.post("/b/m?uploads", "").await.ok();
    let id = upload.one("UploadId");
    let part = second.put(&format!("/b/m?partNumber=1&uploadId={id}"), b"x").await;
    assert_eq!(part.refusal(), (404, "NoSuchUpload"));
    assert_eq!(second.delete(&format!("/b/m?uploadId={id}")).await.refusal(), (404, "NoSuchUpload"));
    assert_eq!(second.get("/b?uploads").await.ok().all("UploadId"), [""; 0]);
    second.put("/b/k", b"second").await.ok();
    assert_eq!(&first.get("/b/k").await.ok().bytes[..], b"first");
    assert_eq!(second.delete("/b/k").await.status, 204);
    assert_eq!(&first.get("/b/k").await.ok().bytes[..], b"first");
}

/// Locks that anybody can compute are in nobody's way.
#[tokio::test]
async fn locks_of_a_shard_are_the_apps_own() {
    let shard = shard().await;
    let world = pooled(&shard, 1).await;
    let s3 = Client::of(&world);
    s3.send("PUT", "/b", &[], b"").await.ok();
    let name = format!("{}/b/k", world.project.as_str());
    let mut session = world.database.connect().await;
    session.query("select pg_advisory_lock(hashtextextended($1, 0))", &[pg::text(&*name)]).await.unwrap();
    session.query("select pg_advisory_lock(2, hashtext($1))", &[pg::text(&*name)]).await.unwrap();
    s3.put("/b/k", b"written").await.ok();
}

#[tokio::test]
async fn the_protocol_can_be_off() {
    let world = crate::world::dedicated_with(|settings| settings.s3.enabled = false).await;
    assert_eq!(Client::of(&world).get("/").await.refusal(), (403, "FeatureNotEnabled"));
}
