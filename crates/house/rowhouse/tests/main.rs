//! The whole program, started as its users start it: real processes, real sockets, real PostgreSQL.

// A test that cannot go on panics, also in the parts that tests share.
#![allow(clippy::unwrap_used)]

mod keys;
mod local;
mod platform;
mod program;
mod s3_keys;
mod settings;
