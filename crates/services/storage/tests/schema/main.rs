//! The schema `storage` on real PostgreSQL: what it consists of, and what its functions list.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod big;
mod listing;
mod model;
mod surface;
mod world;
