//! Trying a hook: it is asked once, with an example, and what it says is judged as a request would judge it.
//!
//! A function is called in a transaction that is undone. A server cannot be: it is told by a header that nobody waits
//! for what it does.

use super::{claims_of, example, function, parsed, refused, rejection, server};
use crate::Auth;
use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::settings::{Hook, HookFunction, HookTarget};
use crate::store::db::first;
use crate::store::records::User;
use crate::store::users;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Uri};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// Says to a server that this is no request of anybody.
const TRIAL: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-rowhouse-trial"), HeaderValue::from_static("true"));
/// Characters of an answer that are shown.
const SHOWN_MAX: usize = 4000;

/// What came of trying a hook.
#[derive(Debug, Clone, Serialize)]
pub struct HookTrial {
    /// Its name in `config.toml`.
    pub hook: &'static str,
    /// Where it is, without what may be secret in an address.
    pub address: String,
    /// The status of a server's answer.
    pub status: Option<u16>,
    /// How long it took.
    pub milliseconds: u64,
    /// What it said.
    pub answer: Option<String>,
    /// Whether requests can use such an answer.
    pub acceptable: bool,
    /// What a request would make of it.
    pub verdict: String,
    /// How to mend it.
    pub hint: Option<String>,
    /// What it was sent.
    pub payload: Value,
}

/// Why nothing was tried.
#[derive(Debug)]
pub enum TrialError {
    /// There is no such hook; there are others.
    Unknown(String, String),
    /// The project does not have it.
    Unset(&'static str),
    /// The user is not there.
    NoUser(String),
    /// The database did not say who the user is.
    Database(pg::Error),
}

impl std::fmt::Display for TrialError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TrialError::Unknown(name, others) => write!(f, "there is no hook {name}; there are {others}"),
            TrialError::Unset(name) => write!(f, "the project has no hook {name}"),
            TrialError::NoUser(user) => write!(f, "the project has no user {user}"),
            TrialError::Database(error) => write!(f, "the database does not answer: {error}"),
        }
    }
}

impl std::error::Error for TrialError {}

impl From<pg::Error> for TrialError {
    fn from(error: pg::Error) -> Self {
        TrialError::Database(error)
    }
}

/// What a hook said, and what is to be made of that.
#[derive(Default)]
struct Heard {
    status: Option<u16>,
    answer: Option<Bytes>,
    /// Why a request would fail, and how to mend it.
    failure: Option<(String, Option<String>)>,
}

impl Auth {
    /// Tries a hook of the project, by its name in `config.toml`. `user` is an id or an address of somebody whom it
    /// is told of; without one it is told of somebody made up.
    ///
    /// # Errors
    /// When there is nothing to try. What the hook itself does wrong is in the result.
    pub async fn try_hook(&self, hook: &str, user: Option<&str>) -> Result<HookTrial, TrialError> {
        let wanted = hook.replace('-', "_");
        let all = self.settings.hooks.all();
        let Some((name, hook)) = all.into_iter().find(|(name, _)| *name == wanted) else {
            let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
            return Err(TrialError::Unknown(hook.to_owned(), names.join(", ")));
        };
        let hook = hook.ok_or(TrialError::Unset(name))?;
        let now = Moment::from_system(self.clock.now());
        let user = match user {
            Some(user) => self.known(user).await?,
            None => example::user(now),
        };
        let (kind, input) = example::input(name, user, &self.settings, now);
        let metadata =
            json!({ "uuid": Uuid::new_v4(), "time": now, "name": kind, "ip_address": "127.0.0.1" });
        let mut payload = Map::from_iter([("metadata".to_owned(), metadata)]);
        payload.extend(input);
        let payload = Value::Object(payload);
        let start = Instant::now();
        let heard = match &hook.target {
            HookTarget::Function(function) => self.call_function(function, payload.to_string()).await,
            HookTarget::Url(url) => self.call_server(hook, url, payload.to_string().into()).await,
        };
        Ok(judged(name, hook, payload, heard, start.elapsed()))
    }

    async fn known(&self, user: &str) -> Result<Value, TrialError> {
        let step = match user.parse::<Uuid>() {
            Ok(id) => users::by_id(id),
            Err(_) => users::by_email(&user.to_lowercase(), &self.settings.jwt_audience),
        };
        let found: Option<User> = first(&self.db.one(step).await?)?;
        let found = found.ok_or_else(|| TrialError::NoUser(user.to_owned()))?;
        Ok(serde_json::to_value(found).unwrap_or_default())
    }

