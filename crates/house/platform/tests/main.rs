//! The platform against a real PostgreSQL.

mod bootstrap;
mod dedicated;
mod entities;
mod isolation;
mod projects;
mod rooms;
mod shards;
