//! The decisions of auth: settings, state and time in, an outcome out. No I/O.

pub(crate) mod address;
pub(crate) mod attribute_mapping;
pub(crate) mod authenticator_name;
pub(crate) mod ban;
pub(crate) mod oauth_client;
pub(crate) mod one_time;
pub(crate) mod password;
pub(crate) mod pkce;
pub(crate) mod redirect;
pub(crate) mod refresh;
pub(crate) mod scope;
pub(crate) mod session;
pub(crate) mod signed_token;
pub(crate) mod totp;
