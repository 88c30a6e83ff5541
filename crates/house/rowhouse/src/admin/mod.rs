//! Commands to a running program: one JSON document each way over a Unix socket that only its user can reach.
//!
//! A command that finds no running program opens the platform itself, under the lock of the data directory, and
//! performs the same [`Operation`].

mod client;
mod operation;
mod server;

pub use client::ask;
pub use operation::Operation;
pub use server::{Perform, serve};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The longest document; entity models are the largest.
const MESSAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// For a document to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// For an operation: making a dedicated project on a slow disk, a reset with long migrations.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(600);

/// The answer to an operation.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done(Value),
    Failed(String),
}
