//! Signing in to other applications.

use crate::oauth_clients::{REDIRECT, register, server};
use crate::world::{Answer, SECRET, World, settings, shard, text};
use axum::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// A parameter of the URL that an answer leads to.
#[track_caller]
fn parameter(url: &str, name: &str) -> String {
    let (_, query) = url.split_once('?').unwrap_or_else(|| panic!("no query in {url}"));
    let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

async fn authorize(world: &World, client: &Value, more: &[(&str, &str)]) -> Answer {
    let defaults = [
        ("client_id", text(client, "/client_id")),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("state", "st"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let mut pairs: Vec<_> =
        defaults.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name)).collect();
    pairs.extend(more);
    world.call("GET", &format!("/oauth/authorize?{}", query(&pairs)), None, Value::Null).await
}

/// Begins a flow and returns the path of its request.
async fn begin(world: &World, client: &Value, scope: &str) -> String {
    let answer = authorize(world, client, &[("scope", scope)]).await;
    assert_eq!(answer.status, 302, "{}", answer.text);
    let url = answer.header("location");
    assert!(url.starts_with("http://127.0.0.1:3000/oauth/consent?authorization_id="), "{url}");
    format!("/oauth/authorizations/{}", parameter(url, "authorization_id"))
}

/// Goes through a whole flow and returns the code.
async fn code(world: &World, client: &Value, user: &str, scope: &str) -> String {
    let path = begin(world, client, scope).await;
    let asked = world.get(&path, user).await.ok();
    if let Some(url) = asked["redirect_url"].as_str() {
        return parameter(url, "code");
    }
    let answer =
        world.call("POST", &format!("{path}/consent"), Some(user), json!({ "action": "approve" })).await.ok();
    let url = text(&answer, "/redirect_url");
    assert!(url.starts_with("https://app.example.com/callback?code="), "{url}");
    assert_eq!(parameter(url, "state"), "st");
    assert_eq!(parameter(url, "tenant"), "1");
    parameter(url, "code")
}

/// Asks for tokens with a form, as applications do.
async fn token(world: &World, client: &Value, pairs: &[(&str, &str)]) -> Answer {
    let basic = STANDARD.encode(format!("{}:{}", text(client, "/client_id"), text(client, "/client_secret")));
    let request = http::Request::post("/oauth/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", format!("Basic {basic}"));
    world.send(request.body(Body::from(query(pairs))).unwrap()).await
}

async fn exchange(world: &World, client: &Value, code: &str) -> Answer {
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", REDIRECT),
    ];
    token(world, client, &pairs).await
}

#[tokio::test]
async fn a_user_signs_in_to_an_application() {
    let world = World::with(server).await;
    let client = register(&world, json!({})).await;
    let session = world.sign_up("ann@example.com").await;
    let user = text(&session, "/access_token");
    let path = begin(&world, &client, "email profile").await;
    let asked = world.get(&path, user).await.ok();
    assert_eq!(asked["client"], json!({ "id": client["client_id"], "name": "App" }));
    assert_eq!(asked["user"], json!({ "id": session["user"]["id"], "email": "ann@example.com" }));
    assert_eq!(asked["scope"], "email profile");
    assert_eq!(asked["redirect_uri"], REDIRECT);
    let code = code(&world, &client, user, "email profile").await;
    let tokens = exchange(&world, &client, &code).await;
    assert_eq!(tokens.header("cache-control"), "no-store");
    let tokens = tokens.ok();
    assert_eq!(tokens["token_type"], "bearer");
    assert!(tokens.get("user").is_none() && tokens.get("id_token").is_none());
    let access = text(&tokens, "/access_token");
    let claims = ::token::KeySet::from_secret(SECRET).verify(access).unwrap().claims;
    assert_eq!(claims["client_id"], client["client_id"]);
    assert_eq!(claims["scope"], "email profile");
    assert_eq!(claims["amr"][0]["method"], "oauth_provider/authorization_code");
    let info = world.get("/oauth/userinfo", access).await.ok();
    assert_eq!(info["email"], "ann@example.com");
    assert_eq!(info["email_verified"], true);
    assert_eq!(info["name"], "ann@example.com");
    assert!(info.get("phone").is_none());
    assert_eq!(world.get("/oauth/userinfo", user).await.ok(), json!({ "sub": session["user"]["id"] }));
    let again = exchange(&world, &client, &code).await;
    assert_eq!((again.status, &again.body["error"]), (400, &json!("invalid_grant")), "{}", again.text);
    let later = begin(&world, &client, "email").await;
    let known = world.get(&later, user).await.ok();
    assert!(text(&known, "/redirect_url").contains("code="), "what was granted is not asked again");
}

