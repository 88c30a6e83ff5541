//! Every provider of the list, each at a server that answers as it does.

use super::flow::{at, error, with};
use super::server::{CLIENT, Server, parameters};
use crate::world::{World, text};
use http::Request;
use serde_json::{Value, json};

/// A provider, its pages by path, and who they are of.
type Pages = (&'static str, Vec<(&'static str, Value)>, &'static str);

/// The providers of plain OAuth.
fn pages() -> Vec<Pages> {
    let email = "ann@example.com";
    vec![
        (
            "bitbucket",
            vec![
                ("/2.0/user", json!({ "uuid": "{b-1}", "display_name": "Ann" })),
                (
                    "/2.0/user/emails",
                    json!({ "values": [{ "email": email, "is_primary": true, "is_confirmed": true }] }),
                ),
            ],
            "{b-1}",
        ),
        (
            "discord",
            vec![(
                "/api/users/@me",
                json!({ "id": "d-1", "email": email, "verified": true, "username": "ann" }),
            )],
            "d-1",
        ),
        ("facebook", vec![("/me", json!({ "id": "f-1", "email": email, "first_name": "Ann" }))], "f-1"),
        ("figma", vec![("/v1/me", json!({ "id": "fi-1", "email": email, "handle": "ann" }))], "fi-1"),
        (
            "fly",
            vec![("/oauth/token/info", json!({ "user_id": "fl-1", "email": email, "user_name": "ann" }))],
            "fl-1",
        ),
        (
            "github",
            vec![
                ("/api/v3/user", json!({ "id": 1, "login": "ann" })),
                ("/api/v3/user/emails", json!([{ "email": email, "primary": true, "verified": true }])),
            ],
            "1",
        ),
        (
            "gitlab",
            vec![
                ("/api/v4/user", json!({ "id": 2, "email": email, "confirmed_at": "2020-01-01" })),
                ("/api/v4/user/emails", json!([])),
            ],
            "2",
        ),
        (
            "kakao",
            vec![(
                "/v2/user/me",
                json!({ "id": 3, "kakao_account": { "email": email, "is_email_valid": true, "is_email_verified": true } }),
            )],
            "3",
        ),
        (
            "keycloak",
            vec![(
                "/protocol/openid-connect/userinfo",
                json!({ "sub": "k-1", "email": email, "email_verified": true }),
            )],
            "k-1",
        ),
        (
            "linkedin",
            vec![
                ("/v2/me", json!({ "id": "l-1" })),
                ("/v2/emailAddress", json!({ "elements": [{ "handle~": { "emailAddress": email } }] })),
            ],
            "l-1",
        ),
        (
            "notion",
            vec![(
                "/v1/users/me",
                json!({ "bot": { "owner": { "user": { "id": "n-1", "person": { "email": email } } } } }),
            )],
            "n-1",
        ),
        (
            "slack",
            vec![(
                "/api/openid.connect.userInfo",
                json!({ "https://slack.com/user_id": "s-1", "email": email }),
            )],
            "s-1",
        ),
        (
            "slack_oidc",
            vec![(
                "/api/openid.connect.userInfo",
                json!({ "https://slack.com/user_id": "s-1", "email": email, "email_verified": true }),
            )],
            "s-1",
        ),
        (
            "snapchat",
            vec![("/v1/me", json!({ "data": { "me": { "externalId": "sn-1", "email": email } } }))],
            "sn-1",
        ),
        (
            "twitch",
            vec![("/helix/users", json!({ "data": [{ "id": "t-1", "email": email, "login": "ann" }] }))],
            "t-1",
        ),
        (
            "x",
            vec![(
                "/2/users/me",
                json!({ "data": { "id": "x-1", "confirmed_email": email, "username": "ann" } }),
            )],
            "x-1",
        ),
        ("zoom", vec![("/v2/users/me", json!({ "id": "z-1", "email": email, "login_type": "1" }))], "z-1"),
    ]
}

