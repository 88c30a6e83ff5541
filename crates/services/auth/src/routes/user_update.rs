//! `PUT /user`: password, metadata, and changes of address that wait for their confirmation.

use crate::Auth;
use crate::call::Call;
use crate::flow::pkce::{Challenge, ChallengeFields};
use crate::flow::session::Assurance;
use crate::flow::{address, one_time};
use crate::guard::{self, Signed};
use crate::handover;
use crate::notice;
use crate::refusal::{Outcome, database, invalid, refuse};
use crate::reply;
use crate::settings::Notification;
use crate::sms;
use crate::store::audit::Actor;
use crate::store::db::{Step, first, last};
use crate::store::one_time_tokens::Purpose;
use crate::store::records::User;
use crate::store::users::{self, Patch};
use crate::store::{identities, one_time_tokens, sessions};
use crate::{limits::Bucket, routes::proven};
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long after a sign-in the password can be changed without a nonce.
const FRESH: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Default, Deserialize)]
struct Params {
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    current_password: Option<String>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    data: Option<Map<String, Value>>,
    #[serde(default)]
    app_metadata: Option<Map<String, Value>>,
    #[serde(default)]
    channel: Option<String>,
    #[serde(flatten)]
    challenge: ChallengeFields,
}

/// The request, checked: addresses only when they differ from what the user has.
struct Change {
    email: Option<String>,
    phone: Option<String>,
    password: Option<String>,
    challenge: Option<Challenge>,
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = guard::user(auth, call).await?;
    auth.limits.count(Bucket::User, &auth.settings, call)?;
    let params: Params = call.json()?;
    let change = check(auth, &params, &signed)?;
    if let Some(secret) = &params.password {
        crate::strength::check(auth, secret).await?;
    }
    check_rules(&params, &change, &signed)?;
    check_free(auth, &change, &signed).await?;
    let password_hash = match &change.password {
        Some(password) => Some(new_password(auth, call, &params, &signed, password).await?),
        None => None,
    };
    let steps = write(auth, call, params, &change, &signed, password_hash)?;
    let results = handover::run(auth, call, steps).await.map_err(handover::failed("Error updating user"))?;
    let user: User = last(&results).map_err(database("Error updating user"))?;
    Ok(reply::ok(&user))
}

fn check(auth: &Auth, params: &Params, signed: &Signed) -> Outcome<Change> {
    let user = &signed.user;
    let email = match params.email.as_deref().unwrap_or_default() {
        "" => None,
        text => Some(address::email(text)?).filter(|email| email != user.email()),
    };
    let phone = match params.phone.as_deref().unwrap_or_default() {
        "" => None,
        text => Some(address::phone(text)?).filter(|phone| phone != user.phone()),
    };
    let texts = params.phone.as_deref().is_some_and(|text| !text.is_empty());
    if texts && !crate::sms::takes_channel(auth, params.channel.as_deref().unwrap_or_default()) {
        return Err(invalid(super::otp::INVALID_CHANNEL));
    }
    let challenge = params.challenge.read()?;
    Ok(Change { email, phone, password: params.password.clone(), challenge })
}

/// What users may not do to themselves.
fn check_rules(params: &Params, change: &Change, signed: &Signed) -> Outcome<()> {
    let user = &signed.user;
    let sensitive = change.email.is_some() || change.phone.is_some() || change.password.is_some();
    if params.app_metadata.is_some() && user.role.as_deref() != Some("admin") {
        return Err(refuse(403, "not_admin", "Updating app_metadata requires admin privileges"));
    }
    let level = Assurance::of(signed.session.as_ref().and_then(|session| session.aal.as_deref()));
    if sensitive && level < user.possible_assurance() {
        let message = "AAL2 session is required to update email or password when MFA is enabled.";
        return Err(refuse(401, "insufficient_aal", message));
    }
    let given = |field: &Option<String>| field.as_deref().is_some_and(|text| !text.is_empty());
    if user.is_anonymous && change.password.is_some() && !given(&params.email) && !given(&params.phone) {
        let message = "Updating password of an anonymous user without an email or phone is not allowed";
        return Err(refuse(422, "validation_failed", message));
    }
    if user.is_sso_user && (sensitive || given(&params.nonce)) {
        let message = "Updating email, phone, password of a SSO account only possible via SSO";
        return Err(refuse(422, "user_sso_managed", message));
    }
    Ok(())
}

