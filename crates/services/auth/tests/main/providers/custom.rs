//! Providers that administrators define.

use super::flow::{error, with};
use super::server::{CLIENT, SECRET, Server, parameters};
use crate::world::{self, Answer, World, text};
use auth::{SealingKey, Settings};
use serde_json::{Value, json};

async fn world_at(server: &Server, change: impl FnOnce(&mut Settings)) -> World {
    World::with(|settings| {
        with(server, &[])(settings);
        settings.external.custom.key = Some(SealingKey([7; 32]));
        change(settings);
    })
    .await
}

fn oidc(server: &Server) -> Value {
    json!({ "provider_type": "oidc", "identifier": "custom:corp", "name": "Corp", "client_id": CLIENT,
        "client_secret": SECRET, "issuer": server.url, "scopes": ["email"] })
}

fn oauth2(server: &Server) -> Value {
    let at = |path: &str| format!("{}{path}", server.url);
    json!({ "provider_type": "oauth2", "identifier": "custom:plain", "name": "Plain", "client_id": CLIENT,
        "client_secret": SECRET, "authorization_url": at("/authorize"), "token_url": at("/token"),
        "userinfo_url": at("/userinfo"), "scopes": ["read"] })
}

async fn create(world: &World, body: Value) -> Answer {
    world.admin("POST", "/admin/custom-providers", body).await
}

