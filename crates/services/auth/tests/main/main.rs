//! The service on real PostgreSQL, asked as the gateway asks it.

mod admin;
mod messages;
mod realms;
mod refresh;
mod sessions;
mod signup;
mod tokens;
mod transport;
mod world;
