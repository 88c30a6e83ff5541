//! Writing a body.

use crate::disk::DiskWriter;
use crate::remote::RemoteWriter;
use crate::{Error, Written};
use bytes::Bytes;

/// Takes the bytes of a body. Dropped before [`Writer::finish`] has succeeded, nothing remains.
#[must_use = "a body exists when its writer has finished"]
pub struct Writer(Place);

enum Place {
    Disk(Box<DiskWriter>),
    Remote(Box<RemoteWriter>),
}

impl Writer {
    pub(crate) fn disk(writer: DiskWriter) -> Writer {
        Writer(Place::Disk(Box::new(writer)))
    }

    pub(crate) fn remote(writer: RemoteWriter) -> Writer {
        Writer(Place::Remote(Box::new(writer)))
    }

    /// Takes more bytes. Waits while as much as a writer may hold is still to be written.
    ///
    /// # Errors
    /// [`Error::Full`], or the place fails. What was pushed before is lost, and the writer with it.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        match &mut self.0 {
            Place::Disk(writer) => writer.push(bytes).await,
            Place::Remote(writer) => writer.push(bytes).await,
        }
    }

    /// Gives the body its name. It is durable when this returns.
    ///
    /// # Errors
    /// [`Error::Full`], or the place fails. Nothing remains then; only after [`Error::Slow`] the body may appear later.
    pub async fn finish(self) -> Result<Written, Error> {
        match self.0 {
            Place::Disk(writer) => writer.finish().await,
            Place::Remote(writer) => writer.finish().await,
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer")
    }
}
