//! Passkeys and security keys, with an authenticator in software.

use crate::authenticator::Authenticator;
use crate::world::{Answer, World, text};
use serde_json::{Value, json};

const ORIGIN: &str = "http://127.0.0.1:3000";

async fn world() -> World {
    World::with(|s| {
        s.webauthn.passkeys = true;
        s.webauthn.mfa_enroll = true;
        s.webauthn.mfa_verify = true;
    })
    .await
}

async fn post(world: &World, path: &str, token: &str, body: Value) -> Answer {
    world.call("POST", path, Some(token), body).await
}

/// Makes a passkey of the user whose token it is.
async fn register(world: &World, token: &str, device: &mut Authenticator) -> Answer {
    let asked = post(world, "/passkeys/registration/options", token, json!({})).await.ok();
    let body =
        json!({ "challenge_id": asked["challenge_id"], "credential": device.create(&asked["options"]) });
    post(world, "/passkeys/registration/verify", token, body).await
}

async fn ask(world: &World) -> Value {
    world.post("/passkeys/authentication/options", json!({})).await.ok()
}

async fn prove(world: &World, asked: &Value, device: &mut Authenticator) -> Answer {
    let body = json!({ "challenge_id": asked["challenge_id"], "credential": device.get(&asked["options"]) });
    world.post("/passkeys/authentication/verify", body).await
}

#[tokio::test]
async fn a_passkey_is_made_and_signs_in() {
    let world = world().await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token");
    let mut device = Authenticator::new(ORIGIN);
    let asked = post(&world, "/passkeys/registration/options", token, json!({})).await.ok();
    assert_eq!(asked["options"]["rp"], json!({ "name": "127.0.0.1", "id": "127.0.0.1" }));
    assert_eq!(asked["options"]["authenticatorSelection"]["residentKey"], "required");
    assert_eq!(asked["options"]["attestation"], "none");
    assert_eq!(asked["expires_at"], world.unix() + 300);
    let body =
        json!({ "challenge_id": asked["challenge_id"], "credential": device.create(&asked["options"]) });
    let made = post(&world, "/passkeys/registration/verify", token, body.clone()).await.ok();
    assert_eq!(made["friendly_name"], "Passkey");
    let again = post(&world, "/passkeys/registration/verify", token, body).await;
    assert_eq!(again.refusal(), (400, "webauthn_challenge_not_found"));

    let asked = ask(&world).await;
    assert!(asked["options"].get("allowCredentials").is_none());
    world.advance(5);
    let answer = prove(&world, &asked, &mut device).await;
    assert!(!answer.header("sb-auth-session-id").is_empty());
    let signed_in = answer.ok();
    assert_eq!(signed_in["user"]["id"], session["user"]["id"]);
    let claims = claims(&signed_in);
    assert_eq!((&claims["aal"], &claims["amr"][0]["method"]), (&json!("aal1"), &json!("passkey")));
    let list = world.get("/passkeys", token).await.ok();
    assert_eq!(list[0]["id"], made["id"]);
    assert_eq!(list[0]["last_used_at"], "2027-01-15T08:00:05.123Z");
    assert_eq!(world.sql("select count(*) from auth.webauthn_challenges").await, "0");
    assert_eq!(world.get("/settings", "").await.ok()["passkeys_enabled"], true);
}

fn claims(session: &Value) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
    let token = text(session, "/access_token").split('.').nth(1).unwrap();
    serde_json::from_slice(&B64.decode(token).unwrap()).unwrap()
}