/// Refuses addresses that somebody else has.
async fn check_free(auth: &Auth, change: &Change, signed: &Signed) -> Outcome<()> {
    let mut steps = Vec::new();
    if let Some(email) = &change.email {
        steps.push(users::duplicate_of_email(email, &signed.audience, Some(signed.user.id)));
    }
    if let Some(phone) = &change.phone {
        steps.push(users::by_phone(phone, &signed.audience));
    }
    if steps.is_empty() {
        return Ok(());
    }
    let results = auth.db.run(steps).await.map_err(database("Database error checking email"))?;
    let mut results = results.iter();
    let mut taken = || -> Outcome<bool> {
        let Some(rows) = results.next() else { return Ok(false) };
        let found: Option<User> = first(rows).map_err(database("Database error checking email"))?;
        Ok(found.is_some())
    };
    if change.email.is_some() && taken()? {
        return Err(refuse(422, "email_exists", super::EMAIL_TAKEN));
    }
    if change.phone.is_some() && taken()? {
        return Err(refuse(422, "phone_exists", super::PHONE_TAKEN));
    }
    Ok(())
}

/// The hash of the new password, once it is clear that the caller may set it.
async fn new_password(
    auth: &Auth,
    call: &Call,
    params: &Params,
    signed: &Signed,
    password: &str,
) -> Outcome<String> {
    let (settings, user) = (&auth.settings, &signed.user);
    if settings.update_password_require_reauthentication {
        let fresh = signed.session.as_ref().is_some_and(|session| call.now <= session.created_at.plus(FRESH));
        if !fresh {
            check_nonce(auth, call, user, params.nonce.as_deref().unwrap_or_default()).await?;
        }
    }
    if let Some(hash) = user.password_hash() {
        if settings.update_password_require_current && !is_recovery(signed) {
            let current = params.current_password.as_deref().unwrap_or_default();
            let message = "Current password required when setting new password.";
            if current.is_empty() {
                return Err(refuse(400, "current_password_required", message));
            }
            if !auth.hasher.verify(current, Some(hash)).await? {
                return Err(refuse(400, "current_password_invalid", message));
            }
        }
        if auth.hasher.verify(password, Some(hash)).await? {
            let message = "New password should be different from the old password.";
            return Err(refuse(422, "same_password", message));
        }
    }
    auth.hasher.hash(password).await
}

/// Whether the session came from a message, so that its owner may not know the password.
fn is_recovery(signed: &Signed) -> bool {
    let methods = signed.session.as_ref().map(|session| session.amr.as_slice()).unwrap_or_default();
    methods.iter().any(|m| matches!(m.authentication_method.as_str(), "otp" | "magiclink" | "recovery"))
}

async fn check_nonce(auth: &Auth, call: &Call, user: &User, nonce: &str) -> Outcome<()> {
    if nonce.is_empty() {
        return Err(refuse(400, "reauthentication_needed", "Password update requires reauthentication"));
    }
    let (address, expiry) = match user.email() {
        "" => (user.phone(), auth.settings.sms_otp_expiry),
        email => (email, auth.settings.mailer_otp_expiry),
    };
    let (stored, sent) = (user.reauthentication_token.as_deref(), user.reauthentication_sent_at);
    let is_sent = stored.is_some_and(|stored| !stored.is_empty());
    let is_expected = is_sent && !address.is_empty() && !one_time::is_expired(sent, expiry, call.now);
    let hash = one_time::hash(address, nonce);
    let mut is_right = is_expected && one_time::is_valid(&hash, stored, sent, expiry, call.now);
    if is_expected && user.email().is_empty() && super::otp::test_code(auth, address).is_none() {
        is_right = sms::approved(auth, address, nonce).await.unwrap_or(is_right);
    }
    let name = format!("nonce {}", user.id);
    if is_right {
        auth.limits.forget_wrong_codes(&name);
        return Ok(());
    }
    if is_expected && auth.limits.count_wrong_code(&name, call.now) {
        tracing::warn!(user = %user.id, "too many wrong nonces: the one on its way is void");
        let patch = Patch::new().text("reauthentication_token", "");
        let purpose = Some(Purpose::Reauthentication);
        let steps = vec![patch.on(user.id, call.now), one_time_tokens::clear(user.id, purpose)];
        auth.db.run(steps).await.map_err(database("Error updating user"))?;
    }
    Err(refuse(422, "reauthentication_not_valid", "Nonce has expired or is invalid"))
}