#[tokio::test]
async fn administrators_keep_them() {
    let server = Server::start().await;
    let world = world_at(&server, |_| {}).await;
    let made = create(&world, oidc(&server)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.body["scopes"], json!(["openid", "email"]));
    assert_eq!((&made.body["pkce_enabled"], &made.body["enabled"]), (&json!(true), &json!(true)));
    assert_eq!(made.body["discovery_document"]["issuer"], server.url);
    assert!(!made.text.contains("secret"), "{}", made.text);
    assert_eq!(create(&world, oidc(&server)).await.refusal(), (400, "conflict"));
    assert_eq!(create(&world, oauth2(&server)).await.status, 201);
    let list = |answer: Value| {
        let mut names: Vec<String> = answer["providers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| text(p, "/identifier").to_owned())
            .collect();
        names.sort_unstable();
        names
    };
    let all = world.admin("GET", "/admin/custom-providers", Value::Null).await.ok();
    assert_eq!(list(all), ["custom:corp", "custom:plain"]);
    let some = world.admin("GET", "/admin/custom-providers?type=oidc", Value::Null).await.ok();
    assert_eq!(list(some), ["custom:corp"]);
    assert_eq!(world.admin("GET", "/admin/custom-providers?type=x", Value::Null).await.status, 400);
    let path = "/admin/custom-providers/custom:corp";
    let changed =
        world.admin("PUT", path, json!({ "name": "New", "enabled": false, "client_secret": "n3w" })).await;
    assert_eq!(
        (changed.status, &changed.body["name"], &changed.body["enabled"]),
        (200, &json!("New"), &json!(false))
    );
    assert!(!changed.text.contains("n3w"));
    let seen = world.admin("GET", "/admin/custom-providers/custom%3Acorp", Value::Null).await.ok();
    assert_eq!(seen, changed.body);
    let stored = world.sql("select string_agg(client_secret, ' ') from auth.custom_oauth_providers").await;
    assert!(
        !stored.contains("n3w") && !stored.contains(SECRET) && stored.contains("aes-gcm-hkdf"),
        "{stored}"
    );
    assert_eq!(world.admin("DELETE", path, Value::Null).await.status, 204);
    for method in ["GET", "PUT", "DELETE"] {
        let body = if method == "PUT" { json!({}) } else { Value::Null };
        assert_eq!(world.admin(method, path, body).await.refusal(), (404, "custom_provider_not_found"));
    }
    assert_eq!(world.admin("GET", "/admin/custom-providers/corp", Value::Null).await.status, 400);
    assert_eq!(world.call("GET", "/admin/custom-providers", None, Value::Null).await.status, 401);
}

#[tokio::test]
async fn what_would_be_dangerous_or_broken_is_refused() {
    let server = Server::start().await;
    let world = world_at(&server, |_| {}).await;
    for (change, wanted) in [
        (json!({ "provider_type": "x" }), "provider_type must be"),
        (json!({ "identifier": "corp" }), "identifier must start with"),
        (json!({ "identifier": "custom:Not Good" }), "identifier_format"),
        (json!({ "name": "" }), "name is required"),
        (json!({ "name": "x".repeat(101) }), "name_length"),
        (json!({ "client_secret": "" }), "client_secret is required"),
        (json!({ "issuer": "" }), "issuer is required"),
        (json!({ "issuer": "ftp://x.dev" }), "URL must use HTTPS"),
        (json!({ "issuer": format!("{}/", server.url) }), "failed"),
        (json!({ "issuer": format!("{}/nowhere", server.url) }), "failed"),
        (
            json!({ "authorization_params": { "Redirect_Uri": "https://evil.dev" } }),
            "reserved OAuth parameter",
        ),
        (json!({ "authorization_params": { "nonce": "fixed" } }), "reserved OAuth parameter"),
        (json!({ "authorization_params": { "prompt": 1 } }), "must be a string"),
        (json!({ "attribute_mapping": { "app_metadata": "x" } }), "protected system field"),
        (json!({ "attribute_mapping": { "email_verified": true } }), "protected system field"),
        (json!({ "custom_claims_allowlist": [" "] }), "non-empty"),
        (json!({ "scopes": vec!["x"; 101] }), "entries at most"),
    ] {
        let mut body = oidc(&server);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = create(&world, body).await;
        assert_eq!(answer.refusal(), (400, "validation_failed"), "{change}: {}", answer.text);
        assert!(text(&answer.body, "/msg").contains(wanted), "{change}: {}", answer.text);
    }
    server.document("jwks_uri", json!(""));
    let answer = create(&world, oidc(&server)).await;
    assert!(text(&answer.body, "/msg").contains("missing required fields: jwks_uri"), "{}", answer.text);
    assert_eq!(world.sql("select count(*) from auth.custom_oauth_providers").await, "0");
}

#[tokio::test]
async fn no_address_inside_is_called() {
    let server = Server::start().await;
    let world = world_at(&server, |settings| {
        settings.outbound = outbound::Client::new(outbound::Reach::Public).unwrap();
    })
    .await;
    for url in [
        server.url.as_str(),
        "http://example.com",
        "https://localhost/x",
        "https://a.localhost",
        "https://127.0.0.1",
        "https://[::1]/",
        "https://10.1.2.3",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]",
        "https://0.0.0.0",
        "https://192.168.1.1:8443",
        "not a url",
    ] {
        let mut body = oidc(&server);
        body["issuer"] = json!(url);
        assert_eq!(create(&world, body).await.refusal(), (400, "validation_failed"), "{url}");
        let mut body = oauth2(&server);
        body["token_url"] = json!(url);
        assert_eq!(create(&world, body).await.refusal(), (400, "validation_failed"), "{url}");
    }
    // One that came into the table by another way is not called either.
    world
        .run_sql(
            "insert into auth.custom_oauth_providers (provider_type, identifier, name, client_id, client_secret, issuer)
             values ('oidc', 'custom:inside', 'x', 'x', 'x', 'https://127.0.0.1:1')",
        )
        .await;
    let answer = world.call("GET", "/authorize?provider=custom:inside", None, Value::Null).await;
    assert_eq!(answer.refusal(), (400, "validation_failed"));
    assert!(text(&answer.body, "/msg").contains("cannot be called"), "{}", answer.text);
    assert!(server.asked("/.well-known/openid-configuration").is_empty());
}

#[tokio::test]
async fn a_project_has_so_many() {
    let server = Server::start().await;
    let world = world_at(&server, |settings| settings.external.custom.max = 1).await;
    let (one, two) = tokio::join!(create(&world, oidc(&server)), create(&world, oauth2(&server)));
    let mut codes = [one.status, two.status];
    codes.sort_unstable();
    assert_eq!(codes, [201, 400]);
    let late = create(
        &world,
        json!({ "identifier": "custom:third" }).as_object().map_or(Value::Null, |more| {
            let mut body = oauth2(&server);
            body.as_object_mut().unwrap().extend(more.clone());
            body
        }),
    )
    .await;
    assert_eq!(late.refusal(), (400, "over_custom_provider_quota"));
    let off = world_at(&server, |settings| settings.external.custom.enabled = false).await;
    assert_eq!(create(&off, oidc(&server)).await.refusal(), (404, "feature_disabled"));
}

