//! The algorithms that are accepted, by the addresses that name them. SHA-1, MD5 and keyed hashes are not.

use crate::error::Error;
use ring::digest;
use ring::signature as ring_signature;
use ring::signature::VerificationAlgorithm;

pub(crate) const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub(crate) const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub(crate) const EXCLUSIVE_WITH_COMMENTS: &str = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments";
pub(crate) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// Kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Rsa,
    P256,
    P384,
}

/// The hash function of a digest.
pub(crate) fn hash(uri: &str) -> Result<&'static digest::Algorithm, Error> {
    match uri {
        "http://www.w3.org/2001/04/xmlenc#sha256" => Ok(&digest::SHA256),
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Ok(&digest::SHA384),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Ok(&digest::SHA512),
        other => Err(unknown(other)),
    }
}

/// How a signature is verified with a key of this family; nothing when the algorithm is for another.
pub(crate) fn verification(
    uri: &str,
    family: Family,
) -> Result<Option<&'static dyn VerificationAlgorithm>, Error> {
    const MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";
    let name = uri.strip_prefix(MORE).ok_or_else(|| unknown(uri))?;
    let found: Option<&'static dyn VerificationAlgorithm> = match (name, family) {
        ("rsa-sha256", Family::Rsa) => Some(&ring_signature::RSA_PKCS1_2048_8192_SHA256),
        ("rsa-sha384", Family::Rsa) => Some(&ring_signature::RSA_PKCS1_2048_8192_SHA384),
        ("rsa-sha512", Family::Rsa) => Some(&ring_signature::RSA_PKCS1_2048_8192_SHA512),
        ("ecdsa-sha256", Family::P256) => Some(&ring_signature::ECDSA_P256_SHA256_FIXED),
        ("ecdsa-sha384", Family::P384) => Some(&ring_signature::ECDSA_P384_SHA384_FIXED),
        ("rsa-sha256" | "rsa-sha384" | "rsa-sha512" | "ecdsa-sha256" | "ecdsa-sha384", _) => None,
        _ => return Err(unknown(uri)),
    };
    Ok(found)
}

fn unknown(uri: &str) -> Error {
    Error::Algorithm(uri.chars().take(100).collect())
}
