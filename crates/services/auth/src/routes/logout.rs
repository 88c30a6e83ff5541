//! `POST /logout`: ends sessions.

use crate::Auth;
use crate::call::Call;
use crate::guard;
use crate::refusal::{Outcome, database, invalid};
use crate::reply;
use crate::store::audit::Actor;
use crate::store::sessions;
use axum::body::Body;
use http::Response;

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = guard::user(auth, call).await?;
    let scope = call.query("scope");
    if !matches!(scope, "" | "global" | "local" | "others") {
        return Err(invalid(format!("Unsupported logout scope {scope:?}")));
    }
    let user = signed.user.id;
    let end = match (scope, signed.session) {
        ("local", Some(session)) => sessions::delete(session.id, user),
        ("others", Some(session)) => sessions::delete_all(user, Some(session.id)),
        _ => sessions::delete_all(user, None),
    };
    let mut steps = auth.audit(&Actor::user(&signed.user), "logout", None, call);
    steps.push(end);
    auth.db.run(steps).await.map_err(database("Error logging out user"))?;
    Ok(reply::no_content())
}