#[tokio::test]
async fn people_sign_in_with_them() {
    let server = Server::start().await;
    let world = world_at(&server, |_| {}).await;
    let mut body = oidc(&server);
    body["custom_claims_allowlist"] = json!(["groups"]);
    body["attribute_mapping"] = json!({ "nickname": "login" });
    body["authorization_params"] = json!({ "tenant": "t" });
    create(&world, body).await.body["id"].as_str().unwrap();
    server.person(json!({ "sub": "c-1", "email": "ann@example.com", "email_verified": true, "login": "ann",
        "groups": ["g"], "role": "service_role", "app_metadata": { "admin": true } }));
    let away = world.call("GET", "/authorize?provider=custom:corp&tenant=other", None, Value::Null).await;
    let asked = parameters(away.header("location"), '?');
    assert_eq!((asked["tenant"].as_str(), asked["scope"].as_str()), ("t", "openid email"));
    assert_eq!(asked["code_challenge_method"], "S256");
    let home = world.call("GET", &server.agree(away.header("location")).await, None, Value::Null).await;
    let got = parameters(home.header("location"), '#');
    assert!(got.contains_key("access_token"), "{}", home.header("location"));
    let user = world.get("/user", &got["access_token"]).await.ok();
    assert_eq!(user["app_metadata"], json!({ "provider": "custom:corp", "providers": ["custom:corp"] }));
    assert_eq!(user["role"], "authenticated");
    assert_eq!(
        (&user["user_metadata"]["nickname"], &user["user_metadata"]["custom_claims"]),
        (&json!("ann"), &json!({ "groups": ["g"] }))
    );
    let grant = async |more: Value| {
        let body = json!({ "provider": "custom:corp", "id_token": server.token(more) });
        world.post("/token?grant_type=id_token", body).await
    };
    grant(json!({})).await.ok();
    assert_eq!(grant(json!({ "aud": "app" })).await.status, 400);
    let path = "/admin/custom-providers/custom:corp";
    world.admin("PUT", path, json!({ "acceptable_client_ids": ["app"] })).await.ok();
    grant(json!({ "aud": "app" })).await.ok();
    world.admin("PUT", path, json!({ "enabled": false })).await.ok();
    assert_eq!(grant(json!({})).await.refusal(), (400, "provider_disabled"));
    let off = world.call("GET", "/authorize?provider=custom:corp", None, Value::Null).await;
    assert_eq!(off.refusal(), (400, "validation_failed"));
    // Plain OAuth, without our verifier.
    server.without_id_tokens();
    server.person(json!({ "sub": "p-9", "email": "bob@example.com", "email_verified": false }));
    let mut body = oauth2(&server);
    body["pkce_enabled"] = json!(false);
    assert_eq!(create(&world, body).await.status, 201);
    let refused = server.walk(&world, "/authorize?provider=custom:plain").await;
    assert_eq!(error(&refused).1, "provider_email_needs_verification");
    server.person(json!({ "sub": "p-10", "email": "carl@example.com", "email_verified": true }));
    let home = server.walk(&world, "/authorize?provider=custom:plain&scopes=more").await;
    assert!(
        parameters(home.header("location"), '#').contains_key("access_token"),
        "{}",
        home.header("location")
    );
}

#[tokio::test]
async fn the_projects_of_a_shard_have_their_own() {
    let server = Server::start().await;
    let shard = world::shard().await;
    let app = |id: &str, database| {
        let mut settings = world::settings(world::SECRET);
        with(&server, &["google"])(&mut settings);
        settings.external.custom.max = 1;
        settings.extra_settings = vec![("rowhouse.app_id".to_owned(), id.to_owned())];
        World::on(database, settings)
    };
    let (one, two) = (app("1", shard.clone()), app("2", shard));
    assert_eq!(create(&one, oidc(&server)).await.status, 201);
    let list = two.admin("GET", "/admin/custom-providers", Value::Null).await.ok();
    assert_eq!(list["providers"], json!([]));
    assert_eq!(two.call("GET", "/authorize?provider=custom:corp", None, Value::Null).await.status, 400);
    assert_eq!(create(&two, oidc(&server)).await.status, 201, "the quota is each project's");
    // A state of one project is none of the other's, and the same person has an account in each.
    let back = server.consent(&one, "/authorize?provider=google").await;
    let foreign = two.call("GET", &back, None, Value::Null).await;
    assert_eq!(parameters(foreign.header("location"), '?')["error_code"], "bad_oauth_state");
    for world in [&one, &two] {
        let home = server.walk(world, "/authorize?provider=google").await;
        assert!(parameters(home.header("location"), '#').contains_key("access_token"));
    }
    assert_eq!(one.sql("select count(distinct app_id) || ' ' || count(*) from auth.users").await, "2 2");
}
