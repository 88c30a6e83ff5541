//! Bodies in every place where they may be: the same suite on a disk and on a server that speaks S3's protocol.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected must stop, helpers of tests too")]

mod child;
mod clouds;
mod disk;
mod place;
mod proxy;
mod remote;
mod server;
mod sources;
mod suite;
