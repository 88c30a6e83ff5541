//! `GET` and `POST /verify`: a code or a link comes back, and with it the proof of an address.

use super::confirm_page;
use super::proven::{confirm_steps, half_steps, needs_both, told_steps};
use crate::Auth;
use crate::call::Call;
use crate::flow::one_time::{self, PKCE_PREFIX};
use crate::flow::{address, redirect};
use crate::guard::audience;
use crate::handover;
use crate::issue::{Grant, NewSession};
use crate::message;
use crate::moment::Moment;
use crate::refusal::{Outcome, Refusal, Shape, database, invalid, refuse};
use crate::reply;
use crate::sms;
use crate::store::db::{Step, Unit, first, last};
use crate::store::flow_states;
use crate::store::one_time_tokens;
use crate::store::records::User;
use crate::store::users::{self, Patch};
use axum::body::Body;
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

const HALF_DONE: &str = "Confirmation link accepted. Please proceed to confirm link sent to the other email";
const FAILED: &str = "Database error updating user";

#[derive(Debug, Default, Deserialize)]
struct Params {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    token_hash: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    redirect_to: Option<String>,
}

/// What the caller presents.
#[derive(Debug)]
pub(super) enum Proof {
    /// The hash of a link.
    Hash(String),
    /// A code and the address it went to.
    Mailed {
        email: String,
        hash: String,
    },
    Texted {
        phone: String,
        code: String,
        hash: String,
    },
}

impl Proof {
    /// The address that a code went to; empty for links.
    fn address(&self) -> &str {
        match self {
            Proof::Hash(_) => "",
            Proof::Mailed { email, .. } => email,
            Proof::Texted { phone, .. } => phone,
        }
    }
}

/// What a proof is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Signup,
    Recovery,
    EmailChange,
    Sms,
    PhoneChange,
}

/// How it ends.
enum Verified {
    Session(Box<Grant>),
    /// A code for the PKCE exchange.
    Code(String),
    /// One half of a change of address.
    Half,
}

pub(super) async fn post(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    if auth.settings.mail.confirm_page && confirm_page::is_pressed(call) {
        return follow(auth, call).await;
    }
    let params: Params = call.json()?;
    let kind = params.kind.clone().unwrap_or_default();
    if kind.is_empty() {
        return Err(invalid("Verify requires a verification type"));
    }
    let proof = proof(params)?;
    match verify(auth, call, &kind, &proof, None).await? {
        Verified::Session(grant) => Ok(grant.respond()),
        Verified::Half | Verified::Code(_) => Ok(reply::ok(&json!({ "code": "200", "msg": HALF_DONE }))),
    }
}

pub(super) async fn get(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    if auth.settings.mail.confirm_page && !call.query("type").is_empty() && !call.query("token").is_empty() {
        return Ok(confirm_page::show(call.query("type")));
    }
    follow(auth, call).await
}

/// Uses a link up.
async fn follow(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let (kind, token) = (call.query("type"), call.query("token"));
    if kind.is_empty() {
        return Err(invalid("Verify requires a verification type"));
    }
    if token.is_empty() {
        return Err(invalid("Verify requires a token or a token hash"));
    }
    let target = message::redirect_target(auth, call);
    let pkce = token.starts_with(PKCE_PREFIX);
    let method = if pkce { Some(flow_method(kind)?) } else { None };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let location = match verify(auth, call, kind, &Proof::Hash(token.to_owned()), method).await {
        Ok(Verified::Session(grant)) => {
            response = grant.with_headers(response);
            grant.redirect(&target, &[("type", kind)])
        }
        Ok(Verified::Code(code)) => redirect::with_query(&target, &[("code", &code)]),
        Ok(Verified::Half) => half_done(&target, pkce),
        Err(refusal) if refusal.shape == Shape::Coded => refused(&target, &refusal, pkce),
        Err(refusal) => return Err(refusal),
    };
    reply::set(&mut response, "location", &location);
    Ok(response)
}

