//! Accounts and signatures of Ethereum: EIP-55 addresses, `personal_sign` of EIP-191.

use crate::SignatureError;
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha3::{Digest, Keccak256};

/// `0x` and 40 hexadecimal digits; digits of both cases are a checksum (EIP-55) and must be the right one.
pub(crate) fn is_address(text: &str) -> bool {
    let Some(digits) = text.strip_prefix("0x") else { return false };
    if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return false;
    }
    let mixed =
        digits.bytes().any(|b| b.is_ascii_lowercase()) && digits.bytes().any(|b| b.is_ascii_uppercase());
    !mixed || with_checksum(text) == text
}

/// The address with the case of its digits as its own hash has it (EIP-55).
pub(crate) fn with_checksum(address: &str) -> String {
    let digits = address.trim_start_matches("0x").to_ascii_lowercase();
    let hash = Keccak256::digest(digits.as_bytes());
    let nibble = |index: usize| hash[index / 2] >> (if index.is_multiple_of(2) { 4 } else { 0 }) & 0xf;
    let cased = digits.chars().take(64).enumerate();
    let cased = cased.map(|(index, c)| if nibble(index) >= 8 { c.to_ascii_uppercase() } else { c });
    format!("0x{}", cased.collect::<String>())
}

pub(crate) fn signature(text: &str) -> Result<Vec<u8>, SignatureError> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() != 130 {
        return Err(SignatureError::EthereumLength);
    }
    hex::decode(digits).map_err(|_| SignatureError::EthereumHex)
}

/// Whether the account made the signature: the key that it gives away has this address.
pub(crate) fn is_signed(message: &str, address: &str, signature: &[u8]) -> bool {
    recovered(message, signature).is_some_and(|found| found.eq_ignore_ascii_case(address))
}

fn recovered(message: &str, signature: &[u8]) -> Option<String> {
    let (scalars, last) = signature.split_at_checked(64)?;
    let version = match last {
        [v @ 0..=1] => *v,
        [v @ 27..=28] => *v - 27,
        _ => return None,
    };
    let signature = Signature::from_slice(scalars).ok()?;
    // Anybody can turn a signature into its twin with the other s; wallets write the low one only (EIP-2).
    if signature.normalize_s().is_some() {
        return None;
    }
    let prefixed = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
    let hash = Keccak256::digest(prefixed.as_bytes());
    let key = VerifyingKey::recover_from_prehash(&hash, &signature, RecoveryId::from_byte(version)?).ok()?;
    let point = key.to_encoded_point(false);
    let hash = Keccak256::digest(point.as_bytes().get(1..)?);
    Some(format!("0x{}", hex::encode(hash.get(12..)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k256::ecdsa::SigningKey;

    fn sign(key: &SigningKey, message: &str) -> Vec<u8> {
        let prefixed = format!("\x19Ethereum Signed Message:\n{}{message}", message.len());
        let (signature, id) = key.sign_prehash_recoverable(&Keccak256::digest(prefixed.as_bytes())).unwrap();
        let mut bytes = signature.to_bytes().to_vec();
        bytes.push(27 + id.to_byte());
        bytes
    }

    fn address(key: &SigningKey) -> String {
        let point = key.verifying_key().to_encoded_point(false);
        format!("0x{}", hex::encode(&Keccak256::digest(&point.as_bytes()[1..])[12..]))
    }

    #[test]
    fn the_addresses_of_eip_55() {
        for good in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0xde709f2102306220921060314715629080e2fb77",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in
            ["0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x"]
        {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn a_known_signature_is_recovered() {
        // Made by the web3.js documentation's example account for the text "Some data".
        let signature = "b91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd\
                         6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c";
        let bytes = hex::decode(signature).unwrap();
        assert!(is_signed("Some data", "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23", &bytes));
        assert!(!is_signed("Some date", "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23", &bytes));
    }

    #[test]
    fn only_the_account_itself_signs_and_only_in_one_way() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let good = sign(&key, "hello");
        assert!(is_signed("hello", &address(&key), &good));
        let stranger = SigningKey::from_slice(&[8; 32]).unwrap();
        assert!(!is_signed("hello", &address(&stranger), &good));
        let mut raw = good.clone();
        raw[64] -= 27;
        assert!(is_signed("hello", &address(&key), &raw));
        // The twin: n - s and the other parity.
        let parsed = Signature::from_slice(&good[..64]).unwrap();
        let twin = Signature::from_scalars(parsed.r().to_bytes(), (-*parsed.s()).to_bytes()).unwrap();
        let mut bytes = twin.to_bytes().to_vec();
        bytes.push(if good[64] == 27 { 28 } else { 27 });
        assert!(!is_signed("hello", &address(&key), &bytes));
        for v in [2, 29, 31, 255] {
            raw[64] = v;
            assert!(!is_signed("hello", &address(&key), &raw), "{v}");
        }
        assert!(!is_signed("hello", &address(&key), &good[..64]));
        assert!(!is_signed("hello", &address(&key), &[0; 65]));
    }

    #[test]
    fn signatures_are_hexadecimal() {
        assert_eq!(signature(&format!("0x{}", "ab".repeat(65))).unwrap().len(), 65);
        assert_eq!(signature(&"ab".repeat(65)).unwrap().len(), 65);
        assert_eq!(signature("0xab"), Err(SignatureError::EthereumLength));
        assert_eq!(signature(&"zz".repeat(65)), Err(SignatureError::EthereumHex));
    }
}
