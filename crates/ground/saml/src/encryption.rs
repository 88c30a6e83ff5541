//! Encrypted assertions: a key under RSA-OAEP, the assertion under AES. Whatever goes wrong is one error, so that
//! nobody learns from it why.

use crate::error::Error;
use crate::xml::{ENCRYPTION, ENCRYPTION_11, SIGNATURE, optional, required, required_text};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::consts::U12;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm, KeyInit, Nonce, aead::Aead};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::{BlockDecryptMut, KeyIvInit, block_padding::NoPadding};
use roxmltree::Node;
use rsa::rand_core::OsRng;
use rsa::{Oaep, RsaPrivateKey};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

/// The text of the assertion inside.
pub(crate) fn decrypt(encrypted: Node<'_, '_>, key: &RsaPrivateKey) -> Result<String, Error> {
    let plain = open(encrypted, key)?;
    String::from_utf8(plain).map_err(|_| Error::Decryption)
}

fn open(encrypted: Node<'_, '_>, key: &RsaPrivateKey) -> Result<Vec<u8>, Error> {
    let data = required(encrypted, ENCRYPTION, "EncryptedData")?;
    let inside = optional(data, SIGNATURE, "KeyInfo")?;
    let inside = inside.map(|info| optional(info, ENCRYPTION, "EncryptedKey")).transpose()?.flatten();
    let wrapped = match inside {
        Some(found) => found,
        None => required(encrypted, ENCRYPTION, "EncryptedKey")?,
    };
    let padding = padding(required(wrapped, ENCRYPTION, "EncryptionMethod")?)?;
    let secret = key.decrypt_blinded(&mut OsRng, padding, &cipher_value(wrapped)?);
    let secret = secret.map_err(|_| Error::Decryption)?;
    let algorithm =
        required(data, ENCRYPTION, "EncryptionMethod")?.attribute("Algorithm").unwrap_or_default();
    decrypt_data(algorithm, &secret, &cipher_value(data)?).ok_or(Error::Decryption)
}

fn cipher_value(node: Node<'_, '_>) -> Result<Vec<u8>, Error> {
    let data = required(node, ENCRYPTION, "CipherData")?;
    let value = required_text(required(data, ENCRYPTION, "CipherValue")?, "CipherValue")?;
    STANDARD.decode(value.split_whitespace().collect::<String>()).map_err(|_| Error::Form("CipherValue"))
}

/// Hash functions of OAEP. SHA-1 is no weakness here.
#[derive(Clone, Copy)]
enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

fn padding(method: Node<'_, '_>) -> Result<Oaep, Error> {
    let name = |text: &str| Error::Algorithm(text.chars().take(100).collect());
    let algorithm = method.attribute("Algorithm").unwrap_or_default();
    let modern = match algorithm {
        "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p" => false,
        "http://www.w3.org/2009/xmlenc11#rsa-oaep" => true,
        other => return Err(name(other)),
    };
    if optional(method, ENCRYPTION, "OAEPparams")?.is_some() {
        return Err(Error::Form("OAEPparams"));
    }
    let digest =
        match optional(method, SIGNATURE, "DigestMethod")?.and_then(|node| node.attribute("Algorithm")) {
            None | Some("http://www.w3.org/2000/09/xmldsig#sha1") => Hash::Sha1,
            Some("http://www.w3.org/2001/04/xmlenc#sha256") => Hash::Sha256,
            Some("http://www.w3.org/2001/04/xmldsig-more#sha384") => Hash::Sha384,
            Some("http://www.w3.org/2001/04/xmlenc#sha512") => Hash::Sha512,
            Some(other) => return Err(name(other)),
        };
    let generator = optional(method, ENCRYPTION_11, "MGF")?.filter(|_| modern);
    let mask = match generator.and_then(|node| node.attribute("Algorithm")) {
        None | Some("http://www.w3.org/2009/xmlenc11#mgf1sha1") => Hash::Sha1,
        Some("http://www.w3.org/2009/xmlenc11#mgf1sha256") => Hash::Sha256,
        Some("http://www.w3.org/2009/xmlenc11#mgf1sha384") => Hash::Sha384,
        Some("http://www.w3.org/2009/xmlenc11#mgf1sha512") => Hash::Sha512,
        Some(other) => return Err(name(other)),
    };
    Ok(oaep(digest, mask))
}

fn oaep(digest: Hash, mask: Hash) -> Oaep {
    macro_rules! with_mask {
        ($digest:ty) => {
            match mask {
                Hash::Sha1 => Oaep::new_with_mgf_hash::<$digest, Sha1>(),
                Hash::Sha256 => Oaep::new_with_mgf_hash::<$digest, Sha256>(),
                Hash::Sha384 => Oaep::new_with_mgf_hash::<$digest, Sha384>(),
                Hash::Sha512 => Oaep::new_with_mgf_hash::<$digest, Sha512>(),
            }
        };
    }
    match digest {
        Hash::Sha1 => with_mask!(Sha1),
        Hash::Sha256 => with_mask!(Sha256),
        Hash::Sha384 => with_mask!(Sha384),
        Hash::Sha512 => with_mask!(Sha512),
    }
}

fn decrypt_data(algorithm: &str, key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        "http://www.w3.org/2001/04/xmlenc#aes128-cbc" => chained::<Aes128>(key, data),
        "http://www.w3.org/2001/04/xmlenc#aes192-cbc" => chained::<Aes192>(key, data),
        "http://www.w3.org/2001/04/xmlenc#aes256-cbc" => chained::<Aes256>(key, data),
        "http://www.w3.org/2009/xmlenc11#aes128-gcm" => counted::<Aes128Gcm>(key, data),
        "http://www.w3.org/2009/xmlenc11#aes192-gcm" => counted::<AesGcm<Aes192, U12>>(key, data),
        "http://www.w3.org/2009/xmlenc11#aes256-gcm" => counted::<Aes256Gcm>(key, data),
        _ => None,
    }
}

fn chained<C>(key: &[u8], data: &[u8]) -> Option<Vec<u8>>
where
    C: cbc::cipher::BlockCipher + cbc::cipher::BlockDecrypt + cbc::cipher::KeyInit,
    cbc::Decryptor<C>: BlockDecryptMut + KeyIvInit,
{
    let (vector, data) = data.split_at_checked(16)?;
    let cipher = cbc::Decryptor::<C>::new_from_slices(key, vector).ok()?;
    let mut plain = cipher.decrypt_padded_vec_mut::<NoPadding>(data).ok()?;
    // Only the last byte says how long the padding is; the others may be anything.
    let padding = usize::from(*plain.last()?);
    if !(1..=16).contains(&padding) {
        return None;
    }
    plain.truncate(plain.len().checked_sub(padding)?);
    Some(plain)
}

fn counted<C: Aead<NonceSize = U12> + KeyInit>(key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let (nonce, data) = data.split_at_checked(12)?;
    C::new_from_slice(key).ok()?.decrypt(Nonce::<U12>::from_slice(nonce), data).ok()
}
