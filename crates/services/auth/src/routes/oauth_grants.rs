//! `/oauth/userinfo`, what an application may know of its user, and `/user/oauth/grants`, what users have
//! granted to applications.

use super::{oauth_clients, oauth_token};
use crate::Auth;
use crate::call::Call;
use crate::flow::scope;
use crate::guard;
use crate::refusal::{Outcome, database, invalid, refuse};
use crate::reply;
use crate::store::audit::Actor;
use crate::store::db::all;
use crate::store::oauth_authorizations::{self, Consent};
use crate::store::sessions;
use axum::body::Body;
use http::Response;
use serde_json::{Map, Value, json};
use uuid::Uuid;

const FAILED: &str = "Error fetching OAuth grants";

/// `GET /oauth/userinfo`.
pub(super) async fn user_info(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    oauth_clients::check_enabled(auth)?;
    let signed = guard::user(auth, call).await?;
    let user = &signed.user;
    let scopes = signed.session.and_then(|session| session.scopes).unwrap_or_default();
    let mut info = Map::new();
    info.insert("sub".to_owned(), json!(user.id));
    let addresses = [
        ("email", "email_verified", user.email(), user.email_confirmed_at),
        ("phone", "phone_verified", user.phone(), user.phone_confirmed_at),
    ];
    for (name, verified, address, confirmed_at) in addresses {
        if !scope::has(&scopes, name) {
            continue;
        }
        if !address.is_empty() {
            info.insert(name.to_owned(), Value::from(address));
        }
        if confirmed_at.is_some() {
            info.insert(verified.to_owned(), Value::Bool(true));
        }
    }
    if scope::has(&scopes, "profile") {
        info.extend(oauth_token::profile(user));
        info.insert("user_metadata".to_owned(), Value::Object(user.user_metadata()));
    }
    Ok(reply::ok(&info))
}

/// `GET /user/oauth/grants`.
pub(super) async fn list(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = guard::user(auth, call).await?;
    oauth_clients::check_enabled(auth)?;
    let step = oauth_authorizations::consents(signed.user.id);
    let rows = auth.db.one(step).await.map_err(database(FAILED))?;
    let consents: Vec<Consent> = all(&rows).map_err(database(FAILED))?;
    let shown: Vec<Value> = consents
        .iter()
        .map(|consent| {
            json!({
                "client": consent.client.introduced(),
                "scopes": scope::parse(&consent.scopes).collect::<Vec<_>>(),
                "granted_at": consent.granted_at,
            })
        })
        .collect();
    Ok(reply::ok(&shown))
}

/// `DELETE /user/oauth/grants?client_id=`: takes a consent back and ends the sessions that came of it.
pub(super) async fn revoke(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = guard::user(auth, call).await?;
    oauth_clients::check_enabled(auth)?;
    let client = call.query("client_id");
    if client.is_empty() {
        return Err(invalid("client_id query parameter is required"));
    }
    let client = Uuid::parse_str(client).map_err(|_| invalid("invalid client_id format"))?;
    let user = &signed.user;
    let steps = vec![oauth_authorizations::revoke(user.id, client, call.now)];
    let (unit, results) = auth.db.begin(steps).await.map_err(database(FAILED))?;
    if results.first().is_none_or(pg::Rows::is_empty) {
        unit.rollback().await.map_err(database(FAILED))?;
        let message = "No active grant found for this client";
        return Err(refuse(404, "oauth_consent_not_found", message));
    }
    let traits = json!({ "oauth_client_id": client, "action": "revoke_oauth_grant" });
    let mut steps = auth.audit(&Actor::user(user), "token_revoked", Some(traits), call);
    steps.push(sessions::delete_of_client(user.id, client));
    unit.commit(steps).await.map_err(database(FAILED))?;
    Ok(reply::no_content())
}
