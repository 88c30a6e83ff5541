//! Codes and links: otp, magic link, recovery, resend, change of address, invitation.

use crate::world::{World, text};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

async fn quiet() -> World {
    World::with(|s| {
        s.mailer_autoconfirm = false;
        s.mailer_max_frequency = std::time::Duration::ZERO;
        s.rate_limits.email_sent = 1000;
        s.uri_allow_list = vec!["https://app.dev/**".to_owned()];
    })
    .await
}

async fn confirmed(world: &World, email: &str) {
    let body = json!({ "email": email, "password": "password1", "email_confirm": true });
    world.admin("POST", "/admin/users", body).await.ok();
}

#[tokio::test]
async fn recovery_by_link_redirects_with_a_session() {
    let world = quiet().await;
    confirmed(&world, "ann@example.com").await;
    assert_eq!(world.post("/recover", json!({ "email": "nobody@example.com" })).await.ok(), json!({}));
    assert_eq!(
        world
            .post("/recover?redirect_to=https://app.dev/a?b=c", json!({ "email": "ann@example.com" }))
            .await
            .ok(),
        json!({})
    );
    assert_eq!(world.sql("select count(*) from rowhouse.mail_outbox").await, "1");
    let mail = world.mail("recovery").await;
    let link = text(&mail, "/confirmation_url").strip_prefix("http://127.0.0.1:54321/auth/v1").unwrap();
    let answer = world.call("GET", link, None, Value::Null).await;
    assert_eq!(answer.status, 303);
    let location = answer.header("location");
    assert!(location.starts_with("https://app.dev/a?b=c#access_token="), "{location}");
    assert!(location.ends_with("&sb=&token_type=bearer&type=recovery"), "{location}");
    let again = world.call("GET", link, None, Value::Null).await;
    assert_eq!(
        again.header("location"),
        "https://app.dev/a?b=c#error=access_denied&error_code=otp_expired&error_description=Email+link+is+invalid+or+has+expired&sb="
    );
}

#[tokio::test]
async fn codes_and_hashes_expire_and_do_not_mix() {
    let world = quiet().await;
    confirmed(&world, "ann@example.com").await;
    confirmed(&world, "bob@example.com").await;
    world.post("/otp", json!({ "email": "ann@example.com" })).await.ok();
    let mail = world.mail("magiclink").await;
    let verify = async |body: Value| world.post("/verify", body).await;
    let (code, hash) = (&mail["token"], &mail["token_hash"]);
    let wrong = verify(json!({ "type": "email", "email": "bob@example.com", "token": code })).await;
    assert_eq!(wrong.refusal(), (403, "otp_expired"));
    assert_eq!(wrong.body["msg"], "Token has expired or is invalid");
    let mixed = json!({ "type": "email", "email": "ann@example.com", "token_hash": hash });
    assert_eq!(verify(mixed).await.refusal(), (400, "validation_failed"));
    assert_eq!(verify(json!({ "type": "signup", "token_hash": hash })).await.refusal(), (403, "otp_expired"));
    world.advance(86_401);
    assert_eq!(verify(json!({ "type": "email", "token_hash": hash })).await.refusal(), (403, "otp_expired"));
    world.post("/otp", json!({ "email": "ann@example.com" })).await.ok();
    let code = &world.mail("magiclink").await["token"];
    let session = verify(json!({ "type": "email", "email": "ann@example.com", "token": code })).await.ok();
    assert_eq!(session["user"]["email"], "ann@example.com");
}

#[tokio::test]
async fn of_two_who_bring_one_code_one_gets_in() {
    let world = quiet().await;
    confirmed(&world, "ann@example.com").await;
    world.post("/otp", json!({ "email": "ann@example.com" })).await.ok();
    let body = json!({ "type": "magiclink", "token_hash": world.mail("magiclink").await["token_hash"] });
    let (a, b) = tokio::join!(world.post("/verify", body.clone()), world.post("/verify", body));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403]);
}

#[tokio::test]
async fn newcomers_sign_up_by_magic_link_unless_told_not_to() {
    let world = quiet().await;
    let body = json!({ "email": "new@example.com", "create_user": false });
    assert_eq!(world.post("/otp", body).await.refusal(), (422, "otp_disabled"));
    world.post("/magiclink", json!({ "email": "new@example.com", "data": { "a": 1 } })).await.ok();
    let mail = world.mail("signup").await;
    let body = json!({ "type": "email", "email": "new@example.com", "token": mail["token"] });
    let session = world.post("/verify", body).await.ok();
    assert_eq!(session["user"]["user_metadata"]["a"], 1);
    assert_eq!(world.post("/magiclink", json!({})).await.refusal(), (422, "validation_failed"));
}

