//! Second factors.

use crate::world::{World, text};
use ring::hmac;
use serde_json::{Value, json};

/// The code of a base 32 secret at a time, computed apart from the service.
pub fn code(secret: &str, unix: u64) -> String {
    let bits: String = secret
        .bytes()
        .map(|b| format!("{:05b}", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|k| *k == b).unwrap()))
        .collect();
    let key: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|c| u8::from_str_radix(std::str::from_utf8(c).unwrap(), 2).unwrap())
        .collect();
    let mac =
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key), &(unix / 30).to_be_bytes());
    let at = usize::from(mac.as_ref()[19] & 15);
    let word = u32::from_be_bytes(mac.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

pub async fn enroll(world: &World, token: &str, name: &str) -> (String, String) {
    let body = json!({ "factor_type": "totp", "friendly_name": name });
    let factor = world.call("POST", "/factors", Some(token), body).await.ok();
    assert!(text(&factor, "/totp/qr_code").contains("<svg"));
    assert!(
        text(&factor, "/totp/uri").starts_with("otpauth://totp/127%2E0%2E0%2E1%3A3000:ann%40example%2Ecom?")
    );
    (text(&factor, "/id").to_owned(), text(&factor, "/totp/secret").to_owned())
}

async fn prove(world: &World, token: &str, factor: &str, code: &str) -> crate::world::Answer {
    let challenge =
        world.call("POST", &format!("/factors/{factor}/challenge"), Some(token), json!({})).await.ok();
    assert_eq!(challenge["expires_at"], world.unix() + 300);
    let body = json!({ "challenge_id": challenge["id"], "code": code });
    world.call("POST", &format!("/factors/{factor}/verify"), Some(token), body).await
}

#[tokio::test]
async fn a_second_factor_raises_the_session_and_ends_the_others() {
    let world = World::new().await;
    let other = world.sign_up("ann@example.com").await;
    let session = world.sign_in("ann@example.com", "password1").await.ok();
    let token = text(&session, "/access_token");
    let (factor, secret) = enroll(&world, token, "phone").await;
    let wrong = prove(&world, token, &factor, "000000").await;
    assert_eq!(wrong.refusal(), (422, "mfa_verification_failed"));
    assert_eq!(wrong.body["msg"], "Invalid TOTP code entered");
    let right = code(&secret, world.unix());
    let raised = prove(&world, token, &factor, &right).await.ok();
    let claims = ::token::KeySet::from_secret(crate::world::SECRET)
        .verify(text(&raised, "/access_token"))
        .unwrap()
        .claims;
    assert_eq!(claims["aal"], "aal2");
    let methods: Vec<&str> =
        claims["amr"].as_array().unwrap().iter().map(|m| m["method"].as_str().unwrap()).collect();
    assert!(methods.contains(&"totp") && methods.contains(&"password"));
    assert_eq!(raised["user"]["factors"][0]["status"], "verified");
    assert!(!raised.to_string().contains(&secret), "the secret is told once");
    assert_eq!(world.get("/user", text(&other, "/access_token")).await.refusal(), (403, "session_not_found"));
    let again = prove(&world, text(&raised, "/access_token"), &factor, &right).await;
    assert_eq!(again.refusal(), (422, "mfa_verification_failed"), "a code is good once");
    let refreshed = world.refresh(text(&raised, "/refresh_token")).await.ok();
    let claims = ::token::KeySet::from_secret(crate::world::SECRET)
        .verify(text(&refreshed, "/access_token"))
        .unwrap()
        .claims;
    assert_eq!(claims["aal"], "aal2", "it survives a refresh");
}

#[tokio::test]
async fn without_the_second_factor_little_can_be_changed() {
    let world = World::new().await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token");
    let (factor, secret) = enroll(&world, token, "phone").await;
    let raised = prove(&world, token, &factor, &code(&secret, world.unix())).await.ok();
    let low = world.sign_in("ann@example.com", "password1").await.ok();
    let low = text(&low, "/access_token");
    let put = world.call("PUT", "/user", Some(low), json!({ "password": "password2" })).await;
    assert_eq!(put.refusal(), (401, "insufficient_aal"));
    let another = world
        .call("POST", "/factors", Some(low), json!({ "factor_type": "totp", "friendly_name": "x" }))
        .await;
    assert_eq!(another.refusal(), (403, "insufficient_aal"));
    let path = format!("/factors/{factor}");
    let removed = world.call("DELETE", &path, Some(low), Value::Null).await;
    assert_eq!(removed.refusal(), (422, "insufficient_aal"));
    let high = text(&raised, "/access_token");
    assert_eq!(world.call("DELETE", &path, Some(high), Value::Null).await.ok(), json!({ "id": factor }));
    assert_eq!(world.sql("select string_agg(distinct aal::text, ',') from auth.sessions").await, "aal1");
    assert_eq!(
        world.sql("select count(*) from auth.mfa_amr_claims where authentication_method = 'totp'").await,
        "0"
    );
}

#[tokio::test]
async fn bad_enrolments_and_challenges() {
    let world = World::with(|s| {
        s.anonymous_enabled = true;
        s.mfa.max_enrolled_factors = 2;
    })
    .await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token");
    let post = async |body: Value| world.call("POST", "/factors", Some(token), body).await;
    assert_eq!(post(json!({ "factor_type": "x" })).await.refusal(), (400, "validation_failed"));
    assert_eq!(
        post(json!({ "factor_type": "phone", "phone": "4917012" })).await.refusal(),
        (422, "mfa_phone_enroll_not_enabled")
    );
    assert_eq!(
        post(json!({ "factor_type": "webauthn" })).await.refusal(),
        (422, "mfa_webauthn_enroll_not_enabled")
    );
    let (factor, secret) = enroll(&world, token, "a").await;
    let same = post(json!({ "factor_type": "totp", "friendly_name": "a" })).await;
    assert_eq!(same.refusal(), (422, "mfa_factor_name_conflict"));
    enroll(&world, token, "b").await;
    let third = post(json!({ "factor_type": "totp", "friendly_name": "c" })).await;
    assert_eq!(third.refusal(), (422, "too_many_enrolled_mfa_factors"));
    let challenge =
        world.call("POST", &format!("/factors/{factor}/challenge"), Some(token), json!({})).await.ok();
    world.advance(301);
    let body = json!({ "challenge_id": challenge["id"], "code": code(&secret, world.unix()) });
    let late = world.call("POST", &format!("/factors/{factor}/verify"), Some(token), body).await;
    assert_eq!(late.refusal(), (422, "mfa_challenge_expired"));
    enroll(&world, token, "c").await;
    let nobody = world.call("POST", "/factors/test-factor-id/challenge", None, json!({})).await;
    assert_eq!(nobody.refusal(), (401, "no_authorization"));
    let anonymous = world.post("/signup", json!({})).await.ok();
    let anonymous = text(&anonymous, "/access_token");
    let refused = world.call("POST", "/factors", Some(anonymous), json!({ "factor_type": "totp" })).await;
    assert_eq!(refused.refusal(), (403, "no_authorization"));
}

#[tokio::test]
async fn a_challenge_is_for_the_address_that_asked() {
    let world = World::new().await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token").to_owned();
    let (factor, secret) = enroll(&world, &token, "a").await;
    let from = async |ip: &str, path: &str, body: Value| {
        let request = http::Request::post(format!("/factors/{factor}/{path}"))
            .header("authorization", format!("Bearer {token}"))
            .header("x-forwarded-for", ip);
        world.send(request.body(axum::body::Body::from(body.to_string())).unwrap()).await
    };
    let challenge = from("10.0.0.1", "challenge", json!({})).await.ok();
    let body = json!({ "challenge_id": challenge["id"], "code": code(&secret, world.unix()) });
    assert_eq!(from("10.0.0.2", "verify", body.clone()).await.refusal(), (422, "mfa_ip_address_mismatch"));
    from("10.0.0.1", "verify", body.clone()).await.ok();
    assert_eq!(from("10.0.0.1", "verify", body).await.refusal(), (422, "mfa_ip_address_mismatch"));
}

#[tokio::test]
async fn administrators_see_and_remove_factors() {
    let world = World::new().await;
    let session = world.sign_up("ann@example.com").await;
    let (factor, secret) = enroll(&world, text(&session, "/access_token"), "a").await;
    let base = format!("/admin/users/{}/factors", text(&session, "/user/id"));
    let list = world.admin("GET", &base, Value::Null).await.ok();
    assert_eq!(list[0]["id"], factor.as_str());
    assert!(!list.to_string().contains(&secret));
    let path = format!("{base}/{factor}");
    let renamed = world.admin("PUT", &path, json!({ "friendly_name": "b" })).await.ok();
    assert_eq!(renamed["friendly_name"], "b");
    assert_eq!(world.admin("DELETE", &path, Value::Null).await.ok()["id"], factor.as_str());
    assert_eq!(world.admin("DELETE", &path, Value::Null).await.refusal(), (404, "mfa_factor_not_found"));
}

#[tokio::test]
async fn who_guesses_codes_of_a_factor_loses_the_session() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await;
    let session = world.sign_in("ann@example.com", "password1").await.ok();
    let token = text(&session, "/access_token");
    let (factor, _) = enroll(&world, token, "phone").await;
    for _ in 0..10 {
        let wrong = prove(&world, token, &factor, "000000").await;
        assert_eq!(wrong.refusal(), (422, "mfa_verification_failed"));
    }
    let body = json!({ "factor_type": "totp", "friendly_name": "more" });
    let ended = world.call("POST", "/factors", Some(token), body).await;
    assert_eq!(ended.refusal(), (403, "session_not_found"));
}