    async fn call_function(&self, function: &HookFunction, payload: String) -> Heard {
        match self.db.begin(function::steps(function, payload)).await {
            Ok((unit, results)) => {
                if let Err(error) = unit.rollback().await {
                    tracing::warn!(%error, "the trial of a hook was not undone in order");
                }
                Heard { answer: function::said(&results), ..Heard::default() }
            }
            Err(error) => Heard { failure: Some(raised(function, &error)), ..Heard::default() },
        }
    }

    async fn call_server(&self, hook: &Hook, url: &Uri, payload: Bytes) -> Heard {
        let failed = |why: String, hint: Option<&str>| Heard {
            failure: Some((why, hint.map(str::to_owned))),
            ..Heard::default()
        };
        let mut request = match server::signed(self, hook, url, payload) {
            Ok(request) => request,
            Err(refusal) => return failed(shown(&refusal), None),
        };
        request.headers_mut().insert(TRIAL.0, TRIAL.1);
        let timeout = self.settings.hooks.pace.timeout;
        let limits = outbound::Limits { timeout, body: server::ANSWER_BYTES_MAX };
        let answer = match self.settings.outbound.send(request, limits).await {
            Ok(answer) => answer,
            Err(error) => {
                let hint = matches!(error, outbound::Error::Address(_)).then_some(
                    "servers of hooks must be on the public internet, unless the platform runs with --outbound-anywhere",
                );
                return failed(error.to_string(), hint);
            }
        };
        let (status, body) = (answer.status().as_u16(), answer.body().clone());
        let comes_back = server::asks_to_come_back(&answer);
        let failure = server::read(answer).err().map(|refusal| (shown(&refusal), remedy(status, comes_back)));
        // What has no status of an answer says nothing, whatever its body is.
        let answer = (status != 204).then_some(body);
        Heard { status: Some(status), answer, failure }
    }
}

/// Weighs what was heard as a request does.
fn judged(name: &'static str, hook: &Hook, payload: Value, heard: Heard, took: Duration) -> HookTrial {
    let answer = heard.answer.as_deref().map(String::from_utf8_lossy);
    let (acceptable, verdict, hint) = match heard.failure {
        Some((why, hint)) => (false, format!("requests fail: {why}"), hint),
        None => match understood(name, &payload, heard.answer.as_deref()) {
            Ok((verdict, hint)) => (true, verdict, hint),
            Err((why, hint)) => (false, format!("requests fail: {why}"), hint),
        },
    };
    HookTrial {
        hook: name,
        address: hook.to_string(),
        status: heard.status,
        milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        answer: answer.map(|answer| answer.chars().take(SHOWN_MAX).collect()),
        acceptable,
        verdict,
        hint,
        payload,
    }
}

/// What an answer means, or why it means nothing; and what to do about it.
type Meaning = (String, Option<String>);

fn understood(name: &str, payload: &Value, answer: Option<&[u8]>) -> Result<Meaning, Meaning> {
    let said = parsed(answer).map_err(|refusal| {
        (shown(&refusal), Some("the answer has to be a JSON object, or nothing with status 204".to_owned()))
    })?;
    if let Some(refusal) = refused(&said) {
        return Ok((format!("requests are refused: {}", shown(&refusal)), None));
    }
    let empty_error = said.get("error").is_some();
    let ignored = empty_error.then(|| {
        "an error without a text in \"message\" refuses nothing: {\"error\": {\"http_code\": 403, \"message\": \"…\"}}"
            .to_owned()
    });
    match name {
        "custom_access_token" => {
            let lost = said.get("claims").is_none() && said.get("sub").is_some();
            let hint = lost.then(|| "the claims belong below \"claims\": {\"claims\": {…}}".to_owned());
            let claims = claims_of(said).map_err(|refusal| (shown(&refusal), hint.or(ignored.clone())))?;
            Ok((format!("tokens get these claims{}", changes(&payload["claims"], &claims)), ignored))
        }
        "password_verification_attempt" | "mfa_verification_attempt" => {
            if let Some(message) = rejection(&said, "(the default message)") {
                return Ok((format!("attempts are rejected: {message}"), None));
            }
            let is_known = said.get("decision").and_then(Value::as_str) == Some("continue");
            let hint = (!is_known).then(|| {
                "\"decision\" is neither \"continue\" nor \"reject\", which counts as \"continue\"".to_owned()
            });
            Ok(("attempts go on".to_owned(), ignored.or(hint)))
        }
        "before_user_created" => Ok(("the user may be made".to_owned(), ignored)),
        "after_user_created" => Ok(("the news is taken".to_owned(), ignored)),
        _ => Ok(("the message counts as sent".to_owned(), ignored)),
    }
}

