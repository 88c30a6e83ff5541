//! `POST /token?grant_type=pkce`: a code of a flow, for whoever began it.

use crate::Auth;
use crate::call::Call;
use crate::flow::pkce;
use crate::issue::NewSession;
use crate::moment::Moment;
use crate::refusal::{Outcome, database, invalid, refuse};
use crate::store::audit::Actor;
use crate::store::db::{first, last};
use crate::store::records::{FlowState, User};
use crate::store::{flow_states, proofs, users};
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    auth_code: Option<String>,
    #[serde(default)]
    code_verifier: Option<String>,
}

const FAILED: &str = "Database error granting user";

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let params: Params = call.json()?;
    let (code, verifier) = (params.auth_code.unwrap_or_default(), params.code_verifier.unwrap_or_default());
    if code.is_empty() || verifier.is_empty() {
        return Err(invalid("invalid request: both auth code and code verifier should be non-empty"));
    }
    let not_found = || refuse(404, "flow_state_not_found", "invalid flow state, no valid flow state found");
    let rows = auth.db.one(flow_states::by_code(&code)).await.map_err(database(FAILED))?;
    let flow: FlowState = first(&rows).map_err(database(FAILED))?.ok_or_else(not_found)?;
    let user_id = flow.user_id.ok_or_else(not_found)?;
    let start = match flow.authentication_method.as_str() {
        // The link may be opened long after it was asked for.
        "magiclink" => flow.auth_code_issued_at.or(flow.created_at),
        _ => flow.created_at,
    };
    if start.is_none_or(|start| call.now > start.plus(auth.settings.flow_state_expiry)) {
        return Err(refuse(422, "flow_state_expired", "invalid flow state, flow state has expired"));
    }
    let challenge = flow.code_challenge.as_deref().unwrap_or_default();
    pkce::verify(flow.code_challenge_method.as_deref().unwrap_or_default(), challenge, &verifier)?;
    let method = method(&flow.authentication_method);
    // Only one of several exchanges takes the row; the others wait for it and find it gone.
    let first_steps = vec![flow_states::take(flow.id), users::by_id(user_id), proofs::session_end(flow.id)];
    let (unit, results) = auth.db.begin(first_steps).await.map_err(database(FAILED))?;
    let taken = results.first().is_some_and(|rows| !rows.is_empty());
    let user: Option<User> = results.get(1).map(first).transpose().map_err(database(FAILED))?.flatten();
    let user = user.filter(|_| taken).ok_or_else(not_found)?;
    if user.is_banned(call.now) {
        return Err(refuse(403, "user_banned", "User is banned"));
    }
    let session = NewSession::new(user.id, method).until(session_end(&results)?);
    let traits = Some(json!({ "provider_type": flow.provider_type }));
    let mut steps = auth.audit(&Actor::user(&user), "login", traits, call);
    steps.extend(session.steps(call));
    let results = unit.commit(steps).await.map_err(database(FAILED))?;
    let user = last(&results).map_err(database(FAILED))?;
    let mut grant = session.grant(auth, call, user).await?;
    grant.provider_token = flow.provider_access_token.filter(|token| !token.is_empty());
    grant.provider_refresh_token = flow.provider_refresh_token.filter(|token| !token.is_empty());
    Ok(grant.respond())
}

/// When whoever vouched for the user wants the session to end.
fn session_end(results: &[pg::Rows]) -> Outcome<Option<Moment>> {
    let row = results.get(2).and_then(|rows| rows.first());
    row.map(|row| row.json(0)).transpose().map_err(database(FAILED))
}

/// The method that the session is noted with: that of the flow.
fn method(text: &str) -> &'static str {
    match text {
        "email/signup" => "email/signup",
        "recovery" => "recovery",
        "magiclink" => "magiclink",
        "invite" => "invite",
        "email_change" => "email_change",
        "sso/saml" => "sso/saml",
        _ => "oauth",
    }
}
