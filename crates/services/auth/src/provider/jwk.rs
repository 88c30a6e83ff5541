//! Public keys of issuers of ID tokens.
//!
//! A key verifies with algorithms of its own kind only, and a secret is not a key here: a token that names `none`
//! or an HMAC is refused whatever the issuer publishes.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde_json::Value;

/// The most keys of an issuer that are looked at.
const KEYS_MAX: usize = 64;

/// How an ID token can be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// The algorithm of this name; nothing for those that prove nothing.
    pub(super) fn of(name: &str) -> Option<Algorithm> {
        Some(match name {
            "RS256" => Algorithm::Rs256,
            "RS384" => Algorithm::Rs384,
            "RS512" => Algorithm::Rs512,
            "PS256" => Algorithm::Ps256,
            "PS384" => Algorithm::Ps384,
            "PS512" => Algorithm::Ps512,
            "ES256" => Algorithm::Es256,
            "ES384" => Algorithm::Es384,
            "EdDSA" => Algorithm::EdDsa,
            _ => return None,
        })
    }

    /// The first half of a hash of `text`, as `at_hash` has it.
    pub(super) fn half_hash(self, text: &[u8]) -> String {
        use ring::digest::{SHA256, SHA384, SHA512, digest};
        let algorithm = match self {
            Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 => &SHA256,
            Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 => &SHA384,
            Algorithm::Rs512 | Algorithm::Ps512 | Algorithm::EdDsa => &SHA512,
        };
        let hash = digest(algorithm, text);
        B64.encode(&hash.as_ref()[..hash.as_ref().len() / 2])
    }
}

#[derive(Debug, Clone)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// One public key.
#[derive(Debug, Clone)]
pub(super) struct Jwk {
    pub(super) id: String,
    /// The only algorithm it is for, when it says so.
    only: Option<Algorithm>,
    material: Material,
}

/// The usable keys of a set.
pub(super) fn read(set: &Value) -> Vec<Jwk> {
    let keys = set.get("keys").and_then(Value::as_array);
    keys.into_iter().flatten().take(KEYS_MAX).filter_map(Jwk::read).collect()
}

impl Jwk {
    fn read(jwk: &Value) -> Option<Jwk> {
        let say = |name: &str| jwk.get(name).and_then(Value::as_str).unwrap_or_default();
        let bytes = |name: &str| B64.decode(say(name).trim_end_matches('=')).ok();
        if !matches!(say("use"), "" | "sig") {
            return None;
        }
        let point = |size: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            (x.len() == size && y.len() == size).then(|| [&[4u8][..], &x, &y].concat())
        };
        let material = match (say("kty"), say("crv")) {
            ("RSA", _) => Material::Rsa { n: bytes("n")?, e: bytes("e")? },
            ("EC", "P-256") => Material::P256(point(32)?),
            ("EC", "P-384") => Material::P384(point(48)?),
            ("OKP", "Ed25519") => Material::Ed25519(bytes("x")?),
            _ => return None,
        };
        let only = match say("alg") {
            "" => None,
            name => Some(Algorithm::of(name)?),
        };
        Some(Jwk { id: say("kid").to_owned(), only, material })
    }

    /// Whether the key made this signature with this algorithm.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], mark: &[u8]) -> bool {
        if self.only.is_some_and(|only| only != algorithm) {
            return false;
        }
        let unparsed = |how: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(how, key).verify(message, mark).is_ok()
        };
        match (&self.material, algorithm) {
            (Material::Rsa { n, e }, algorithm) => rsa(algorithm)
                .is_some_and(|how| RsaPublicKeyComponents { n, e }.verify(how, message, mark).is_ok()),
            (Material::P256(key), Algorithm::Es256) => unparsed(&signature::ECDSA_P256_SHA256_FIXED, key),
            (Material::P384(key), Algorithm::Es384) => unparsed(&signature::ECDSA_P384_SHA384_FIXED, key),
            (Material::Ed25519(key), Algorithm::EdDsa) => unparsed(&signature::ED25519, key),
            _ => false,
        }
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static signature::RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn algorithms_that_prove_nothing_are_unknown() {
        for name in ["none", "None", "HS256", "HS512", "ES256K", ""] {
            assert_eq!(Algorithm::of(name), None, "{name}");
        }
    }

    #[test]
    fn keys_for_other_purposes_are_left_out() {
        let (x, y) = (B64.encode([1; 32]), B64.encode([2; 32]));
        let set = json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "good" },
            { "kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "enc" },
            { "kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "HS256" },
            { "kty": "EC", "crv": "P-256", "x": "AQ", "y": y },
            { "kty": "oct", "k": "c2VjcmV0" },
            "nonsense",
        ] });
        let keys = read(&set);
        assert_eq!(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["good"]);
        assert!(!keys[0].verifies(Algorithm::Rs256, b"m", &[0; 64]));
        assert!(read(&Value::Null).is_empty());
    }

    #[test]
    fn the_half_hash_of_the_specification() {
        // OpenID Connect Core, appendix A.3.
        assert_eq!(
            Algorithm::Rs256.half_hash(b"jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"),
            "77QmUPtjPfzWtF2AnpK9RQ"
        );
    }
}
