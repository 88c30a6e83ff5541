//! Limits on requests of a client, on messages of a project, and on guesses.

use crate::factors::{code, enroll};
use crate::http_hooks::hook;
use crate::peer::Peer;
use crate::world::{Answer, World, settings, text};
use auth::{CaptchaProvider, CaptchaSettings, Counters, Settings, SmsAccount, SmsGateway};
use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const PHONE: &str = "4917012345";

/// What a client at an address sends.
async fn from(
    world: &World,
    client: &str,
    (method, path): (&str, &str),
    token: &str,
    body: &Value,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("x-client", client);
    request = request.header("content-type", "application/json");
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    world.send(request.body(Body::from(body.to_string())).unwrap()).await
}

fn everything(to: &mut Settings) {
    to.rate_limits.header = Some("x-client".to_owned());
    to.anonymous_enabled = true;
    to.oauth_server.enabled = true;
    to.oauth_server.allow_dynamic_registration = true;
    to.webauthn.passkeys = true;
    to.webauthn.rp_id = "localhost".to_owned();
    to.webauthn.rp_origins = vec!["http://localhost:3000".to_owned()];
    to.saml.enabled = true;
    to.saml.private_key = auth::new_saml_key().unwrap().into();
}

/// Sends until a limit is reached; how many there may be, and after how many seconds one more.
async fn reach(
    world: &World,
    client: &str,
    what: (&str, &str),
    token: &str,
    body: &Value,
) -> (usize, String) {
    for sent in 0..40 {
        let answer = from(world, client, what, token, body).await;
        if answer.status == 429 {
            assert_eq!(answer.refusal(), (429, "over_request_rate_limit"), "{what:?}");
            assert_eq!(answer.header("x-ratelimit-limit"), sent.to_string(), "{what:?}");
            assert_eq!(answer.header("x-ratelimit-remaining"), "0");
            assert_eq!(answer.header("x-ratelimit-reset"), answer.header("retry-after"));
            return (sent, answer.header("retry-after").to_owned());
        }
    }
    panic!("no limit for {what:?}");
}

#[tokio::test]
async fn every_bucket_of_the_reference_is_there_with_its_default() {
    let world = World::with(everything).await;
    let session = world.sign_up("ann@example.com").await;
    let token = text(&session, "/access_token").to_owned();
    let (factor, _) = enroll(&world, &token, "phone").await;
    let (challenge, verify) = (format!("/factors/{factor}/challenge"), format!("/factors/{factor}/verify"));
    let email = json!({ "email": "a@example.com" });
    // What there may be at once, and after how many seconds one more.
    for (what, token, body, burst, wait) in [
        (("POST", "/signup"), "", &email, 30, "10"),
        (("POST", "/recover"), "", &json!({}), 30, "10"),
        (("POST", "/resend"), "", &json!({}), 30, "10"),
        (("POST", "/magiclink"), "", &json!({}), 30, "10"),
        (("POST", "/otp"), "", &json!({}), 30, "10"),
        (("PUT", "/user"), &token, &json!({}), 30, "10"),
        (("POST", "/token?grant_type=password"), "", &json!({}), 30, "2"),
        (("POST", "/token?grant_type=web3"), "", &json!({}), 30, "10"),
        (("POST", "/verify"), "", &json!({}), 30, "10"),
        (("POST", &challenge), &token, &json!({}), 30, "4"),
        (("POST", &verify), &token, &json!({}), 30, "4"),
        (("POST", "/sso"), "", &json!({}), 30, "10"),
        (("POST", "/sso/saml/acs"), "", &json!({}), 30, "20"),
        (("POST", "/oauth/clients/register"), "", &json!({}), 30, "30"),
        (("POST", "/passkeys/authentication/options"), "", &json!({}), 30, "10"),
        (("POST", "/signup"), "", &json!({}), 30, "120"),
    ] {
        assert_eq!(reach(&world, "1.1.1.1", what, token, body).await, (burst, wait.to_owned()), "{what:?}");
    }
    // One bucket each for what belongs together.
    for what in [("GET", "/verify"), ("POST", "/token?grant_type=refresh_token"), ("POST", "/oauth/token")] {
        let answer = from(&world, "1.1.1.1", what, "", &json!({})).await;
        assert_eq!(answer.refusal(), (429, "over_request_rate_limit"), "{what:?}");
    }
    // Others are not concerned.
    assert_eq!(from(&world, "2.2.2.2", ("POST", "/otp"), "", &json!({})).await.status, 400);
}