#[tokio::test]
async fn proofs_that_do_not_hold_are_refused_and_use_the_challenge_up() {
    let world = world().await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token");
    let mut device = Authenticator::new(ORIGIN);
    register(&world, token, &mut device).await.ok();
    let refused = (400, "webauthn_verification_failed");
    let lies: [fn(&mut Authenticator); 6] = [
        |d| d.origin = "https://evil.test".into(),
        |d| d.rp_id = Some("evil.test".into()),
        |d| d.user_present = false,
        |d| d.user_handle = b"00000000-0000-0000-0000-000000000000".to_vec(),
        |d| d.user_handle = Vec::new(),
        |d| d.id = vec![1; 32],
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let (origin, handle, id) = (device.origin.clone(), device.user_handle.clone(), device.id.clone());
        lie(&mut device);
        let asked = ask(&world).await;
        assert_eq!(prove(&world, &asked, &mut device).await.refusal(), refused, "lie {number}");
        (device.origin, device.user_handle, device.id) = (origin, handle, id);
        (device.rp_id, device.user_present) = (None, true);
        let replayed = prove(&world, &asked, &mut device).await;
        assert_eq!(replayed.refusal(), (400, "webauthn_challenge_not_found"), "lie {number}");
    }
    // Somebody else's challenge and a registration's are none.
    let asked = post(&world, "/passkeys/registration/options", token, json!({})).await.ok();
    let body = json!({ "challenge_id": asked["challenge_id"], "credential": {} });
    let mixed = world.post("/passkeys/authentication/verify", body).await;
    assert_eq!(mixed.refusal(), (400, "webauthn_challenge_not_found"));
    // A copy of the device: the first to go on wins, the other is found out.
    let before = device.counter;
    let asked = ask(&world).await;
    prove(&world, &asked, &mut device).await.ok();
    device.counter = before;
    let asked = ask(&world).await;
    assert_eq!(prove(&world, &asked, &mut device).await.refusal(), refused, "the counter went back");
    device.counter = before + 5;
    let asked = ask(&world).await;
    world.advance(301);
    let late = prove(&world, &asked, &mut device).await;
    assert_eq!(late.refusal(), (400, "webauthn_challenge_expired"));
    let asked = ask(&world).await;
    prove(&world, &asked, &mut device).await.ok();
}

#[tokio::test]
async fn one_answer_signs_in_once_however_often_it_is_sent_at_once() {
    let world = world().await;
    let session = world.sign_up("ann@example.com").await;
    let mut device = Authenticator::new(ORIGIN);
    register(&world, text(&session, "/access_token"), &mut device).await.ok();
    let asked = ask(&world).await;
    let body = json!({ "challenge_id": asked["challenge_id"], "credential": device.get(&asked["options"]) });
    let send = || world.post("/passkeys/authentication/verify", body.clone());
    let answers = tokio::join!(send(), send(), send());
    let good = [answers.0, answers.1, answers.2].iter().filter(|answer| answer.status == 200).count();
    assert_eq!(good, 1);
}

#[tokio::test]
async fn the_unverified_are_refused_where_verification_is_required() {
    let world = World::with(|s| {
        s.webauthn.passkeys = true;
        s.webauthn.requires_verification = true;
        s.webauthn.rp_id = "example.com".into();
        s.webauthn.rp_origins = vec!["https://app.example.com".into()];
    })
    .await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token");
    let mut device = Authenticator::new("https://app.example.com");
    device.user_verified = false;
    let refused = register(&world, token, &mut device).await;
    assert_eq!(refused.refusal(), (400, "webauthn_verification_failed"));
    device.user_verified = true;
    register(&world, token, &mut device).await.ok();
    let asked = ask(&world).await;
    assert_eq!(asked["options"]["userVerification"], "required");
    device.user_verified = false;
    assert_eq!(prove(&world, &asked, &mut device).await.refusal(), (400, "webauthn_verification_failed"));
    device.user_verified = true;
    let asked = ask(&world).await;
    prove(&world, &asked, &mut device).await.ok();
}

#[tokio::test]
async fn the_banned_the_unconfirmed_and_the_deleted_do_not_sign_in() {
    let world = world().await;
    let session = world.sign_up("ann@example.com").await;
    let mut device = Authenticator::new(ORIGIN);
    register(&world, text(&session, "/access_token"), &mut device).await.ok();
    for (script, wanted) in [
        ("update auth.users set banned_until = 'infinity'", (403, "user_banned")),
        (
            "update auth.users set banned_until = null, email_confirmed_at = null",
            (403, "email_not_confirmed"),
        ),
        ("delete from auth.users", (400, "webauthn_verification_failed")),
    ] {
        world.run_sql(script).await;
        let asked = ask(&world).await;
        assert_eq!(prove(&world, &asked, &mut device).await.refusal(), wanted);
    }
    assert_eq!(world.sql("select count(*) from auth.webauthn_credentials").await, "0");
}

