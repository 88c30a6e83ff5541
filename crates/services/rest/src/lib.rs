//! The data API: PostgREST-compatible, one [`Rest`] per project.
//!
//! A request passes through stages that know nothing of each other's inside: `request` parses it,
//! `plan` decides what it means with the help of the [`schema`] cache, `statement` writes it as SQL, `execute`
//! runs it in one round trip, `response` answers. `plans` remembers what plan and statement came out for requests of
//! the same shape. Only `execute` and the loading of the schema cache touch the
//! database; everything before and after is pure.

mod batch;
mod bound;
pub mod config;
mod cors;
mod execute;
mod faults;
#[doc(hidden)]
pub mod fuzzing;
mod jwt;
pub mod openapi;
mod plan;
mod plans;
mod request;
mod response;
pub mod schema;
mod service;
pub mod standalone;
mod statement;
mod why;

pub use execute::Pours;
pub use jwt::TokenCacheStatus;
pub use service::Rest;
