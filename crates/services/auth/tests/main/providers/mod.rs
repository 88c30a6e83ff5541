//! Sign-in by others, against servers that really speak the protocols.

mod custom;
mod flow;
mod id_token;
mod linking;
mod list;
mod server;