#[tokio::test]
async fn every_bucket_can_be_configured() {
    let world = World::with(|to| {
        everything(to);
        let limits = &mut to.rate_limits;
        (limits.otp, limits.anonymous, limits.token_refresh, limits.verify) = (1, 2, 3, 4);
        (limits.web3, limits.sso, limits.saml_assertion, limits.oauth_register) = (5, 6, 10, 12);
        limits.passkey = 15;
    })
    .await;
    let email = json!({ "email": "a@example.com" });
    for (path, body, burst, wait) in [
        ("/signup", &email, 30, "300"),
        ("/signup", &json!({}), 2, "1800"),
        ("/token?grant_type=pkce", &json!({}), 30, "100"),
        ("/verify", &json!({}), 30, "75"),
        ("/token?grant_type=web3", &json!({}), 30, "60"),
        ("/sso", &json!({}), 30, "50"),
        ("/sso/saml/acs", &json!({}), 30, "30"),
        ("/oauth/clients/register", &json!({}), 30, "25"),
        ("/passkeys/authentication/options", &json!({}), 30, "20"),
    ] {
        let reached = reach(&world, "1.1.1.1", ("POST", path), "", body).await;
        assert_eq!(reached, (burst, wait.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn messages_say_when_there_may_be_another() {
    let world = World::with(|to| {
        to.mailer_autoconfirm = false;
        to.phone_enabled = true;
        to.sms_provider = "somebody".to_owned();
        (to.rate_limits.email_sent, to.rate_limits.sms_sent) = (2, 1);
        to.sms.sent_refill = Some(Duration::from_secs(90));
    })
    .await;
    let otp = |email: &'static str| world.post("/otp", json!({ "email": email }));
    otp("a@example.com").await.ok();
    let soon = otp("a@example.com").await;
    assert_eq!((soon.refusal(), soon.header("retry-after")), ((429, "over_email_send_rate_limit"), "60"));
    assert_eq!(
        text(&soon.body, "/msg"),
        "For security purposes, you can only request this after 60 seconds."
    );
    otp("b@example.com").await.ok();
    world.advance(100);
    let full = otp("c@example.com").await;
    assert_eq!((full.refusal(), full.header("retry-after")), ((429, "over_email_send_rate_limit"), "3500"));
    assert_eq!((full.header("x-ratelimit-limit"), full.header("x-ratelimit-remaining")), ("2", "0"));
    let text_to = |phone: &'static str| world.post("/otp", json!({ "phone": phone }));
    text_to(PHONE).await.ok();
    assert_eq!(text_to(PHONE).await.header("retry-after"), "60");
    let full = text_to("4917099999").await;
    assert_eq!((full.refusal(), full.header("retry-after")), ((429, "over_sms_send_rate_limit"), "90"));
    world.advance(90);
    text_to("4917099999").await.ok();
}

fn captcha(peer: &Peer) -> Option<CaptchaSettings> {
    let endpoint = Some(peer.url.clone());
    Some(CaptchaSettings { provider: CaptchaProvider::Hcaptcha, secret: "s".into(), endpoint })
}

fn solved() -> Value {
    json!({ "email": "a@example.com", "gotrue_meta_security": { "captcha_token": "made up" } })
}

#[tokio::test]
async fn nobody_is_asked_about_more_captchas_than_a_client_may_send() {
    let peer = Peer::new().await;
    let world = World::with(|to| {
        everything(to);
        to.outbound = outbound::Client::new(outbound::Reach::Anywhere).unwrap();
        to.protection.captcha = captcha(&peer);
    })
    .await;
    peer.says(200, json!({ "success": false }));
    for path in
        ["/recover", "/signup", "/token?grant_type=password", "/sso", "/passkeys/authentication/options"]
    {
        let before = peer.asked().len();
        let reached = reach(&world, "1.1.1.1", ("POST", path), "", &solved()).await;
        assert_eq!((reached.0, peer.asked().len() - before), (30, 30), "{path}");
    }
}

#[tokio::test]
async fn captchas_do_not_take_the_turns_of_hooks() {
    let (slow, peer) = (Peer::new().await, Peer::new().await);
    let world = World::with(|to| {
        to.outbound = outbound::Client::new(outbound::Reach::Anywhere).unwrap();
        to.protection.captcha = captcha(&slow);
        to.hooks.before_user_created = Some(hook(&peer));
        // A call that waits for its turn for so long does not get one.
        to.hooks.pace.timeout = Duration::from_secs(3);
    })
    .await;
    slow.forget();
    let world = &world;
    let strangers = futures_util::future::join_all((0..32).map(|_| world.post("/recover", solved())));
    let served = async {
        slow.until_asked(32).await;
        let body = json!({ "email": "ann@example.com", "password": "password1" });
        let answer = world.admin("POST", "/signup", body).await;
        slow.says(200, json!({ "success": false }));
        answer
    };
    let (refused, answer) = tokio::join!(strangers, served);
    answer.ok();
    assert!(refused.iter().all(|answer| answer.refusal() == (400, "captcha_failed")));
}

async fn verifying(configure: impl FnOnce(&mut Settings)) -> (World, Peer) {
    let peer = Peer::new().await;
    let world = World::with(|to| {
        to.outbound = outbound::Client::new(outbound::Reach::Anywhere).unwrap();
        to.phone_enabled = true;
        (to.sms_max_frequency, to.sms.factor_max_frequency) = (Duration::ZERO, Duration::ZERO);
        let account = SmsAccount::TwilioVerify {
            account_sid: "AC1".to_owned(),
            auth_token: "t0ken".into(),
            message_service_sid: "VA1".to_owned(),
        };
        to.sms.gateway = Some(SmsGateway { account, endpoint: Some(peer.url.clone()) });
        configure(to);
    })
    .await;
    (world, peer)
}

fn approve(peer: &Peer, valid: bool) {
    peer.says(200, json!({ "status": if valid { "approved" } else { "pending" }, "valid": valid }));
}

#[tokio::test]
async fn a_company_is_asked_only_about_codes_that_somebody_waits_for() {
    let (world, peer) = verifying(|_| {}).await;
    let prove = || world.post("/verify", json!({ "type": "sms", "phone": PHONE, "token": "424242" }));
    approve(&peer, true);
    assert_eq!((prove().await.refusal(), peer.asked().len()), ((403, "otp_expired"), 0));
    peer.says(201, json!({ "status": "pending" }));
    world.post("/otp", json!({ "phone": PHONE })).await.ok();
    approve(&peer, false);
    for _ in 0..12 {
        assert_eq!(prove().await.refusal(), (403, "otp_expired"));
    }
    // One for sending, and ten wrong codes: after these there is none that could be right.
    assert_eq!(peer.asked().len(), 11);
    approve(&peer, true);
    assert_eq!(prove().await.refusal(), (403, "otp_expired"));
    world.post("/otp", json!({ "phone": PHONE })).await.ok();
    world.advance(3600);
    assert_eq!((prove().await.refusal(), peer.asked().len()), ((403, "otp_expired"), 12));
    world.post("/otp", json!({ "phone": PHONE })).await.ok();
    prove().await.ok();
}

#[tokio::test]
async fn a_code_that_the_company_made_up_proves_a_second_factor() {
    let (world, peer) = verifying(|to| (to.mfa.phone_enroll, to.mfa.phone_verify) = (true, true)).await;
    let session = world.sign_up("ann@example.com").await;
    let token = Some(text(&session, "/access_token"));
    let body = json!({ "factor_type": "phone", "friendly_name": "mine", "phone": PHONE });
    let factor = world.call("POST", "/factors", token, body).await.ok();
    let path = format!("/factors/{}", text(&factor, "/id"));
    peer.says(201, json!({ "status": "pending" }));
    let challenge = world.call("POST", &format!("{path}/challenge"), token, json!({})).await.ok();
    assert_eq!(peer.last().path, "/v2/Services/VA1/Verifications");
    let prove = |challenge: Value| {
        let body = json!({ "challenge_id": challenge, "code": "424242" });
        let path = format!("{path}/verify");
        let world = &world;
        async move { world.call("POST", &path, token, body).await }
    };
    // A challenge that there is not costs the project nothing.
    let asked = peer.asked().len();
    let unknown = prove(json!(uuid::Uuid::new_v4())).await;
    assert_eq!((unknown.refusal(), peer.asked().len()), ((422, "mfa_factor_not_found"), asked));
    approve(&peer, false);
    assert_eq!(prove(challenge["id"].clone()).await.refusal(), (422, "mfa_verification_failed"));
    approve(&peer, true);
    let raised = prove(challenge["id"].clone()).await.ok();
    assert_eq!(peer.last().path, "/v2/Services/VA1/VerificationCheck");
    assert_eq!((&*peer.last().form()["To"], &*peer.last().form()["Code"]), ("+4917012345", "424242"));
    assert_eq!(world.claims(text(&raised, "/access_token"))["aal"], "aal2");
    // Once.
    assert_eq!(prove(challenge["id"].clone()).await.refusal(), (422, "mfa_ip_address_mismatch"));
}

#[tokio::test]
async fn a_nonce_that_the_company_made_up_lets_the_password_be_changed() {
    let (world, peer) = verifying(|to| to.update_password_require_reauthentication = true).await;
    let body = json!({ "phone": PHONE, "password": "password1", "phone_confirm": true });
    world.admin("POST", "/admin/users", body).await.ok();
    let body = json!({ "phone": PHONE, "password": "password1" });
    let session = world.post("/token?grant_type=password", body).await.ok();
    // Fresh sessions need none.
    world.advance(25 * 3600);
    let session = world.refresh(text(&session, "/refresh_token")).await.ok();
    let token = Some(text(&session, "/access_token"));
    let change = || world.call("PUT", "/user", token, json!({ "password": "password2", "nonce": "424242" }));
    approve(&peer, true);
    // Nobody waits for one.
    assert_eq!((change().await.refusal(), peer.asked().len()), ((422, "reauthentication_not_valid"), 0));
    peer.says(201, json!({ "status": "pending" }));
    world.call("GET", "/reauthenticate", token, Value::Null).await.ok();
    approve(&peer, false);
    assert_eq!(change().await.refusal(), (422, "reauthentication_not_valid"));
    approve(&peer, true);
    change().await.ok();
}

#[tokio::test]
async fn nonces_cannot_be_tried_one_after_the_other() {
    let world = World::with(|to| to.update_password_require_reauthentication = true).await;
    let session = world.sign_up("ann@example.com").await;
    world.advance(25 * 3600);
    let session = world.refresh(text(&session, "/refresh_token")).await.ok();
    let token = Some(text(&session, "/access_token"));
    world.call("GET", "/reauthenticate", token, Value::Null).await.ok();
    let change = |nonce: String| {
        let body = json!({ "password": "password2", "nonce": nonce });
        let world = &world;
        async move { world.call("PUT", "/user", token, body).await }
    };
    let right = text(&world.mail("reauthentication").await, "/token").to_owned();
    for _ in 0..10 {
        assert_eq!(change("wrong".to_owned()).await.refusal(), (422, "reauthentication_not_valid"));
    }
    assert_eq!(change(right).await.refusal(), (422, "reauthentication_not_valid"));
}

#[tokio::test]
async fn guesses_at_a_factor_pause_in_every_session_and_after_a_new_start() {
    let counters = Arc::new(Counters::default());
    let world = World::new().await.renewed(settings(crate::world::SECRET), Arc::clone(&counters));
    world.sign_up("ann@example.com").await;
    let session = world.sign_in("ann@example.com", "password1").await.ok();
    let (factor, secret) = enroll(&world, text(&session, "/access_token"), "phone").await;
    let guess = async |world: &World, token: &str, code: &str| {
        let path = format!("/factors/{factor}");
        let challenge = world.call("POST", &format!("{path}/challenge"), Some(token), json!({})).await.ok();
        let body = json!({ "challenge_id": challenge["id"], "code": code });
        world.call("POST", &format!("{path}/verify"), Some(token), body).await
    };
    for _ in 0..10 {
        let wrong = guess(&world, text(&session, "/access_token"), "000000").await;
        assert_eq!(wrong.refusal(), (422, "mfa_verification_failed"));
    }
    // Signed in anew, in services made anew.
    let world = world.renewed(settings(crate::world::SECRET), counters);
    world.advance(60);
    let session = world.sign_in("ann@example.com", "password1").await.ok();
    let right = code(&secret, world.unix());
    let paused = guess(&world, text(&session, "/access_token"), &right).await;
    assert_eq!((paused.refusal(), paused.header("retry-after")), ((429, "over_request_rate_limit"), "3540"));
    world.advance(3540);
    let right = code(&secret, world.unix());
    let session = world.sign_in("ann@example.com", "password1").await.ok();
    guess(&world, text(&session, "/access_token"), &right).await.ok();
}
