//! The platform against a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bootstrap;
mod dedicated;
mod entities;
mod escalation;
mod isolation;
mod projects;
mod rooms;
mod shards;
mod storage;
