//! Resumable uploads on real PostgreSQL and a real disk, asked as the gateway asks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod faults;
mod lost;
mod races;
mod uploads;
mod world;
