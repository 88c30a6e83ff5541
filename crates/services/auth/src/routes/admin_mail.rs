//! `GET /admin/mail`: messages that wait to be sent or were given up, and why. Ours; the reference keeps none.

use crate::Auth;
use crate::call::Call;
use crate::guard;
use crate::refusal::{Outcome, database};
use crate::reply;
use crate::store::db::all;
use crate::store::outbox;
use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

/// The most messages that are shown.
const SHOWN_MAX: u64 = 200;

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    guard::admin(auth, call).await?;
    let count = call.number("per_page", 50)?.min(SHOWN_MAX);
    let rows = auth.db.one(outbox::list(count)).await.map_err(database("Database error listing messages"))?;
    let messages: Vec<Value> = all(&rows).map_err(database("Database error listing messages"))?;
    Ok(reply::ok(&json!({ "messages": messages })))
}
