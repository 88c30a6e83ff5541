//! Hooks: functions of the project's own database that take part in a decision.
//!
//! They run as the service's role, in a transaction of their own, and for two seconds at most.

use crate::Auth;
use crate::call::Call;
use crate::refusal::{Outcome, Refusal, Shape, database, refuse};
use crate::settings::HookFunction;
use crate::store::db::Step;
use fault::Fault;
use http::StatusCode;
use serde_json::{Map, Value, json};
use sql::{Fragment, Ident};
use uuid::Uuid;

/// The SQLSTATE of a statement that took too long.
const CANCELLED: &str = "57014";

/// Asks a hook and returns what it says. Its refusal is the request's.
pub(crate) async fn ask(
    auth: &Auth,
    call: &Call,
    function: &HookFunction,
    name: &'static str,
    mut input: Map<String, Value>,
) -> Outcome<Value> {
    let ip = call.ip_text();
    let metadata = json!({ "uuid": Uuid::new_v4(), "time": call.now, "name": name, "ip_address": ip });
    input.insert("metadata".to_owned(), metadata);
    let mut select = Fragment::new();
    select.push("select ").ident(&Ident::new(&*function.schema)).push(".");
    select.ident(&Ident::new(&*function.name)).push("(").bind(Value::Object(input).to_string());
    select.push("::jsonb)");
    let steps =
        vec![Step::new("select set_config('statement_timeout', '2000', true)", []), Step::built(select)];
    let results = auth.db.run(steps).await.map_err(|error| failed(function, error))?;
    let said = results.last().and_then(|rows| rows.first()).and_then(|row| row.text(0)).unwrap_or_default();
    let said = if said.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(said).map_err(|error| broken(function, error))?
    };
    match refused(&said) {
        Some(refusal) => Err(refusal),
        None => Ok(said),
    }
}

fn broken(function: &HookFunction, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Refusal {
    let message = format!("Error running hook URI: {function}");
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message).caused_by(cause).into()
}

fn failed(function: &HookFunction, error: pg::Error) -> Refusal {
    if error.sqlstate() == Some(CANCELLED) {
        return refuse(422, "hook_timeout", "Failed to run hook within maximum time of 2.000000 seconds");
    }
    let known = database("Error running hook");
    let refusal = if error.db().is_some() { known(error) } else { return broken(function, error) };
    // What the function itself raised is shown as it is; that it is missing or not granted is not.
    if refusal.shape == Shape::Database {
        return refusal;
    }
    let Refusal { mut fault, shape } = refusal;
    fault.message = format!("Error running hook URI: {function}");
    Refusal { fault, shape }
}

