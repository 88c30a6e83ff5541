//! What holds for every route.

use crate::world::World;
use auth::ProviderSettings;
use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

#[tokio::test]
async fn settings_and_health_need_nothing() {
    let world = World::with(|s| {
        let google = ProviderSettings { enabled: true, ..ProviderSettings::default() };
        s.external.providers = [("google".to_owned(), google)].into();
    })
    .await;
    let health = world.call("GET", "/health", None, Value::Null).await.ok();
    assert_eq!(health["name"], "GoTrue");
    let settings = world.call("GET", "/settings/", None, Value::Null).await.ok();
    assert_eq!(settings["external"].as_object().unwrap().len(), 26);
    assert_eq!(settings["external"]["google"], true);
    assert_eq!(settings["external"]["email"], true);
    assert_eq!(settings["external"]["phone"], false);
    assert_eq!(settings["mailer_autoconfirm"], true);
    let keys = world.call("GET", "/.well-known/jwks.json", None, Value::Null).await.ok();
    assert_eq!(keys, json!({ "keys": [] }));
    let found = world.call("GET", "/.well-known/openid-configuration", None, Value::Null).await.ok();
    assert_eq!(found["issuer"], "http://127.0.0.1:54321/auth/v1");
    assert_eq!(found["jwks_uri"], "http://127.0.0.1:54321/auth/v1/.well-known/jwks.json");
}

#[tokio::test]
async fn unknown_routes_and_methods() {
    let world = World::new().await;
    let missing = world.call("GET", "/nowhere", None, Value::Null).await;
    assert_eq!((missing.status, missing.header("content-type")), (404, "text/plain; charset=utf-8"));
    assert_eq!(world.call("GET", "/signup", None, Value::Null).await.status, 405);
    assert_eq!(world.call("HEAD", "/verify?token=x&type=signup", None, Value::Null).await.status, 405);
}

#[tokio::test]
async fn bodies_are_json_and_bounded() {
    let world = World::new().await;
    for body in ["", "{", "[]", "\"text\"", "{\"email\": 1}"] {
        let request = Request::post("/signup").body(Body::from(body)).unwrap();
        assert_eq!(world.send(request).await.refusal(), (400, "bad_json"), "{body}");
    }
    let large = Request::post("/signup").body(Body::from(vec![b' '; (1 << 20) + 1])).unwrap();
    assert_eq!(world.send(large).await.refusal(), (413, "request_entity_too_large"));
}

#[tokio::test]
async fn errors_have_the_shape_of_the_api_version() {
    let world = World::new().await;
    let ask = async |version: &str| {
        let request = Request::get("/user").header("x-supabase-api-version", version);
        world.send(request.body(Body::empty()).unwrap()).await
    };
    let message = "This endpoint requires a valid Bearer token";
    let new = ask("2024-01-01").await;
    assert_eq!(new.body, json!({ "code": "no_authorization", "message": message }));
    assert_eq!(new.header("x-supabase-api-version"), "2024-01-01");
    let old = ask("2023-01-01").await;
    assert_eq!(old.body, json!({ "code": 401, "error_code": "no_authorization", "msg": message }));
    assert_eq!(old.header("x-supabase-api-version"), "");
}

#[tokio::test]
async fn requests_are_limited_by_the_trusted_header() {
    let world = World::with(|s| s.rate_limits.header = Some("x-client".to_owned())).await;
    let ask = async |client: Option<&str>| {
        let mut request = Request::post("/token?grant_type=refresh_token");
        if let Some(client) = client {
            request = request.header("x-client", client);
        }
        world.send(request.body(Body::from("{}")).unwrap()).await.status
    };
    for _ in 0..30 {
        assert_eq!(ask(Some("1.2.3.4")).await, 400);
    }
    assert_eq!(ask(Some("1.2.3.4, 5.6.7.8")).await, 429);
    assert_eq!(ask(Some("9.9.9.9")).await, 400, "another client has its own bucket");
    assert_eq!(ask(None).await, 400, "without the header there is no limit");
    world.advance(2);
    assert_eq!(ask(Some("1.2.3.4")).await, 400, "one token every two seconds comes back");
}

#[tokio::test]
async fn a_request_ends_in_time() {
    let world = World::with(|s| s.request_timeout = std::time::Duration::from_millis(50)).await;
    world.run_sql("create function public.slow() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return new; end $$;
        create trigger slow before insert on auth.users for each row execute function public.slow();").await;
    let answer = world.post("/signup", json!({ "email": "a@b.c", "password": "password1" })).await;
    assert_eq!(answer.refusal(), (504, "request_timeout"));
}