#[tokio::test]
async fn passkeys_are_named_removed_counted_and_nobody_elses() {
    let world = World::with(|s| {
        s.webauthn.passkeys = true;
        s.webauthn.max_passkeys_per_user = 2;
    })
    .await;
    let (ann, bob) = (world.sign_up("ann@example.com").await, world.sign_up("bob@example.com").await);
    let (token, other) = (text(&ann, "/access_token"), text(&bob, "/access_token"));
    let mut first = Authenticator::new(ORIGIN);
    let made = register(&world, token, &mut first).await.ok();
    let path = format!("/passkeys/{}", text(&made, "/id"));
    // The same credential again, of whomever.
    let asked = post(&world, "/passkeys/registration/options", other, json!({})).await.ok();
    assert!(asked["options"].get("excludeCredentials").is_none());
    let body =
        json!({ "challenge_id": asked["challenge_id"], "credential": first.create(&asked["options"]) });
    let stolen = post(&world, "/passkeys/registration/verify", token, body.clone()).await;
    assert_eq!(stolen.refusal(), (400, "webauthn_challenge_not_found"), "another's challenge");
    let taken = post(&world, "/passkeys/registration/verify", other, body).await;
    assert_eq!(taken.refusal(), (422, "webauthn_credential_exists"));

    let renamed = world.call("PATCH", &path, Some(token), json!({ "friendly_name": "Key" })).await.ok();
    assert_eq!(renamed["friendly_name"], "Key");
    for name in ["", &"x".repeat(121)] {
        let refused = world.call("PATCH", &path, Some(token), json!({ "friendly_name": name })).await;
        assert_eq!(refused.refusal(), (400, "validation_failed"));
    }
    for method in ["PATCH", "DELETE"] {
        let foreign = world.call(method, &path, Some(other), json!({ "friendly_name": "x" })).await;
        assert_eq!(foreign.refusal(), (404, "validation_failed"));
    }
    // Two at once do not both find the last room.
    let (mut second, mut third) = (Authenticator::new(ORIGIN), Authenticator::ed25519(ORIGIN));
    let asked = [
        post(&world, "/passkeys/registration/options", token, json!({})).await.ok(),
        post(&world, "/passkeys/registration/options", token, json!({})).await.ok(),
    ];
    assert_eq!(asked[0]["options"]["excludeCredentials"].as_array().unwrap().len(), 1);
    let send = |asked: &Value, credential: Value| {
        let body = json!({ "challenge_id": asked["challenge_id"], "credential": credential });
        post(&world, "/passkeys/registration/verify", token, body)
    };
    let bodies = [second.create(&asked[0]["options"]), third.create(&asked[1]["options"])];
    let [one, two] = bodies;
    let answers = tokio::join!(send(&asked[0], one), send(&asked[1], two));
    let mut states = [answers.0.status, answers.1.status];
    states.sort_unstable();
    assert_eq!(states, [200, 422]);
    let full = post(&world, "/passkeys/registration/options", token, json!({})).await;
    assert_eq!(full.refusal(), (422, "too_many_passkeys"));

    let admin = format!("/admin/users/{}/passkeys", text(&ann, "/user/id"));
    let list = world.admin("GET", &admin, Value::Null).await.ok();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert!(!list.to_string().contains("public_key"));
    // They may be of one moment, so their order says nothing.
    let other = list.as_array().unwrap().iter().map(|item| text(item, "/id")).find(|id| !path.ends_with(*id));
    let one = format!("{admin}/{}", other.unwrap());
    assert_eq!(world.admin("DELETE", &one, Value::Null).await.status, 204);
    assert_eq!(world.admin("DELETE", &one, Value::Null).await.refusal(), (404, "validation_failed"));
    assert_eq!(world.call("DELETE", &path, Some(token), Value::Null).await.status, 204);
    assert_eq!(world.get("/passkeys", token).await.ok(), json!([]));
    let actions = world
        .sql(
            "select string_agg(payload ->> 'action', ' ' order by created_at)
        from auth.audit_log_entries where payload ->> 'action' like 'passkey%'",
        )
        .await;
    assert!(actions.contains("passkey_created passkey_updated"), "{actions}");
}

