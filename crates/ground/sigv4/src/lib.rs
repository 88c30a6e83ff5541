//! AWS signature version 4: what S3 clients sign, and whether to believe it.
//!
//! [`Presented::read`] says what a request claims to be signed by, [`Presented::verify`] whether that is so,
//! [`Decoder`] takes bodies in chunks apart, [`Policy`] says what a form may upload, and [`Signer`] is the client's
//! side. Whose secret belongs to an access key, and what its holder may do, is for the caller to know. Nothing here
//! reads a clock or a socket.

mod canonical;
mod chunked;
mod error;
mod key;
mod payload;
mod policy;
mod presented;
mod signer;
mod stamp;
mod verify;

pub use canonical::{Headers, Request, decode, encode, encode_path};
pub use chunked::{CHUNK_MAX, Chain, Decoder, Step};
pub use error::Error;
pub use key::SigningKey;
pub use payload::{Payload, Streaming};
pub use policy::{Policy, PostForm};
pub use presented::{Credential, Place, Presented};
pub use signer::{Encoder, Signed, Signer};
pub use stamp::Stamp;
pub use verify::{Expected, Regions, Verified};

/// How far clocks may be apart.
pub const SKEW: time::Duration = time::Duration::minutes(15);

/// The longest life of a presigned URL that AWS knows.
pub const LIFETIME_MAX: time::Duration = time::Duration::days(7);

/// The name of the algorithm, in headers and in what is signed.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// SHA-256 of nothing, in hexadecimal.
pub(crate) const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}
