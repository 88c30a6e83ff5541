//! What can go wrong with a body.

use std::io;

/// Why a body could not be read or written. No variant shows a path, an address or a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such body.
    #[error("there is no such body")]
    NotFound,
    /// The place is full. What was written so far is gone.
    #[error("there is no space left for the body")]
    Full,
    /// It took too long, or too many others were in front.
    #[error("the store of bodies did not answer in time")]
    Slow,
    /// Somebody else is appending to the same body.
    #[error("the body is being appended to")]
    Busy,
    /// Bytes can only be appended at the end.
    #[error("the body is {length} bytes long, which is not where the bytes were to be appended")]
    Offset {
        /// How long it is.
        length: u64,
    },
    /// The range is not inside of the body.
    #[error("the body has no such range")]
    Range,
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Io(io::Error),
    /// The object store failed.
    #[error("the object store failed: {0}")]
    Remote(String),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Error::Full
            }
            _ => Error::Io(error),
        }
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(error: rustix::io::Errno) -> Self {
        Error::from(io::Error::from(error))
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error,
            Error::NotFound => io::Error::from(io::ErrorKind::NotFound),
            Error::Full => io::Error::from(io::ErrorKind::StorageFull),
            Error::Slow => io::Error::from(io::ErrorKind::TimedOut),
            other => io::Error::other(other),
        }
    }
}