#[tokio::test]
async fn the_code_of_a_pkce_flow_is_for_who_began_it() {
    let world = quiet().await;
    let verifier = "a-verifier-that-is-long-enough-for-the-standard-0123456789";
    let challenge = B64.encode(token::sha256(verifier.as_bytes()));
    let body = json!({
        "email": "ann@example.com", "password": "password1",
        "code_challenge": challenge, "code_challenge_method": "s256",
    });
    world.post("/signup?redirect_to=https://app.dev/x?y=z", body).await.ok();
    let mail = world.mail("signup").await;
    assert!(text(&mail, "/token_hash").starts_with("pkce_"));
    let link = text(&mail, "/confirmation_url").strip_prefix("http://127.0.0.1:54321/auth/v1").unwrap();
    let answer = world.call("GET", link, None, Value::Null).await;
    let location = answer.header("location").to_owned();
    let code = location.strip_prefix("https://app.dev/x?code=").unwrap().strip_suffix("&y=z").unwrap();
    let exchange = async |verifier: &str| {
        world.post("/token?grant_type=pkce", json!({ "auth_code": code, "code_verifier": verifier })).await
    };
    assert_eq!(exchange("another").await.refusal(), (400, "bad_code_verifier"));
    let (a, b) = tokio::join!(exchange(verifier), exchange(verifier));
    let mut statuses = [a.status, b.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404]);
    let session = if a.status == 200 { a } else { b }.ok();
    let claims = token::KeySet::from_secret(crate::world::SECRET)
        .verify(text(&session, "/access_token"))
        .unwrap()
        .claims;
    assert_eq!(claims["amr"][0]["method"], "email/signup");
    assert_eq!(exchange(verifier).await.refusal(), (404, "flow_state_not_found"));
}

#[tokio::test]
async fn an_address_changes_when_both_ends_confirm() {
    let world = quiet().await;
    confirmed(&world, "ann@example.com").await;
    confirmed(&world, "bob@example.com").await;
    let session = world.sign_in("ann@example.com", "password1").await.ok();
    let token = text(&session, "/access_token");
    let put = async |email: &str| world.call("PUT", "/user", Some(token), json!({ "email": email })).await;
    assert_eq!(put("bob@example.com").await.refusal(), (422, "email_exists"));
    let user = put("anna@example.com").await.ok();
    assert_eq!((text(&user, "/email"), text(&user, "/new_email")), ("ann@example.com", "anna@example.com"));
    let to = async |address: &str| -> Value {
        let query = format!(
            "select data from rowhouse.mail_outbox where kind = 'email_change' and recipient = '{address}'"
        );
        serde_json::from_str(&world.sql(&query).await).unwrap()
    };
    let first = json!({ "type": "email_change", "token_hash": to("ann@example.com").await["token_hash"] });
    let half = world.post("/verify", first.clone()).await.ok();
    assert_eq!(half["code"], "200");
    assert!(text(&half, "/msg").starts_with("Confirmation link accepted."));
    assert_eq!(
        world.post("/verify", first).await.refusal(),
        (403, "otp_expired"),
        "one end does not count twice"
    );
    let second = json!({ "type": "email_change", "email": "anna@example.com", "token": to("anna@example.com").await["token"] });
    let session = world.post("/verify", second).await.ok();
    assert_eq!(session["user"]["email"], "anna@example.com");
    assert_eq!(session["user"]["identities"][0]["identity_data"]["email"], "anna@example.com");
    assert!(session["user"].get("new_email").is_none());
    world.sign_in("anna@example.com", "password1").await.ok();
}

#[tokio::test]
async fn messages_are_sent_again_only_while_they_are_awaited() {
    let world = quiet().await;
    assert_eq!(
        world.post("/resend", json!({ "type": "x", "email": "a@b.c" })).await.refusal(),
        (400, "validation_failed")
    );
    assert_eq!(
        world.post("/resend", json!({ "type": "signup", "email": "nobody@example.com" })).await.ok(),
        json!({})
    );
    world.post("/signup", json!({ "email": "ann@example.com", "password": "password1" })).await.ok();
    let first = world.mail("signup").await;
    world.post("/resend", json!({ "type": "signup", "email": "ann@example.com" })).await.ok();
    let second = world.mail("signup").await;
    assert_ne!(first["token_hash"], second["token_hash"]);
    let old = json!({ "type": "signup", "token_hash": first["token_hash"] });
    assert_eq!(world.post("/verify", old).await.refusal(), (403, "otp_expired"), "the last message counts");
    world.post("/verify", json!({ "type": "signup", "token_hash": second["token_hash"] })).await.ok();
    world.post("/resend", json!({ "type": "signup", "email": "ann@example.com" })).await.ok();
    assert_eq!(world.sql("select count(*) from rowhouse.mail_outbox").await, "2");
}

