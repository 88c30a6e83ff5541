//! ID tokens that an app got by itself.

use super::flow::{at, with};
use super::server::{CLIENT, Server, Twist, ec, ring_half, rsa};
use crate::world::{Answer, World, text};
use serde_json::{Value, json};
use token::KeySet;

async fn grant(world: &World, body: Value) -> Answer {
    world.post("/token?grant_type=id_token", body).await
}

/// Error and description.
fn refusal(answer: &Answer) -> (u16, &str, &str) {
    let say = |name: &str| answer.body[name].as_str().unwrap_or(&answer.text);
    (answer.status, say("error"), say("error_description"))
}

fn hashed(nonce: &str) -> String {
    hex::encode(::token::sha256(nonce.as_bytes()))
}

#[tokio::test]
async fn a_token_of_the_right_issuer_is_a_session() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    for keys in [rsa(), ec("ec-1")] {
        server.keys(keys);
        // The keys were changed: the new one is fetched once the old set may be.
        world.advance(61);
        server.with_clock(world.unix());
        let token = server.token(json!({}));
        let session = grant(&world, json!({ "provider": "google", "id_token": token })).await.ok();
        assert_eq!(session["user"]["email"], "ann@example.com");
        assert_eq!(session["user"]["app_metadata"]["provider"], "google");
    }
    assert_eq!(world.sql("select count(*) from auth.users").await, "1");
    assert_eq!(server.asked("/.well-known/openid-configuration").len(), 1);
    assert_eq!(server.asked("/jwks").len(), 2);
}

#[tokio::test]
async fn tokens_that_prove_nothing_are_refused() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    let bad = (400, "invalid request", "Bad ID token");
    for twist in
        [Twist::AlgNone, Twist::PublicKeyAsSecret, Twist::UnknownKey, Twist::OtherKey, Twist::Tampered]
    {
        server.twist(twist);
        let token = server.token(json!({}));
        server.twist(Twist::None);
        let answer = grant(&world, json!({ "provider": "google", "id_token": token })).await;
        assert_eq!(refusal(&answer), bad, "{twist:?}");
    }
    let now = world.unix();
    for claims in [
        json!({ "iss": "https://accounts.google.com" }),
        json!({ "iss": format!("{}/", server.url) }),
        json!({ "exp": now }),
        json!({ "exp": null }),
        json!({ "nbf": now + 1000 }),
    ] {
        let token = server.token(claims.clone());
        let answer = grant(&world, json!({ "provider": "google", "id_token": token })).await;
        assert_eq!(refusal(&answer), bad, "{claims}");
    }
    for token in ["x", "a.b.c", "..", "e30.e30.e30"] {
        assert_eq!(refusal(&grant(&world, json!({ "provider": "google", "id_token": token })).await), bad);
    }
    for audience in [json!("other"), json!(["other", "more"]), json!(null), json!("")] {
        let token = server.token(json!({ "aud": audience }));
        let answer = grant(&world, json!({ "provider": "google", "id_token": token })).await;
        assert!(
            answer.body["error_description"].as_str().unwrap().starts_with("Unacceptable audience"),
            "{}",
            answer.text
        );
    }
    let token = server.token(json!({ "sub": null }));
    assert_eq!(
        refusal(&grant(&world, json!({ "provider": "google", "id_token": token })).await).2,
        "Missing sub claim in id_token"
    );
    let several = server.token(json!({ "aud": ["other", CLIENT] }));
    grant(&world, json!({ "provider": "google", "id_token": several })).await.ok();
    assert_eq!(world.sql("select count(*) from auth.users").await, "1");
}

#[tokio::test]
async fn a_nonce_is_on_both_sides_or_on_none() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google", "facebook"])).await;
    let sign_in = async |provider: &str, nonce: Value, sent: Value| {
        let token = server.token(json!({ "nonce": nonce }));
        grant(&world, json!({ "provider": provider, "id_token": token, "nonce": sent })).await
    };
    sign_in("google", json!(hashed("n-1")), json!("n-1")).await.ok();
    let one_sided = "Passed nonce and nonce in id_token should either both exist or not.";
    assert_eq!(refusal(&sign_in("google", json!(hashed("n-1")), json!(null)).await).2, one_sided);
    assert_eq!(refusal(&sign_in("google", json!(null), json!("n-1")).await).2, one_sided);
    for theirs in ["n-1", &hashed("n-2")] {
        assert_eq!(
            refusal(&sign_in("google", json!(theirs), json!("n-1")).await),
            (400, "invalid nonce", "Nonces mismatch")
        );
    }
    sign_in("facebook", json!("whatever"), json!(null)).await.ok();
    let lenient = World::with(|settings| {
        let mut google = at(&server);
        google.skip_nonce_check = true;
        with(&server, &[])(settings);
        settings.external.providers.insert("google".to_owned(), google);
    })
    .await;
    let token = server.token(json!({ "nonce": "x" }));
    grant(&lenient, json!({ "provider": "google", "id_token": token })).await.ok();
}

#[tokio::test]
async fn an_access_token_goes_with_its_id_token() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    let token = server.token(json!({ "at_hash": ring_half("mine") }));
    let with_access = async |access: &str| {
        grant(&world, json!({ "provider": "google", "id_token": token, "access_token": access })).await
    };
    with_access("mine").await.ok();
    assert_eq!(refusal(&with_access("another").await), (400, "invalid request", "Bad ID token"));
}