#[tokio::test]
async fn without_the_setting_there_are_no_passkeys() {
    let world = World::with(|s| s.anonymous_enabled = true).await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token");
    for path in ["/passkeys/registration/options", "/passkeys/authentication/options"] {
        assert_eq!(post(&world, path, token, json!({})).await.refusal(), (404, "passkey_disabled"));
    }
    let factor = post(&world, "/factors", token, json!({ "factor_type": "webauthn" })).await;
    assert_eq!(factor.refusal(), (422, "mfa_webauthn_enroll_not_enabled"));
    let anonymous = world.post("/signup", json!({})).await.ok();
    let refused =
        post(&world, "/passkeys/registration/options", text(&anonymous, "/access_token"), json!({})).await;
    assert_eq!(refused.refusal(), (403, "no_authorization"));
}

/// Enrols a security key and returns the factor and the session that it raised.
async fn enrol(world: &World, token: &str, device: &mut Authenticator) -> (String, Value) {
    let body = json!({ "factor_type": "webauthn", "friendly_name": "key" });
    let factor = post(world, "/factors", token, body).await.ok();
    assert_eq!(factor["type"], "webauthn");
    let id = text(&factor, "/id").to_owned();
    let challenge = post(world, &format!("/factors/{id}/challenge"), token, json!({})).await.ok();
    assert_eq!(challenge["webauthn"]["type"], "create");
    let answer = device.create(&challenge["webauthn"]["credential_options"]["publicKey"]);
    let body = json!({
        "challenge_id": challenge["id"], "webauthn": { "type": "create", "credential_response": answer },
    });
    let raised = post(world, &format!("/factors/{id}/verify"), token, body).await.ok();
    (id, raised)
}

#[tokio::test]
async fn a_security_key_is_a_second_factor() {
    let world = world().await;
    let session = world.sign_up("ann@example.com").await;
    let mut device = Authenticator::new(ORIGIN);
    world.advance(1);
    let (factor, raised) = enrol(&world, text(&session, "/access_token"), &mut device).await;
    assert_eq!(
        (&claims(&raised)["aal"], &claims(&raised)["amr"][0]["method"]),
        (&json!("aal2"), &json!("mfa/webauthn"))
    );
    let shown = &raised["user"]["factors"][0];
    assert_eq!(shown["web_authn_aaguid"], "07070707-0707-0707-0707-070707070707");
    assert!(!raised.to_string().contains("publicKey"), "{raised}");

    let low = world.sign_in("ann@example.com", "password1").await.ok();
    let token = text(&low, "/access_token");
    let path = format!("/factors/{factor}");
    let challenge = post(&world, &format!("{path}/challenge"), token, json!({})).await.ok();
    assert_eq!(challenge["webauthn"]["type"], "request");
    let options = challenge["webauthn"]["credential_options"]["publicKey"].clone();
    assert_eq!(options["allowCredentials"].as_array().unwrap().len(), 1);
    let verify = async |kind: &str, answer: Value| {
        let body = json!({
            "challenge_id": challenge["id"], "webauthn": { "type": kind, "credential_response": answer },
        });
        post(&world, &format!("{path}/verify"), token, body).await
    };
    let failed = (422, "mfa_verification_failed");
    // A new credential is no proof of the one that was enrolled.
    let mut thief = Authenticator::new(ORIGIN);
    let mut creation = options.clone();
    creation["user"] = json!({ "id": "AA" });
    creation["rp"] = json!({ "id": options["rpId"] });
    assert_eq!(verify("create", thief.create(&creation)).await.refusal(), failed);
    assert_eq!(verify("request", thief.get(&options)).await.refusal(), failed, "another key");
    thief.id.clone_from(&device.id);
    assert_eq!(verify("request", thief.get(&options)).await.refusal(), failed, "another key under its name");
    device.origin = "https://evil.test".into();
    assert_eq!(verify("request", device.get(&options)).await.refusal(), failed, "phished");
    device.origin = ORIGIN.into();
    device.rp_id = Some("evil.test".into());
    assert_eq!(verify("request", device.get(&options)).await.refusal(), failed);
    device.rp_id = None;
    assert_eq!(verify("other", json!({})).await.refusal(), (400, "validation_failed"));
    let body = json!({ "challenge_id": challenge["id"], "code": "" });
    let empty = post(&world, &format!("{path}/verify"), token, body).await;
    assert_eq!(empty.refusal(), (400, "validation_failed"));

    let answer = device.get(&options);
    let raised = verify("request", answer.clone()).await.ok();
    assert_eq!(claims(&raised)["aal"], "aal2");
    let token = text(&raised, "/access_token").to_owned();
    let body = json!({
        "challenge_id": challenge["id"], "webauthn": { "type": "request", "credential_response": answer },
    });
    let replayed = post(&world, &format!("{path}/verify"), &token, body).await;
    assert_eq!(replayed.refusal(), (422, "mfa_ip_address_mismatch"), "the challenge was used");
    let counter = "select web_authn_credential -> 'authenticator' ->> 'signCount' from auth.mfa_factors";
    assert_eq!(world.sql(counter).await, device.counter.to_string());
    device.counter = 1;
    let challenge = post(&world, &format!("{path}/challenge"), &token, json!({})).await.ok();
    let answer = device.get(&challenge["webauthn"]["credential_options"]["publicKey"]);
    let body = json!({
        "challenge_id": challenge["id"], "webauthn": { "type": "request", "credential_response": answer },
    });
    assert_eq!(post(&world, &format!("{path}/verify"), &token, body).await.refusal(), failed, "a copy");
}