#[tokio::test]
async fn only_the_application_refreshes_its_sessions() {
    let world = World::with(server).await;
    let client = register(&world, json!({})).await;
    let other = register(&world, json!({})).await;
    let session = world.sign_up("ann@example.com").await;
    let code = code(&world, &client, text(&session, "/access_token"), "email").await;
    let tokens = exchange(&world, &client, &code).await.ok();
    let refresh = text(&tokens, "/refresh_token");
    let grant = |refresh| [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(world.refresh(refresh).await.body["error"], "invalid_client");
    assert_eq!(token(&world, &other, &grant(refresh)).await.body["error"], "invalid_client");
    let own = text(&session, "/refresh_token");
    assert_eq!(token(&world, &client, &grant(own)).await.body["error"], "invalid_client");
    let fresh = token(&world, &client, &grant(refresh)).await.ok();
    assert_ne!(fresh["refresh_token"], tokens["refresh_token"]);
    assert!(fresh.get("user").is_none());
    let claims = ::token::KeySet::from_secret(SECRET).verify(text(&fresh, "/access_token")).unwrap().claims;
    assert_eq!(claims["scope"], "email");
    let unknown = token(&world, &client, &grant("aaaaaaaaaaaa")).await;
    assert_eq!((unknown.status, &unknown.body["error"]), (400, &json!("invalid_grant")));
    world.refresh(own).await.ok();
}

#[tokio::test]
async fn grants_are_listed_and_taken_back() {
    let world = World::with(server).await;
    let client = register(&world, json!({})).await;
    let session = world.sign_up("ann@example.com").await;
    let user = text(&session, "/access_token");
    let code = code(&world, &client, user, "email phone").await;
    let tokens = exchange(&world, &client, &code).await.ok();
    let list = world.get("/user/oauth/grants", user).await.ok();
    assert_eq!(list[0]["scopes"], json!(["email", "phone"]));
    assert_eq!(list[0]["client"]["id"], client["client_id"]);
    let path = format!("/user/oauth/grants?client_id={}", text(&client, "/client_id"));
    assert_eq!(world.call("DELETE", &path, Some(user), Value::Null).await.status, 204);
    let gone = world.get("/user", text(&tokens, "/access_token")).await;
    assert_eq!(gone.refusal(), (403, "session_not_found"));
    assert_eq!(world.get("/user/oauth/grants", user).await.ok(), json!([]));
    let again = world.call("DELETE", &path, Some(user), Value::Null).await;
    assert_eq!(again.refusal(), (404, "oauth_consent_not_found"));
    let asked = world.get(&begin(&world, &client, "email").await, user).await.ok();
    assert!(asked.get("redirect_url").is_none(), "it is asked again");
    for bad in ["/user/oauth/grants", "/user/oauth/grants?client_id=x"] {
        let refused = world.call("DELETE", bad, Some(user), Value::Null).await;
        assert_eq!(refused.refusal(), (400, "validation_failed"));
    }
}

#[tokio::test]
async fn bad_requests_go_back_to_the_application_only_when_it_is_known() {
    let world = World::with(server).await;
    let client = register(&world, json!({})).await;
    let direct = [
        (("redirect_uri", "https://evil.example.com/"), "validation_failed"),
        (("redirect_uri", "https://app.example.com/callback?tenant=2"), "validation_failed"),
        (("redirect_uri", ""), "validation_failed"),
        (("client_id", ""), "validation_failed"),
        (("client_id", "x"), "oauth_client_not_found"),
        (("client_id", "00000000-0000-4000-8000-000000000000"), "oauth_client_not_found"),
    ];
    for (pair, code) in direct {
        assert_eq!(authorize(&world, &client, &[pair]).await.refusal(), (400, code), "{pair:?}");
    }
    for pair in [
        ("response_type", "token"),
        ("scope", "email everything"),
        ("code_challenge", ""),
        ("code_challenge", "short"),
        ("code_challenge_method", "md5"),
        ("resource", "not absolute"),
        ("resource", "https://api.dev/#x"),
        ("nonce", &"n".repeat(256)),
    ] {
        let answer = authorize(&world, &client, &[pair]).await;
        assert_eq!(answer.status, 302, "{pair:?}");
        let url = answer.header("location");
        assert!(url.starts_with("https://app.example.com/callback?"), "{url}");
        assert_eq!(parameter(url, "error"), "invalid_request", "{pair:?}");
        assert_eq!(parameter(url, "state"), "st");
    }
    assert_eq!(world.sql("select count(*) from auth.oauth_authorizations").await, "0");
}

#[tokio::test]
async fn a_request_is_for_the_first_who_reads_it() {
    let world = World::with(server).await;
    let client = register(&world, json!({})).await;
    let ann = world.sign_up("ann@example.com").await;
    let bob = world.sign_up("bob@example.com").await;
    let (ann, bob) = (text(&ann, "/access_token"), text(&bob, "/access_token"));
    let path = begin(&world, &client, "email").await;
    let consent = format!("{path}/consent");
    let answer = async |user: &str, action: &str| {
        world.call("POST", &consent, Some(user), json!({ "action": action })).await
    };
    let unknown = (404, "oauth_authorization_not_found");
    assert_eq!(answer(ann, "approve").await.refusal(), unknown, "nobody has read it");
    world.get(&path, ann).await.ok();
    world.get(&path, ann).await.ok();
    assert_eq!(world.get(&path, bob).await.refusal(), unknown);
    assert_eq!(answer(bob, "approve").await.refusal(), unknown);
    assert_eq!(answer(ann, "maybe").await.refusal(), (400, "validation_failed"));
    let request = http::Request::get(&path)
        .header("authorization", format!("Bearer {ann}"))
        .header("origin", "https://evil.example.com");
    let foreign = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(foreign.refusal(), (400, "validation_failed"));
    let denied = answer(ann, "deny").await.ok();
    assert_eq!(parameter(text(&denied, "/redirect_url"), "error"), "access_denied");
    assert_eq!(answer(ann, "approve").await.refusal(), (400, "validation_failed"), "it is over");
    let late = begin(&world, &client, "email").await;
    world.advance(601);
    assert_eq!(world.get(&late, ann).await.refusal(), unknown);
    assert_eq!(
        world.sql("select count(*) from auth.oauth_authorizations where status = 'expired'").await,
        "1"
    );
}

#[tokio::test]
async fn codes_are_good_once_and_for_their_application_only() {
    let world = World::with(server).await;
    let client = register(&world, json!({})).await;
    let other = register(&world, json!({})).await;
    let session = world.sign_up("ann@example.com").await;
    let user = text(&session, "/access_token");
    let first = code(&world, &client, user, "email").await;
    let good = [("grant_type", "authorization_code"), ("code", &first), ("code_verifier", VERIFIER)];
    let wrong = [("grant_type", "authorization_code"), ("code", &first), ("code_verifier", CHALLENGE)];
    let missing = [("grant_type", "authorization_code"), ("code", &first)];
    let elsewhere = [good[0], good[1], good[2], ("redirect_uri", "https://app.example.com/")];
    for (client, pairs) in
        [(&other, &good[..]), (&client, &wrong[..]), (&client, &missing[..]), (&client, &elsewhere[..])]
    {
        let refused = token(&world, client, pairs).await;
        assert_eq!((refused.status, &refused.body["error"]), (400, &json!("invalid_grant")), "{pairs:?}");
    }
    let (one, two, three) = tokio::join!(
        token(&world, &client, &good),
        token(&world, &client, &good),
        token(&world, &client, &good)
    );
    let won = [&one, &two, &three].into_iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1, "{} {} {}", one.text, two.text, three.text);
    assert_eq!(world.sql("select count(*) from auth.sessions where oauth_client_id is not null").await, "1");
    let late = code(&world, &client, user, "email").await;
    world.advance(601);
    assert_eq!(exchange(&world, &client, &late).await.body["error"], "invalid_grant");
    let banned = code(&world, &client, user, "email").await;
    world.run_sql("update auth.users set banned_until = 'infinity'").await;
    assert_eq!(exchange(&world, &client, &banned).await.body["error"], "access_denied");
}

