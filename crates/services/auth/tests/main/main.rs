//! The service on real PostgreSQL, asked as the gateway asks it.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected must stop, helpers of tests too")]

mod admin;
#[path = "../../../../ground/webauthn/tests/authenticator.rs"]
mod authenticator;
mod companies;
mod delivery;
mod factors;
mod hooks;
mod http_hooks;
mod limits;
mod links;
mod messages;
mod oauth_clients;
mod oauth_server;
mod passkeys;
mod peer;
mod properties;
mod providers;
mod races;
mod realms;
mod refresh;
mod schema;
mod sessions;
mod signed_tokens;
mod signup;
mod sso;
mod sso_admin;
mod tokens;
mod transfer;
mod transport;
mod waiting;
mod web3;
mod world;