/// Goes to a provider and back, agreeing whatever its page of consent is called.
async fn walk(world: &World, server: &Server, provider: &str) -> crate::world::Answer {
    let away = world.call("GET", &format!("/authorize?provider={provider}"), None, Value::Null).await;
    assert_eq!(away.status, 302, "{provider}: {}", away.text);
    let asked = away.header("location");
    assert!(asked.starts_with(&server.url), "{provider}: {asked}");
    let consent = format!("{}/authorize-here?{}", server.url, asked.split_once('?').unwrap().1);
    world.call("GET", &server.agree(&consent).await, None, Value::Null).await
}

#[tokio::test]
async fn people_sign_in_with_each_of_them() {
    let server = Server::start().await;
    server.without_id_tokens();
    let names: Vec<&str> = pages().iter().map(|(name, _, _)| *name).collect();
    let world = World::with(with(&server, &names)).await;
    let mut identities = 0;
    for (provider, pages, subject) in pages() {
        for (path, page) in pages {
            server.page(path, page);
        }
        let home = walk(&world, &server, provider).await;
        let got = parameters(home.header("location"), '#');
        assert!(got.contains_key("access_token"), "{provider}: {}", home.header("location"));
        let user = world.get("/user", &got["access_token"]).await.ok();
        let list = user["identities"].as_array().unwrap();
        identities += 1;
        assert_eq!(list.len(), identities, "{provider}: the verified address joins the account");
        let identity = list.iter().find(|i| i["provider"] == provider).unwrap();
        assert_eq!(text(identity, "/id"), subject, "{provider}");
        assert_eq!(identity["identity_data"]["email_verified"], true, "{provider}");
    }
    assert_eq!(world.sql("select count(*) from auth.users").await, "1");
    // What only some of them want.
    assert_eq!(server.asked("/v1/users/me")[0].0["notion-version"], "2021-08-16");
    assert_eq!(server.asked("/helix/users")[0].0["client-id"], CLIENT);
    let settings = world.call("GET", "/settings", None, Value::Null).await.ok();
    assert_eq!(
        (&settings["external"]["github"], &settings["external"]["google"]),
        (&json!(true), &json!(false))
    );
}

#[tokio::test]
async fn spotify_and_workos_have_ways_of_their_own() {
    let server = Server::start().await;
    server.without_id_tokens();
    let world = World::with(with(&server, &["spotify", "workos"])).await;
    server.beside("profile", json!({ "id": "w-1", "email": "ann@example.com", "connection_id": "c" }));
    let away = world
        .call("GET", "/authorize?provider=workos&workos_provider=saml&connection=c", None, Value::Null)
        .await;
    let asked = parameters(away.header("location"), '?');
    assert_eq!((asked["provider"].as_str(), asked["connection"].as_str()), ("saml", "c"));
    let home = walk(&world, &server, "workos").await;
    let got = parameters(home.header("location"), '#');
    let user = world.get("/user", &got["access_token"]).await.ok();
    assert_eq!(user["user_metadata"]["custom_claims"]["connection_id"], "c");
    // Spotify's addresses are unverified: they join nobody, and need to be confirmed.
    server.page("/me", json!({ "id": "sp-1", "email": "ann@example.com", "display_name": "Ann" }));
    let taken = walk(&world, &server, "spotify").await;
    assert_eq!(error(&taken), ("access_denied".to_owned(), "provider_email_needs_verification".to_owned()));
    assert_eq!(world.sql("select count(*) from auth.users where email = 'ann@example.com'").await, "1");
    assert_eq!(world.sql("select count(*) from auth.identities where user_id = (select id from auth.users where email = 'ann@example.com')").await, "1");
    assert_eq!(world.mail("signup").await, Value::Null, "nobody is written to about somebody else's account");
    server.page("/me", json!({ "id": "sp-2", "email": "bob@example.com" }));
    let fresh = walk(&world, &server, "spotify").await;
    assert_eq!(error(&fresh), ("access_denied".to_owned(), "provider_email_needs_verification".to_owned()));
    let mail = world.mail("signup").await;
    let confirmed = json!({ "type": "signup", "token_hash": mail["token_hash"] });
    world.post("/verify", confirmed).await.ok();
    let home = walk(&world, &server, "spotify").await;
    assert!(
        parameters(home.header("location"), '#').contains_key("access_token"),
        "{}",
        home.header("location")
    );
}

