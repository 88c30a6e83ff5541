//! Requests with a key that binds them to settings and claims.

use super::{Answer, Api, settings};
use http::{Request, StatusCode};
use model::Bound;
use rest::config::Settings;
use serde_json::json;
use std::sync::Arc;

const APPS: &str = "
    create table api.app_data (
        id int generated always as identity primary key,
        app_id uuid not null default current_setting('app.current_app_id')::uuid, word text not null);
    alter table api.app_data enable row level security;
    create policy app_isolation on api.app_data using (app_id = current_setting('app.current_app_id')::uuid);
    grant all on api.app_data to anon, authenticated;
    create table api.user_data (tenant_id text not null default current_setting('app.tenant_id'), word text not null);
    alter table api.user_data enable row level security;
    create policy tenants on api.user_data using (tenant_id = current_setting('app.tenant_id'));
    grant all on api.user_data to anon;
    create function api.seen() returns json language sql stable as $$
        select json_build_object('app', current_setting('app.current_app_id', true),
            'plan', current_setting('app.plan', true), 'fixed', current_setting('house.fixed', true),
            'claims', current_setting('request.jwt.claims')::json, 'role', current_user) $$;
    create function api.meddle() returns void language plpgsql as $$ begin
        perform set_config('app.current_app_id', 'bbbbbbbb-0000-4000-8000-000000000000', true);
        perform set_config('request.jwt.claims', '{}', true);
    end $$";

const A: &str = "aaaaaaaa-0000-4000-8000-000000000000";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000000";

fn key(settings: &[(&str, &str)], claims: serde_json::Value) -> Bound {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Bound::new(settings, claims.as_object().cloned().unwrap())
        .unwrap()
        .knowing(["app.current_app_id", "app.tenant_id"])
}

fn app(id: &str) -> Bound {
    key(&[("app.current_app_id", id)], json!({}))
}

impl Api {
    async fn with_key(
        &self,
        key: &Bound,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(target).extension(Arc::new(key.clone()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request.body(axum::body::Body::from(body.to_owned())).unwrap()).await
    }
}

async fn api(settings: Settings) -> Api {
    let api = Api::with(settings).await;
    api.database.connect().await.batch(APPS).await.unwrap();
    api
}

#[tokio::test]
async fn each_key_has_its_own_rows() {
    let api = api(settings()).await;
    for (id, word) in [(A, "of a"), (B, "of b")] {
        let body = json!({ "word": word }).to_string();
        let answer = api.with_key(&app(id), "POST", "/app_data", &[], &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    }
    for (id, word) in [(A, "of a"), (B, "of b")] {
        let answer = api.with_key(&app(id), "GET", "/app_data?select=word", &[], "").await;
        assert_eq!(answer.body, json!([{ "word": word }]).to_string());
        assert_eq!(
            api.with_key(&app(id), "DELETE", &format!("/app_data?app_id=neq.{id}"), &[], "").await.status,
            204
        );
    }
    assert_eq!(api.value("select count(*) from api.app_data").await, "2", "neither reached the other's");
    let stolen = json!({ "word": "x", "app_id": B }).to_string();
    let answer = api.with_key(&app(A), "POST", "/app_data", &[], &stolen).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "42501"));
}

#[tokio::test]
async fn nothing_that_a_client_sends_changes_a_setting() {
    let api =
        api(Settings { app_settings: vec![("app.plan".to_owned(), "project".to_owned())], ..settings() })
            .await;
    let bound = key(&[("app.current_app_id", A), ("app.plan", "key")], json!({ "tenant": 7 }));
    // {"role":"authenticated","tenant":8,"sub":"u","app.current_app_id":"x"}
    let token = token::KeySet::from_secret(b"reallyreallyreallyreallyverysafe")
        .sign(&json!({ "role": "authenticated", "tenant": 8, "sub": "u", "app.current_app_id": B }))
        .unwrap();
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("app.current_app_id", B),
        ("x-app-current-app-id", B),
        ("prefer", "app.current_app_id=x, timezone=UTC"),
        ("cookie", "app.current_app_id=x"),
    ];
    for (method, target) in
        [("GET", "/rpc/seen?app.current_app_id=eq.x"), ("GET", "/rpc/seen"), ("POST", "/rpc/seen")]
    {
        let answer = api.with_key(&bound, method, target, &headers, "").await;
        let seen: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        if target.contains('?') {
            assert_ne!(answer.status, StatusCode::OK);
            continue;
        }
        assert_eq!(seen["app"], A);
        assert_eq!(seen["plan"], "key", "the key's is over the project's");
        assert_eq!(seen["fixed"], "57");
        assert_eq!(seen["role"], "authenticated");
        assert_eq!((&seen["claims"]["tenant"], &seen["claims"]["sub"]), (&json!(7), &json!("u")));
    }
    // The next request of the session is not bound.
    let free: serde_json::Value = serde_json::from_str(&api.get("/rpc/seen").await.body).unwrap();
    assert_eq!((&free["app"], &free["plan"]), (&json!(""), &json!("project")));
}

#[tokio::test]
async fn the_pre_request_function_does_not_change_what_the_key_says() {
    let name = rest::schema::Name::new("api", "meddle");
    let api = Api::with(Settings { db_pre_request: Some(name), ..settings() }).await;
    api.database.connect().await.batch(APPS).await.unwrap();
    let bound = key(&[("app.current_app_id", A)], json!({ "tenant": 7 }));
    let answer = api.with_key(&bound, "GET", "/rpc/seen", &[], "").await;
    let seen: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&seen["app"], &seen["claims"]["tenant"]), (&json!(A), &json!(7)));
}

#[tokio::test]
async fn unset_and_malformed_settings_deny_in_words() {
    let api = api(settings()).await;
    let none = key(&[], json!({}));
    api.value(&format!("insert into api.app_data (app_id, word) values ('{A}', 'secret')")).await;
    api.value("insert into api.user_data values ('acme', 'secret')").await;
    api.value("create view api.shown with (security_invoker) as select word from api.user_data").await;
    api.value("grant select on api.shown to anon").await;
    // The first request of the session and the later ones say the same: PostgreSQL alone would not.
    for _ in 0..2 {
        for (method, target, body) in [
            ("GET", "/app_data", ""),
            ("POST", "/app_data", r#"{"word":"x"}"#),
            ("GET", "/user_data", ""),
            ("GET", "/shown", ""),
            ("POST", "/user_data", r#"{"word":"x"}"#),
            ("DELETE", "/user_data", ""),
        ] {
            let answer = api.with_key(&none, method, target, &[], body).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (StatusCode::BAD_REQUEST, "42704"),
                "{target}"
            );
            let name = if target == "/app_data" { "app.current_app_id" } else { "app.tenant_id" };
            let fault: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(fault["message"], format!("unrecognized configuration parameter \"{name}\""));
            assert!(
                fault["hint"].as_str().unwrap().contains(&format!("does not carry the setting '{name}'"))
            );
        }
        // Other tables are open to the key, and no policy concerns the owner.
        assert_eq!(api.with_key(&none, "GET", "/people", &[], "").await.status, StatusCode::OK);
        let answer = api.with_key(&app("nonsense"), "GET", "/app_data", &[], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "22P02"));
        assert!(answer.body.contains("setting 'app.current_app_id' of the API key"), "{}", answer.body);
    }
    let acme = key(&[("app.tenant_id", "acme")], json!({}));
    assert_eq!(
        api.with_key(&acme, "GET", "/user_data?select=word", &[], "").await.body,
        r#"[{"word":"secret"}]"#
    );
}
