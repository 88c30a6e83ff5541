//! Hooks that are servers of the project's owner.

use crate::peer::{Asked, Peer};
use crate::world::{World, text};
use auth::{Hook, HookPace, HookSettings};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::Duration;

const KEYS: [&[u8]; 2] = [b"0123456789abcdef0123456789abcdef", b"fedcba9876543210fedcba9876543210"];

pub fn hook(peer: &Peer) -> Hook {
    let secrets: Vec<String> = KEYS.iter().map(|key| format!("v1,whsec_{}", B64.encode(key))).collect();
    Hook::new(&format!("{}/hook?a=b", peer.url), &secrets.join("|").into()).unwrap()
}

async fn world(configure: impl FnOnce(&mut HookSettings, Hook)) -> (World, Peer) {
    let peer = Peer::new().await;
    let world = World::with(|settings| {
        settings.outbound = outbound::Client::new(outbound::Reach::Anywhere).unwrap();
        settings.mfa.totp_enroll = true;
        configure(&mut settings.hooks, hook(&peer));
    })
    .await;
    (world, peer)
}

/// Checks a request as a receiver of Standard Webhooks does, with each of its keys.
#[track_caller]
fn verified(asked: &Asked, now: u64) -> Value {
    let (id, at) = (asked.header("webhook-id"), asked.header("webhook-timestamp"));
    assert!(uuid::Uuid::parse_str(id).is_ok(), "{id}");
    assert!(at.parse::<u64>().unwrap().abs_diff(now) < 300, "{at}");
    let signatures: Vec<&str> = asked.header("webhook-signature").split(", ").collect();
    assert_eq!(signatures.len(), KEYS.len());
    for (signature, key) in signatures.iter().zip(KEYS) {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(format!("{id}.{at}.{}", asked.body).as_bytes());
        mac.verify_slice(&B64.decode(signature.strip_prefix("v1,").unwrap()).unwrap()).unwrap();
    }
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/hook?a=b"));
    assert_eq!(asked.header("content-type"), "application/json");
    asked.json()
}

#[tokio::test]
async fn before_a_user_is_made_the_hook_may_refuse() {
    let (world, peer) = world(|hooks, hook| hooks.before_user_created = Some(hook)).await;
    peer.says(200, json!({ "error": { "http_code": 403, "message": "not from there" } }));
    let body = json!({ "email": "a@example.com", "password": "password1", "data": { "x": 1 } });
    let refused = world.post("/signup", body.clone()).await;
    assert_eq!((refused.status, text(&refused.body, "/msg")), (403, "not from there"));
    assert_eq!(world.sql("select count(*)::text from auth.users").await, "0");
    let said = verified(&peer.last(), world.unix());
    assert_eq!(text(&said, "/metadata/name"), "before-user-created");
    assert_eq!(
        (text(&said, "/user/email"), &said["user"]["user_metadata"]),
        ("a@example.com", &json!({ "x": 1 }))
    );
    assert_eq!(said["user"]["app_metadata"], json!({ "provider": "email", "providers": ["email"] }));

    peer.says(204, "");
    let made = world.post("/signup", body).await.ok();
    assert_eq!(text(&made, "/user/id"), text(&verified(&peer.last(), world.unix()), "/user/id"));
    // Somebody who is there already is no newcomer.
    let asked = peer.asked().len();
    world.sign_in("a@example.com", "password1").await.ok();
    assert_eq!(peer.asked().len(), asked);
}

#[tokio::test]
async fn after_a_user_is_made_the_hook_is_told() {
    let (world, peer) = world(|hooks, hook| hooks.after_user_created = Some(hook)).await;
    world.sign_up("a@example.com").await;
    let said = verified(&peer.last(), world.unix());
    assert_eq!(text(&said, "/metadata/name"), "after-user-created");
    assert_eq!(text(&said, "/user/identities/0/provider"), "email");
    // What it objects to comes too late.
    peer.says(200, json!({ "error": { "http_code": 400, "message": "too late" } }));
    let failed = world.post("/signup", json!({ "email": "b@example.com", "password": "password1" })).await;
    assert_eq!((failed.status, text(&failed.body, "/msg")), (400, "too late"));
    assert_eq!(world.sql("select count(*)::text from auth.users").await, "2");
}

#[tokio::test]
async fn a_server_changes_the_claims_of_tokens() {
    let (world, peer) = world(|hooks, hook| hooks.custom_access_token = Some(hook)).await;
    peer.says(200, json!({ "claims": {} }));
    let failed = world.post("/signup", json!({ "email": "a@example.com", "password": "password1" })).await;
    assert_eq!(failed.status, 500);
    assert!(text(&failed.body, "/msg").starts_with("output claims do not conform"), "{}", failed.text);
    let mut claims = verified(&peer.last(), world.unix())["claims"].clone();
    claims["tenant"] = json!("blue");
    peer.says(200, json!({ "claims": claims }));
    let session = world.sign_in("a@example.com", "password1").await.ok();
    let payload = text(&session, "/access_token").split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(payload["tenant"], json!("blue"));
    assert_eq!(text(&peer.last().json(), "/authentication_method"), "password");
}