#[tokio::test]
async fn requests_say_whose_token_it_is() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    let token = server.token(json!({}));
    assert_eq!(refusal(&grant(&world, json!({ "provider": "google" })).await).2, "id_token required");
    assert_eq!(
        refusal(&grant(&world, json!({ "id_token": token })).await).2,
        "provider or client_id and issuer required"
    );
    let off = grant(&world, json!({ "provider": "kakao", "id_token": token })).await;
    assert_eq!(off.refusal(), (400, "provider_disabled"));
    for body in [
        json!({ "provider": "github", "id_token": token }),
        json!({ "issuer": server.url, "client_id": CLIENT, "id_token": token }),
        json!({ "provider": "custom:nobody", "id_token": token }),
        json!({ "provider": "azure", "id_token": token }),
    ] {
        assert_eq!(grant(&world, body.clone()).await.refusal(), (400, "validation_failed"), "{body}");
    }
}

#[tokio::test]
async fn tokens_of_further_issuers_are_for_the_projects_own_clients() {
    let server = Server::start().await;
    let world = World::with(|settings| {
        with(&server, &[])(settings);
        let clients = vec!["app".to_owned(), CLIENT.to_owned()];
        settings.external.id_token_issuers.insert(server.url.clone(), clients);
    })
    .await;
    let sign_in = async |client: &str, audience: &str| {
        let token = server.token(json!({ "aud": audience }));
        grant(&world, json!({ "issuer": server.url, "client_id": client, "id_token": token })).await
    };
    let session = sign_in(CLIENT, CLIENT).await.ok();
    assert_eq!(session["user"]["app_metadata"]["provider"], server.url);
    // Whoever runs another app at the same issuer has tokens of everybody who signed in there.
    for (client, audience) in [("another app", "another app"), (CLIENT, "another app"), ("app", CLIENT)] {
        let answer = sign_in(client, audience).await;
        let (status, _, description) = refusal(&answer);
        assert_eq!(status, 400);
        assert!(description.starts_with("Unacceptable audience"), "{description}");
    }
}

#[tokio::test]
async fn whoever_is_signed_in_links_a_token() {
    let server = Server::start().await;
    let world = World::with(|settings| {
        with(&server, &["google"])(settings);
        settings.manual_linking_enabled = true;
    })
    .await;
    let body = json!({ "email": "bob@example.com", "password": "password1", "email_confirm": true });
    world.admin("POST", "/admin/users", body).await.ok();
    let bob = world.sign_in("bob@example.com", "password1").await.ok();
    let body = json!({ "provider": "google", "id_token": server.token(json!({})), "link_identity": true });
    let nobody = grant(&world, body.clone()).await;
    assert_eq!(refusal(&nobody).2, "Linking requires a valid user access token in Authorization");
    let link = async || {
        world
            .call("POST", "/token?grant_type=id_token", Some(text(&bob, "/access_token")), body.clone())
            .await
    };
    let linked = link().await.ok();
    assert_eq!(linked["user"]["email"], "bob@example.com");
    assert_eq!(linked["user"]["app_metadata"]["providers"], json!(["email", "google"]));
    assert_eq!(link().await.refusal(), (422, "identity_already_exists"));
    let closed = World::with(with(&server, &["google"])).await;
    let session =
        grant(&closed, json!({ "provider": "google", "id_token": server.token(json!({})) })).await.ok();
    let answer =
        closed.call("POST", "/token?grant_type=id_token", Some(text(&session, "/access_token")), body).await;
    assert_eq!(answer.refusal(), (404, "manual_linking_disabled"));
}

#[tokio::test]
async fn made_up_keys_cost_the_issuer_nothing() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    grant(&world, json!({ "provider": "google", "id_token": server.token(json!({})) })).await.ok();
    server.twist(Twist::UnknownKey);
    for _ in 0..5 {
        assert_eq!(
            grant(&world, json!({ "provider": "google", "id_token": server.token(json!({})) })).await.status,
            400
        );
    }
    assert_eq!(server.asked("/jwks").len(), 1, "not again within the minute");
    world.advance(61);
    for _ in 0..5 {
        grant(&world, json!({ "provider": "google", "id_token": server.token(json!({})) })).await;
    }
    assert_eq!(server.asked("/jwks").len(), 2);
    // An issuer that is out does not keep people out whose keys are known.
    server.twist(Twist::None);
    world.advance(4000);
    server.with_clock(world.unix());
    let token = server.token(json!({}));
    server.twist(Twist::Garbage);
    grant(&world, json!({ "provider": "google", "id_token": token })).await.ok();
}

#[tokio::test]
async fn an_issuer_that_is_out_is_not_asked_by_everybody() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["google"])).await;
    let token = server.token(json!({}));
    server.twist(Twist::Garbage);
    let body = json!({ "provider": "google", "id_token": token });
    for _ in 0..3 {
        assert_eq!(grant(&world, body.clone()).await.status, 400);
    }
    assert_eq!(server.asked("/.well-known/openid-configuration").len(), 1, "not again within ten seconds");
    server.twist(Twist::None);
    world.advance(11);
    grant(&world, body).await.ok();
}

#[tokio::test]
async fn a_token_of_one_project_is_worth_nothing_in_another() {
    let server = Server::start().await;
    let mine = World::with(with(&server, &["google"])).await;
    let theirs = World::with(|settings| {
        let mut google = at(&server);
        google.client_ids = vec!["another client".to_owned()];
        with(&server, &[])(settings);
        settings.external.providers.insert("google".to_owned(), google);
        settings.keys =
            std::sync::Arc::new(KeySet::from_secret(b"another secret of more than 32 characters"));
    })
    .await;
    let body = json!({ "provider": "google", "id_token": server.token(json!({})) });
    let session = grant(&mine, body.clone()).await.ok();
    assert_eq!(grant(&theirs, body).await.status, 400);
    assert_eq!(theirs.get("/user", text(&session, "/access_token")).await.refusal(), (403, "bad_jwt"));
}