#[tokio::test]
async fn passkeys_of_who_has_a_second_factor_need_it_to_change() {
    let world = world().await;
    let session = world.sign_up("ann@example.com").await;
    let mut passkey = Authenticator::new(ORIGIN);
    let made = register(&world, text(&session, "/access_token"), &mut passkey).await.ok();
    let mut device = Authenticator::new(ORIGIN);
    let (_, raised) = enrol(&world, text(&session, "/access_token"), &mut device).await;
    // A passkey alone is the first factor.
    let asked = ask(&world).await;
    let low = prove(&world, &asked, &mut passkey).await.ok();
    let token = text(&low, "/access_token");
    assert_eq!(claims(&low)["aal"], "aal1");
    let refused = post(&world, "/passkeys/registration/options", token, json!({})).await;
    assert_eq!(refused.refusal(), (403, "insufficient_aal"));
    let path = format!("/passkeys/{}", text(&made, "/id"));
    assert_eq!(
        world.call("DELETE", &path, Some(token), Value::Null).await.refusal(),
        (403, "insufficient_aal")
    );
    let high = text(&raised, "/access_token");
    assert_eq!(world.call("DELETE", &path, Some(high), Value::Null).await.status, 204);
}

#[tokio::test]
async fn a_factor_proved_with_signed_refresh_tokens_leaves_the_old_token_behind() {
    let world = World::with(|s| {
        s.refresh_tokens.signed = true;
        s.refresh_token_reuse_interval = std::time::Duration::ZERO;
        (s.webauthn.mfa_enroll, s.webauthn.mfa_verify) = (true, true);
    })
    .await;
    let session = world.sign_up("ann@example.com").await;
    let mut device = Authenticator::new(ORIGIN);
    let (_, raised) = enrol(&world, text(&session, "/access_token"), &mut device).await;
    let next = world.refresh(text(&raised, "/refresh_token")).await.ok();
    assert_eq!(claims(&next)["aal"], "aal2", "the level survives a refresh");
    let old = world.refresh(text(&session, "/refresh_token")).await;
    assert_eq!(
        old.refusal(),
        (400, "refresh_token_already_used"),
        "a token of the first level gets no second"
    );
}
