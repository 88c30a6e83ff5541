//! `GET /user`: the signed-in user.

use crate::Auth;
use crate::call::Call;
use crate::guard::{self, token_audience};
use crate::refusal::{Outcome, invalid};
use crate::reply;
use axum::body::Body;
use http::Response;

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = guard::user(auth, call).await?;
    if signed.audience != token_audience(&signed.claims) {
        return Err(invalid("Token audience doesn't match request audience"));
    }
    Ok(reply::ok(&signed.user))
}
