//! `POST /resend`: a message again that did not arrive.

use crate::Auth;
use crate::call::Call;
use crate::flow::address;
use crate::flow::pkce::{Challenge, ChallengeFields};
use crate::guard::audience;
use crate::handover;
use crate::message::{self, Kind, Recipient};
use crate::refusal::{Outcome, database, invalid, refuse};
use crate::reply;
use crate::store::audit::Actor;
use crate::store::db::{Step, first};
use crate::store::records::User;
use crate::store::users;
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(flatten)]
    challenge: ChallengeFields,
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let params: Params = call.json()?;
    let kind = params.kind.unwrap_or_default();
    let (email, phone) = (params.email.unwrap_or_default(), params.phone.unwrap_or_default());
    let challenge = match kind.as_str() {
        "signup" | "email_change" => params.challenge.read()?,
        "sms" | "phone_change" => None,
        _ => return Err(invalid("Missing one of these types: signup, email_change, sms, phone_change")),
    };
    let find = check(auth, call, &kind, &email, &phone)?;
    let rows = auth.db.one(find).await.map_err(database("Unable to process request"))?;
    let user: Option<User> = first(&rows).map_err(database("Unable to process request"))?;
    let mut answer = json!({});
    if let Some(steps) =
        user.as_ref().map(|user| pending(auth, call, &kind, user, challenge.as_ref())).transpose()?
        && !steps.is_empty()
    {
        handover::run(auth, call, steps).await.map_err(handover::failed("Unable to process request"))?;
        answer = super::otp::sent(auth, call, &address::phone_digits(&phone));
    }
    Ok(reply::ok(&answer))
}

/// How to find the user of a well-formed request.
fn check(auth: &Auth, call: &Call, kind: &str, email: &str, phone: &str) -> Outcome<Step> {
    let audience = audience(&auth.settings, call, None);
    match (email.is_empty(), phone.is_empty()) {
        (true, _) if kind == "signup" => Err(invalid("Type provided requires an email address")),
        (_, true) if kind == "sms" => Err(invalid("Type provided requires a phone number")),
        (false, false) => Err(invalid("Only an email address or phone number should be provided.")),
        (true, true) => Err(invalid("Missing email address or phone number")),
        (false, true) if !auth.settings.email_enabled => {
            Err(refuse(400, "email_provider_disabled", "Email logins are disabled"))
        }
        (true, false) if !auth.settings.phone_enabled => {
            Err(refuse(400, "phone_provider_disabled", "Phone logins are disabled"))
        }
        (false, true) => Ok(users::by_email(&address::email(email)?, &audience)),
        (true, false) => Ok(users::by_phone(&address::phone(phone)?, &audience)),
    }
}

/// The steps that send again what the user still waits for; none when there is nothing.
fn pending(
    auth: &Auth,
    call: &Call,
    kind: &str,
    user: &User,
    challenge: Option<&Challenge>,
) -> Outcome<Vec<Step>> {
    let actor = Actor::user(user);
    let new_email = user.email_change.as_deref().unwrap_or_default();
    let new_phone = user.phone_change.as_deref().unwrap_or_default();
    match kind {
        "signup" if user.email_confirmed_at.is_none() => {
            let mut steps = auth.audit(&actor, "user_confirmation_requested", None, call);
            let to = Recipient { user: user.id, address: user.email(), last_sent: user.confirmation_sent_at };
            steps.extend(message::mail(auth, call, Kind::Signup, to, challenge)?);
            Ok(steps)
        }
        "sms" if user.phone_confirmed_at.is_none() => {
            let mut steps = auth.audit(&actor, "user_recovery_requested", None, call);
            steps.extend(super::otp::sms_steps(
                auth,
                call,
                user.id,
                user.phone(),
                user.confirmation_sent_at,
            )?);
            Ok(steps)
        }
        "email_change" if !new_email.is_empty() => {
            super::email_change::request_steps(auth, call, user, new_email, challenge)
        }
        "phone_change" if !new_phone.is_empty() => {
            super::otp::phone_change_steps(auth, call, user, new_phone)
        }
        _ => Ok(Vec::new()),
    }
}
