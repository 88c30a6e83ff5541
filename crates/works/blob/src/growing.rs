//! Appending to a body that is not finished.

use crate::Error;
use crate::disk::DiskAppender;
use crate::remote::RemoteAppender;
use bytes::Bytes;

/// Takes bytes for the end of a growing body. Nobody else can append while it lives.
#[must_use = "bytes are kept when the appender has been synced"]
pub struct Appender(Place);

enum Place {
    Disk(Box<DiskAppender>),
    Remote(Box<RemoteAppender>),
}

impl Appender {
    pub(crate) fn disk(appender: DiskAppender) -> Appender {
        Appender(Place::Disk(Box::new(appender)))
    }

    pub(crate) fn remote(appender: RemoteAppender) -> Appender {
        Appender(Place::Remote(Box::new(appender)))
    }

    /// Takes more bytes. Waits while as much as an appender may hold is still to be written.
    ///
    /// # Errors
    /// [`crate::Error::Full`], or the place fails. Some of what was pushed may have been appended by then.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        match &mut self.0 {
            Place::Disk(appender) => appender.push(bytes).await,
            Place::Remote(appender) => appender.push(bytes).await,
        }
    }

    /// Makes sure that what was pushed is kept; returns how long the body is now.
    ///
    /// # Errors
    /// As [`Appender::push`].
    pub async fn sync(self) -> Result<u64, Error> {
        match self.0 {
            Place::Disk(appender) => appender.sync().await,
            Place::Remote(appender) => appender.sync().await,
        }
    }
}

impl Appender {
    /// Takes back what was pushed; returns how long the body is then: as long as it was.
    ///
    /// # Errors
    /// The place fails. Some of what was pushed may be there still.
    pub async fn undo(self) -> Result<u64, Error> {
        match self.0 {
            Place::Disk(appender) => appender.undo().await,
            Place::Remote(appender) => appender.undo().await,
        }
    }
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Appender")
    }
}
