//! Real PostgreSQL for tests: one throw-away server a test process, a fresh database a test.
//!
//! The server lives in a temporary directory, listens on a Unix socket only and does not outlive the process:
//! a small shell waits for the end of the process's pipe and then stops the server and removes the directory.

mod relay;
mod server;

pub use relay::Relay;
pub use server::{Database, Postgres};
