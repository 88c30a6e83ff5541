//! Text messages, captchas and stolen passwords: the servers of others, spoken to over HTTP.

use crate::peer::Peer;
use crate::world::{World, text};
use auth::{CaptchaProvider, CaptchaSettings, PwnedSettings, Settings, SmsAccount, SmsGateway};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::json;

const PHONE: &str = "4917012345";

async fn world(configure: impl FnOnce(&mut Settings, &Peer)) -> (World, Peer) {
    let peer = Peer::new().await;
    let world = World::with(|settings| {
        settings.outbound = outbound::Client::new(outbound::Reach::Anywhere).unwrap();
        configure(settings, &peer);
    })
    .await;
    (world, peer)
}

async fn texting(account: SmsAccount) -> (World, Peer) {
    world(|settings, peer| {
        settings.phone_enabled = true;
        settings.sms_max_frequency = std::time::Duration::ZERO;
        settings.sms.template = "Use {{ .Code }} now".to_owned();
        settings.sms.gateway = Some(SmsGateway { account, endpoint: Some(peer.url.clone()) });
    })
    .await
}

fn twilio() -> SmsAccount {
    SmsAccount::Twilio {
        account_sid: "AC1".to_owned(),
        auth_token: "t0ken".into(),
        message_service_sid: "MG1".to_owned(),
        content_sid: String::new(),
    }
}

fn code_in(text: &str) -> String {
    text.strip_prefix("Use ").unwrap().strip_suffix(" now").unwrap().to_owned()
}

async fn signs_in(world: &World, code: &str) {
    let body = json!({ "type": "sms", "phone": PHONE, "token": code });
    assert_eq!(world.post("/verify", body).await.ok()["user"]["phone"], PHONE);
}

#[tokio::test]
async fn twilio_sends_codes_and_its_refusal_undoes_everything() {
    let (world, peer) = texting(twilio()).await;
    peer.says(400, json!({ "code": 21211, "message": "Invalid 'To'", "more_info": "https://x" }));
    let refused = world.post("/otp", json!({ "phone": PHONE })).await;
    assert_eq!(refused.refusal(), (422, "sms_send_failed"));
    let why = "Error sending confirmation OTP to provider: Invalid 'To' More information: https://x";
    assert_eq!(text(&refused.body, "/msg"), why);
    assert_eq!(world.sql("select count(*)::text from auth.users").await, "0");

    peer.says(201, json!({ "sid": "SM1", "status": "queued" }));
    world.post("/otp", json!({ "phone": PHONE })).await.ok();
    let asked = peer.last();
    assert_eq!((asked.method.as_str(), &*asked.path), ("POST", "/2010-04-01/Accounts/AC1/Messages.json"));
    assert_eq!(asked.header("authorization"), format!("Basic {}", B64.encode("AC1:t0ken")));
    let form = asked.form();
    assert_eq!((&*form["To"], &*form["From"], &*form["Channel"]), ("+4917012345", "MG1", "sms"));
    signs_in(&world, &code_in(&form["Body"])).await;
    assert_eq!(world.sql("select count(*)::text from rowhouse.mail_outbox").await, "0");

    let again = world.post("/otp", json!({ "phone": PHONE, "channel": "whatsapp" })).await.ok();
    assert_eq!(again, json!({ "message_id": "SM1" }), "of somebody who is known");
    let form = peer.last().form();
    assert_eq!((&*form["To"], &*form["Channel"]), ("whatsapp:+4917012345", "whatsapp"));
    assert_eq!(world.post("/otp", json!({ "phone": PHONE, "channel": "fax" })).await.refusal().0, 400);
}

