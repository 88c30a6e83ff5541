//! The applications that sign people in with a project.

use crate::world::{World, text};
use auth::Settings;
use serde_json::{Value, json};

pub const REDIRECT: &str = "https://app.example.com/callback?tenant=1";

pub fn server(settings: &mut Settings) {
    settings.oauth_server.enabled = true;
    settings.oauth_server.allow_dynamic_registration = true;
    settings.oauth_server.authorization_path = "/oauth/consent".to_owned();
}

/// Registers a client as an administrator does.
pub async fn register(world: &World, more: Value) -> Value {
    let mut body = json!({ "client_name": "App", "redirect_uris": [REDIRECT] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let made = world.admin("POST", "/admin/oauth/clients", body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body
}

#[tokio::test]
async fn without_the_server_there_is_nothing() {
    let world = World::new().await;
    let disabled = (404, "feature_disabled");
    assert_eq!(world.admin("GET", "/admin/oauth/clients", Value::Null).await.refusal(), disabled);
    assert_eq!(world.post("/oauth/clients/register", json!({})).await.refusal(), disabled);
    assert_eq!(world.post("/oauth/token", json!({})).await.refusal(), disabled);
    for path in ["/oauth/authorize", "/oauth/authorizations/x", "/oauth/userinfo"] {
        assert_eq!(world.call("GET", path, None, Value::Null).await.refusal(), disabled, "{path}");
    }
    let path = "/.well-known/oauth-authorization-server";
    assert_eq!(world.call("GET", path, None, Value::Null).await.refusal(), disabled);
    let session = world.sign_up("ann@example.com").await;
    assert_eq!(world.get("/user/oauth/grants", text(&session, "/access_token")).await.refusal(), disabled);
}

#[tokio::test]
async fn a_client_is_made_read_changed_and_deleted() {
    let world = World::with(server).await;
    let made = register(&world, json!({ "client_uri": "https://app.example.com" })).await;
    let secret = text(&made, "/client_secret").to_owned();
    assert_eq!(secret.len(), 43);
    assert_eq!(made["client_type"], "confidential");
    assert_eq!(made["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(made["registration_type"], "manual");
    assert_eq!(made["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(made["response_types"], json!(["code"]));
    assert!(!world.sql("select to_jsonb(c)::text from auth.oauth_clients c").await.contains(&secret));
    let path = format!("/admin/oauth/clients/{}", text(&made, "/client_id"));
    let read = world.admin("GET", &path, Value::Null).await.ok();
    assert!(read.get("client_secret").is_none());
    assert_eq!(read["redirect_uris"], json!([REDIRECT]));
    world.advance(1);
    let change = json!({ "client_name": "New", "redirect_uris": ["myapp://cb"], "grant_types": ["refresh_token"], "client_uri": "" });
    let changed = world.admin("PUT", &path, change).await.ok();
    assert_eq!(changed["client_name"], "New");
    assert_eq!(changed["redirect_uris"], json!(["myapp://cb"]));
    assert_eq!(changed["grant_types"], json!(["refresh_token"]));
    assert!(changed.get("client_uri").is_none());
    assert_ne!(changed["updated_at"], made["updated_at"]);
    let again = world.admin("POST", &format!("{path}/regenerate_secret"), Value::Null).await.ok();
    assert_ne!(again["client_secret"], made["client_secret"]);
    register(&world, json!({})).await;
    let list = world.admin("GET", "/admin/oauth/clients?page=1&per_page=1", Value::Null).await.ok();
    assert_eq!(list["clients"].as_array().unwrap().len(), 2);
    assert_eq!(world.admin("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(world.admin("GET", &path, Value::Null).await.refusal(), (404, "oauth_client_not_found"));
    assert_eq!(world.admin("DELETE", &path, Value::Null).await.refusal(), (404, "oauth_client_not_found"));
    let session = world.sign_up("ann@example.com").await;
    let refused = world.get("/admin/oauth/clients", text(&session, "/access_token")).await;
    assert_eq!(refused.refusal(), (403, "not_admin"));
}

#[tokio::test]
async fn bad_clients_are_refused() {
    let world = World::with(server).await;
    let many: Vec<String> = (0..11).map(|n| format!("https://a.dev/{n}")).collect();
    let long = "n".repeat(1025);
    for body in [
        json!({ "client_name": "x" }),
        json!({ "redirect_uris": [] }),
        json!({ "redirect_uris": many }),
        json!({ "redirect_uris": ["http://a.dev/"] }),
        json!({ "redirect_uris": ["https://a.dev/#x"] }),
        json!({ "redirect_uris": ["https://a.dev/,https://b.dev/"] }),
        json!({ "redirect_uris": [REDIRECT], "client_name": long }),
        json!({ "redirect_uris": [REDIRECT], "client_uri": "javascript:alert(1)" }),
        json!({ "redirect_uris": [REDIRECT], "grant_types": ["password"] }),
        json!({ "redirect_uris": [REDIRECT], "client_type": "x" }),
        json!({ "redirect_uris": [REDIRECT], "client_type": "public", "token_endpoint_auth_method": "client_secret_post" }),
    ] {
        let answer = world.admin("POST", "/admin/oauth/clients", body.clone()).await;
        assert_eq!(answer.refusal(), (400, "validation_failed"), "{body}");
    }
    let public = register(&world, json!({ "token_endpoint_auth_method": "none" })).await;
    assert!(public.get("client_secret").is_none());
    let path = format!("/admin/oauth/clients/{}", text(&public, "/client_id"));
    for (method, path, body) in [
        ("PUT", path.clone(), json!({})),
        ("PUT", path.clone(), json!({ "token_endpoint_auth_method": "client_secret_post" })),
        ("PUT", path.clone(), json!({ "grant_types": [] })),
        ("POST", format!("{path}/regenerate_secret"), Value::Null),
        ("GET", "/admin/oauth/clients/x".to_owned(), Value::Null),
    ] {
        let answer = world.admin(method, &path, body.clone()).await;
        assert_eq!(answer.refusal(), (400, "validation_failed"), "{path} {body}");
    }
}

#[tokio::test]
async fn applications_register_themselves_where_that_is_allowed() {
    let world = World::with(server).await;
    let body = json!({ "redirect_uris": ["http://localhost:9000/cb"], "token_endpoint_auth_method": "none" });
    let made = world.post("/oauth/clients/register", body.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.body["registration_type"], "dynamic");
    assert_eq!(made.body["client_type"], "public");
    let path = "/.well-known/oauth-authorization-server";
    let document = world.call("GET", path, None, Value::Null).await.ok();
    assert!(text(&document, "/registration_endpoint").ends_with("/auth/v1/oauth/clients/register"));
    let closed = World::with(|settings| {
        server(settings);
        settings.oauth_server.allow_dynamic_registration = false;
    })
    .await;
    let refused = closed.post("/oauth/clients/register", body).await;
    assert_eq!(refused.refusal(), (403, "oauth_dynamic_client_registration_disabled"));
    let document = closed.call("GET", path, None, Value::Null).await.ok();
    assert!(document.get("registration_endpoint").is_none());
}