#[tokio::test]
async fn x_gets_our_verifier_and_only_once() {
    let server = Server::start().await;
    server.without_id_tokens();
    server.page("/2/users/me", json!({ "data": { "id": "x-1", "confirmed_email": "ann@example.com" } }));
    let world = World::with(with(&server, &["x"])).await;
    let start = async || {
        let away = world.call("GET", "/authorize?provider=x", None, Value::Null).await;
        let asked = away.header("location").to_owned();
        assert_eq!(parameters(&asked, '?')["code_challenge_method"], "S256");
        assert_eq!(parameters(&asked, '?')["code_challenge"].len(), 43);
        server.agree(&format!("{}/authorize-here?{}", server.url, asked.split_once('?').unwrap().1)).await
    };
    let back = start().await;
    let home = world.call("GET", &back, None, Value::Null).await;
    assert!(
        parameters(home.header("location"), '#').contains_key("access_token"),
        "{}",
        home.header("location")
    );
    let (_, form) = server.asked("/2/oauth2/token").pop().unwrap();
    assert!(form.contains("code_verifier="), "{form}");
    assert_eq!(world.sql("select count(*) from auth.oauth_client_states").await, "0");
    for (change, code) in [
        ("delete from auth.oauth_client_states", "oauth_client_state_not_found"),
        ("update auth.oauth_client_states set provider_type = 'github'", "oauth_invalid_state"),
        (
            "update auth.oauth_client_states set created_at = created_at - interval '6 minutes'",
            "oauth_client_state_expired",
        ),
        ("update auth.flow_state set oauth_client_state_id = null", "oauth_invalid_state"),
    ] {
        let back = start().await;
        world.run_sql(change).await;
        let answer = world.call("GET", &back, None, Value::Null).await;
        assert_eq!(error(&answer).1, code, "{change}");
    }
}

#[tokio::test]
async fn apple_posts_a_form_with_the_name() {
    let server = Server::start().await;
    server
        .person(json!({ "sub": "a-1", "email": "ann@privaterelay.example.com", "is_private_email": "true" }));
    let world = World::with(with(&server, &["apple"])).await;
    let away = world.call("GET", "/authorize?provider=apple&prompt=x", None, Value::Null).await;
    let asked = parameters(away.header("location"), '?');
    assert_eq!((asked["response_mode"].as_str(), asked["scope"].as_str()), ("form_post", "email name"));
    assert!(!asked.contains_key("prompt"));
    let back = server.agree(away.header("location")).await;
    let mut form = parameters(&back, '?');
    form.insert("user".to_owned(), json!({ "name": { "firstName": "Ann", "lastName": "Lee" } }).to_string());
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = Request::post("/callback").header("content-type", "application/x-www-form-urlencoded");
    let home = world.send(request.body(body.into()).unwrap()).await;
    let got = parameters(home.header("location"), '#');
    let user = world.get("/user", &got["access_token"]).await.ok();
    assert_eq!(user["user_metadata"]["full_name"], "Ann Lee");
    assert_eq!(user["user_metadata"]["custom_claims"], json!({ "is_private_email": true }));
    assert!(user.get("email_confirmed_at").is_some());
}

