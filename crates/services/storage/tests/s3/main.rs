//! The S3 protocol with real PostgreSQL and bodies on disk, asked as the gateway asks it, by a client that signs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bodies;
mod client;
mod form;
mod identity;
mod left;
mod listing;
mod lost;
mod multipart;
mod objects;
mod world;