#[tokio::test]
async fn answers_that_are_no_answer_have_their_own_errors() {
    let (world, peer) = world(|hooks, hook| {
        hooks.before_user_created = Some(hook);
        hooks.pace = HookPace { timeout: Duration::from_millis(700), pause: Duration::from_millis(1) };
    })
    .await;
    let sign_up = || world.post("/signup", json!({ "email": "a@example.com", "password": "password1" }));
    let json = [("content-type", "application/json")];
    let large = format!("\"{}\"", "x".repeat(200 * 1024));
    for (status, headers, body, expected, code, message) in [
        (200, &[][..], "{}", 400, "hook_payload_invalid_content_type", "Invalid Content-Type: Missing"),
        (
            200,
            &[("content-type", "text/html")],
            "{}",
            400,
            "hook_payload_invalid_content_type",
            "Invalid JSON",
        ),
        (
            200,
            &json,
            &large,
            422,
            "hook_payload_over_size_limit",
            "Payload size exceeded size limit of 204800",
        ),
        (200, &json, "[]", 500, "unexpected_failure", "Error unmarshaling JSON output."),
        (200, &json, "", 500, "unexpected_failure", "Error unmarshaling JSON output."),
        (400, &json, "", 500, "unexpected_failure", "Invalid payload sent to hook"),
        (401, &json, "", 500, "unexpected_failure", "Hook requires authorization token"),
        (
            302,
            &[("location", "http://127.0.0.1:1/")],
            "",
            500,
            "unexpected_failure",
            "Unexpected status code returned from hook: 302",
        ),
        (503, &json, "", 500, "unexpected_failure", "Service currently unavailable due to hook"),
    ] {
        peer.forget();
        peer.then(status, headers, body);
        let failed = sign_up().await;
        assert_eq!((failed.status, text(&failed.body, "/error_code")), (expected, code), "{}", failed.text);
        assert!(text(&failed.body, "/msg").starts_with(message), "{}", failed.text);
        assert_eq!(peer.asked().len(), 1, "{message}");
    }
    // Told to come back, it comes back twice.
    peer.forget();
    peer.then(429, &[("retry-after", "true")], "");
    assert_eq!(sign_up().await.status, 500);
    assert_eq!(peer.asked().len(), 3);
    let ids: std::collections::HashSet<_> =
        peer.asked().iter().map(|asked| asked.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 3);
    // Nothing is said for too long.
    peer.forget();
    let failed = sign_up().await;
    assert_eq!((failed.status, text(&failed.body, "/error_code")), (422, "hook_timeout"));
    assert_eq!(text(&failed.body, "/msg"), "Failed to reach hook within maximum time of 0.700000 seconds");
    // In the end, one that works.
    peer.says(204, "");
    sign_up().await.ok();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_three_times() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = World::with(|settings| {
        settings.outbound = outbound::Client::new(outbound::Reach::Anywhere).unwrap();
        let secrets = format!("v1,whsec_{}", B64.encode(KEYS[0]));
        settings.hooks.before_user_created =
            Some(Hook::new(&format!("http://{free}/"), &secrets.into()).unwrap());
        settings.hooks.pace.pause = Duration::from_millis(1);
    })
    .await;
    let failed = world.post("/signup", json!({ "email": "a@example.com", "password": "password1" })).await;
    assert_eq!((failed.status, text(&failed.body, "/error_code")), (422, "hook_timeout_after_retry"));
}

#[tokio::test]
async fn a_project_that_may_call_the_internet_only_calls_nothing_at_home() {
    let peer = Peer::new().await;
    let world = World::with(|settings| settings.hooks.before_user_created = Some(hook(&peer))).await;
    let failed = world.post("/signup", json!({ "email": "a@example.com", "password": "password1" })).await;
    assert_eq!((failed.status, peer.asked().len()), (500, 0), "{}", failed.text);
}

#[tokio::test]
async fn a_hook_sends_mail_in_place_of_the_outbox() {
    let (world, peer) = world(|hooks, hook| hooks.send_email = Some(hook)).await;
    world.sign_up("a@example.com").await;
    assert!(peer.asked().is_empty(), "addresses confirm themselves");
    world.post("/recover", json!({ "email": "a@example.com" })).await.ok();
    let said = verified(&peer.last(), world.unix());
    assert_eq!(text(&said, "/metadata/name"), "send-email");
    assert_eq!(text(&said, "/email_data/email_action_type"), "recovery");
    assert_eq!(text(&said, "/user/email"), "a@example.com");
    let token = text(&said, "/email_data/token").to_owned();
    let body = json!({ "type": "recovery", "email": "a@example.com", "token": token });
    world.post("/verify", body).await.ok();
    assert_eq!(world.sql("select count(*)::text from rowhouse.mail_outbox").await, "0");
    // Refused, nothing has happened.
    world.advance(3600);
    peer.says(200, json!({ "error": { "http_code": 429, "message": "enough" } }));
    let refused = world.post("/recover", json!({ "email": "a@example.com" })).await;
    assert_eq!((refused.status, text(&refused.body, "/msg")), (429, "enough"));
    assert_eq!(world.sql("select recovery_token from auth.users").await, "");
}
