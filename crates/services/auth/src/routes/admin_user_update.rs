//! `PUT /admin/users/:id`: changes that take effect at once.

use super::admin_users::{Params, ban_patch, confirm_steps, load};
use super::user_update::{own_identity_steps, password_steps};
use crate::Auth;
use crate::call::Call;
use crate::guard;
use crate::hasher;
use crate::refusal::{Outcome, database, invalid};
use crate::reply;
use crate::store::db::{Step, last};
use crate::store::records::User;
use crate::store::sessions;
use crate::store::users::{self, Patch};
use axum::body::Body;
use http::Response;
use serde_json::json;

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let admin = guard::admin(auth, call).await?;
    let user = load(auth, call).await?;
    let params: Params = call.json()?;
    let (email, phone) = params.addresses()?;
    let ban = params.ban()?;
    let now = call.now;
    let mut patch = Patch::new();
    if let Some(role) = params.role.as_deref().filter(|role| !role.is_empty()) {
        patch = patch.text("role", role.trim());
    }
    let mut steps = Vec::new();
    if let Some(secret) = &params.password {
        crate::strength::check(auth, secret).await?;
        let hash = auth.hasher.hash(secret).await?;
        // Sessions before their user: a refresh takes its locks in this order.
        steps.push(sessions::delete_all(user.id, None));
        steps.extend(password_steps(&user, &hash, now));
    }
    if let Some(hash) = params.password_hash.as_deref().filter(|hash| !hash.is_empty()) {
        if params.password.is_some() {
            return Err(invalid("Only a password or a password hash should be provided"));
        }
        if !hasher::is_hash(hash) {
            return Err(invalid(super::admin_users::BAD_HASH));
        }
        steps.push(sessions::delete_all(user.id, None));
        steps.extend(password_steps(&user, hash, now));
    }
    steps.extend(confirm_steps(&params, user.id, now));
    if !email.is_empty() {
        let confirmed = params.email_confirm == Some(true);
        steps.extend(address_steps(&user, "email", &email, confirmed, now));
        patch = patch.text("email", &email);
        patch = if user.is_anonymous && confirmed { patch.flag("is_anonymous", false) } else { patch };
    }
    if !phone.is_empty() {
        let confirmed = params.phone_confirm == Some(true);
        steps.extend(address_steps(&user, "phone", &phone, confirmed, now));
        patch = patch.text("phone", &phone);
        let settled = user.is_anonymous && confirmed && email.is_empty();
        patch = if settled { patch.flag("is_anonymous", false) } else { patch };
    }
    if let Some(metadata) = params.app_metadata.clone() {
        patch = patch.merge("raw_app_meta_data", metadata);
    }
    if let Some(metadata) = params.user_metadata.clone() {
        patch = patch.merge("raw_user_meta_data", metadata);
    }
    if let Some(ban) = ban {
        patch = ban_patch(patch, ban, now);
    }
    if !patch.is_empty() {
        steps.push(patch.on(user.id, now));
    }
    let traits = json!({ "user_id": user.id, "user_email": user.email(), "user_phone": user.phone() });
    steps.extend(auth.audit(&admin.actor, "user_modified", Some(traits), call));
    steps.push(users::by_id(user.id));
    let results = auth.db.run(steps).await.map_err(database("Error updating user"))?;
    let user: User = last(&results).map_err(database("Error updating user"))?;
    Ok(reply::ok(&user))
}

fn address_steps(
    user: &User,
    provider: &'static str,
    address: &str,
    confirmed: bool,
    now: crate::moment::Moment,
) -> Vec<Step> {
    own_identity_steps(user, provider, address, confirmed, now)
}
