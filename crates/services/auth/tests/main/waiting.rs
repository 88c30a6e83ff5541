//! Servers that take their time: nobody else's work waits for them.

use crate::http_hooks::hook;
use crate::peer::Peer;
use crate::world::{Answer, World, text};
use auth::{Notification, Settings, SmsAccount, SmsGateway};
use serde_json::{Value, json};
use std::time::Duration;

const PHONE: &str = "4917012345";

/// A project with one connection, where messages leave by a server.
async fn world(configure: impl FnOnce(&mut Settings, &Peer)) -> (World, Peer) {
    let peer = Peer::new().await;
    let world = World::narrow(|settings| {
        settings.outbound = outbound::Client::new(outbound::Reach::Anywhere).unwrap();
        settings.mailer_autoconfirm = false;
        settings.mailer_max_frequency = Duration::ZERO;
        settings.sms_max_frequency = Duration::ZERO;
        settings.phone_enabled = true;
        configure(settings, &peer);
    })
    .await;
    (world, peer)
}

/// What a request gets whose server says nothing until somebody else has been served.
async fn meanwhile(world: &World, peer: &Peer, path: &str, body: Value, then: (u16, &str)) -> Answer {
    peer.forget();
    let asks = async {
        peer.until_asked(1).await;
        let served = world.sign_in("nobody@example.com", "password1").await;
        assert_eq!(served.refusal(), (400, "invalid_credentials"), "{path}");
        peer.says(then.0, then.1);
    };
    tokio::join!(world.post(path, body), asks).0
}

#[tokio::test]
async fn a_hook_that_sends_mail_keeps_no_connection() {
    let (world, peer) = world(|settings, peer| settings.hooks.send_email = Some(hook(peer))).await;
    let body = json!({ "email": "ann@example.com", "password": "password1" });
    let refused = r#"{ "error": { "http_code": 403, "message": "not now" } }"#;
    let answer = meanwhile(&world, &peer, "/signup", body.clone(), (200, refused)).await;
    assert_eq!((answer.status, text(&answer.body, "/msg")), (403, "not now"));
    assert_eq!(world.sql("select count(*)::text from auth.users").await, "0");

    let user = meanwhile(&world, &peer, "/signup", body, (204, "")).await.ok();
    assert_eq!(peer.asked().len(), 1);
    let said = peer.last().json();
    // The hook is told of the very user and code that there are then.
    assert_eq!(text(&said, "/user/id"), text(&user, "/id"));
    assert_eq!(said["user"]["identities"], user["identities"]);
    assert_eq!(world.sql("select count(*)::text from rowhouse.mail_outbox").await, "0");
    let proof = json!({ "type": "signup", "email": "ann@example.com", "token": said["email_data"]["token"] });
    world.post("/verify", proof).await.ok();
}

#[tokio::test]
async fn a_company_that_sends_texts_keeps_no_connection() {
    let (world, peer) = world(|settings, peer| {
        settings.sms.template = "{{ .Code }}".to_owned();
        let account = SmsAccount::Messagebird { access_key: "k".into(), originator: "Us".to_owned() };
        settings.sms.gateway = Some(SmsGateway { account, endpoint: Some(peer.url.clone()) });
    })
    .await;
    let ask = || json!({ "phone": PHONE });
    let answer = meanwhile(&world, &peer, "/otp", ask(), (401, r#"{"errors":[]}"#)).await;
    assert_eq!(answer.refusal(), (422, "sms_send_failed"));
    assert_eq!(world.sql("select count(*)::text from auth.users").await, "0");
    meanwhile(&world, &peer, "/otp", ask(), (200, r#"{"recipients":{"totalSentCount":1}}"#)).await.ok();
    let proof = json!({ "type": "sms", "phone": PHONE, "token": peer.last().form()["body"] });
    world.post("/verify", proof).await.ok();
}

#[tokio::test]
async fn who_is_told_of_a_change_cannot_undo_it() {
    let (world, peer) = world(|settings, peer| {
        settings.mailer_autoconfirm = true;
        settings.mail.notifications.insert(Notification::PasswordChanged);
        settings.hooks.send_email = Some(hook(peer));
    })
    .await;
    let session = world.sign_up("ann@example.com").await;
    peer.forget();
    let change = json!({ "password": "password2" });
    let change = world.call("PUT", "/user", Some(text(&session, "/access_token")), change);
    let asks = async {
        peer.until_asked(1).await;
        // It has happened by now.
        world.sign_in("ann@example.com", "password2").await.ok();
        peer.says(500, "");
    };
    tokio::join!(change, asks).0.ok();
    let said = peer.last().json();
    assert_eq!(text(&said, "/email_data/email_action_type"), "password_changed_notification");
    assert_eq!(text(&said, "/user/email"), "ann@example.com");
}
