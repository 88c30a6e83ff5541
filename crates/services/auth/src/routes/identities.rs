//! `DELETE /user/identities/:id`: one way to sign in less.

use crate::Auth;
use crate::call::Call;
use crate::guard::{self, token_audience};
use crate::handover::{self, Unsent};
use crate::notice;
use crate::refusal::{Outcome, Refusal, database, refuse};
use crate::reply;
use crate::settings::Notification;
use crate::store::audit::Actor;
use crate::store::db::{Step, last};
use crate::store::records::{Identity, User};
use crate::store::users::{self, Patch};
use crate::store::{identities, one_time_tokens};
use axum::body::Body;
use http::Response;
use serde_json::{Map, json};
use uuid::Uuid;

const FAILED: &str = "Database error deleting identity";

/// Refuses where users may not link and unlink by themselves.
pub(super) fn check_enabled(auth: &Auth) -> Outcome<()> {
    if !auth.settings.manual_linking_enabled {
        return Err(refuse(404, "manual_linking_disabled", "Manual linking is disabled"));
    }
    Ok(())
}

pub(super) async fn delete(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = guard::user(auth, call).await?;
    check_enabled(auth)?;
    let id = call.path.split('/').nth(3).unwrap_or_default();
    let id =
        Uuid::parse_str(id).map_err(|_| refuse(404, "validation_failed", "identity_id must be an UUID"))?;
    if signed.audience != token_audience(&signed.claims) {
        return Err(refuse(403, "unexpected_audience", "Token audience doesn't match request audience"));
    }
    // An account has few identities; each of their addresses is tried once.
    for choice in 0..signed.user.identities().len().max(1) {
        match attempt(auth, call, signed.user.id, id, choice).await {
            Err(refusal) if refusal.fault.code == TAKEN => {}
            other => return other.map(|()| reply::ok(&json!({}))),
        }
    }
    Err(refuse(422, TAKEN, "Unable to unlink identity due to email conflict"))
}

const TAKEN: &str = "email_conflict_identity_not_deletable";

/// Takes the identity away. If the account needs another address, it is the one of this rank.
async fn attempt(auth: &Auth, call: &Call, user: Uuid, id: Uuid, choice: usize) -> Outcome<()> {
    // Two who take different identities away wait for each other, so that one is left: the second look is what counts.
    let look = vec![users::by_id(user).locking("u"), users::by_id(user)];
    let (unit, results) = auth.db.begin(look).await.map_err(database(FAILED))?;
    let user: User = last(&results).map_err(database(FAILED))?;
    match steps(auth, call, &user, id, choice) {
        Err(refusal) => {
            unit.rollback().await.map_err(database(FAILED))?;
            Err(refusal)
        }
        Ok(steps) => match handover::finish(auth, call, unit, steps).await {
            Ok(_) => Ok(()),
            Err(Unsent::Database(error)) => Err(conflict(error)),
            Err(Unsent::Refused(refusal)) => Err(refusal),
        },
    }
}

fn steps(auth: &Auth, call: &Call, user: &User, id: Uuid, choice: usize) -> Outcome<Vec<Step>> {
    if user.identities().len() <= 1 {
        let message = "User must have at least 1 identity after unlinking";
        return Err(refuse(422, "single_identity_not_deletable", message));
    }
    let gone = user.identities().iter().find(|identity| identity.id == id);
    let gone = gone.ok_or_else(|| refuse(422, "identity_not_found", "Identity doesn't exist"))?;
    let traits = json!({ "identity_id": id, "provider": gone.provider, "provider_id": gone.provider_id });
    let mut steps = auth.audit(&Actor::user(user), "identity_unlinked", Some(traits), call);
    steps.push(identities::delete(id, user.id));
    steps.extend(address_steps(auth, call, user, gone, choice)?);
    steps.push(users::refresh_providers(user.id, call.now));
    let to = if user.email().is_empty() { gone.email() } else { user.email() };
    let details = json!({ "provider": gone.provider });
    steps.extend(notice::step(auth, call, Notification::IdentityUnlinked, user, to, details));
    Ok(steps)
}

fn conflict(error: pg::Error) -> Refusal {
    let constraint = error.db().and_then(|report| report.constraint.as_deref());
    if constraint == Some("users_email_partial_key") {
        return refuse(422, TAKEN, "Unable to unlink identity due to email conflict");
    }
    database(FAILED)(error)
}

/// What becomes of the account's own addresses.
fn address_steps(
    auth: &Auth,
    call: &Call,
    user: &User,
    gone: &Identity,
    choice: usize,
) -> Outcome<Vec<Step>> {
    if gone.provider == "phone" {
        return Ok(vec![Patch::new().null("phone").null("phone_confirmed_at").on(user.id, call.now)]);
    }
    let mut rest: Vec<&Identity> =
        user.identities().iter().filter(|identity| identity.id != gone.id).collect();
    // An address that is proven comes before one that is not, and one that is not before none.
    rest.sort_by_key(|identity| (identity.email().is_empty(), !identity.is_email_verified()));
    if rest.iter().any(|identity| identity.email() == user.email()) {
        return Ok(Vec::new());
    }
    let taken = || refuse(422, TAKEN, "Unable to unlink identity due to email conflict");
    let primary = rest.get(choice).ok_or_else(taken)?;
    let mut patch = match primary.email() {
        "" => Patch::new().null("email"),
        email => Patch::new().text("email", email),
    };
    // Tokens on their way were sent to the old address.
    for column in [
        "confirmation_token",
        "recovery_token",
        "email_change",
        "email_change_token_new",
        "email_change_token_current",
        "reauthentication_token",
    ] {
        patch = patch.text(column, "");
    }
    let proven = primary.is_email_verified() || auth.settings.mailer_autoconfirm;
    if primary.email().is_empty() || !proven {
        let mut unverified = Map::new();
        unverified.insert("email_verified".into(), json!(false));
        patch = patch.null("email_confirmed_at").merge("raw_user_meta_data", unverified);
    }
    Ok(vec![patch.on(user.id, call.now), one_time_tokens::clear(user.id, None)])
}