#[tokio::test]
async fn azure_addresses_count_unless_it_says_otherwise() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["azure"])).await;
    let issuer = format!("{}/v2.0", server.url);
    server.document("issuer", json!(issuer));
    for (edov, verified) in [(json!(null), true), (json!(false), false)] {
        let subject = format!("az-{verified}");
        let email = format!("{subject}@example.com");
        server.person(json!({ "sub": subject, "iss": issuer, "email": email, "xms_edov": edov }));
        let home = walk(&world, &server, "azure").await;
        let signed_in = parameters(home.header("location"), '#').contains_key("access_token");
        assert_eq!(signed_in, verified, "{}", home.header("location"));
    }
    // Another tenant than the configured one, and somewhere else altogether.
    for other in ["https://login.microsoftonline.com/other/v2.0", "http://127.0.0.1:1/v2.0"] {
        server.person(json!({ "sub": "az-x", "iss": other, "email": "x@example.com" }));
        assert_eq!(error(&walk(&world, &server, "azure").await).0, "server_error");
    }
}

#[tokio::test]
async fn twitter_signs_what_it_sends() {
    let server = Server::start().await;
    let world = World::with(with(&server, &["twitter"])).await;
    server.oauth1("ann@example.com");
    let away = world.call("GET", "/authorize?provider=twitter", None, Value::Null).await;
    assert_eq!(away.header("location"), format!("{}/oauth/authenticate?oauth_token=request-1", server.url));
    let (headers, _) = server.asked("/oauth/request_token").pop().unwrap();
    let header = headers["authorization"].to_str().unwrap();
    assert!(
        header.starts_with("OAuth ") && header.contains("oauth_signature_method=\"HMAC-SHA1\""),
        "{header}"
    );
    let state = header.split("state%3D").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let other = format!("/callback?state={state}&oauth_token=another&oauth_verifier=v");
    assert_eq!(error(&world.call("GET", &other, None, Value::Null).await).1, "bad_oauth_callback");
    // What we kept is gone with the first who came back.
    let late = format!("/callback?state={state}&oauth_token=request-1&oauth_verifier=v");
    assert_eq!(error(&world.call("GET", &late, None, Value::Null).await).1, "oauth_client_state_not_found");
    world.call("GET", "/authorize?provider=twitter", None, Value::Null).await;
    let (headers, _) = server.asked("/oauth/request_token").pop().unwrap();
    let header = headers["authorization"].to_str().unwrap();
    let state = header.split("state%3D").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let back = format!("/callback?state={state}&oauth_token=request-1&oauth_verifier=v");
    let home = world.call("GET", &back, None, Value::Null).await;
    let got = parameters(home.header("location"), '#');
    assert_eq!(
        got.get("provider_token").map(String::as_str),
        Some("access-1"),
        "{}",
        home.header("location")
    );
    let user = world.get("/user", &got["access_token"]).await.ok();
    assert_eq!(user["user_metadata"]["user_name"], "ann");
    let denied = {
        world.call("GET", "/authorize?provider=twitter", None, Value::Null).await;
        let state = world.sql("select id::text from auth.flow_state order by created_at desc limit 1").await;
        world.call("GET", &format!("/callback?state={state}&denied=request-1"), None, Value::Null).await
    };
    assert_eq!(error(&denied).0, "access_denied");
}

#[tokio::test]
async fn a_provider_without_its_keys_is_not_offered() {
    let server = Server::start().await;
    for (change, why) in [
        ("off", "provider is not enabled"),
        ("client", "missing OAuth client ID"),
        ("secret", "missing OAuth secret"),
    ] {
        let world = World::with(|settings| {
            with(&server, &[])(settings);
            let mut github = at(&server);
            match change {
                "off" => github.enabled = false,
                "client" => github.client_ids.clear(),
                _ => github.secret = "".into(),
            }
            settings.external.providers.insert("github".to_owned(), github);
        })
        .await;
        let answer = world.call("GET", "/authorize?provider=github", None, Value::Null).await;
        assert_eq!(answer.refusal(), (400, "validation_failed"));
        assert_eq!(answer.body["msg"], format!("Unsupported provider: {why}"));
    }
}