#[tokio::test]
async fn the_invited_confirm_and_set_a_password() {
    let world = quiet().await;
    let user = world
        .admin("POST", "/invite", json!({ "email": "ann@example.com", "data": { "team": "x" } }))
        .await
        .ok();
    assert!(user.get("invited_at").is_some());
    assert_eq!(user["user_metadata"]["team"], "x");
    let hash = world.mail("invite").await["token_hash"].clone();
    let session = world.post("/verify", json!({ "type": "invite", "token_hash": hash })).await.ok();
    let token = text(&session, "/access_token");
    world.call("PUT", "/user", Some(token), json!({ "password": "password1" })).await.ok();
    world.sign_in("ann@example.com", "password1").await.ok();
    assert_eq!(
        world.admin("POST", "/invite", json!({ "email": "ann@example.com" })).await.refusal(),
        (422, "email_exists")
    );
}

#[tokio::test]
async fn phones_sign_in_by_code() {
    let world = World::with(|s| {
        s.phone_enabled = true;
        s.sms_provider = "twilio".to_owned();
        s.sms_max_frequency = std::time::Duration::ZERO;
        s.sms_test_otp = vec![("1234567890".to_owned(), "123456".into())];
    })
    .await;
    world.post("/otp", json!({ "phone": "+4917012345" })).await.ok();
    let query = "select data ->> 'token' from rowhouse.mail_outbox where channel = 'sms'";
    let code = world.sql(query).await;
    let body = json!({ "type": "sms", "phone": "4917012345", "token": code });
    let session = world.post("/verify", body.clone()).await.ok();
    assert_eq!(session["user"]["phone"], "4917012345");
    assert_eq!(world.post("/verify", body).await.refusal(), (403, "otp_expired"));
    world.post("/otp", json!({ "phone": "1234567890" })).await.ok();
    world.post("/verify", json!({ "type": "sms", "phone": "1234567890", "token": "123456" })).await.ok();
    assert_eq!(
        world.post("/otp", json!({ "phone": "1234567890" })).await.ok(),
        json!({ "message_id": "test-otp" })
    );
    assert_eq!(
        world.sql("select count(*) from rowhouse.mail_outbox").await,
        "1",
        "test numbers get no message"
    );
}

#[tokio::test]
async fn guessing_voids_the_code() {
    let world = quiet().await;
    confirmed(&world, "ann@example.com").await;
    world.post("/otp", json!({ "email": "ann@example.com" })).await.ok();
    let right = world.mail("magiclink").await["token"].clone();
    let guess = async |code: &Value| {
        let body = json!({ "type": "email", "email": "ann@example.com", "token": code });
        world.post("/verify", body).await
    };
    for _ in 0..10 {
        assert_eq!(guess(&json!("no")).await.refusal(), (403, "otp_expired"));
    }
    assert_eq!(guess(&right).await.refusal(), (403, "otp_expired"), "even the right one");
    world.post("/otp", json!({ "email": "ann@example.com" })).await.ok();
    let next = world.mail("magiclink").await["token"].clone();
    guess(&next).await.ok();
}

#[tokio::test]
async fn a_project_sends_so_many_messages_an_hour() {
    let world = World::with(|s| {
        s.mailer_autoconfirm = false;
        s.phone_enabled = true;
        s.sms_provider = "twilio".to_owned();
        s.rate_limits.email_sent = 1;
        s.rate_limits.sms_sent = 1;
    })
    .await;
    let mail = async |n: u32| world.post("/otp", json!({ "email": format!("u{n}@example.com") })).await;
    let text = async |n: u32| world.post("/otp", json!({ "phone": format!("491700{n}") })).await;
    mail(1).await.ok();
    assert_eq!(mail(2).await.refusal(), (429, "over_email_send_rate_limit"));
    text(1).await.ok();
    assert_eq!(text(2).await.refusal(), (429, "over_sms_send_rate_limit"));
    assert_eq!(
        world.sql("select count(*) from auth.users").await,
        "2",
        "nobody is made without their message"
    );
    world.advance(3600);
    mail(2).await.ok();
    text(2).await.ok();
}
