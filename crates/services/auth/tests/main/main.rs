//! The service on real PostgreSQL, asked as the gateway asks it.

mod admin;
mod factors;
mod links;
mod messages;
mod realms;
mod refresh;
mod schema;
mod sessions;
mod signup;
mod tokens;
mod transport;
mod world;
