//! What the proof of an address changes: the steps that confirm it and what hangs on it.

use super::user_update::{own_identity_steps, password_steps};
use super::verify::{Kind, Proof};
use crate::Auth;
use crate::call::Call;
use crate::flow::one_time::PKCE_PREFIX;
use crate::moment::Moment;
use crate::notice;
use crate::refusal::Outcome;
use crate::settings::Notification;
use crate::store::audit::Actor;
use crate::store::db::Step;
use crate::store::one_time_tokens::{self, Purpose};
use crate::store::records::User;
use crate::store::users::Patch;
use crate::store::{factors, identities, sessions};
use serde_json::{Map, Value, json};

/// The steps that make a proof of this kind good.
pub(super) async fn confirm_steps(auth: &Auth, call: &Call, kind: Kind, user: &User) -> Outcome<Vec<Step>> {
    let now = call.now;
    let actor = Actor::user(user);
    let signed_up =
        |provider: &str| auth.audit(&actor, "user_signedup", Some(json!({ "provider": provider })), call);
    let mut steps = Vec::new();
    match kind {
        Kind::Signup => {
            if user.password_hash().is_none() && user.invited_at.is_some() {
                // Somebody invited gets a password that nobody knows, until they set their own.
                let hash = auth.hasher.hash(&super::otp::random_password()).await?;
                steps.push(sessions::delete_all(user.id, None));
                steps.extend(password_steps(user, &hash, now));
            }
            steps.extend(signed_up("email"));
            steps.extend(unclaimed_steps(user, kind, now));
            steps.extend(confirm_email_steps(user, now));
            steps.push(identities::verify_email(user.id, now));
        }
        Kind::Recovery => {
            steps.push(Patch::new().text("recovery_token", "").on(user.id, now));
            if user.email_confirmed_at.is_none() {
                steps.extend(signed_up("email"));
                steps.extend(unclaimed_steps(user, kind, now));
                steps.extend(confirm_email_steps(user, now));
            } else {
                steps.extend(auth.audit(&actor, "login", None, call));
                steps.push(one_time_tokens::clear(user.id, None));
            }
        }
        Kind::EmailChange => {
            steps.extend(auth.audit(&actor, "user_modified", None, call));
            steps.extend(email_change_steps(user, user.email_change.as_deref().unwrap_or_default(), now));
        }
        Kind::Sms => {
            steps.extend(signed_up("phone"));
            let patch = Patch::new().text("confirmation_token", "").time("phone_confirmed_at", Some(now));
            steps.push(no_longer_anonymous(patch, user).on(user.id, now));
            steps.push(one_time_tokens::clear(user.id, None));
        }
        Kind::PhoneChange => {
            steps.extend(auth.audit(&actor, "user_modified", None, call));
            steps.extend(phone_change_steps(user, user.phone_change.as_deref().unwrap_or_default(), now));
        }
    }
    Ok(steps)
}

/// Tells the user of an address that has changed, at one that was theirs before.
pub(super) fn told_steps(auth: &Auth, call: &Call, kind: Kind, user: &User) -> Option<Step> {
    let (what, details) = match kind {
        Kind::EmailChange => (
            Notification::EmailChanged,
            json!({ "old_email": user.email(), "email": user.email_change.as_deref().unwrap_or_default() }),
        ),
        Kind::PhoneChange if !user.phone().is_empty() => {
            (Notification::PhoneChanged, json!({ "old_phone": user.phone() }))
        }
        _ => return None,
    };
    notice::step(auth, call, what, user, user.email(), details)
}

