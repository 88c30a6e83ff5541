//! `/admin/users/:id/factors`: second factors of somebody else.

use super::admin_users::load;
use super::factors::{find, method};
use crate::Auth;
use crate::call::Call;
use crate::flow::address;
use crate::guard;
use crate::refusal::{Outcome, database, refuse};
use crate::reply;
use crate::store::audit::Actor;
use crate::store::db::last;
use crate::store::records::User;
use crate::store::{factors, sessions, users};
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::json;

const FAILED: &str = "Database error updating factors";

pub(super) async fn list(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    guard::admin(auth, call).await?;
    Ok(reply::ok(&load(auth, call).await?.factors))
}

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    friendly_name: Option<String>,
    #[serde(default)]
    phone: Option<String>,
}

pub(super) async fn update(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let admin = guard::admin(auth, call).await?;
    let user = load(auth, call).await?;
    let factor = find(&user.factors, call, 5)?;
    let params: Params = call.json()?;
    let name = params.friendly_name.as_deref().filter(|name| !name.is_empty());
    let phone = match params.phone.as_deref() {
        Some(text) if !text.is_empty() && factor.factor_type == "phone" => Some(address::phone(text)?),
        _ => None,
    };
    let traits = json!({ "user_id": user.id, "factor_id": factor.id, "factor_type": factor.factor_type });
    let mut steps = auth.audit(&admin.actor, "factor_updated", Some(traits), call);
    steps.push(factors::update(factor.id, name, phone.as_deref(), call.now));
    steps.push(users::by_id(user.id));
    let results = auth.db.run(steps).await.map_err(database(FAILED))?;
    let changed: User = last(&results).map_err(database(FAILED))?;
    let changed = changed.factors.iter().find(|f| f.id == factor.id);
    let changed = changed.ok_or_else(|| refuse(404, "mfa_factor_not_found", "Factor not found"))?;
    Ok(reply::ok(changed))
}

pub(super) async fn delete(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    guard::admin(auth, call).await?;
    let user = load(auth, call).await?;
    let factor = find(&user.factors, call, 5)?;
    let traits = json!({ "user_id": user.id, "factor_id": factor.id });
    let mut steps = auth.audit(&Actor::user(&user), "factor_deleted", Some(traits), call);
    steps.push(factors::delete(factor.id, user.id));
    steps.extend(sessions::downgrade(user.id, factor.id, method(&factor.factor_type), call.now));
    auth.db.run(steps).await.map_err(database(FAILED))?;
    Ok(reply::ok(factor))
}
