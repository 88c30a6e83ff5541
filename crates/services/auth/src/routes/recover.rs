//! `POST /recover`: a link by which a forgotten password can be replaced.

use crate::Auth;
use crate::call::Call;
use crate::flow::address;
use crate::flow::pkce::ChallengeFields;
use crate::guard::audience;
use crate::handover;
use crate::message::{self, Kind, Recipient};
use crate::refusal::{Outcome, database, invalid, refuse};
use crate::reply;
use crate::store::audit::Actor;
use crate::store::db::first;
use crate::store::records::User;
use crate::store::users;
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    email: Option<String>,
    #[serde(flatten)]
    challenge: ChallengeFields,
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    if !auth.settings.email_enabled {
        return Err(refuse(400, "email_provider_disabled", "Email logins are disabled"));
    }
    let params: Params = call.json()?;
    let email = params.email.unwrap_or_default();
    if email.is_empty() {
        return Err(invalid("Password recovery requires an email"));
    }
    let email = address::email(&email)?;
    let challenge = params.challenge.read()?;
    let find = users::by_email(&email, &audience(&auth.settings, call, None));
    let rows = auth.db.one(find).await.map_err(database("Unable to process request"))?;
    let user: Option<User> = first(&rows).map_err(database("Unable to process request"))?;
    if let Some(user) = user {
        let to = Recipient { user: user.id, address: &email, last_sent: user.recovery_sent_at };
        let mut steps = auth.audit(&Actor::user(&user), "user_recovery_requested", None, call);
        steps.extend(message::mail(auth, call, Kind::Recovery, to, challenge.as_ref())?);
        handover::run(auth, call, steps).await.map_err(handover::failed("Unable to process request"))?;
    }
    Ok(reply::ok(&json!({})))
}
