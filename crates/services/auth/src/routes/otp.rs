//! `POST /otp` and `POST /magiclink`: signing in, or up, with a code that is sent.

use super::signup::{self, Newcomer};
use crate::Auth;
use crate::call::Call;
use crate::flow::address;
use crate::flow::one_time::{OneTime, wait_seconds};
use crate::flow::pkce::{Challenge, ChallengeFields};
use crate::guard::audience;
use crate::handover;
use crate::limits::too_soon;
use crate::message::{self, Kind, Recipient};
use crate::moment::Moment;
use crate::refusal::{Outcome, database, invalid, refuse};
use crate::reply;
use crate::sms;
use crate::store::audit::Actor;
use crate::store::db::{Step, first};
use crate::store::one_time_tokens::{self, Purpose};
use crate::store::outbox::{self, Channel};
use crate::store::records::User;
use crate::store::users::{self, Patch};
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub(super) const INVALID_CHANNEL: &str = "Invalid channel, supported values are 'sms' or 'whatsapp'. 'whatsapp' is only supported if Twilio or Twilio Verify is used as the provider.";

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    create_user: Option<bool>,
    #[serde(default)]
    data: Option<Map<String, Value>>,
    #[serde(default)]
    channel: Option<String>,
    #[serde(flatten)]
    challenge: ChallengeFields,
}

pub(super) async fn otp(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let params: Params = call.json()?;
    let email = params.email.clone().unwrap_or_default();
    let phone = params.phone.clone().unwrap_or_default();
    let channel = params.channel.as_deref().unwrap_or_default();
    if !email.is_empty() && !phone.is_empty() {
        return Err(invalid("Only an email address or phone number should be provided"));
    }
    if !email.is_empty() && !channel.is_empty() {
        return Err(invalid("Channel should only be specified with Phone OTP"));
    }
    let challenge = params.challenge.read()?;
    let create = params.create_user.unwrap_or(true);
    let data = params.data.unwrap_or_default();
    match (email.is_empty(), phone.is_empty()) {
        (false, _) => by_mail(auth, call, &email, data, challenge, create).await,
        (true, false) => by_sms(auth, call, &phone, channel, data, create).await,
        (true, true) => Err(invalid("One of email or phone must be set")),
    }
}

pub(super) async fn magic_link(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let params: Params = call.json()?;
    let email = params.email.clone().unwrap_or_default();
    if email.is_empty() {
        check_mail_enabled(auth)?;
        return Err(refuse(422, "validation_failed", "Password recovery requires an email"));
    }
    let challenge = params.challenge.read()?;
    by_mail(auth, call, &email, params.data.unwrap_or_default(), challenge, true).await
}

fn check_mail_enabled(auth: &Auth) -> Outcome<()> {
    if !auth.settings.email_enabled {
        return Err(refuse(422, "email_provider_disabled", "Email logins are disabled"));
    }
    if !auth.settings.magic_link_enabled {
        return Err(refuse(422, "email_provider_disabled", "Login with magic link is disabled"));
    }
    Ok(())
}

fn not_for_newcomers() -> crate::refusal::Refusal {
    refuse(422, "otp_disabled", "Signups not allowed for otp")
}

async fn by_mail(
    auth: &Auth,
    call: &Call,
    email: &str,
    data: Map<String, Value>,
    challenge: Option<Challenge>,
    create: bool,
) -> Outcome<Response<Body>> {
    check_mail_enabled(auth)?;
    let email = address::email(email)?;
    let audience = audience(&auth.settings, call, None);
    let user = find(auth, users::by_email(&email, &audience)).await?;
    if user.is_none() && !create {
        return Err(not_for_newcomers());
    }
    let user = match user {
        Some(user) if user.email_confirmed_at.is_some() => user,
        other => {
            let address = signup::Address { provider: "email", email: email.clone(), phone: String::new() };
            let challenge = challenge.clone();
            let newcomer = Newcomer { address, data, audience: audience.clone(), challenge };
            sign_up(auth, call, newcomer, other).await?;
            if !auth.settings.mailer_autoconfirm {
                return Ok(reply::ok(&json!({})));
            }
            let user = find(auth, users::by_email(&email, &audience)).await?;
            user.ok_or_else(not_for_newcomers)?
        }
    };
    let to = Recipient { user: user.id, address: &email, last_sent: user.recovery_sent_at };
    let mut steps = auth.audit(&Actor::user(&user), "user_recovery_requested", None, call);
    steps.extend(message::mail(auth, call, Kind::MagicLink, to, challenge.as_ref())?);
    handover::run(auth, call, steps).await.map_err(handover::failed("Error sending magic link email"))?;
    Ok(reply::ok(&json!({})))
}

async fn find(auth: &Auth, step: Step) -> Outcome<Option<User>> {
    let rows = auth.db.one(step).await.map_err(database("Database error finding user"))?;
    first(&rows).map_err(database("Database error finding user"))
}

/// Signs somebody up with a password that nobody knows.
async fn sign_up(auth: &Auth, call: &Call, newcomer: Newcomer, existing: Option<User>) -> Outcome<()> {
    signup::check_open(auth)?;
    let password_hash = auth.hasher.hash(&random_password()).await?;
    signup::finish(auth, call, newcomer.with_hash(password_hash), existing).await.map(drop)
}

/// A password of 256 random bits.
pub(super) fn random_password() -> String {
    hex::encode(token::random_bytes::<32>())
}

