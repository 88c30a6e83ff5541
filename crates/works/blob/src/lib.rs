//! Bodies of files: the bytes of one version of one object, on a local disk or in an object store elsewhere.
//!
//! A body is named by its project and a random version ([`Key`]), never by anything that a user typed, and never
//! changes once it is finished. So a copy is a hard link, a move touches nothing, a reader never sees half of one
//! version and half of another, and what the names of objects may contain is nobody's concern here. Which object
//! has which body is written in the project's database; a body that no row names is found by [`Store::list`] and
//! deleted by whoever keeps the rows.
//!
//! ```no_run
//! # async fn example() -> Result<(), blob::Error> {
//! use blob::{Durability, Key, Store};
//!
//! let store = Store::disk("/var/lib/rowhouse/files".into(), Durability::Fsync).await?;
//! let project = "abcdefghijklmnopqrst".parse().map_err(|_| blob::Error::NotFound)?;
//! let key = Key::new(&project, uuid::Uuid::nil());
//! let mut writer = store.write(&key).await?;
//! writer.push(bytes::Bytes::from_static(b"hello")).await?;
//! let written = writer.finish().await?; // durable from here on
//! let reading = store.read(&key, Some(0..written.size)).await?;
//! # let _ = reading; Ok(()) }
//! ```
//!
//! Everything is bounded: files open at a time for all and for one project, calls to the disk at a time, memory of
//! a reading and of a writer, and the time that each call may take.

mod claim;
#[cfg(test)]
mod crowd_tests;
mod disk;
mod error;
mod gate;
mod growing;
mod key;
mod pending;
mod reading;
mod remote;
mod source;
mod store;
mod writer;

pub use disk::Durability;
pub use error::Error;
pub use growing::Appender;
pub use key::{Found, Key, Written};
pub use reading::Reading;
pub use remote::{Azure, Gcs, S3};
pub use source::{Opened, Seen, Source, SourceFile, Walk};
pub use store::Store;
pub use writer::Writer;
