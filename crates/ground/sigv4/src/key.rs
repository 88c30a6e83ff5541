//! Signing keys: a secret narrowed to a day, a region and a service.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

pub(crate) fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length; the branch without one is for the type only.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// What signs the requests of one day to one service in one region.
#[derive(Clone)]
pub struct SigningKey([u8; 32]);

impl SigningKey {
    /// Narrows a secret. `day` is `20130524`.
    pub fn derive(secret: &str, day: &str, region: &str, service: &str) -> SigningKey {
        let mut first = Vec::with_capacity(4 + secret.len());
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret.as_bytes());
        let day = hmac(&first, day.as_bytes());
        let region = hmac(&day, region.as_bytes());
        let service = hmac(&region, service.as_bytes());
        SigningKey(hmac(&service, b"aws4_request"))
    }

    /// The signature of a text, in hexadecimal.
    pub fn sign(&self, text: &str) -> String {
        hex::encode(hmac(&self.0, text.as_bytes()))
    }

    /// Whether a signature, in lower-case hexadecimal, is this key's. Takes the same time wherever they differ.
    pub fn verify(&self, text: &str, signature: &str) -> bool {
        self.sign(text).as_bytes().ct_eq(signature.as_bytes()).into()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_key() {
        // From "Examples of how to derive a signing key" of AWS's general reference.
        let key =
            SigningKey::derive("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam");
        assert_eq!(hex::encode(key.0), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
        assert_eq!(format!("{key:?}"), "SigningKey");
    }

    #[test]
    fn signatures_are_compared_whole() {
        let key = SigningKey::derive("s", "20120215", "r", "s3");
        let signature = key.sign("text");
        assert!(key.verify("text", &signature));
        assert!(!key.verify("text", &signature[..63]));
        assert!(!key.verify("text", ""));
        assert!(!key.verify("other", &signature));
    }
}
