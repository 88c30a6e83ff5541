//! What can go wrong, as callers tell it apart.

/// Why a picture was not rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a picture, of a kind that is not read, or damaged.
    #[error("the source is not a picture that can be read")]
    Invalid,
    /// Over a limit.
    #[error("the source is too large: {0:?}")]
    TooLarge(Excess),
    /// Not ready within the time limit.
    #[error("the picture was not ready in time")]
    Timeout,
    /// Too much work is waiting already.
    #[error("too many pictures are waiting")]
    Busy,
    /// A failure of ours.
    #[error("rendering failed: {0}")]
    Internal(&'static str),
}

/// Which limit a source exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// The size of the file.
    Bytes,
    /// Width times height.
    Pixels,
    /// What decoding would take.
    Memory,
}
