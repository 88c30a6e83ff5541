//! Certificates as SAML uses them: a wrapping for a public key. Nobody vouches for it but the metadata that carry
//! it, so names and dates are not looked at.

use crate::algorithm::{self, Family};
use crate::error::Error;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::UnparsedPublicKey;

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const OBJECT_ID: u8 = 0x06;
const VERSION: u8 = 0xa0;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

/// A public key of an identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    family: Family,
    bytes: Vec<u8>,
}

impl PublicKey {
    /// The key of a certificate as metadata write it: base64 with any white space. Nothing when the certificate
    /// cannot be read or the key is of a kind that signs nothing here.
    pub(crate) fn of_certificate(text: &str) -> Option<PublicKey> {
        let compact: String = text.split_whitespace().collect();
        PublicKey::of_der(&STANDARD.decode(compact).ok()?)
    }

    pub(crate) fn of_der(der: &[u8]) -> Option<PublicKey> {
        let (_, certificate, _) = value(der, SEQUENCE)?;
        let (_, mut rest, _) = value(certificate, SEQUENCE)?;
        if rest.first() == Some(&VERSION) {
            rest = any(rest)?.2;
        }
        // Serial number, algorithm, issuer, dates, subject.
        for _ in 0..5 {
            rest = any(rest)?.2;
        }
        let (_, info, _) = value(rest, SEQUENCE)?;
        let (_, algorithm, after) = value(info, SEQUENCE)?;
        let (_, bits, _) = value(after, BIT_STRING)?;
        let (_, kind, parameters) = value(algorithm, OBJECT_ID)?;
        let family = match kind {
            RSA => Family::Rsa,
            EC => match value(parameters, OBJECT_ID)?.1 {
                P256 => Family::P256,
                P384 => Family::P384,
                _ => return None,
            },
            _ => return None,
        };
        // The first byte says how many of the last bits are none: none here.
        let (0, bytes) = bits.split_first()? else { return None };
        Some(PublicKey { family, bytes: bytes.to_vec() })
    }

    /// Whether this key made the signature with this algorithm.
    pub(crate) fn verifies(&self, algorithm: &str, signed: &[u8], signature: &[u8]) -> Result<bool, Error> {
        let Some(algorithm) = algorithm::verification(algorithm, self.family)? else { return Ok(false) };
        Ok(UnparsedPublicKey::new(algorithm, &self.bytes).verify(signed, signature).is_ok())
    }
}

/// The first value in DER: its tag, its contents, and what follows.
fn any(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        let (bytes, rest) = rest.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
        (
            bytes
                .iter()
                .try_fold(0usize, |length, b| length.checked_mul(256)?.checked_add(usize::from(*b)))?,
            rest,
        )
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

fn value(der: &[u8], tag: u8) -> Option<(u8, &[u8], &[u8])> {
    any(der).filter(|(found, _, _)| *found == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_certificates() {
        for (algorithm, family) in
            [(&rcgen::PKCS_ECDSA_P256_SHA256, Family::P256), (&rcgen::PKCS_ECDSA_P384_SHA384, Family::P384)]
        {
            let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
            let key = PublicKey::of_der(certificate.der()).unwrap();
            assert_eq!((key.family, key.bytes.as_slice()), (family, pair.public_key_raw()));
            let wrapped = format!(" {}\n", STANDARD.encode(certificate.der()).replace('A', "A\n"));
            assert_eq!(PublicKey::of_certificate(&wrapped), Some(key));
        }
    }

    #[test]
    fn other_kinds_of_keys_and_rubbish_are_nothing() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
        assert_eq!(PublicKey::of_der(certificate.der()), None);
        for length in 0..certificate.der().len() {
            assert_eq!(PublicKey::of_der(&certificate.der()[..length]), None);
        }
        assert_eq!(PublicKey::of_der(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]), None);
        assert_eq!(PublicKey::of_certificate("not base64!"), None);
    }
}
