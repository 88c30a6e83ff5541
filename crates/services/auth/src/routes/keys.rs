//! `GET /.well-known/jwks.json`: the public halves of the signing keys.

use crate::Auth;
use crate::reply;
use axum::body::Body;
use http::Response;

pub(super) fn jwks(auth: &Auth) -> Response<Body> {
    let mut response = reply::ok(&auth.settings.keys.public_jwks());
    reply::set(&mut response, "cache-control", "public, max-age=600");
    response
}
