//! The request for another e-mail address: tokens for the new one and, if the project wants it, the old one.

use crate::Auth;
use crate::call::Call;
use crate::flow::one_time::OneTime;
use crate::flow::pkce::Challenge;
use crate::message::{self, check_authorized, check_mail_frequency};
use crate::refusal::Outcome;
use crate::store::db::Step;
use crate::store::flow_states;
use crate::store::one_time_tokens::{self, Purpose};
use crate::store::outbox::{self, Channel};
use crate::store::records::User;
use crate::store::users::Patch;
use serde_json::json;

/// The steps that ask for the confirmation of `email`.
pub(super) fn request_steps(
    auth: &Auth,
    call: &Call,
    user: &User,
    email: &str,
    challenge: Option<&Challenge>,
) -> Outcome<Vec<Step>> {
    let (settings, now) = (&auth.settings, call.now);
    check_mail_frequency(auth, user.email_change_sent_at, now)?;
    check_authorized(&settings.mail, email)?;
    if settings.mailer_secure_email_change && !user.email().is_empty() {
        check_authorized(&settings.mail, user.email())?;
    }
    auth.limits.count_mail(settings, now)?;
    let digits = settings.mailer_otp_length;
    let new = OneTime::new(email, digits, challenge.is_some());
    let ask_old = settings.mailer_secure_email_change && !user.email().is_empty();
    let current = ask_old.then(|| OneTime::new(user.email(), digits, challenge.is_some()));
    let current_hash = current.as_ref().map_or("", |token| token.hash.as_str());
    let patch = Patch::new()
        .text("email_change", email)
        .text("email_change_token_new", &new.hash)
        .text("email_change_token_current", current_hash)
        .time("email_change_sent_at", Some(now))
        .number("email_change_confirm_status", 0);
    let mut steps =
        vec![patch.on(user.id, now), one_time_tokens::clear(user.id, Some(Purpose::EmailChangeCurrent))];
    steps.extend(one_time_tokens::put(user.id, Purpose::EmailChangeNew, &new.hash, email, now));
    if let Some(current) = &current {
        let purpose = Purpose::EmailChangeCurrent;
        steps.extend(one_time_tokens::put(user.id, purpose, &current.hash, user.email(), now));
        steps.push(mail(auth, call, user, user.email(), email, current));
    }
    steps.push(mail(auth, call, user, email, email, &new));
    if let Some(challenge) = challenge {
        steps.push(flow_states::insert(user.id, "email_change", "email_change", challenge, now));
    }
    Ok(steps)
}

fn mail(auth: &Auth, call: &Call, user: &User, to: &str, new_email: &str, token: &OneTime) -> Step {
    let target = message::redirect_target(auth, call);
    let data = json!({
        "token": token.code,
        "token_hash": token.hash,
        "redirect_to": target,
        "site_url": auth.settings.site_url,
        "confirmation_url": message::link(auth, call, &token.hash, "email_change", &target),
        "email": user.email(),
        "new_email": new_email,
        "sending_to": to,
    });
    outbox::insert(outbox::New {
        channel: Channel::Email,
        kind: "email_change",
        to,
        user: user.id,
        data: &data,
        now: call.now,
        expiry: auth.settings.mailer_otp_expiry,
    })
}
