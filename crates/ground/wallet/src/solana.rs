//! Accounts and signatures of Solana: an account is its Ed25519 key in base58.

use crate::SignatureError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};

/// The form of an address; whether it is a key turns out when something is verified with it.
pub(crate) fn is_address(text: &str) -> bool {
    (32..=44).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

pub(crate) fn signature(text: &str) -> Result<Vec<u8>, SignatureError> {
    if !matches!(text.len(), 86 | 88) {
        return Err(SignatureError::SolanaLength);
    }
    let url_safe = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    URL_SAFE_NO_PAD.decode(url_safe).map_err(|_| SignatureError::SolanaBase64)
}

/// Whether the account signed the message, as it is or inside the envelope that Ledger devices sign.
pub(crate) fn is_signed(message: &str, domain: &str, address: &str, signature: &[u8]) -> bool {
    let mut key = [0; 32];
    if bs58::decode(address).onto(&mut key[..]) != Ok(32) {
        return false;
    }
    let verifier = UnparsedPublicKey::new(&ED25519, &key);
    let signed = |bytes: &[u8]| verifier.verify(bytes, signature).is_ok();
    signed(message.as_bytes()) || envelope(message, domain, &key).is_some_and(|bytes| signed(&bytes))
}

/// The off-chain message of Solana's proposal: version 0, the application's domain, one signer, ASCII.
fn envelope(message: &str, domain: &str, key: &[u8; 32]) -> Option<Vec<u8>> {
    let length = u16::try_from(message.len()).ok()?.to_le_bytes();
    let mut application = [0; 32];
    let shown = domain.len().min(32);
    application[..shown].copy_from_slice(&domain.as_bytes()[..shown]);
    let head: &[u8] = b"\xffsolana offchain\0";
    Some([head, &application, &[0, 1], key, &length, message.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    #[test]
    fn the_account_signs_plainly_or_through_a_device() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
        let address = bs58::encode(pair.public_key()).into_string();
        let plain = pair.sign(b"hello");
        assert!(is_address(&address));
        assert!(is_signed("hello", "a.dev", &address, plain.as_ref()));
        assert!(!is_signed("hullo", "a.dev", &address, plain.as_ref()));
        let key: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
        let device = pair.sign(&envelope("hello", "a.dev", &key).unwrap());
        assert!(is_signed("hello", "a.dev", &address, device.as_ref()));
        assert!(!is_signed("hello", "b.dev", &address, device.as_ref()));
        let stranger = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
        let other = bs58::encode(stranger.public_key()).into_string();
        assert!(!is_signed("hello", "a.dev", &other, plain.as_ref()));
    }

    #[test]
    fn the_twin_of_a_signature_and_odd_keys_are_refused() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
        let address = bs58::encode(pair.public_key()).into_string();
        // s + L, where L is the order of the group, little-endian.
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut twin = pair.sign(b"hello").as_ref().to_vec();
        let mut carry = 0u16;
        for (byte, add) in twin[32..].iter_mut().zip(L) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert!(!is_signed("hello", "a.dev", &address, &twin));
        for odd in ["1".repeat(32), "1".repeat(44), "0OIl".repeat(9), "z".repeat(44)] {
            assert!(!is_signed("hello", "a.dev", &odd, &[0; 64]), "{odd}");
        }
    }

    #[test]
    fn signatures_are_base64_of_either_alphabet() {
        use base64::engine::general_purpose::STANDARD;
        let bytes = [0xfb; 64];
        for text in [STANDARD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)] {
            assert_eq!(signature(&text).unwrap(), bytes);
        }
        assert_eq!(signature("abc"), Err(SignatureError::SolanaLength));
        assert_eq!(signature(&"*".repeat(88)), Err(SignatureError::SolanaBase64));
    }
}