#[tokio::test]
async fn clients_prove_who_they_are_in_their_own_way() {
    let world = World::with(server).await;
    let basic = register(&world, json!({})).await;
    let post = register(&world, json!({ "token_endpoint_auth_method": "client_secret_post" })).await;
    let public = register(&world, json!({ "token_endpoint_auth_method": "none" })).await;
    let by_body = async |client: &Value, secret: &str| {
        let body = json!({
            "grant_type": "authorization_code", "code": "x", "code_verifier": VERIFIER,
            "client_id": client["client_id"], "client_secret": secret,
        });
        world.post("/oauth/token", body).await
    };
    let secret = |client: &Value| client["client_secret"].as_str().unwrap_or_default().to_owned();
    let refused = (400, "invalid_credentials");
    assert_eq!(by_body(&basic, &secret(&basic)).await.refusal(), refused);
    assert_eq!(by_body(&post, "").await.refusal(), refused);
    assert_eq!(by_body(&post, &secret(&basic)).await.refusal(), refused);
    assert_eq!(by_body(&public, "x").await.refusal(), refused);
    assert_eq!(by_body(&json!({ "client_id": "x" }), "").await.refusal(), refused);
    assert_eq!(by_body(&json!({ "client_id": "" }), "").await.refusal(), refused);
    // Here the client is known and only its code is not.
    assert_eq!(by_body(&post, &secret(&post)).await.body["error"], "invalid_grant");
    assert_eq!(by_body(&public, "").await.body["error"], "invalid_grant");
    assert_eq!(
        token(&world, &basic, &[("grant_type", "password")]).await.body["error"],
        "unsupported_grant_type"
    );
    assert_eq!(token(&world, &basic, &[]).await.body["error"], "invalid_request");
    let path = format!("/admin/oauth/clients/{}", text(&post, "/client_id"));
    assert_eq!(world.admin("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(by_body(&post, &secret(&post)).await.refusal(), refused);
}

#[tokio::test]
async fn openid_clients_get_a_token_of_who_it_is() {
    let jwk = ::token::new_es256_jwk("k1");
    let world = World::with(|settings| {
        server(settings);
        let keys = ::token::KeySet::from_json(&jwk.to_string()).unwrap();
        settings.keys = std::sync::Arc::new(keys.with_secret(SECRET));
    })
    .await;
    let client = register(&world, json!({})).await;
    let session = world.sign_up("ann@example.com").await;
    let answer = authorize(&world, &client, &[("scope", "openid email"), ("nonce", "n1")]).await;
    let id = parameter(answer.header("location"), "authorization_id");
    let path = format!("/oauth/authorizations/{id}");
    let user = text(&session, "/access_token");
    world.get(&path, user).await.ok();
    let consent = json!({ "action": "approve" });
    let answer = world.call("POST", &format!("{path}/consent"), Some(user), consent).await.ok();
    let tokens = exchange(&world, &client, &parameter(text(&answer, "/redirect_url"), "code")).await.ok();
    let keys = ::token::KeySet::from_json(&jwk.to_string()).unwrap();
    let claims = keys.verify(text(&tokens, "/id_token")).unwrap().claims;
    assert_eq!(claims["aud"], client["client_id"]);
    assert_eq!(claims["nonce"], "n1");
    assert_eq!(claims["email"], "ann@example.com");
    assert_eq!(claims["exp"], world.unix() + 3600);
    assert!(claims.get("name").is_none());
}

#[tokio::test]
async fn applications_of_one_project_are_nothing_to_another_of_its_shard() {
    let database = shard().await;
    let app = |id: &str| {
        let mut settings = settings(SECRET);
        server(&mut settings);
        settings.extra_settings = vec![("rowhouse.app_id".to_owned(), id.to_owned())];
        World::on(database.clone(), settings)
    };
    let (one, two) = (app("57"), app("58"));
    let client = register(&one, json!({})).await;
    let session = one.sign_up("ann@example.com").await;
    let code = code(&one, &client, text(&session, "/access_token"), "email").await;
    assert_eq!(authorize(&two, &client, &[]).await.refusal(), (400, "oauth_client_not_found"));
    assert_eq!(exchange(&two, &client, &code).await.refusal(), (400, "invalid_credentials"));
    let list = two.admin("GET", "/admin/oauth/clients", Value::Null).await.ok();
    assert_eq!(list, json!({ "clients": [] }));
    exchange(&one, &client, &code).await.ok();
}