async fn by_sms(
    auth: &Auth,
    call: &Call,
    phone: &str,
    channel: &str,
    data: Map<String, Value>,
    create: bool,
) -> Outcome<Response<Body>> {
    if !auth.settings.phone_enabled {
        return Err(refuse(400, "phone_provider_disabled", "Unsupported phone provider"));
    }
    let phone = address::phone(phone)?;
    if !sms::takes_channel(auth, channel) {
        return Err(invalid(INVALID_CHANNEL));
    }
    let audience = audience(&auth.settings, call, None);
    let user = find(auth, users::by_phone(&phone, &audience)).await?;
    if user.is_none() && !create {
        return Err(not_for_newcomers());
    }
    let user = match user {
        Some(user) if user.phone_confirmed_at.is_some() => user,
        other => {
            let address = signup::Address { provider: "phone", email: String::new(), phone: phone.clone() };
            let newcomer = Newcomer { address, data, audience: audience.clone(), challenge: None };
            sign_up(auth, call, newcomer, other).await?;
            if !auth.settings.sms_autoconfirm {
                return Ok(reply::ok(&json!({})));
            }
            find(auth, users::by_phone(&phone, &audience)).await?.ok_or_else(not_for_newcomers)?
        }
    };
    let traits = Some(json!({ "channel": "sms" }));
    let mut steps = auth.audit(&Actor::user(&user), "user_recovery_requested", traits, call);
    steps.extend(sms_steps(auth, call, user.id, &phone, user.confirmation_sent_at)?);
    let failed = handover::failed("Database error updating user for phone");
    handover::run(auth, call, steps).await.map_err(failed)?;
    Ok(reply::ok(&sent(auth, call, &phone)))
}

/// What the answer says of a message that was sent by SMS.
pub(super) fn sent(auth: &Auth, call: &Call, phone: &str) -> Value {
    let id = if test_code(auth, phone).is_some() { "test-otp" } else { call.message_id() };
    if id.is_empty() { json!({}) } else { json!({ "message_id": id }) }
}

/// Whether text messages leave this project at all.
pub(super) fn can_send(auth: &Auth) -> bool {
    let settings = &auth.settings;
    settings.hooks.send_sms.is_some() || settings.sms.gateway.is_some() || !settings.sms_provider.is_empty()
}

pub(super) fn test_code<'a>(auth: &'a Auth, phone: &str) -> Option<&'a str> {
    let until = auth.settings.sms.test_otp_until;
    if until.is_some_and(|until| auth.clock.now() > until) {
        return None;
    }
    auth.settings.sms_test_otp.iter().find(|(number, _)| number == phone).map(|(_, code)| code.expose())
}

/// The steps that send a code to a number for signing in.
pub(super) fn sms_steps(
    auth: &Auth,
    call: &Call,
    user: Uuid,
    phone: &str,
    last_sent: Option<Moment>,
) -> Outcome<Vec<Step>> {
    let columns = ("confirmation_token", "confirmation_sent_at");
    code_steps(auth, call, user, phone, last_sent, Purpose::Confirmation, columns, Patch::new())
}

/// The steps that send a code to the number a user wants to change to.
pub(super) fn phone_change_steps(auth: &Auth, call: &Call, user: &User, phone: &str) -> Outcome<Vec<Step>> {
    let columns = ("phone_change_token", "phone_change_sent_at");
    let patch = Patch::new().text("phone_change", phone);
    let last_sent = user.phone_change_sent_at;
    code_steps(auth, call, user.id, phone, last_sent, Purpose::PhoneChange, columns, patch)
}

/// The steps that send a nonce to a user's number.
pub(super) fn nonce_steps(auth: &Auth, call: &Call, user: &User) -> Outcome<Vec<Step>> {
    let columns = ("reauthentication_token", "reauthentication_sent_at");
    let last_sent = user.reauthentication_sent_at;
    code_steps(auth, call, user.id, user.phone(), last_sent, Purpose::Reauthentication, columns, Patch::new())
}

#[expect(clippy::too_many_arguments, reason = "one private function behind three that name what they send")]
fn code_steps(
    auth: &Auth,
    call: &Call,
    user: Uuid,
    phone: &str,
    last_sent: Option<Moment>,
    purpose: Purpose,
    (token_column, sent_column): (&'static str, &'static str),
    patch: Patch,
) -> Outcome<Vec<Step>> {
    let (settings, now) = (&auth.settings, call.now);
    if let Some(left) = wait_seconds(last_sent, settings.sms_max_frequency, now) {
        return Err(too_soon("over_sms_send_rate_limit", left));
    }
    let mut token = OneTime::new(phone, settings.sms_otp_length, false);
    let test = test_code(auth, phone);
    if test.is_none() && !can_send(auth) {
        return Err(refuse(500, "unexpected_failure", "Unable to get SMS provider"));
    }
    if test.is_none() {
        auth.limits.count_text(settings, now)?;
    }
    if let Some(code) = test {
        token = OneTime { code: code.to_owned(), hash: crate::flow::one_time::hash(phone, code) };
    }
    let mut steps = vec![patch.text(token_column, &token.hash).time(sent_column, Some(now)).on(user, now)];
    steps.extend(one_time_tokens::put(user, purpose, &token.hash, phone, now));
    if test.is_none() {
        let data = json!({ "token": token.code });
        steps.push(outbox::insert(outbox::New {
            channel: Channel::Sms,
            kind: purpose.as_str(),
            to: phone,
            user,
            data: &data,
            now,
            expiry: settings.sms_otp_expiry,
        }));
    }
    Ok(steps)
}
