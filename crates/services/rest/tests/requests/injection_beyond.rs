//! The attempts of `injection` from the places that only our own kinds of requests have: queries in bodies, operations
//! of batches, settings of keys, questions why.

use super::injection::{ATTEMPTS, TARGETS, armed, escaped, harmless, spellings, state};
use http::Request;
use model::Bound;
use serde_json::{Map, json};
use std::sync::Arc;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test]
async fn queries_in_bodies_run_nothing_else() {
    let api = armed().await;
    let before = state(&api).await;
    for attempt in ATTEMPTS {
        for spelling in spellings(attempt) {
            for target in TARGETS.iter().filter(|target| target.contains('?')) {
                let (path, query) = target.split_once('?').unwrap();
                let query = query.replace("{}", &escaped(&spelling));
                harmless(&api.send("QUERY", path, &[FORM], &query).await, &query);
            }
        }
        // As it is, too.
        let headers = [FORM, ("x-http-method-override", "GET")];
        harmless(&api.send("POST", "/todos", &headers, attempt).await, attempt);
        assert_eq!(state(&api).await, before, "{attempt}");
    }
}

#[tokio::test]
async fn operations_run_nothing_else() {
    let api = armed().await;
    let before = state(&api).await;
    for attempt in ATTEMPTS {
        let mut operations = Vec::new();
        for spelling in spellings(attempt) {
            for target in TARGETS {
                operations
                    .push(json!({ "method": "GET", "path": target.replace("{}", &escaped(&spelling)) }));
                operations.push(json!({ "method": "GET", "path": target.replace("{}", &spelling) }));
            }
        }
        operations.push(json!({ "method": attempt, "path": "/todos" }));
        operations.push(json!({ "method": "POST", "path": "/todos", "body": { attempt: 1 } }));
        operations.push(json!({ "method": "POST", "path": "/rpc/add_todo", "body": { attempt: 1 } }));
        for name in ["prefer", "accept", "accept-profile", "content-profile", "content-type", "range"] {
            let value = if name == "prefer" { format!("timezone={attempt}") } else { (*attempt).to_owned() };
            operations
                .push(json!({ "method": "POST", "path": "/todos", "headers": { name: value }, "body": {} }));
            operations.push(json!({ "method": "GET", "path": "/todos", "headers": { name: value } }));
        }
        for operation in operations {
            let body = json!([operation]).to_string();
            harmless(&api.send("POST", "/", &[("content-type", "application/json")], &body).await, &body);
        }
        assert_eq!(state(&api).await, before, "{attempt}");
    }
}

#[tokio::test]
async fn what_keys_say_runs_nothing_else() {
    let api = armed().await;
    api.value("create function api.said() returns json language sql stable as $$
        select json_build_array(current_setting('app.said', true), current_setting('request.jwt.claims')::json -> 'said') $$")
        .await;
    let before = state(&api).await;
    for attempt in ATTEMPTS.iter().filter(|attempt| !attempt.contains('\0')) {
        assert!(Bound::new([(format!("app.{attempt}"), "x".to_owned())], Map::new()).is_err(), "{attempt}");
        let claims = json!({ "said": attempt, *attempt: 1 }).as_object().cloned().unwrap();
        let bound = Bound::new([("app.said".to_owned(), (*attempt).to_owned())], claims).unwrap();
        let bound = bound.knowing(["app.missing"]);
        let request =
            Request::get("/rpc/said").extension(Arc::new(bound)).body(axum::body::Body::empty()).unwrap();
        let answer = api.answer(request).await;
        let said: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(said, json!([attempt, attempt]), "it arrives as it is");
        assert_eq!(state(&api).await, before, "{attempt}");
    }
}

#[tokio::test]
async fn questions_run_nothing_else() {
    let api = armed().await;
    let before = state(&api).await;
    for attempt in ATTEMPTS.iter().filter(|attempt| !attempt.contains('\0')) {
        let asked = format!("application/vnd.rowhouse.explain+json; for=\"{attempt}\"");
        let plain = ("accept", "application/vnd.rowhouse.explain+json");
        let claims = json!({ "role": attempt, *attempt: attempt }).to_string();
        let settings = json!({ "app.x": attempt }).to_string();
        let bad = json!({ format!("app.{attempt}"): "x" }).to_string();
        for headers in [
            vec![("accept", asked.as_str())],
            vec![plain, ("x-rowhouse-claims", claims.as_str())],
            vec![plain, ("x-rowhouse-settings", settings.as_str())],
            vec![plain, ("x-rowhouse-settings", bad.as_str())],
            vec![plain, ("x-rowhouse-token", attempt)],
        ] {
            for target in
                ["/todos", &format!("/todos?select=title&title=eq.{}", escaped(attempt)), "/rpc/whoami"]
            {
                harmless(&api.send_as(Some("service_role"), "GET", target, &headers, "").await, attempt);
            }
        }
        assert_eq!(state(&api).await, before, "{attempt}");
    }
}
