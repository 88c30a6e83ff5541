//! `/.well-known/`: the public halves of the signing keys, and where to find what.

use crate::Auth;
use crate::flow::scope;
use crate::reply;
use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

pub(super) fn jwks(auth: &Auth) -> Response<Body> {
    let mut response = reply::ok(&auth.settings.keys.public_jwks());
    reply::set(&mut response, "cache-control", "public, max-age=600");
    response
}

/// `GET /.well-known/openid-configuration`.
pub(super) fn discovery(auth: &Auth) -> Response<Body> {
    let issuer = &auth.settings.jwt_issuer;
    let base = issuer.trim_end_matches('/');
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/oauth/authorize"),
        "token_endpoint": format!("{base}/oauth/token"),
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "userinfo_endpoint": format!("{base}/oauth/userinfo"),
        "scopes_supported": scope::SUPPORTED,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "HS256", "ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "claims_supported": [
            "sub", "aud", "iss", "exp", "iat", "auth_time", "nonce", "email", "email_verified", "phone_number",
            "phone_number_verified", "name", "picture", "preferred_username", "updated_at",
        ],
        "code_challenge_methods_supported": ["S256", "plain"],
    });
    let server = &auth.settings.oauth_server;
    if server.enabled && server.allow_dynamic_registration {
        document["registration_endpoint"] = Value::from(format!("{base}/oauth/clients/register"));
    }
    let mut response = reply::ok(&document);
    reply::set(&mut response, "cache-control", "public, max-age=600");
    response
}