/// The names of claims that a hook has added, changed and left out.
fn changes(before: &Value, after: &Value) -> String {
    let names = |of: &Value, fits: &dyn Fn(&str, &Value) -> bool| -> String {
        let all = of.as_object().into_iter().flatten();
        all.filter(|(name, value)| fits(name, value))
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let parts = [
        ("added", names(after, &|name, _| before.get(name).is_none())),
        ("changed", names(after, &|name, value| before.get(name).is_some_and(|was| was != value))),
        ("removed", names(before, &|name, _| after.get(name).is_none())),
    ];
    let told = parts.iter().filter(|(_, names)| !names.is_empty());
    told.map(|(what, names)| format!("; {what}: {names}")).collect()
}

fn shown(refusal: &Refusal) -> String {
    format!("{} {}", refusal.fault.status.as_u16(), refusal.fault.message.trim_end())
}

/// What to do about a status that is no answer.
fn remedy(status: u16, comes_back: bool) -> Option<String> {
    let hint = match status {
        _ if comes_back => "a request tries three times when the answer has Retry-After",
        200 | 202 => "the answer needs Content-Type: application/json, and 200 KiB at most",
        300..=399 => "redirects are not followed: set the address that answers",
        400 | 401 | 403 => {
            "requests are signed as Standard Webhooks has it: webhook-signature is over id.timestamp.body with the key after v1,whsec_"
        }
        404 | 405 => "it is asked by POST, at exactly this address",
        _ => "a hook refuses with status 200 and {\"error\": {\"http_code\": 403, \"message\": \"…\"}}",
    };
    Some(hint.to_owned())
}

/// What PostgreSQL said of a function, which its owner may know.
fn raised(function: &HookFunction, error: &pg::Error) -> (String, Option<String>) {
    let quoted = |text: &str| sql::quote_ident(text);
    let name = format!("{}.{}", quoted(&function.schema), quoted(&function.name));
    let hint = match error.sqlstate() {
        // SQL text: advice for people, never run.
        Some("42883") => Some(format!("create function {name}(event jsonb) returns jsonb …")),
        Some("3F000") => Some(format!("there is no schema {}", quoted(&function.schema))),
        Some("42501") => Some(format!(
            "it runs as supabase_auth_admin: grant usage on schema {} to supabase_auth_admin; grant execute on function {name} to supabase_auth_admin; what it reads needs grants as well, or the function security definer",
            quoted(&function.schema)
        )),
        Some("57014") => Some("it may take two seconds".to_owned()),
        _ => None,
    };
    let said = error
        .db()
        .map_or_else(|| error.to_string(), |report| format!("{} ({})", report.message, report.code));
    (said, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(name: &str, answer: Value) -> Result<Meaning, Meaning> {
        let claims = json!({
            "aud": "authenticated", "exp": 1, "iat": 1, "sub": "x", "email": "", "phone": "", "role": "x",
            "aal": "aal1", "session_id": "x", "is_anonymous": false,
        });
        understood(name, &json!({ "claims": claims }), Some(answer.to_string().as_bytes()))
    }

    #[test]
    fn answers_mean_what_requests_make_of_them() {
        let (verdict, hint) =
            meaning("password_verification_attempt", json!({ "decision": "reject" })).unwrap();
        assert_eq!((verdict.as_str(), hint), ("attempts are rejected: (the default message)", None));
        let (verdict, hint) = meaning("mfa_verification_attempt", json!({ "decision": "ok" })).unwrap();
        assert!(verdict == "attempts go on" && hint.unwrap().contains("continue"));
        let (verdict, _) =
            meaning("before_user_created", json!({ "error": { "http_code": 403, "message": "no" } }))
                .unwrap();
        assert_eq!(verdict, "requests are refused: 403 no");
        let (verdict, hint) = meaning("send_sms", json!({ "error": { "http_code": 403 } })).unwrap();
        assert!(verdict == "the message counts as sent" && hint.unwrap().contains("message"));
        assert!(meaning("send_sms", json!([])).is_err());
        assert!(understood("send_email", &Value::Null, None).is_ok());
    }

    #[test]
    fn claims_are_compared_and_their_wrapper_is_missed() {
        let same = json!({
            "aud": "authenticated", "exp": 1, "iat": 1, "sub": "x", "email": "", "phone": "1", "role": "x",
            "aal": "aal1", "session_id": "x", "is_anonymous": false, "tenant": "blue",
        });
        let (verdict, hint) = meaning("custom_access_token", json!({ "claims": same })).unwrap();
        assert_eq!(
            (verdict.as_str(), hint),
            ("tokens get these claims; added: tenant; changed: phone", None)
        );
        let (why, hint) = meaning("custom_access_token", same).unwrap_err();
        assert_eq!(why, "500 output claims field is missing");
        assert!(hint.unwrap().contains("below \"claims\""));
        let (why, _) = meaning("custom_access_token", json!({ "claims": { "sub": "x" } })).unwrap_err();
        assert!(why.contains("role is required"), "{why}");
    }
}
