//! `/oauth/authorizations/:id`: what an application asks of a user, and the user's answer.

use super::oauth_authorize::refused;
use super::oauth_clients;
use crate::Auth;
use crate::call::Call;
use crate::flow::redirect::{is_allowed, with_query};
use crate::flow::scope;
use crate::guard::{self, Signed};
use crate::refusal::{Outcome, Refusal, database, invalid, refuse};
use crate::reply;
use crate::store::db::{Unit, first};
use crate::store::oauth_authorizations::{self, Authorization};
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

const FAILED: &str = "Database error accessing authorization";

fn not_found() -> Refusal {
    refuse(404, "oauth_authorization_not_found", "authorization not found")
}

/// A user on a page that may ask.
async fn enter(auth: &Auth, call: &Call) -> Outcome<Signed> {
    oauth_clients::check_enabled(auth)?;
    let signed = guard::user(auth, call).await?;
    let origin = call.header("origin");
    if !origin.is_empty() && !is_allowed(&auth.settings, origin) {
        return Err(invalid("unauthorized request origin"));
    }
    Ok(signed)
}

/// The pending request of the path, locked.
async fn lock(auth: &Auth, call: &Call, user: Uuid, over: &'static str) -> Outcome<(Unit, Authorization)> {
    let id = call.path.split('/').nth(3).unwrap_or_default();
    let steps = vec![oauth_authorizations::lock(id, user)];
    let (unit, results) = auth.db.begin(steps).await.map_err(database(FAILED))?;
    let found: Option<Authorization> =
        results.first().map(first).transpose().map_err(database(FAILED))?.flatten();
    let Some(found) = found else {
        unit.rollback().await.map_err(database(FAILED))?;
        return Err(not_found());
    };
    if found.status == "pending" && call.now > found.expires_at {
        let steps = vec![oauth_authorizations::close(found.id, "expired")];
        unit.commit(steps).await.map_err(database(FAILED))?;
        return Err(not_found());
    }
    // Who is not asked learns nothing, not even that it is over.
    let theirs = found.user_id.is_none_or(|asked| asked == user) && found.client.is_some();
    if !theirs || found.status != "pending" {
        unit.rollback().await.map_err(database(FAILED))?;
        return Err(if theirs { invalid(over) } else { not_found() });
    }
    Ok((unit, found))
}

/// Where the application gets its code.
fn granted(authorization: &Authorization, code: &str) -> String {
    let mut pairs = vec![("code", code)];
    if let Some(state) = authorization.state.as_deref().filter(|state| !state.is_empty()) {
        pairs.push(("state", state));
    }
    with_query(&authorization.redirect_uri, &pairs)
}

/// `GET`: who asks for what. The first to read a request is the one it asks; when they have granted as much
/// before, they are not asked again.
pub(super) async fn get(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = enter(auth, call).await?;
    let user = &signed.user;
    let (unit, found) = lock(auth, call, user.id, "authorization request cannot be processed").await?;
    let is_new = found.user_id.is_none();
    let mut steps = Vec::new();
    if is_new {
        steps.push(oauth_authorizations::claim(found.id, user.id));
    }
    if is_new && found.granted.as_deref().is_some_and(|granted| scope::covers(granted, &found.scope)) {
        let code = Uuid::new_v4().to_string();
        steps.push(oauth_authorizations::approve(found.id, &code, call.now));
        unit.commit(steps).await.map_err(database(FAILED))?;
        return Ok(reply::ok(&json!({ "redirect_url": granted(&found, &code) })));
    }
    unit.commit(steps).await.map_err(database(FAILED))?;
    Ok(reply::ok(&json!({
        "authorization_id": found.authorization_id,
        "redirect_uri": found.redirect_uri,
        "client": found.client.ok_or_else(not_found)?.introduced(),
        "user": { "id": user.id, "email": user.email() },
        "scope": found.scope,
    })))
}

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    action: Option<String>,
}

/// `POST …/consent`: the answer, of the user who has read the question.
pub(super) async fn answer(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = enter(auth, call).await?;
    let params: Params = call.json()?;
    let approved = match params.action.as_deref() {
        Some("approve") => true,
        Some("deny") => false,
        _ => return Err(invalid("action must be 'approve' or 'deny'")),
    };
    let user = signed.user.id;
    let (unit, found) = lock(auth, call, user, "authorization request is no longer pending").await?;
    if found.user_id.is_none() {
        unit.rollback().await.map_err(database(FAILED))?;
        return Err(not_found());
    }
    let (steps, url) = if approved {
        let code = Uuid::new_v4().to_string();
        let steps = vec![
            oauth_authorizations::approve(found.id, &code, call.now),
            oauth_authorizations::grant(user, found.client_id, &found.scope, call.now),
        ];
        (steps, granted(&found, &code))
    } else {
        let state = found.state.as_deref().unwrap_or_default();
        let url = refused(&found.redirect_uri, "access_denied", "User denied the request", state);
        (vec![oauth_authorizations::close(found.id, "denied")], url)
    };
    unit.commit(steps).await.map_err(database(FAILED))?;
    Ok(reply::ok(&json!({ "redirect_url": url })))
}