/// `{"error": {"http_code": n, "message": "…"}}`: an error without a message is none.
fn refused(said: &Value) -> Option<Refusal> {
    let error = said.get("error")?;
    let message = error.get("message")?.as_str().filter(|message| !message.is_empty())?;
    let status = error.get("http_code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let status = status.filter(|status| (400..=599).contains(status)).unwrap_or(500);
    let code = if status == 500 { "unexpected_failure" } else { "unknown" };
    Some(refuse(status, code, message))
}

/// Lets the hook change the claims of an access token.
pub(crate) async fn claims(
    auth: &Auth,
    call: &Call,
    user: Uuid,
    claims: Value,
    method: &str,
) -> Outcome<Value> {
    let Some(function) = &auth.settings.hooks.custom_access_token else { return Ok(claims) };
    let mut input = Map::new();
    input.insert("user_id".to_owned(), json!(user));
    input.insert("claims".to_owned(), claims);
    input.insert("authentication_method".to_owned(), json!(method));
    let mut said = ask(auth, call, function, "customize-access-token", input).await?;
    let bad = |why: String| refuse(500, "unexpected_failure", why);
    let claims = said.get_mut("claims").map(Value::take);
    let claims = claims.ok_or_else(|| bad("output claims field is missing".to_owned()))?;
    let wrong = wrong_claims(&claims);
    if wrong.is_empty() {
        return Ok(claims);
    }
    let list: String = wrong.iter().map(|why| format!("- {why}\n")).collect();
    Err(bad(format!("output claims do not conform to the expected schema: \n{list}")))
}

/// What a token cannot be without, and what it may have in one form only.
fn wrong_claims(claims: &Value) -> Vec<String> {
    const REQUIRED: [&str; 10] =
        ["aud", "exp", "iat", "sub", "email", "phone", "role", "aal", "session_id", "is_anonymous"];
    const INTEGERS: [&str; 3] = ["exp", "iat", "nbf"];
    const TEXTS: [&str; 9] =
        ["jti", "iss", "sub", "email", "phone", "role", "aal", "session_id", "client_id"];
    let Some(claims) = claims.as_object() else {
        return vec!["(root): Invalid type. Expected: object".to_owned()];
    };
    let missing = REQUIRED.into_iter().filter(|name| !claims.contains_key(*name));
    let mut wrong: Vec<String> = missing.map(|name| format!("(root): {name} is required")).collect();
    let mut expect = |name: &str, kind: &str, fits: fn(&Value) -> bool| {
        if claims.get(name).is_some_and(|value| !fits(value)) {
            wrong.push(format!("{name}: Invalid type. Expected: {kind}"));
        }
    };
    expect("aud", "string/array", |value| value.is_string() || value.is_array());
    INTEGERS.into_iter().for_each(|name| expect(name, "integer", |value| value.is_i64() || value.is_u64()));
    TEXTS.into_iter().for_each(|name| expect(name, "string", Value::is_string));
    ["app_metadata", "user_metadata"].into_iter().for_each(|name| expect(name, "object", Value::is_object));
    expect("amr", "array", Value::is_array);
    wrong
}

/// What a hook says of an attempt to sign in with a password.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) message: String,
    pub(crate) logs_out: bool,
}

/// Tells the hook of an attempt; nothing when it has no objection.
pub(crate) async fn password_attempt(
    auth: &Auth,
    call: &Call,
    user: Uuid,
    valid: bool,
) -> Outcome<Option<Rejection>> {
    let Some(function) = &auth.settings.hooks.password_verification_attempt else { return Ok(None) };
    let mut input = Map::new();
    input.insert("user_id".to_owned(), json!(user));
    input.insert("valid".to_owned(), json!(valid));
    let said = ask(auth, call, function, "password-verification", input).await?;
    if said.get("decision").and_then(Value::as_str) != Some("reject") {
        return Ok(None);
    }
    let message = said.get("message").and_then(Value::as_str).filter(|message| !message.is_empty());
    let message = message.unwrap_or("Further password verification attempts will be rejected.").to_owned();
    let logs_out = said.get("should_logout_user").and_then(Value::as_bool).unwrap_or(false);
    Ok(Some(Rejection { message, logs_out }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_keep_what_tokens_need() {
        let good = json!({
            "aud": "authenticated", "exp": 1, "iat": 1, "sub": "x", "email": "", "phone": "", "role": "x",
            "aal": "aal1", "session_id": "x", "is_anonymous": false, "more": [1],
        });
        assert_eq!(wrong_claims(&good), Vec::<String>::new());
        let mut bad = good.clone();
        bad["exp"] = json!("soon");
        bad.as_object_mut().unwrap().remove("role");
        assert_eq!(wrong_claims(&bad), ["(root): role is required", "exp: Invalid type. Expected: integer"]);
        assert_eq!(wrong_claims(&json!([])).len(), 1);
    }

    #[test]
    fn only_errors_with_a_message_refuse() {
        let status = |said: Value| refused(&said).map(|refusal| refusal.fault.status.as_u16());
        assert_eq!(status(json!({ "error": { "http_code": 403, "message": "no" } })), Some(403));
        assert_eq!(status(json!({ "error": { "message": "no" } })), Some(500));
        assert_eq!(status(json!({ "error": { "http_code": 200, "message": "no" } })), Some(500));
        assert_eq!(status(json!({ "error": { "http_code": 403 } })), None);
        assert_eq!(status(json!({})), None);
    }
}