/// The method of the flow that a link of this type ends.
fn flow_method(kind: &str) -> Outcome<&'static str> {
    Ok(match kind {
        "signup" => "email/signup",
        "invite" => "invite",
        "recovery" => "recovery",
        "magiclink" => "magiclink",
        "email_change" => "email_change",
        _ => return Err(invalid("Unsupported verification type")),
    })
}

fn half_done(target: &str, pkce: bool) -> String {
    let target =
        if pkce { redirect::with_query(target, &[("message", HALF_DONE)]) } else { target.to_owned() };
    redirect::with_fragment(&target, &[("message", HALF_DONE), ("sb", "")])
}

fn refused(target: &str, refusal: &Refusal, pkce: bool) -> String {
    let fault = &refusal.fault;
    let mut pairs = vec![("error_code", fault.code.as_ref()), ("error_description", fault.message.as_str())];
    let error = match fault.status.as_u16() {
        400 => Some("invalid_request"),
        401 => Some("unauthorized_client"),
        403 => Some("access_denied"),
        500 => Some("server_error"),
        503 => Some("temporarily_unavailable"),
        _ => None,
    };
    pairs.extend(error.map(|error| ("error", error)));
    let target = if pkce { redirect::with_query(target, &pairs) } else { target.to_owned() };
    pairs.push(("sb", ""));
    redirect::with_fragment(&target, &pairs)
}

fn proof(params: Params) -> Outcome<Proof> {
    let (email, phone) = (params.email.unwrap_or_default(), params.phone.unwrap_or_default());
    let code = params.token.unwrap_or_default();
    let hash = params.token_hash.unwrap_or_default();
    match (code.is_empty(), hash.is_empty()) {
        (true, true) | (false, false) => Err(invalid("Verify requires either a token or a token hash")),
        (true, false) => {
            if !email.is_empty() || !phone.is_empty() || params.redirect_to.is_some_and(|to| !to.is_empty()) {
                return Err(invalid("Only the token_hash and type should be provided"));
            }
            Ok(Proof::Hash(hash))
        }
        (false, true) => match (email.is_empty(), phone.is_empty()) {
            (true, false) => {
                let phone = address::phone(&phone)?;
                let hash = one_time::hash(&phone, &code);
                Ok(Proof::Texted { phone, code, hash })
            }
            (false, true) => {
                let email = address::email(&email)
                    .map_err(|_| refuse(422, "validation_failed", "Invalid email format"))?;
                let hash = one_time::hash(&email, &code);
                Ok(Proof::Mailed { email, hash })
            }
            _ => Err(invalid("Only an email address or phone number should be provided on verify")),
        },
    }
}

async fn verify(
    auth: &Auth,
    call: &Call,
    kind: &str,
    proof: &Proof,
    flow: Option<&'static str>,
) -> Outcome<Verified> {
    let find = find(kind, proof, &audience(&auth.settings, call, None))?;
    let approved = approved(auth, call, kind, proof, &find).await?;
    // Locked, so that of two who bring the same code only the first finds it.
    let (unit, results) =
        auth.db.begin(vec![find.locking("u")]).await.map_err(database("Database error finding user"))?;
    let user: Option<User> = results.first().map(first).transpose().map_err(database(FAILED))?.flatten();
    let (kind, user) = match accept(auth, call, (kind, approved), proof, user.as_ref()) {
        Ok(kind) => (kind, user.ok_or_else(|| wrong(proof))?),
        Err(refusal) => {
            let steps = guess_steps(auth, call, proof, user.as_ref());
            if steps.is_empty() {
                unit.rollback().await.map_err(database(FAILED))?;
            } else {
                unit.commit(steps).await.map_err(database(FAILED))?;
            }
            return Err(refusal);
        }
    };
    auth.limits.forget_wrong_codes(proof.address());
    if kind == Kind::EmailChange && needs_both(auth, &user) {
        let steps = half_steps(&user, proof, call.now);
        unit.commit(steps).await.map_err(database(FAILED))?;
        return Ok(Verified::Half);
    }
    let mut steps = confirm_steps(auth, call, kind, &user).await?;
    steps.extend(told_steps(auth, call, kind, &user));
    steps.push(users::refresh_providers(user.id, call.now));
    match flow {
        None => start_session(auth, call, unit, user.id, steps)
            .await
            .map(|grant| Verified::Session(Box::new(grant))),
        Some(method) => issue_code(auth, call, unit, user.id, method, steps).await.map(Verified::Code),
    }
}

