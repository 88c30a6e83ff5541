//! `/factors/:id/challenge` and `/factors/:id/verify`: proving a second factor.

use super::factors::{enter, find, method};
use super::webauthn_factor;
use crate::Auth;
use crate::call::Call;
use crate::flow::refresh::new_token;
use crate::flow::session::Assurance;
use crate::flow::{one_time, signed_token, totp};
use crate::guard;
use crate::handover;
use crate::hook;
use crate::issue::Grant;
use crate::limits::{Bucket, too_soon};
use crate::notice;
use crate::refusal::{Outcome, database, internal, invalid, refuse};
use crate::reply;
use crate::settings::Notification;
use crate::sms;
use crate::store::audit::Actor;
use crate::store::db::{Step, Unit, first, last};
use crate::store::factors;
use crate::store::outbox::{self, Channel};
use crate::store::records::{Challenge, Factor, Method, RefreshToken, Session, User};
use crate::store::users::{self, Patch};
use crate::store::{refresh_tokens, sessions};
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

const FAILED: &str = "Database error verifying factor";
const WRONG_CODE: &str = "mfa_verification_failed";

fn check_enabled(auth: &Auth, factor: &Factor) -> Outcome<()> {
    let mfa = &auth.settings.mfa;
    match factor.factor_type.as_str() {
        "totp" if mfa.totp_verify => Ok(()),
        "phone" if mfa.phone_verify => Ok(()),
        "webauthn" if auth.settings.webauthn.mfa_verify => Ok(()),
        "totp" => Err(refuse(422, "mfa_totp_verify_not_enabled", "MFA verification is disabled for TOTP")),
        "phone" => Err(refuse(422, "mfa_phone_verify_not_enabled", "MFA verification is disabled for Phone")),
        _ => Err(refuse(422, "mfa_webauthn_verify_not_enabled", "MFA verification is disabled for WebAuthn")),
    }
}

pub(super) async fn challenge(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let (signed, _) = enter(auth, call).await?;
    let factor = find(&signed.user.factors, call, 2)?;
    auth.limits.count(Bucket::FactorChallenge, &auth.settings, call)?;
    check_enabled(auth, factor)?;
    let (id, now) = (Uuid::new_v4(), call.now);
    let mut steps = Vec::new();
    let mut code = None;
    if factor.factor_type == "phone" {
        let wait =
            one_time::wait_seconds(factor.last_challenged_at, auth.settings.sms.factor_max_frequency, now);
        if let Some(left) = wait {
            return Err(too_soon("over_sms_send_rate_limit", left));
        }
        if !super::otp::can_send(auth) {
            return Err(refuse(500, "unexpected_failure", "Failed to get SMS provider"));
        }
        let phone = factor.phone.as_deref().unwrap_or_default();
        let token = one_time::OneTime::new(phone, auth.settings.sms.factor_otp_length, false);
        let data = json!({ "token": token.code });
        steps.push(outbox::insert(outbox::New {
            channel: Channel::Sms,
            kind: "mfa",
            to: phone,
            user: signed.user.id,
            data: &data,
            now,
            expiry: auth.settings.mfa.challenge_expiry,
        }));
        code = Some(token.code);
    }
    steps.extend(factors::challenge(id, factor.id, call.ip, code.as_deref(), now));
    let mut asked = None;
    if factor.factor_type == "webauthn" {
        let (options, data) = webauthn_factor::challenge(auth, &signed.user, factor)?;
        steps.push(factors::challenge_data(id, &data));
        asked = Some(options);
    }
    let traits = json!({ "factor_id": factor.id, "factor_status": factor.status });
    steps.extend(auth.audit(&Actor::user(&signed.user), "challenge_created", Some(traits), call));
    handover::run(auth, call, steps).await.map_err(handover::failed(FAILED))?;
    let expires_at = now.plus(auth.settings.mfa.challenge_expiry).unix();
    let mut answer = json!({ "id": id, "type": factor.factor_type, "expires_at": expires_at });
    if let Some(asked) = asked {
        answer["webauthn"] = asked;
    }
    Ok(reply::ok(&answer))
}

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    challenge_id: Option<Uuid>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    webauthn: Option<webauthn_factor::Params>,
}