fn write(
    auth: &Auth,
    call: &Call,
    params: Params,
    change: &Change,
    signed: &Signed,
    password_hash: Option<String>,
) -> Outcome<Vec<Step>> {
    let (user, now) = (&signed.user, call.now);
    let actor = Actor::user(user);
    let mut steps = Vec::new();
    if let Some(hash) = password_hash {
        // Sessions before their user: a refresh takes its locks in this order.
        steps.push(sessions::delete_all(user.id, signed.session.as_ref().map(|session| session.id)));
        steps.extend(password_steps(user, &hash, now));
        steps.extend(auth.audit(&actor, "user_updated_password", None, call));
        let what = Notification::PasswordChanged;
        steps.extend(notice::step(auth, call, what, user, user.email(), Value::Null));
    }
    let mut patch = Patch::new();
    if let Some(data) = params.data {
        patch = patch.merge("raw_user_meta_data", data);
    }
    if let Some(data) = params.app_metadata {
        patch = patch.merge("raw_app_meta_data", data);
    }
    if !patch.is_empty() {
        steps.push(patch.on(user.id, now));
    }
    if let Some(email) = &change.email {
        if user.is_anonymous && auth.settings.mailer_autoconfirm {
            steps.extend(proven::email_change_steps(user, email, now));
        } else {
            steps.extend(super::email_change::request_steps(
                auth,
                call,
                user,
                email,
                change.challenge.as_ref(),
            )?);
        }
    }
    if let Some(phone) = &change.phone {
        if auth.settings.sms_autoconfirm {
            steps.extend(proven::phone_change_steps(user, phone, now));
        } else {
            steps.extend(super::otp::phone_change_steps(auth, call, user, phone)?);
        }
    }
    steps.extend(auth.audit(&actor, "user_modified", None, call));
    steps.push(users::by_id(user.id));
    Ok(steps)
}

/// Sets a password, which takes away every pending token of the old one's time.
pub(super) fn password_steps(user: &User, hash: &str, now: crate::moment::Moment) -> [Step; 2] {
    let mut patch = Patch::new().text("encrypted_password", hash);
    for column in [
        "confirmation_token",
        "recovery_token",
        "email_change_token_current",
        "email_change_token_new",
        "phone_change_token",
        "reauthentication_token",
    ] {
        patch = patch.text(column, "");
    }
    for column in [
        "confirmation_sent_at",
        "recovery_sent_at",
        "email_change_sent_at",
        "phone_change_sent_at",
        "reauthentication_sent_at",
    ] {
        patch = patch.null(column);
    }
    [patch.on(user.id, now), one_time_tokens::clear(user.id, None)]
}

/// Adds an identity for an address of the user's own, or brings the one there is up to date.
pub(super) fn own_identity_steps(
    user: &User,
    provider: &'static str,
    address: &str,
    verified: bool,
    now: crate::moment::Moment,
) -> Vec<Step> {
    let data = json!({ provider: address, format!("{provider}_verified"): verified });
    if user.own_identity(provider).is_some() {
        return vec![identities::merge_own(user.id, provider, data, now)];
    }
    let (email, phone) = if provider == "email" { (address, "") } else { ("", address) };
    let data = identities::own_data(user.id, email, phone, verified, &Map::new());
    vec![identities::insert_own(user.id, provider, data, now)]
}
