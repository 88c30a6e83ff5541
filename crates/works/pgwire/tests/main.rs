//! The wire router in front of real servers, spoken to by psql, by our own client, and byte by byte.
#![expect(clippy::unwrap_used, reason = "clippy spares only functions marked as tests, not what they share")]

mod bytes_on_the_wire;
mod login;
mod routing;
mod sessions;
mod world;