pub(super) async fn verify(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let (signed, session) = enter(auth, call).await?;
    let factor = find(&signed.user.factors, call, 2)?;
    auth.limits.count(Bucket::FactorVerify, &auth.settings, call)?;
    let params: Params = call.json()?;
    let code = params.code.unwrap_or_default();
    if code.is_empty() && factor.factor_type != "webauthn" {
        return Err(invalid("Code needs to be non-empty"));
    }
    check_enabled(auth, factor)?;
    if factor.factor_type == "webauthn" {
        webauthn_factor::check_form(params.webauthn.as_ref())?;
    }
    let mut asked =
        Asked { factor, challenge: params.challenge_id.unwrap_or_default(), code: &code, approved: None };
    if factor.factor_type != "webauthn" {
        auth.limits.begin_guess(&guesses(factor), call.now)?;
        asked.approved = approved(auth, call, &asked).await?;
    }
    let ready = open(auth, call, &session, &asked, params.webauthn).await?;
    let ready = ask_hook(auth, call, &session, &asked, ready).await?;
    let Ready { unit, checked, active, current } = ready;
    let (challenge, mark, factor_steps) = match checked {
        Ok(found) => found,
        Err(refusal) => {
            unit.rollback().await.map_err(database(FAILED))?;
            note_refusal(auth, call, factor, &session, &refusal).await?;
            return Err(refusal);
        }
    };
    auth.limits.forget_wrong_codes(&guesses(factor));
    let (next, token_steps) = next_token(call, current.as_ref().unwrap_or(&session), active.as_ref())?;
    let mut steps = auth.audit(
        &Actor::user(&signed.user),
        "verification_attempted",
        Some(json!({
            "factor_id": factor.id, "challenge_id": challenge, "factor_type": factor.factor_type,
        })),
        call,
    );
    steps.push(factors::challenge_use(challenge, &mark, call.now));
    steps.extend(factor_steps);
    steps.extend(token_steps);
    steps.extend(raise_steps(call, factor, &session));
    if !factor.is_verified() {
        let details = json!({ "factor_type": factor.factor_type });
        let what = Notification::MfaFactorEnrolled;
        // First, as the user comes last.
        steps.splice(0..0, notice::step(auth, call, what, &signed.user, signed.user.email(), details));
    }
    let results = handover::finish(auth, call, unit, steps).await.map_err(handover::failed(FAILED))?;
    let user: User = last(&results).map_err(database(FAILED))?;
    let session = raised(session, method(&factor.factor_type), call);
    let method = method(&factor.factor_type);
    Ok(Grant::new(auth, call, user, &session, next, method).await?.respond())
}

/// Tells the hook of an attempt. It may write in a transaction of its own: meanwhile none is open here, and then all is
/// checked again.
async fn ask_hook(
    auth: &Auth,
    call: &Call,
    session: &Session,
    asked: &Asked<'_>,
    ready: Ready,
) -> Outcome<Ready> {
    let (factor, user) = (asked.factor, session.user_id);
    let is_told = auth.settings.hooks.mfa_verification_attempt.is_some() && factor.factor_type != "webauthn";
    if !is_told || !ready.is_attempt() {
        return Ok(ready);
    }
    let valid = ready.checked.is_ok();
    ready.unit.rollback().await.map_err(database(FAILED))?;
    let about = (factor.id, factor.factor_type.as_str());
    if let Some(message) = hook::factor_attempt(auth, call, user, about, valid).await? {
        auth.db.one(sessions::delete_all(user, None)).await.map_err(database(FAILED))?;
        return Err(refuse(403, "mfa_verification_rejected", message));
    }
    open(auth, call, session, asked, None).await
}

/// What somebody claims to prove.
struct Asked<'a> {
    factor: &'a Factor,
    challenge: Uuid,
    code: &'a str,
    /// What the company says of the code that it has made up.
    approved: Option<bool>,
}