/// What the company says of a code that it has made up. It is not asked unless the user waits for one.
async fn approved(auth: &Auth, call: &Call, kind: &str, proof: &Proof, find: &Step) -> Outcome<Option<bool>> {
    let Proof::Texted { phone, code, .. } = proof else { return Ok(None) };
    if !sms::codes_are_elsewhere(auth) || super::otp::test_code(auth, phone).is_some() {
        return Ok(None);
    }
    let rows = auth.db.one(find.clone()).await.map_err(database("Database error finding user"))?;
    let user: Option<User> = first(&rows).map_err(database(FAILED))?;
    let is_expected = user.is_some_and(|user| {
        let (token, sent) = match kind {
            "phone_change" => (&user.phone_change_token, user.phone_change_sent_at),
            _ => (&user.confirmation_token, user.confirmation_sent_at),
        };
        let is_expired = one_time::is_expired(sent, auth.settings.sms_otp_expiry, call.now);
        token.as_deref().is_some_and(|token| !token.is_empty()) && !is_expired && !user.is_banned(call.now)
    });
    if !is_expected {
        return Ok(Some(false));
    }
    Ok(sms::approved(auth, phone, code).await)
}

/// What the proof is of, if it is the user's.
fn accept(
    auth: &Auth,
    call: &Call,
    kind: (&str, Option<bool>),
    proof: &Proof,
    user: Option<&User>,
) -> Outcome<Kind> {
    let user = user.ok_or_else(|| wrong(proof))?;
    if user.is_banned(call.now) {
        return Err(refuse(403, "user_banned", "User is banned"));
    }
    check(auth, call, kind, proof, user)
}

/// After too many wrong codes the right ones are taken away, so that nobody can try them all.
fn guess_steps(auth: &Auth, call: &Call, proof: &Proof, user: Option<&User>) -> Vec<Step> {
    let Some(user) = user.filter(|_| !matches!(proof, Proof::Hash(_))) else { return Vec::new() };
    if !auth.limits.count_wrong_code(proof.address(), call.now) {
        return Vec::new();
    }
    tracing::warn!(user = %user.id, "too many wrong one-time codes: those on their way are void");
    let mut patch = Patch::new();
    for column in [
        "confirmation_token",
        "recovery_token",
        "email_change_token_current",
        "email_change_token_new",
        "phone_change_token",
    ] {
        patch = patch.text(column, "");
    }
    vec![patch.on(user.id, call.now), one_time_tokens::clear(user.id, None)]
}

async fn start_session(
    auth: &Auth,
    call: &Call,
    unit: Unit,
    user: Uuid,
    mut steps: Vec<Step>,
) -> Outcome<Grant> {
    let session = NewSession::new(user, "otp");
    steps.extend(session.steps(call));
    let results = handover::finish(auth, call, unit, steps).await.map_err(handover::failed(FAILED))?;
    let user = last(&results).map_err(database(FAILED))?;
    session.grant(auth, call, user).await
}

async fn issue_code(
    auth: &Auth,
    call: &Call,
    unit: Unit,
    user: Uuid,
    method: &'static str,
    mut steps: Vec<Step>,
) -> Outcome<String> {
    let code = Uuid::new_v4().to_string();
    steps.push(flow_states::issue(user, method, &code, call.now));
    let results = handover::finish(auth, call, unit, steps).await.map_err(handover::failed(FAILED))?;
    if results.last().is_none_or(|rows| rows.is_empty()) {
        let message = "No associated flow state found. No valid flow state found for user.";
        return Err(refuse(400, "flow_state_not_found", message));
    }
    Ok(code)
}

