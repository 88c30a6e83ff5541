use super::Api;
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

fn bearer(claims: Value) -> String {
    let key = EncodingKey::from_secret(b"reallyreallyreallyreallyverysafe");
    format!("Bearer {}", encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap())
}

async fn whoami(api: &Api, caller: Option<&str>, headers: &[(&str, &str)]) -> Value {
    let answer = api.send_as(caller, "GET", "/rpc/whoami", headers, "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

#[tokio::test]
async fn the_transaction_knows_who_asks_for_what() {
    let api = Api::new().await;
    let token = bearer(json!({ "role": "authenticated", "sub": "u1" }));
    let seen = whoami(&api, None, &[("authorization", &token), ("x-one", "1"), ("cookie", "a=b; c=d")]).await;
    let expected = json!({
        "role": "authenticated", "claims": { "role": "authenticated", "sub": "u1" }, "path": "/rpc/whoami",
        "header": "1", "cookies": { "a": "b", "c": "d" }, "fixed": "57", "search_path": "\"api\"", "read_only": "on",
    });
    assert_eq!(seen, expected);
    let seen = whoami(&api, None, &[]).await;
    assert_eq!((&seen["role"], &seen["claims"]), (&json!("anon"), &json!({ "role": "anon" })));
}

#[tokio::test]
async fn a_caller_that_the_gateway_knows_is_believed() {
    let api = Api::new().await;
    let seen = whoami(&api, Some("stranger"), &[("authorization", "Bearer nonsense")]).await;
    assert_eq!(seen["role"], "stranger");
}

#[tokio::test]
async fn tokens_that_do_not_hold_are_refused() {
    let api = Api::new().await;
    for (claims, code) in [
        (json!({ "role": "authenticated", "exp": 1 }), "PGRST303"),
        (json!({ "role": "no_such_role" }), "22023"),
    ] {
        let token = bearer(claims);
        let answer = api.send("GET", "/people", &[("authorization", &token)], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, code));
    }
    let answer = api.send("GET", "/people", &[("authorization", "Bearer a.b.c")], "").await;
    assert_eq!(answer.code(), "PGRST301");
    assert!(answer.header("www-authenticate").starts_with("Bearer error=\"invalid_token\""));
}
