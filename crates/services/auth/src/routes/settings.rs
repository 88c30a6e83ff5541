//! `GET /health` and `GET /settings`: what anybody may know.

use crate::Auth;
use crate::reply;
use axum::body::Body;
use http::Response;
use serde_json::{Map, Value, json};

/// The providers that the answer names, in its order.
const PROVIDERS: [&str; 26] = [
    "anonymous_users",
    "apple",
    "azure",
    "bitbucket",
    "discord",
    "facebook",
    "snapchat",
    "figma",
    "fly",
    "github",
    "gitlab",
    "google",
    "keycloak",
    "kakao",
    "linkedin",
    "linkedin_oidc",
    "notion",
    "spotify",
    "slack",
    "slack_oidc",
    "workos",
    "twitch",
    "twitter",
    "email",
    "phone",
    "zoom",
];

pub(super) fn health() -> Response<Body> {
    reply::ok(&json!({
        "version": concat!("rowhouse-", env!("CARGO_PKG_VERSION")),
        // Clients that probe look for this name.
        "name": "GoTrue",
        "description": "Rowhouse's auth service, compatible with GoTrue",
    }))
}

pub(super) fn settings(auth: &Auth) -> Response<Body> {
    let s = &auth.settings;
    let external: Map<String, Value> = PROVIDERS
        .iter()
        .map(|name| {
            let on = match *name {
                "anonymous_users" => s.anonymous_enabled,
                "email" => s.email_enabled,
                "phone" => s.phone_enabled,
                other => s.external.is_enabled(other),
            };
            ((*name).to_owned(), Value::from(on))
        })
        .collect();
    reply::ok(&json!({
        "external": external,
        "disable_signup": s.disable_signup,
        "mailer_autoconfirm": s.mailer_autoconfirm,
        "phone_autoconfirm": s.sms_autoconfirm,
        "sms_provider": s.sms_provider,
        "saml_enabled": s.saml.enabled,
        "saml_private_key_next_configured": !s.saml.private_key_next.is_empty(),
        "passkeys_enabled": auth.settings.webauthn.passkeys,
    }))
}
