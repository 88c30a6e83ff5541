//! Public keys as authenticators write them.

use crate::{Error, cbor};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};

/// The algorithms, in the order in which they are offered: ES256, EdDSA, RS256.
pub(crate) const ALGORITHMS: [i64; 3] = [-7, -8, -257];

const KEY_TYPE: i64 = 1;
const ALGORITHM: i64 = 3;

/// A key that signatures can be verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// A point of P-256, uncompressed.
    Es256([u8; 65]),
    Ed25519([u8; 32]),
    Rs256 {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

impl PublicKey {
    /// Reads a key that fills the input.
    ///
    /// # Errors
    /// [`Error::Form`] or [`Error::Key`].
    pub fn parse(bytes: &[u8]) -> Result<PublicKey, Error> {
        PublicKey::of(&cbor::read_all(bytes)?)
    }

    pub(crate) fn of(key: &cbor::Value<'_>) -> Result<PublicKey, Error> {
        let number = |label| key.numbered(label).and_then(cbor::Value::integer);
        let bytes = |label| key.numbered(label).and_then(cbor::Value::bytes).ok_or(Error::Key);
        match (number(KEY_TYPE), number(ALGORITHM), number(-1)) {
            (Some(2), Some(-7), Some(1)) => {
                let (x, y) = (bytes(-2)?, bytes(-3)?);
                if x.len() != 32 || y.len() != 32 {
                    return Err(Error::Key);
                }
                let mut point = [4u8; 65];
                point[1..33].copy_from_slice(x);
                point[33..].copy_from_slice(y);
                Ok(PublicKey::Es256(point))
            }
            (Some(1), Some(-8), Some(6)) => {
                bytes(-2)?.try_into().map(PublicKey::Ed25519).map_err(|_| Error::Key)
            }
            (Some(3), Some(-257), _) => {
                let (n, e) = (bytes(-1)?, bytes(-2)?);
                if !(256..=1024).contains(&n.len()) || !(1..=8).contains(&e.len()) {
                    return Err(Error::Key);
                }
                Ok(PublicKey::Rs256 { n: n.to_vec(), e: e.to_vec() })
            }
            _ => Err(Error::Key),
        }
    }

    pub(crate) fn algorithm(&self) -> i64 {
        match self {
            PublicKey::Es256(_) => -7,
            PublicKey::Ed25519(_) => -8,
            PublicKey::Rs256 { .. } => -257,
        }
    }

    pub(crate) fn verify(&self, message: &[u8], signed: &[u8]) -> Result<(), Error> {
        let verified = match self {
            PublicKey::Es256(point) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, point).verify(message, signed)
            }
            PublicKey::Ed25519(key) => {
                UnparsedPublicKey::new(&signature::ED25519, key).verify(message, signed)
            }
            PublicKey::Rs256 { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signed)
            }
        };
        verified.map_err(|_| Error::Signature)
    }
}
