//! Properties that are nobody's feature: what answers do not tell, what the banned cannot do, what is not skipped.
//! The table in docs/auth.md says which tests hold which.

use crate::peer::Peer;
use crate::providers::flow::with;
use crate::providers::server::Server;
use crate::world::{Answer, World, text};
use auth::{CaptchaProvider, CaptchaSettings, Settings};
use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use http::Request;
use serde_json::{Value, json};
use std::time::Duration;

const VERIFIER: &str = "a-verifier-that-is-long-enough-for-the-standard-0123456789";

/// Addresses have to be confirmed, and messages may follow one another.
async fn confirming(configure: impl FnOnce(&mut Settings)) -> World {
    World::with(|settings| {
        settings.mailer_autoconfirm = false;
        settings.mailer_max_frequency = Duration::ZERO;
        configure(settings);
    })
    .await
}

async fn confirmed(world: &World, email: &str) -> String {
    let body = json!({ "email": email, "password": "password1", "email_confirm": true });
    text(&world.admin("POST", "/admin/users", body).await.ok(), "/id").to_owned()
}

async fn ban(world: &World) {
    world.run_sql("update auth.users set banned_until = 'infinity'").await;
}

#[tokio::test]
async fn answers_do_not_tell_who_is_known() {
    let world = confirming(|_| {}).await;
    confirmed(&world, "ann@example.com").await;
    world.post("/signup", json!({ "email": "new@example.com", "password": "password1" })).await.ok();
    for path in ["/recover", "/magiclink", "/otp", "/resend"] {
        let ask = async |email: &str| {
            let body = json!({ "email": email, "type": "signup", "create_user": true });
            let Answer { status, headers, text, .. } = world.post(path, body).await;
            (status, headers, text)
        };
        let known = ask("ann@example.com").await;
        assert_eq!(known.0, 200, "{path}: {}", known.2);
        for other in ["new@example.com", "nobody@example.com"] {
            assert_eq!(ask(other).await, known, "{path} {other}");
        }
    }
    // As long as nothing can be sent, too.
    let unsent = confirming(|settings| settings.rate_limits.email_sent = 0).await;
    confirmed(&unsent, "ann@example.com").await;
    let change =
        async |email: &str| unsent.post("/resend", json!({ "type": "email_change", "email": email })).await;
    let (known, unknown) = (change("ann@example.com").await, change("nobody@example.com").await);
    assert_eq!((known.status, known.text), (unknown.status, unknown.text));
}

#[tokio::test]
async fn the_banned_prove_nothing() {
    let world = confirming(|settings| settings.uri_allow_list = vec!["https://app.dev/**".to_owned()]).await;
    confirmed(&world, "ann@example.com").await;
    let free = async || world.run_sql("update auth.users set banned_until = null").await;
    // A code and a link.
    world.post("/otp", json!({ "email": "ann@example.com" })).await.ok();
    let mail = world.mail("magiclink").await;
    ban(&world).await;
    let by_code = json!({ "type": "email", "email": "ann@example.com", "token": mail["token"] });
    let by_hash = json!({ "type": "email", "token_hash": mail["token_hash"] });
    for proof in [&by_code, &by_hash] {
        assert_eq!(world.post("/verify", proof.clone()).await.refusal(), (403, "user_banned"));
    }
    // The code of a flow that ended before the ban.
    free().await;
    let challenge = B64.encode(token::sha256(VERIFIER.as_bytes()));
    let body =
        json!({ "email": "ann@example.com", "code_challenge": challenge, "code_challenge_method": "s256" });
    world.post("/otp?redirect_to=https://app.dev/x", body).await.ok();
    let mail = world.mail("magiclink").await;
    let link = text(&mail, "/confirmation_url").strip_prefix("http://127.0.0.1:54321/auth/v1").unwrap();
    let home = world.call("GET", link, None, Value::Null).await.header("location").to_owned();
    let code = home.strip_prefix("https://app.dev/x?code=").unwrap_or_else(|| panic!("no code: {home}"));
    ban(&world).await;
    let exchange = json!({ "auth_code": code, "code_verifier": VERIFIER });
    let refused = world.post("/token?grant_type=pkce", exchange).await;
    assert_eq!(
        (refused.status, refused.body["error_code"].as_str()),
        (403, Some("user_banned")),
        "{}",
        refused.text
    );
    assert_eq!(world.sql("select count(*) from auth.sessions").await, "0");
}

