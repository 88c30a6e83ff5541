//! The data API: PostgREST-compatible, one [`Rest`] per project.

pub mod config;
pub mod openapi;
pub mod schema;