/// A proof that has been looked at, in a transaction that holds what it depends on.
struct Ready {
    unit: Unit,
    /// The challenge, what marks the code as used, and what else its use changes.
    checked: Outcome<(Uuid, String, Vec<Step>)>,
    active: Option<RefreshToken>,
    current: Option<Session>,
}

impl Ready {
    /// Whether a code was right or wrong, rather than out of place.
    fn is_attempt(&self) -> bool {
        self.checked.as_ref().map_or_else(|refusal| refusal.fault.code == WRONG_CODE, |_| true)
    }
}

async fn open(
    auth: &Auth,
    call: &Call,
    session: &Session,
    asked: &Asked<'_>,
    webauthn: Option<webauthn_factor::Params>,
) -> Outcome<Ready> {
    let first_steps = vec![
        // First and in one order: another factor may be proved in another session, and each ends the other's.
        sessions::lock_all(session.user_id),
        factors::challenge_lock(asked.challenge, asked.factor.id),
        refresh_tokens::active_of_session(session.id),
        sessions::by_id(session.id),
    ];
    let (unit, results) = auth.db.begin(first_steps).await.map_err(database(FAILED))?;
    let [sessions, challenge, active, current] = results.as_slice() else { return Err(invalid(FAILED)) };
    let is_alive = sessions.iter().any(|row| row.text(0) == Some(session.id.to_string().as_str()));
    let challenge: Option<Challenge> = first(challenge).map_err(database(FAILED))?;
    let checked =
        if is_alive { check(auth, call, asked, challenge, webauthn) } else { Err(guard::no_session()) };
    let active = first(active).map_err(database(FAILED))?;
    let current = first(current).map_err(database(FAILED))?;
    Ok(Ready { unit, checked, active, current })
}

/// Under which name wrong codes of a factor are counted.
fn guesses(factor: &Factor) -> String {
    format!("factor {}", factor.id)
}

/// What the company says of the code of a phone factor that it has made up. It is not asked unless there is a challenge.
async fn approved(auth: &Auth, call: &Call, asked: &Asked<'_>) -> Outcome<Option<bool>> {
    let (factor, phone) = (asked.factor, asked.factor.phone.as_deref().unwrap_or_default());
    if factor.factor_type != "phone" || !sms::codes_are_elsewhere(auth) {
        return Ok(None);
    }
    let found = auth.db.one(factors::challenge_lock(asked.challenge, factor.id)).await;
    let found: Option<Challenge> = first(&found.map_err(database(FAILED))?).map_err(database(FAILED))?;
    match check_challenge(auth, call, found) {
        Ok(_) => Ok(sms::approved(auth, phone, asked.code).await),
        Err(_) => Ok(Some(false)),
    }
}

/// After too many wrong codes the session ends: who guesses needs the first factor again, and that takes its time. What
/// was no answer to a challenge was no guess.
async fn note_refusal(
    auth: &Auth,
    call: &Call,
    factor: &Factor,
    session: &Session,
    refusal: &crate::refusal::Refusal,
) -> Outcome<()> {
    if refusal.fault.code != WRONG_CODE {
        auth.limits.end_guess(&guesses(factor));
    } else if auth.limits.count_wrong_code(&guesses(factor), call.now) {
        tracing::warn!(factor = %factor.id, "too many wrong codes of a second factor: its session ends");
        let ended = auth.db.one(sessions::delete(session.id, session.user_id)).await;
        ended.map_err(database(FAILED))?;
    }
    Ok(())
}

/// The challenge, if it is open to an answer from there.
fn check_challenge(auth: &Auth, call: &Call, challenge: Option<Challenge>) -> Outcome<Challenge> {
    let challenge = challenge.ok_or_else(|| {
        refuse(422, "mfa_factor_not_found", "MFA factor with the provided challenge ID not found")
    })?;
    let ip = challenge.ip_address.split('/').next().unwrap_or_default();
    if challenge.verified_at.is_some() || ip != factors::address(call.ip).to_string() {
        let message = "Challenge and verify IP addresses mismatch.";
        return Err(refuse(422, "mfa_ip_address_mismatch", message));
    }
    if call.now > challenge.created_at.plus(auth.settings.mfa.challenge_expiry) {
        let message = format!(
            "MFA challenge {} has expired, verify against another challenge or create a new challenge.",
            challenge.id
        );
        return Err(refuse(422, "mfa_challenge_expired", message));
    }
    Ok(challenge)
}

