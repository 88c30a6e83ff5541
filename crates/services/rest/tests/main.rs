//! The data API against real PostgreSQL.
#![allow(clippy::unwrap_used, reason = "tests; the exception of clippy.toml does not reach their helpers")]

mod requests;
mod schema;
mod standalone;
