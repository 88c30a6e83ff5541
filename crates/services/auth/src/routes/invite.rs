//! `POST /invite`: an administrator asks somebody in.

use super::signup::{self, Newcomer};
use crate::Auth;
use crate::call::Call;
use crate::flow::address;
use crate::guard;
use crate::handover;
use crate::hook;
use crate::message::{self, Kind, Recipient};
use crate::refusal::{Outcome, database, refuse};
use crate::reply;
use crate::store::db::{first, last};
use crate::store::records::User;
use crate::store::users;
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    data: Option<Map<String, Value>>,
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let admin = guard::admin(auth, call).await?;
    let params: Params = call.json()?;
    let email = address::email(params.email.as_deref().unwrap_or_default())?;
    let find = users::by_email(&email, &admin.audience);
    let rows = auth.db.one(find).await.map_err(database("Database error finding user"))?;
    let existing: Option<User> = first(&rows).map_err(database("Database error finding user"))?;
    let is_new = existing.is_none();
    let (id, mut steps) = match existing {
        Some(user) if user.email_confirmed_at.is_some() => {
            return Err(refuse(422, "email_exists", super::EMAIL_TAKEN));
        }
        Some(user) => (user.id, Vec::new()),
        None => {
            let address = signup::Address { provider: "email", email: email.clone(), phone: String::new() };
            let (data, audience) = (params.data.unwrap_or_default(), admin.audience.clone());
            let newcomer = Newcomer { address, data, audience, challenge: None };
            signup::creation_steps(auth, call, &newcomer.with_hash(String::new())).await?
        }
    };
    let traits = Some(json!({ "user_id": id, "user_email": email }));
    steps.extend(auth.audit(&admin.actor, "user_invited", traits, call));
    let to = Recipient { user: id, address: &email, last_sent: None };
    steps.extend(message::mail(auth, call, Kind::Invite, to, None)?);
    steps.push(users::by_id(id));
    let results = handover::run(auth, call, steps).await;
    let results = results.map_err(handover::failed("Database error saving new user"))?;
    let user: User = last(&results).map_err(database("Database error saving new user"))?;
    if is_new {
        hook::after_user_created(auth, call, id).await?;
    }
    Ok(reply::ok(&user))
}
