//! File storage.

pub mod schema;
