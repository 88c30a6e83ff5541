//! `DELETE /admin/users/:id`: for good, or leaving a row behind that says nothing about the person.

use super::admin_users::load;
use crate::Auth;
use crate::call::Call;
use crate::guard;
use crate::moment::Moment;
use crate::refusal::{Outcome, database};
use crate::reply;
use crate::store::db::Step;
use crate::store::identities::obscured;
use crate::store::records::User;
use crate::store::users::{self, Patch};
use crate::store::{factors, identities, one_time_tokens, sessions};
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::{Map, json};

#[derive(Debug, Default, Deserialize)]
struct Params {
    #[serde(default)]
    should_soft_delete: Option<bool>,
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let admin = guard::admin(auth, call).await?;
    let user = load(auth, call).await?;
    let params: Params = if call.body.is_empty() { Params::default() } else { call.json()? };
    let traits = json!({ "user_id": user.id, "user_email": user.email(), "user_phone": user.phone() });
    let mut steps = auth.audit(&admin.actor, "user_deleted", Some(traits), call);
    // Sessions before their user: a refresh takes its locks in this order.
    steps.push(sessions::delete_all(user.id, None));
    if params.should_soft_delete != Some(true) {
        steps.push(users::delete(user.id));
    } else if user.deleted_at.is_none() {
        steps.extend(forget_steps(&user, call.now));
    }
    auth.db.run(steps).await.map_err(database("Database error deleting user"))?;
    Ok(reply::ok(&json!({})))
}

/// Keeps the row and takes away everything that names its person.
fn forget_steps(user: &User, now: Moment) -> Vec<Step> {
    let id = user.id;
    let phone = |number: &str| obscured(id, number).chars().take(15).collect::<String>();
    let mut patch = Patch::new()
        .text("email", &obscured(id, user.email()))
        .text("phone", &phone(user.phone()))
        .text("email_change", &obscured(id, user.email_change.as_deref().unwrap_or_default()))
        .text("phone_change", &phone(user.phone_change.as_deref().unwrap_or_default()))
        .null("encrypted_password")
        .object("raw_user_meta_data", &Map::new())
        .object("raw_app_meta_data", &Map::new())
        .time("deleted_at", Some(now));
    for column in [
        "confirmation_token",
        "recovery_token",
        "email_change_token_current",
        "email_change_token_new",
        "phone_change_token",
    ] {
        patch = patch.text(column, "");
    }
    let mut steps = vec![patch.on(id, now), one_time_tokens::clear(id, None)];
    for identity in user.identities() {
        steps.push(identities::obscure(identity.id, id, &identity.provider, &identity.provider_id, now));
    }
    steps.extend(factors::forget(id));
    steps
}
