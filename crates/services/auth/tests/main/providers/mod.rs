//! Sign-in by others, against servers that really speak the protocols.

mod custom;
pub mod flow;
mod hooked;
mod id_token;
mod linking;
mod list;
pub mod server;
