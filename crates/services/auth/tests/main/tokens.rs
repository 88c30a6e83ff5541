//! Tokens that must not be accepted.

use crate::world::{SECRET, World, text};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};
use token::KeySet;

fn signed(secret: &[u8], claims: Value) -> String {
    KeySet::from_secret(secret).sign(&claims).unwrap()
}

#[tokio::test]
async fn every_kind_of_bad_token_is_refused() {
    let world = World::new().await;
    let session = world.sign_up("ann@example.com").await;
    let id = text(&session, "/user/id");
    let good =
        json!({ "sub": id, "aud": "authenticated", "role": "authenticated", "exp": world.unix() + 60 });
    let with = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        claims
    };
    world.get("/user", &signed(SECRET, good.clone())).await.ok();
    let none = format!("{}.{}.", B64.encode(r#"{"alg":"none"}"#), B64.encode(good.to_string()));
    let nobody = "00000000-0000-4000-8000-000000000000";
    let cases = [
        ("garbage".to_owned(), 403, "bad_jwt"),
        (none, 403, "bad_jwt"),
        (signed(b"another secret of another project", good.clone()), 403, "bad_jwt"),
        (signed(SECRET, with("exp", json!(world.unix()))), 403, "bad_jwt"),
        (signed(SECRET, json!({ "role": "authenticated" })), 403, "bad_jwt"),
        (signed(SECRET, with("sub", json!("me"))), 400, "bad_jwt"),
        (signed(SECRET, with("sub", json!(nobody))), 403, "user_not_found"),
        (signed(SECRET, with("session_id", json!("x"))), 403, "bad_jwt"),
        (signed(SECRET, with("session_id", json!(nobody))), 403, "session_not_found"),
    ];
    for (token, status, code) in cases {
        let answer = world.get("/user", &token).await;
        assert_eq!(answer.refusal(), (status, code), "{}", answer.text);
        let (parts, signature) = token.rsplit_once('.').unwrap_or_default();
        if status == 403 && code == "bad_jwt" && !parts.is_empty() && signature.is_empty() {
            let message = answer.body["msg"].as_str().unwrap();
            assert!(message.starts_with("invalid JWT: unable to parse or verify signature"), "{message}");
        }
    }
    assert_eq!(world.get("/user", &signed(SECRET, with("aud", json!("other")))).await.status, 200);
    let missing = world.call("GET", "/user", None, Value::Null).await;
    assert_eq!(missing.refusal(), (401, "no_authorization"));
    assert!(missing.body["msg"].as_str().unwrap().contains("Bearer token"));
}

#[tokio::test]
async fn admin_routes_want_an_admin() {
    let world = World::new().await;
    let session = world.sign_up("ann@example.com").await;
    let anon = token::demo_key(SECRET, "anon");
    for token in [anon.as_str(), text(&session, "/access_token")] {
        assert_eq!(world.get("/admin/users", token).await.refusal(), (403, "not_admin"));
    }
    assert_eq!(
        world.call("GET", "/admin/users", None, Value::Null).await.refusal(),
        (401, "no_authorization")
    );
    let dead = signed(
        SECRET,
        json!({ "role": "service_role", "session_id": "00000000-0000-4000-8000-000000000000" }),
    );
    assert_eq!(world.get("/admin/users", &dead).await.refusal(), (403, "session_not_found"));
    world.admin("GET", "/admin/users", Value::Null).await.ok();
}

#[tokio::test]
async fn a_secret_key_stands_for_its_role_and_a_public_one_for_nobody() {
    let world = World::new().await;
    let request = |role: &str, path: &str| {
        let mut request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        request.extensions_mut().insert(model::Caller::of_role(role));
        request
    };
    world.send(request("service_role", "/admin/users")).await.ok();
    assert_eq!(world.send(request("anon", "/admin/users")).await.refusal(), (401, "no_authorization"));
    assert_eq!(world.send(request("service_role", "/user")).await.refusal(), (403, "bad_jwt"));
}

#[tokio::test]
async fn the_banned_are_shut_out_everywhere() {
    let world = World::new().await;
    let session = world.sign_up("ann@example.com").await;
    let path = format!("/admin/users/{}", text(&session, "/user/id"));
    let banned = world.admin("PUT", &path, json!({ "ban_duration": "24h" })).await.ok();
    assert_eq!(banned["banned_until"], "2027-01-16T08:00:00.123Z");
    let token = text(&session, "/access_token");
    assert_eq!(world.get("/user", token).await.refusal(), (403, "user_banned"));
    assert_eq!(world.sign_in("ann@example.com", "password1").await.refusal(), (400, "user_banned"));
    assert_eq!(world.sign_in("ann@example.com", "wrong").await.refusal(), (400, "user_banned"));
    let free = world.admin("PUT", &path, json!({ "ban_duration": "none" })).await.ok();
    assert!(free.get("banned_until").is_none());
    world.get("/user", token).await.ok();
}

#[tokio::test]
async fn asymmetric_keys_sign_and_are_published() {
    let jwk = token::new_es256_jwk("key-1");
    let keys = KeySet::from_json(&jwk.to_string()).unwrap().with_secret(SECRET);
    let world = World::with(|s| s.keys = std::sync::Arc::new(keys)).await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token");
    let header = B64.decode(token.split('.').next().unwrap()).unwrap();
    assert_eq!(header, br#"{"alg":"ES256","kid":"key-1","typ":"JWT"}"#);
    world.get("/user", token).await.ok();
    let published = world.call("GET", "/.well-known/jwks.json", None, Value::Null).await;
    assert_eq!(published.header("cache-control"), "public, max-age=600");
    let verifier = KeySet::from_json(&published.text).unwrap();
    assert!(verifier.verify(token).is_ok());
    assert!(!published.text.contains("oct"));
    world.admin("GET", "/admin/users", Value::Null).await.ok();
}