/// Takes from an account the ways into it that its address's owner may know nothing of, when that address came with
/// somebody's identity at a provider that had not verified it. Where that identity is all there is, following the
/// link of the confirmation accepts it: that is how people finish signing up by such a provider.
fn unclaimed_steps(user: &User, kind: Kind, now: Moment) -> Vec<Step> {
    let own = user.id.to_string();
    let foreign = user.identities().iter().filter(|identity| identity.provider_id != own).count();
    let is_claimed = user.email_confirmed_at.is_some() || user.own_identity("email").is_some();
    let is_sign_up = kind == Kind::Signup && foreign == 1 && user.phone().is_empty();
    if is_claimed || foreign == 0 || is_sign_up {
        return Vec::new();
    }
    tracing::info!(user = %user.id, "an address is its owner's: what else led into the account is taken away");
    let patch = Patch::new()
        .null("encrypted_password")
        .null("phone")
        .null("phone_confirmed_at")
        .text("phone_change", "")
        .text("phone_change_token", "");
    let mut steps = vec![
        patch.on(user.id, now),
        identities::delete_foreign(user.id),
        sessions::delete_all(user.id, None),
    ];
    steps.extend(factors::forget(user.id));
    steps.extend(own_identity_steps(user, "email", user.email(), true, now));
    steps
}

fn confirm_email_steps(user: &User, now: Moment) -> [Step; 2] {
    let patch = Patch::new()
        .text("confirmation_token", "")
        .time("email_confirmed_at", Some(now))
        .merge("raw_user_meta_data", email_verified());
    // Somebody anonymous who linked an identity has an address by now.
    [no_longer_anonymous(patch, user).on(user.id, now), one_time_tokens::clear(user.id, None)]
}

pub(super) fn email_verified() -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("email_verified".into(), json!(true));
    data
}

fn no_longer_anonymous(patch: Patch, user: &User) -> Patch {
    if user.is_anonymous { patch.flag("is_anonymous", false) } else { patch }
}

/// The steps that give the user a confirmed new e-mail address.
pub(super) fn email_change_steps(user: &User, email: &str, now: Moment) -> Vec<Step> {
    let mut steps = own_identity_steps(user, "email", email, true, now);
    let patch = Patch::new()
        .text("email", email)
        .text("email_change", "")
        .text("email_change_token_current", "")
        .text("email_change_token_new", "")
        .number("email_change_confirm_status", 0);
    let mut patch = no_longer_anonymous(patch, user);
    if user.email_confirmed_at.is_none() {
        patch = patch
            .text("confirmation_token", "")
            .time("email_confirmed_at", Some(now))
            .merge("raw_user_meta_data", email_verified());
    }
    steps.push(patch.on(user.id, now));
    steps.push(one_time_tokens::clear(user.id, None));
    steps
}

/// The steps that give the user a confirmed new phone number.
pub(super) fn phone_change_steps(user: &User, phone: &str, now: Moment) -> Vec<Step> {
    let mut steps = own_identity_steps(user, "phone", phone, true, now);
    let patch = Patch::new()
        .text("phone", phone)
        .text("phone_change", "")
        .text("phone_change_token", "")
        .time("phone_confirmed_at", Some(now));
    steps.push(no_longer_anonymous(patch, user).on(user.id, now));
    steps.push(one_time_tokens::clear(user.id, None));
    steps
}

/// Whether this proof is only the first of two that a change of address needs.
pub(super) fn needs_both(auth: &Auth, user: &User) -> bool {
    !auth.settings.mailer_autoconfirm
        && auth.settings.mailer_secure_email_change
        && user.email_change_confirm_status.unwrap_or(0) == 0
        && !user.email().is_empty()
}

/// Notes the first proof and takes its token away.
pub(super) fn half_steps(user: &User, proof: &Proof, now: Moment) -> Vec<Step> {
    let current = user.email_change_token_current.as_deref().unwrap_or_default();
    let plain = |hash: &str| hash.strip_prefix(PKCE_PREFIX).unwrap_or(hash).to_owned();
    let given = match proof {
        Proof::Hash(hash) | Proof::Mailed { hash, .. } | Proof::Texted { hash, .. } => plain(hash),
    };
    let purpose = if plain(current) == given { Purpose::EmailChangeCurrent } else { Purpose::EmailChangeNew };
    let patch = Patch::new().number("email_change_confirm_status", 1).text(purpose.as_str(), "");
    vec![patch.on(user.id, now), one_time_tokens::clear(user.id, Some(purpose))]
}