#[tokio::test]
async fn twilio_verify_knows_the_codes_itself() {
    let (world, peer) = texting(SmsAccount::TwilioVerify {
        account_sid: "AC1".to_owned(),
        auth_token: "t0ken".into(),
        message_service_sid: "VA1".to_owned(),
    })
    .await;
    peer.says(201, json!({ "sid": "VE1", "status": "pending" }));
    world.post("/otp", json!({ "phone": PHONE })).await.ok();
    assert_eq!(peer.last().path, "/v2/Services/VA1/Verifications");
    assert_eq!(peer.last().form()["To"], "+4917012345");
    let body = json!({ "type": "sms", "phone": PHONE, "token": "424242" });
    peer.says(200, json!({ "status": "pending", "valid": false }));
    assert_eq!(world.post("/verify", body.clone()).await.refusal(), (403, "otp_expired"));
    peer.says(404, json!({ "message": "gone" }));
    assert_eq!(world.post("/verify", body).await.refusal(), (403, "otp_expired"));
    peer.says(200, json!({ "status": "approved", "valid": true }));
    signs_in(&world, "424242").await;
    assert_eq!(peer.last().path, "/v2/Services/VA1/VerificationCheck");
    assert_eq!(peer.last().form()["Code"], "424242");
}

#[tokio::test]
async fn the_other_companies_have_their_own_forms() {
    let secret = || "k3y".into();
    let cases = [
        (
            SmsAccount::Messagebird { access_key: secret(), originator: "Us".to_owned() },
            "/messages",
            "recipients",
            "body",
            json!({ "id": "1", "recipients": { "totalSentCount": 1 } }),
            (401, json!({ "errors": [{ "description": "bad key" }] }), "bad key"),
        ),
        (
            SmsAccount::Textlocal { api_key: secret(), sender: "Us".to_owned() },
            "/send",
            "numbers",
            "message",
            json!({ "status": "success", "messages": [{ "id": "1" }] }),
            (
                200,
                json!({ "status": "failure", "errors": [{ "code": 3, "message": "no" }] }),
                "textlocal error: no (code: 3) message ",
            ),
        ),
        (
            SmsAccount::Vonage { api_key: "a".into(), api_secret: secret(), from: "Us".to_owned() },
            "/sms/json",
            "to",
            "text",
            json!({ "messages": [{ "message-id": "1", "status": "0" }] }),
            (
                200,
                json!({ "messages": [{ "message-id": "1", "status": "4", "error-text": "no" }] }),
                "vonage error: no (status: 4) for message 1",
            ),
        ),
    ];
    for (account, path, to, body, success, (status, failure, why)) in cases {
        let (world, peer) = texting(account).await;
        peer.says(status, failure);
        let refused = world.post("/otp", json!({ "phone": PHONE })).await;
        assert_eq!(refused.refusal(), (422, "sms_send_failed"));
        assert_eq!(text(&refused.body, "/msg"), format!("Error sending confirmation OTP to provider: {why}"));
        peer.says(200, success);
        world.post("/otp", json!({ "phone": PHONE })).await.ok();
        let asked = peer.last();
        assert_eq!((&*asked.path, &*asked.form()[to]), (path, PHONE));
        assert!(asked.body.contains("k3y") || asked.header("authorization") == "AccessKey k3y");
        assert_eq!(
            world.post("/otp", json!({ "phone": PHONE, "channel": "whatsapp" })).await.refusal().0,
            400
        );
        signs_in(&world, &code_in(&asked.form()[body])).await;
    }
}

#[tokio::test]
async fn test_codes_end() {
    let world = World::with(|settings| {
        settings.phone_enabled = true;
        settings.sms_test_otp = vec![(PHONE.to_owned(), "123456".into())];
        // The clock of the tests is later.
        settings.sms.test_otp_until = Some(std::time::UNIX_EPOCH);
    })
    .await;
    let refused = world.post("/otp", json!({ "phone": PHONE })).await;
    assert_eq!((refused.status, text(&refused.body, "/msg")), (500, "Unable to get SMS provider"));
}

