//! The relying party's half of WebAuthn: options for browsers, and the checks of what authenticators answer.
//!
//! Pure: no I/O, no clock, no chance; challenges come in. Attestation is not asked for and decides nothing: a
//! statement is read as far as its form goes, and only a self-made one is verified. Signatures are ES256, EdDSA and
//! RS256. Everything that comes from outside has a limit, and nothing is allocated by a length that somebody
//! claims.

mod cbor;
mod client_data;
mod cose;
mod data;
mod options;
mod response;

pub use cose::PublicKey;
pub use options::{Descriptor, User, creation_options, request_options};
pub use response::{
    Assertion, Attested, Authenticated, Credential, Registered, StoredKey, authenticate, register,
};

/// Who asks: the site as authenticators know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    /// A domain, without scheme and port.
    pub id: String,
    /// What people see.
    pub name: String,
    /// Where its pages come from: scheme, host and, unless it is the scheme's own, port.
    pub origins: Vec<String>,
    /// Whether the authenticator must know its owner (by fingerprint, code …); else it is only asked to.
    pub requires_verification: bool,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the answer does not have the form of a credential")]
    Form,
    #[error("the data of the client is for another purpose")]
    Purpose,
    #[error("the challenge is another one")]
    Challenge,
    #[error("the origin is not one of the site's")]
    Origin,
    #[error("the authenticator answered for another relying party")]
    RelyingParty,
    #[error("nobody touched the authenticator")]
    NotPresent,
    #[error("the authenticator did not verify who holds it")]
    NotVerified,
    #[error("the flags of the authenticator contradict each other or what they were")]
    Flags,
    #[error("the key is of a kind that is not supported")]
    Key,
    #[error("the attestation is wrong")]
    Attestation,
    #[error("the signature is wrong")]
    Signature,
    #[error("the counter went back: there may be a copy of the authenticator")]
    Counter,
}

/// SHA-256.
fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    out
}

/// Whether two texts are equal, in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    use subtle::ConstantTimeEq;
    a.ct_eq(b).into()
}
