//! Hooks: functions of the project's own database, or servers of its owner, that take part in a decision.

mod example;
mod function;
mod server;
mod trial;

pub use trial::{HookTrial, TrialError};

use crate::Auth;
use crate::call::Call;
use crate::refusal::{Outcome, Refusal, database, internal, refuse};
use crate::settings::{Hook, HookTarget};
use crate::store::db::{Unit, first};
use crate::store::records::User;
use crate::store::users::{self, NewUser};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Asks a hook and returns what it says. Its refusal is the request's.
pub(crate) async fn ask(
    auth: &Auth,
    call: &Call,
    hook: &Hook,
    name: &'static str,
    input: Map<String, Value>,
) -> Outcome<Value> {
    ask_in(auth, call, hook, name, input, None).await
}

/// The same, while a transaction is open; a function is called in it.
pub(crate) async fn ask_in(
    auth: &Auth,
    call: &Call,
    hook: &Hook,
    name: &'static str,
    input: Map<String, Value>,
    unit: Option<&mut Unit>,
) -> Outcome<Value> {
    let ip = call.ip_text();
    let mut metadata = json!({ "uuid": Uuid::new_v4(), "time": call.now, "name": name });
    if !ip.is_empty() {
        metadata["ip_address"] = json!(ip);
    }
    let mut payload = Map::from_iter([("metadata".to_owned(), metadata)]);
    payload.extend(input);
    let payload = Value::Object(payload).to_string();
    let said = match &hook.target {
        HookTarget::Function(function) => Box::pin(function::ask(auth, function, payload, unit)).await?,
        HookTarget::Url(url) => Box::pin(server::ask(auth, hook, url, Bytes::from(payload))).await?,
    };
    let said = parsed(said.as_deref())?;
    match refused(&said) {
        Some(refusal) => Err(refusal),
        None => Ok(said),
    }
}

/// An answer: an object, or nothing.
fn parsed(said: Option<&[u8]>) -> Outcome<Value> {
    let Some(said) = said else { return Ok(Value::Null) };
    let said: Value =
        serde_json::from_slice(said).map_err(|error| internal("Error unmarshaling JSON output.", error))?;
    if !(said.is_object() || said.is_null()) {
        return Err(internal("Error unmarshaling JSON output.", "the hook did not answer with an object"));
    }
    Ok(said)
}

/// Asks whether somebody may become a user.
pub(crate) async fn before_user_created(
    auth: &Auth,
    call: &Call,
    new: &NewUser,
    unit: Option<&mut Unit>,
) -> Outcome<()> {
    const NEVER: &str = "0001-01-01T00:00:00Z";
    let Some(hook) = &auth.settings.hooks.before_user_created else { return Ok(()) };
    let user = json!({
        "id": new.id,
        "aud": new.audience,
        "role": "",
        "email": new.email,
        "phone": new.phone,
        "app_metadata": new.app_metadata,
        "user_metadata": new.user_metadata,
        "identities": [],
        "created_at": NEVER,
        "updated_at": NEVER,
        "is_anonymous": new.is_anonymous,
    });
    let input = Map::from_iter([("user".to_owned(), user)]);
    ask_in(auth, call, hook, "before-user-created", input, unit).await.map(drop)
}

/// Tells of a new user. What the hook objects to is the request's failure; the user is there all the same.
pub(crate) async fn after_user_created(auth: &Auth, call: &Call, user: Uuid) -> Outcome<()> {
    const FAILED: &str = "Database error finding user";
    let Some(hook) = &auth.settings.hooks.after_user_created else { return Ok(()) };
    let rows = auth.db.one(users::by_id(user)).await.map_err(database(FAILED))?;
    let user: Option<User> = first(&rows).map_err(database(FAILED))?;
    let user = serde_json::to_value(user).map_err(|error| internal("Unexpected failure", error))?;
    let input = Map::from_iter([("user".to_owned(), user)]);
    ask(auth, call, hook, "after-user-created", input).await.map(drop)
}

/// Tells the hook of an attempt to prove a second factor; the message when it rejects.
pub(crate) async fn factor_attempt(
    auth: &Auth,
    call: &Call,
    user: Uuid,
    (factor, kind): (Uuid, &str),
    valid: bool,
) -> Outcome<Option<String>> {
    let Some(hook) = &auth.settings.hooks.mfa_verification_attempt else { return Ok(None) };
    let input = json!({ "user_id": user, "factor_id": factor, "factor_type": kind, "valid": valid });
    let input = input.as_object().cloned().unwrap_or_default();
    let said = ask(auth, call, hook, "mfa-verification", input).await?;
    Ok(rejection(&said, "Further MFA verification attempts will be rejected."))
}

/// The message of a hook that rejects.
fn rejection(said: &Value, default: &str) -> Option<String> {
    if said.get("decision").and_then(Value::as_str) != Some("reject") {
        return None;
    }
    let message = said.get("message").and_then(Value::as_str).filter(|message| !message.is_empty());
    Some(message.unwrap_or(default).to_owned())
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
    claims_of(ask(auth, call, function, "customize-access-token", input).await?)
}

/// The claims of an answer, if a token can have them.
fn claims_of(mut said: Value) -> Outcome<Value> {
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
    let Some(message) = rejection(&said, "Further password verification attempts will be rejected.") else {
        return Ok(None);
    };
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