#[tokio::test]
async fn captchas_are_asked_for_and_checked() {
    let (world, peer) = world(|settings, peer| {
        settings.protection.captcha = Some(CaptchaSettings {
            provider: CaptchaProvider::Turnstile,
            secret: "s3cret".into(),
            endpoint: Some(format!("{}/siteverify", peer.url)),
        });
    })
    .await;
    let body = |token: &str| {
        json!({ "email": "a@example.com", "password": "password1",
            "gotrue_meta_security": { "captcha_token": token } })
    };
    let without = world.post("/signup", json!({ "email": "a@example.com", "password": "password1" })).await;
    assert_eq!(without.refusal(), (400, "captcha_failed"));
    let why = "captcha protection: request disallowed (no captcha_token found)";
    assert_eq!((text(&without.body, "/msg"), peer.asked().len()), (why, 0));
    peer.says(200, json!({ "success": false, "error-codes": ["invalid-input-response"] }));
    let wrong = world.post("/signup", body("wrong")).await;
    let why = "captcha protection: request disallowed (invalid-input-response)";
    assert_eq!(text(&wrong.body, "/msg"), why);
    peer.says(200, json!({ "success": true }));
    world.post("/signup", body("right")).await.ok();
    let form = peer.last().form();
    assert_eq!((&*form["secret"], &*form["response"]), ("s3cret", "right"));
    // Signing in needs one, refreshing does not; nor do administrators.
    assert_eq!(world.sign_in("a@example.com", "password1").await.refusal(), (400, "captcha_failed"));
    let session = world.post("/token?grant_type=password", body("right")).await.ok();
    let asked = peer.asked().len();
    world.refresh(text(&session, "/refresh_token")).await.ok();
    world.admin("POST", "/recover", json!({ "email": "a@example.com" })).await.ok();
    assert_eq!(peer.asked().len(), asked);
    peer.says(200, "not json");
    assert_eq!(world.post("/recover", body("right")).await.status, 500);
}

#[tokio::test]
async fn stolen_passwords_are_refused_by_the_letters_of_their_hash() {
    // SHA-1 of "password1"
    const HASH: &str = "E38AD214943DAAD1D64C102FAEC29DE4AFE9DA3D";
    for fail_closed in [false, true] {
        let (world, peer) = world(|settings, peer| {
            settings.protection.pwned = Some(PwnedSettings { fail_closed, endpoint: Some(peer.url.clone()) });
        })
        .await;
        let sign_up =
            |email: &'static str| world.post("/signup", json!({ "email": email, "password": "password1" }));
        peer.says(200, format!("0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n{}:24230577\r\n", &HASH[5..]));
        let refused = sign_up("a@example.com").await;
        assert_eq!(refused.refusal(), (422, "weak_password"));
        assert_eq!(refused.body["weak_password"]["reasons"], json!(["pwned"]));
        let asked = peer.last();
        assert_eq!((asked.method.as_str(), &*asked.path), ("GET", "/range/E38AD"));
        assert!(!format!("{asked:?}").contains(&HASH[5..]));
        // Padding counts for nothing.
        peer.says(200, format!("{}:0\r\n", &HASH[5..]));
        sign_up("a@example.com").await.ok();
        peer.says(503, "");
        assert_eq!(sign_up("b@example.com").await.status, if fail_closed { 500 } else { 200 });
    }
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let world = World::with(|settings| settings.rate_limits.header = Some("x-client".to_owned())).await;
    let ask = async |client: &str| {
        let request =
            http::Request::post("/otp").header("x-client", client).header("content-type", "application/json");
        world.send(request.body(axum::body::Body::from("{}")).unwrap()).await
    };
    for _ in 0..30 {
        assert_eq!(ask("1.2.3.4").await.status, 400);
    }
    let refused = ask("1.2.3.4").await;
    assert_eq!(refused.refusal(), (429, "over_request_rate_limit"));
    let header = |name: &str| refused.headers[name].to_str().unwrap().to_owned();
    assert_eq!((header("retry-after"), header("x-ratelimit-limit")), ("10".to_owned(), "30".to_owned()));
    assert_eq!(
        (header("x-ratelimit-remaining"), header("x-ratelimit-reset")),
        ("0".to_owned(), "10".to_owned())
    );
    assert_eq!(ask("5.6.7.8").await.status, 400);
    world.advance(10);
    assert_eq!(ask("1.2.3.4").await.status, 400);
    assert_eq!(ask("1.2.3.4").await.status, 429);
}