/// The challenge that the code answers, and what marks the code as used.
fn check(
    auth: &Auth,
    call: &Call,
    asked: &Asked<'_>,
    challenge: Option<Challenge>,
    webauthn: Option<webauthn_factor::Params>,
) -> Outcome<(Uuid, String, Vec<Step>)> {
    let (factor, code) = (asked.factor, asked.code);
    let challenge = check_challenge(auth, call, challenge)?;
    if factor.factor_type == "webauthn" {
        let steps = webauthn_factor::check(auth, call, factor, &challenge, webauthn)?;
        return Ok((challenge.id, String::new(), steps));
    }
    if factor.factor_type == "phone" {
        let sent = challenge.otp_code.as_deref().unwrap_or_default();
        let is_sent = || !sent.is_empty() && token::same_secret(sent.as_bytes(), code.as_bytes());
        if !asked.approved.unwrap_or_else(is_sent) {
            return Err(refuse(422, WRONG_CODE, "Invalid MFA Phone code entered"));
        }
        return Ok((challenge.id, sent.to_owned(), Vec::new()));
    }
    let secret = factor.secret.as_deref().unwrap_or_default();
    // The reference lets a code in again while its half minute lasts; we do not.
    let step = totp::verify(secret, code, call.now.unix())
        .map(|step| step.to_string())
        .filter(|step| !secret.is_empty() && !challenge.used.contains(step))
        .ok_or_else(|| refuse(422, WRONG_CODE, "Invalid TOTP code entered"))?;
    Ok((challenge.id, step, Vec::new()))
}

/// The session's next refresh token, and what writes it.
fn next_token(call: &Call, session: &Session, active: Option<&RefreshToken>) -> Outcome<(String, Vec<Step>)> {
    let (user, now) = (session.user_id, call.now);
    if let Some((key, counter)) = session.refresh_token_hmac_key.as_ref().zip(session.refresh_token_counter) {
        // By two, so that the token from before the factor is no lost answer: it must not get what the factor gave.
        let counter = counter.saturating_add(2);
        let next = signed_token::write(session.id, counter, key)
            .ok_or_else(|| internal(FAILED, "the session's key is not usable"))?;
        return Ok((next, vec![sessions::set_counter(session.id, counter)]));
    }
    let next = new_token();
    let parent = active.map(|token| token.token.as_str());
    let mut steps: Vec<Step> = parent.map(|token| refresh_tokens::revoke(token, now)).into_iter().collect();
    steps.push(refresh_tokens::insert(&next, user, session.id, parent, now));
    Ok((next, steps))
}

/// Raises the session and ends what is below it.
fn raise_steps(call: &Call, factor: &Factor, session: &Session) -> Vec<Step> {
    let (user, now) = (session.user_id, call.now);
    let mut steps = vec![
        factors::verify(factor.id, now),
        sessions::add_method(session.id, method(&factor.factor_type), now),
        sessions::assure(session.id, Assurance::Aal2, Some(factor.id), now),
        sessions::delete_below_aal2(user),
        factors::delete_unverified(user, &factor.factor_type),
    ];
    steps.push(Patch::new().time("last_sign_in_at", Some(now)).on(user, now));
    steps.push(users::by_id(user));
    steps
}

/// The session as it is with the method added.
fn raised(mut session: Session, method: &str, call: &Call) -> Session {
    session.amr.retain(|known| known.authentication_method != method);
    session.amr.push(Method { authentication_method: method.to_owned(), updated_at: call.now });
    session.aal = Some(Assurance::Aal2.as_str().to_owned());
    session
}