#[tokio::test]
async fn the_banned_get_nothing_for_an_id_token() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    let body = json!({ "provider": "google", "id_token": server.token(json!({})) });
    let grant = async || world.post("/token?grant_type=id_token", body.clone()).await;
    grant().await.ok();
    ban(&world).await;
    assert_eq!(grant().await.refusal(), (403, "user_banned"));
    assert_eq!(world.sql("select count(*) from auth.sessions").await, "1");
}

#[tokio::test]
async fn a_captcha_is_not_skipped_by_the_form_of_a_request_or_its_path() {
    let peer = Peer::new().await;
    let world = World::with(|settings| {
        settings.outbound = outbound::Client::new(outbound::Reach::Anywhere).unwrap();
        settings.anonymous_enabled = true;
        settings.protection.captcha = Some(CaptchaSettings {
            provider: CaptchaProvider::Hcaptcha,
            secret: "s3cret".into(),
            endpoint: Some(peer.url.clone()),
        });
    })
    .await;
    confirmed(&world, "ann@example.com").await;
    let credentials = r#"{"email":"ann@example.com","password":"password1"}"#;
    let form = "email=ann%40example.com&password=password1&grant_type=password";
    for (path, kind, body) in [
        ("/signup", "text/plain", r#"{"email":"eve@example.com","password":"password1"}"#),
        ("/signup/", "application/json", r#"{"email":"eve@example.com","password":"password1"}"#),
        ("/signup", "application/json", "{}"),
        ("/signup?captcha_token=x", "application/json", "{}"),
        ("/token?grant_type=password", "", credentials),
        ("/token/?grant_type=password", "application/json", credentials),
        ("/token?grant_type=password", "application/x-www-form-urlencoded", credentials),
        ("/token?grant_type=password&grant_type=refresh_token", "application/json", credentials),
        ("/token?grant_type=refresh_token&grant_type=password", "application/json", credentials),
        ("/token", "application/x-www-form-urlencoded", form),
        ("/token?grant_type=%70assword", "application/json", credentials),
        ("/token?grant_type=Password", "application/json", credentials),
        ("/otp", "application/x-www-form-urlencoded", r#"{"email":"ann@example.com"}"#),
        ("/magiclink", "text/plain", r#"{"email":"ann@example.com"}"#),
        ("/recover", "multipart/form-data", r#"{"email":"ann@example.com"}"#),
        ("/resend", "", r#"{"type":"signup","email":"ann@example.com"}"#),
    ] {
        let mut request = Request::post(path);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let answer = world.send(request.body(Body::from(body)).unwrap()).await;
        assert!((400..500).contains(&answer.status), "{path} {kind}: {}", answer.text);
    }
    assert!(peer.asked().is_empty());
    assert_eq!(world.sql("select count(*) from auth.users").await, "1");
    assert_eq!(world.sql("select count(*) from auth.sessions").await, "0");
    assert_eq!(world.sql("select count(*) from rowhouse.mail_outbox").await, "0");
}

#[tokio::test]
async fn secrets_are_never_published() {
    let world = World::new().await;
    let published = world.call("GET", "/.well-known/jwks.json", None, Value::Null).await.ok();
    assert_eq!(published, json!({ "keys": [] }), "a project that signs with a secret has nothing to show");
    // Nobody makes a token with what is published.
    let session = world.sign_up("ann@example.com").await;
    let (_, rest) = text(&session, "/access_token").split_once('.').unwrap();
    let none = format!("{}.{rest}", B64.encode(r#"{"alg":"none","typ":"JWT"}"#));
    assert_eq!(world.get("/user", &none).await.refusal(), (403, "bad_jwt"));
}
