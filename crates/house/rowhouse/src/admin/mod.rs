//! Commands to a running program: one JSON document each way over a Unix socket that only its user can reach.
//!
//! A command that finds no running program opens the platform itself, under the lock of the data directory, and
//! performs the same [`Operation`]. One that takes long tells how it goes, in documents of its own before the answer.

mod client;
mod operation;
mod server;
mod teller;

pub use client::{ask, follow};
pub use operation::Operation;
pub use server::{Perform, serve};
pub use teller::Teller;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The longest document; entity models are the largest.
const MESSAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// For a document to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// For an operation, or for the next word of one: making a dedicated project on a slow disk, a reset with long
/// migrations.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(600);

/// The answer to an operation, and what is told before it: one a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Told(Value),
    Done(Value),
    Failed(String),
}
