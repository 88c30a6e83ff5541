//! The key of a service provider: it signs requests and opens what was encrypted for it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use rsa::pkcs8::EncodePrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPrivateKey};
use thiserror::Error;
use time::macros::datetime;

const BITS: usize = 2048;
const EXPONENT: u32 = 65_537;

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    #[error("SAML private key not in standard Base64 format")]
    Base64,
    #[error("SAML private key not in PKCS#1 format")]
    Pkcs1,
    #[error("SAML private key should use the 65537 (0x10001) RSA public exponent")]
    Exponent,
    #[error("SAML private key must be at least RSA 2048")]
    Short,
    /// No randomness, or a key that nothing can sign with.
    #[error("SAML private key could not be used")]
    Unusable,
}

/// An RSA key. Its `Debug` says nothing of it.
pub struct SigningKey {
    pair: RsaKeyPair,
    private: RsaPrivateKey,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// Reads base64 of a PKCS#1 key of at least 2048 bits.
    pub fn read(text: &str) -> Result<SigningKey, KeyError> {
        let compact: String = text.split_whitespace().collect();
        let der = STANDARD.decode(compact).map_err(|_| KeyError::Base64)?;
        let private = RsaPrivateKey::from_pkcs1_der(&der).map_err(|_| KeyError::Pkcs1)?;
        if private.e() != &BigUint::from(EXPONENT) {
            return Err(KeyError::Exponent);
        }
        if private.n().bits() < BITS {
            return Err(KeyError::Short);
        }
        let pair = RsaKeyPair::from_der(&der).map_err(|_| KeyError::Unusable)?;
        Ok(SigningKey { pair, private })
    }

    /// A new key in the form that [`SigningKey::read`] takes. Takes a while: not for the async runtime.
    pub fn generate() -> Result<String, KeyError> {
        let private = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS).map_err(|_| KeyError::Unusable)?;
        let der = private.to_pkcs1_der().map_err(|_| KeyError::Unusable)?;
        Ok(STANDARD.encode(der.as_bytes()))
    }

    /// A signature by RSA with SHA-256.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        let signed = self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
        signed.map(|()| signature).map_err(|_| KeyError::Unusable)
    }

    pub(crate) fn private(&self) -> &RsaPrivateKey {
        &self.private
    }

    /// The certificate that carries the key to identity providers, in DER: always the same for the same host, so
    /// that nobody has to trust it anew. Its names and dates mean nothing.
    pub(crate) fn certificate(&self, host: &str, encrypts: bool) -> Result<Vec<u8>, KeyError> {
        use rcgen::{
            CertificateParams, DistinguishedName, DnType, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256,
        };
        let der = self.private.to_pkcs8_der().map_err(|_| KeyError::Unusable)?;
        let der = rcgen_key(der.as_bytes());
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256);
        let pair = pair.map_err(|_| KeyError::Unusable)?;
        let mut params =
            CertificateParams::new([format!("_samlsp.{host}")]).map_err(|_| KeyError::Unusable)?;
        params.serial_number = Some(0.into());
        params.not_before = datetime!(1970-01-01 00:00:00 UTC);
        params.not_after = datetime!(2170-01-01 00:00:00 UTC);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("SAML 2.0 Certificate for {host}"));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if encrypts {
            params.key_usages.push(KeyUsagePurpose::DataEncipherment);
        }
        let certificate = params.self_signed(&pair).map_err(|_| KeyError::Unusable)?;
        Ok(certificate.der().to_vec())
    }
}

fn rcgen_key(der: &[u8]) -> rustls_pki_types::PrivatePkcs8KeyDer<'_> {
    der.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::PublicKey;
    use rsa::rand_core::OsRng;

    #[test]
    fn a_key_signs_and_its_certificate_says_so() {
        let key = SigningKey::read(&SigningKey::generate().unwrap()).unwrap();
        let certificate = key.certificate("example.com", true).unwrap();
        assert_eq!(certificate, key.certificate("example.com", true).unwrap());
        assert_ne!(certificate, key.certificate("example.org", true).unwrap());
        let public = PublicKey::of_der(&certificate).unwrap();
        let signature = key.sign(b"hello").unwrap();
        assert_eq!(public.verifies(crate::algorithm::RSA_SHA256, b"hello", &signature), Ok(true));
        assert_eq!(public.verifies(crate::algorithm::RSA_SHA256, b"hullo", &signature), Ok(false));
        assert!(!format!("{key:?}").contains("RsaKeyPair"));
    }

    #[test]
    fn keys_that_prove_little_are_refused() {
        let error = |text: &str| SigningKey::read(text).unwrap_err();
        assert_eq!(error("*"), KeyError::Base64);
        assert_eq!(error("AAAA"), KeyError::Pkcs1);
        let encode = |key: RsaPrivateKey| STANDARD.encode(key.to_pkcs1_der().unwrap().as_bytes());
        assert_eq!(error(&encode(RsaPrivateKey::new(&mut OsRng, 1024).unwrap())), KeyError::Short);
        let three = RsaPrivateKey::new_with_exp(&mut OsRng, 512, &BigUint::from(3u8)).unwrap();
        assert_eq!(error(&encode(three)), KeyError::Exponent);
    }
}
