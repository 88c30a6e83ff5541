//! `GET /reauthenticate`: a nonce for changing the password in an old session.

use crate::Auth;
use crate::call::Call;
use crate::flow::one_time::OneTime;
use crate::guard;
use crate::handover;
use crate::message::{check_authorized, check_mail_frequency};
use crate::refusal::{Outcome, invalid, refuse};
use crate::reply;
use crate::store::audit::Actor;
use crate::store::db::Step;
use crate::store::one_time_tokens::{self, Purpose};
use crate::store::outbox::{self, Channel};
use crate::store::records::User;
use crate::store::users::Patch;
use axum::body::Body;
use http::Response;
use serde_json::json;

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let user = guard::user(auth, call).await?.user;
    let mut steps = auth.audit(&Actor::user(&user), "user_reauthenticate_requested", None, call);
    let mut answer = json!({});
    match (user.email().is_empty(), user.phone().is_empty()) {
        (true, true) => {
            return Err(invalid("Reauthentication requires the user to have an email or a phone number"));
        }
        (false, _) if user.email_confirmed_at.is_none() => {
            return Err(refuse(422, "email_not_confirmed", "Please verify your email first."));
        }
        (true, false) if user.phone_confirmed_at.is_none() => {
            return Err(refuse(422, "phone_not_confirmed", "Please verify your phone first."));
        }
        (false, _) => steps.extend(mail_steps(auth, call, &user)?),
        (true, false) => {
            steps.extend(super::otp::nonce_steps(auth, call, &user)?);
            answer = super::otp::sent(auth, call, user.phone());
        }
    }
    handover::run(auth, call, steps)
        .await
        .map_err(handover::failed("Error sending reauthentication email"))?;
    Ok(reply::ok(&answer))
}

fn mail_steps(auth: &Auth, call: &Call, user: &User) -> Outcome<Vec<Step>> {
    let now = call.now;
    check_mail_frequency(auth, user.reauthentication_sent_at, now)?;
    check_authorized(&auth.settings.mail, user.email())?;
    auth.limits.count_mail(&auth.settings, now)?;
    let token = OneTime::new(user.email(), auth.settings.mailer_otp_length, false);
    let patch =
        Patch::new().text("reauthentication_token", &token.hash).time("reauthentication_sent_at", Some(now));
    let mut steps = vec![patch.on(user.id, now)];
    steps.extend(one_time_tokens::put(user.id, Purpose::Reauthentication, &token.hash, user.email(), now));
    let data = json!({ "token": token.code, "token_hash": token.hash, "site_url": auth.settings.site_url });
    steps.push(outbox::insert(outbox::New {
        channel: Channel::Email,
        kind: "reauthentication",
        to: user.email(),
        user: user.id,
        data: &data,
        now,
        expiry: auth.settings.mailer_otp_expiry,
    }));
    Ok(steps)
}
