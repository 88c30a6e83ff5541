//! Uploads by HTML forms with a signed policy.

use crate::client::{Answer, Client, HOST};
use crate::world::{World, dedicated, user};
use time::Duration;
use time::format_description::well_known::Rfc3339;

type Fields = Vec<(String, String)>;

/// A policy that is good for a minute.
fn policy(s3: &Client<'_>, conditions: &str) -> String {
    let until = (s3.now() + Duration::minutes(1)).format(&Rfc3339).unwrap();
    format!(r#"{{"expiration": "{until}", "conditions": [{conditions}]}}"#)
}

const CONDITIONS: &str = r#"{"bucket": "b"}, ["starts-with", "$key", "user/"], ["starts-with", "$x-amz-meta-a", ""],
    ["content-length-range", 2, 20], {"content-type": "text/css"}"#;

fn fields(s3: &Client<'_>, conditions: &str, own: &[(&str, &str)]) -> Fields {
    let mut fields = s3.signer.post(&policy(s3, conditions), s3.now());
    fields.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    fields
}

async fn post(s3: &Client<'_>, bucket: &str, fields: &Fields, file: &[u8]) -> Answer {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head = "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"dir/a.css\"\r\n\
                Content-Type: application/octet-stream\r\n\r\n";
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--xyz--\r\n");
    let headers = [("host", HOST), ("content-type", "multipart/form-data; boundary=xyz")];
    s3.raw("POST", &format!("/s3/{bucket}"), &headers, body).await
}

const OWN: [(&str, &str); 3] =
    [("key", "user/${filename}"), ("Content-Type", "text/css"), ("x-amz-meta-a", "1")];

async fn world() -> World {
    let world = dedicated().await;
    Client::of(&world).send("PUT", "/b", &[], b"").await.ok();
    world
}

#[tokio::test]
async fn files_of_forms_are_stored() {
    let world = world().await;
    let s3 = Client::of(&world);
    let own = fields(&s3, CONDITIONS, &OWN);
    assert_eq!(post(&s3, "b", &own, b"a file\r\n").await.ok().status, 200);
    // As the JavaScript SDK spells the names.
    let spelt = own.iter().map(|(name, value)| {
        let name = name.replace("x-amz-", "X-Amz-").replace("policy", "Policy");
        (name.replace("X-Amz-meta", "x-amz-meta"), value.clone())
    });
    post(&s3, "b", &spelt.collect(), b"a file\r\n").await.ok();
    let got = s3.get("/b/user/a.css").await.ok();
    assert_eq!(
        (&got.bytes[..], got.header("content-type"), got.header("x-amz-meta-a")),
        (&b"a file\r\n"[..], "text/css", "1")
    );
    let mut told = fields(&s3, &format!(r#"{CONDITIONS}, {{"success_action_status": "201"}}"#), &OWN);
    told.push(("success_action_status".to_owned(), "201".to_owned()));
    let told = post(&s3, "b", &told, b"told").await;
    assert_eq!((told.status, told.one("Key"), told.one("Location")), (201, "user/a.css", "/b/user/a.css"));
}

#[tokio::test]
async fn what_the_policy_does_not_allow() {
    let world = world().await;
    let s3 = Client::of(&world);
    let with = |name: &str, value: &str| {
        let mut fields = fields(&s3, CONDITIONS, &OWN);
        fields.retain(|(n, _)| n != name);
        fields.push((name.to_owned(), value.to_owned()));
        fields
    };
    for (fields, wanted) in [
        (with("key", "other/a"), (403, "AccessDenied")),
        (with("Content-Type", "text/html"), (403, "AccessDenied")),
        (with("x-amz-meta-b", "1"), (403, "AccessDenied")),
        (with("x-amz-signature", &"0".repeat(64)), (403, "SignatureDoesNotMatch")),
        (with("policy", "e30="), (400, "InvalidPolicyDocument")),
        (with("x-amz-credential", "x"), (400, "AuthorizationHeaderMalformed")),
        (with("key", "user/a#b"), (400, "InvalidKey")),
    ] {
        assert_eq!(post(&s3, "b", &fields, b"a file").await.refusal(), wanted, "{:?}", fields.last());
    }
    let good = fields(&s3, CONDITIONS, &OWN);
    assert_eq!(post(&s3, "other", &good, b"a file").await.refusal(), (403, "AccessDenied"));
    assert_eq!(post(&s3, "b", &good, b"1").await.refusal(), (400, "EntityTooSmall"));
    assert_eq!(post(&s3, "b", &good, &[1; 21]).await.refusal(), (413, "EntityTooLarge"));
    assert_eq!(post(&s3, "b", &good, &[1; 100_000]).await.refusal(), (413, "EntityTooLarge"));
    let mut late = Client::of(&world);
    late.late = Duration::minutes(2);
    let expired = fields(&late, CONDITIONS, &OWN);
    assert_eq!(post(&s3, "b", &expired, b"a file").await.refusal(), (403, "AccessDenied"));
    assert_eq!(post(&s3, "b", &Vec::new(), b"a file").await.refusal(), (403, "AccessDenied"));
    assert_eq!(s3.get("/b").await.ok().all("Key"), [""; 0]);
    assert_eq!(world.bodies().await, 0);
}

#[tokio::test]
async fn forms_of_sessions_run_under_policies() {
    let world = world().await;
    let token = user(1);
    let s3 = Client::session(&world, &token);
    let own = fields(&s3, CONDITIONS, &OWN);
    assert_eq!(post(&s3, "b", &own, b"a file").await.refusal(), (403, "AccessDenied"));
    let mut session = world.database.connect().await;
    let policy = "create policy own on storage.objects to authenticated using (true) with check (true);";
    session.batch(policy).await.unwrap();
    post(&s3, "b", &own, b"a file").await.ok();
    assert_eq!(&s3.get("/b/user/a.css").await.ok().bytes[..], b"a file");
}
