//! Signed tokens and API keys: mint, read, verify.
//!
//! Pure: no I/O and no clock, the time is an argument. A token is accepted only when a configured key of exactly
//! its algorithm signed it, so `none` and tokens that try a public key as an HMAC secret fail by construction.

mod api_key;
mod claims;
mod jws;
mod key;
mod key_set;

pub use api_key::{
    LOCAL_PUBLISHABLE_KEY, LOCAL_SECRET_KEY, OpaqueKind, demo_key, hash_opaque, legacy_key,
    local_signing_jwk, new_opaque, opaque_kind, same_secret,
};
pub use claims::{ClaimError, check_times};
pub use jws::{TokenError, Verified, bearer};
pub use key::{Algorithm, Key, KeyError, new_ed25519_jwk, new_es256_jwk};
pub use key_set::KeySet;

/// Random bytes of the operating system.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    out
}