fn wrong(proof: &Proof) -> Refusal {
    let message = match proof {
        Proof::Hash(_) => "Email link is invalid or has expired",
        Proof::Mailed { .. } | Proof::Texted { .. } => "Token has expired or is invalid",
    };
    refuse(403, "otp_expired", message)
}

/// How to find the user whom a proof of this type may be of.
fn find(kind: &str, proof: &Proof, audience: &str) -> Outcome<Step> {
    Ok(match (kind, proof) {
        ("email", Proof::Hash(hash)) => users::by_token_hash(hash, &["confirmation_token", "recovery_token"]),
        ("signup" | "invite", Proof::Hash(hash)) => users::by_token_hash(hash, &["confirmation_token"]),
        ("recovery" | "magiclink", Proof::Hash(hash)) => users::by_token_hash(hash, &["recovery_token"]),
        ("email_change", Proof::Hash(hash)) => {
            users::by_token_hash(hash, &["email_change_token_new", "email_change_token_current"])
        }
        (_, Proof::Hash(_)) => return Err(invalid("Invalid email verification type")),
        ("phone_change", Proof::Texted { phone, .. }) => users::by_phone_change(phone, audience),
        ("sms", Proof::Texted { phone, .. }) => users::by_phone(phone, audience),
        ("email_change", Proof::Mailed { email, hash }) => users::by_email_change(email, hash, audience),
        ("email" | "signup" | "invite" | "recovery" | "magiclink", Proof::Mailed { email, .. }) => {
            users::by_email(email, audience)
        }
        _ => return Err(wrong(proof)),
    })
}

/// Whether the proof is the user's and still fresh, and of what it is.
///
/// `approved` is what the company says of the code that it has made up.
fn check(
    auth: &Auth,
    call: &Call,
    (kind, approved): (&str, Option<bool>),
    proof: &Proof,
    user: &User,
) -> Outcome<Kind> {
    let settings = &auth.settings;
    let stored = |column: &Option<String>| column.clone().filter(|hash| !hash.is_empty());
    let matches = |column: &Option<String>, sent: Option<Moment>| match proof {
        // A link's hash is good only as it was sent, its PKCE mark included.
        Proof::Hash(hash) => {
            stored(column).is_some_and(|known| token::same_secret(known.as_bytes(), hash.as_bytes()))
                && !one_time::is_expired(sent, settings.mailer_otp_expiry, call.now)
        }
        Proof::Mailed { hash, .. } => {
            one_time::is_valid(hash, column.as_deref(), sent, settings.mailer_otp_expiry, call.now)
        }
        Proof::Texted { .. } if approved.is_some() => {
            approved == Some(true)
                && stored(column).is_some()
                && !one_time::is_expired(sent, settings.sms_otp_expiry, call.now)
        }
        Proof::Texted { hash, .. } => {
            one_time::is_valid(hash, column.as_deref(), sent, settings.sms_otp_expiry, call.now)
        }
    };
    let confirmation = || matches(&user.confirmation_token, user.confirmation_sent_at);
    let recovery = || matches(&user.recovery_token, user.recovery_sent_at);
    let change = || {
        matches(&user.email_change_token_current, user.email_change_sent_at)
            || matches(&user.email_change_token_new, user.email_change_sent_at)
    };
    let tested = |phone: &str, code: &str| super::otp::test_code(auth, phone) == Some(code);
    let found = match (kind, proof) {
        ("email", _) if confirmation() => Some(Kind::Signup),
        ("email", _) if recovery() => Some(Kind::Recovery),
        ("signup" | "invite", _) if confirmation() => Some(Kind::Signup),
        ("recovery" | "magiclink", _) if recovery() => Some(Kind::Recovery),
        ("email_change", _) if change() => Some(Kind::EmailChange),
        ("sms", Proof::Texted { phone, code, .. }) if tested(phone, code) || confirmation() => {
            Some(Kind::Sms)
        }
        ("phone_change", Proof::Texted { phone, code, .. })
            if tested(phone, code) || matches(&user.phone_change_token, user.phone_change_sent_at) =>
        {
            Some(Kind::PhoneChange)
        }
        _ => None,
    };
    found.ok_or_else(|| wrong(proof))
}
