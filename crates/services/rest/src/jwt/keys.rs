//! The keys that tokens may be signed with: one secret text, a JWK or a JWK set.

use super::{bad_claims, undecodable};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fault::Fault;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A project's keys.
pub struct Keys {
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

const NO_KEY: &str = "No suitable key or wrong key type";
const BAD_ALGORITHM: &str = "Wrong or unsupported encoding algorithm";
const BAD_CRYPTO: &str = "JWT cryptographic operation failed";

impl Keys {
    /// From the setting's bytes: JSON keys if they are such, else a secret for HS256.
    pub fn parse(secret: &[u8]) -> Self {
        if let Ok(set) = serde_json::from_slice::<LooseSet>(secret) {
            return Keys {
                keys: set
                    .keys
                    .into_iter()
                    .filter_map(|key| serde_json::from_value(key).ok())
                    .filter_map(Key::of)
                    .collect(),
            };
        }
        if let Ok(jwk) = serde_json::from_slice::<Jwk>(secret) {
            return Keys { keys: Key::of(jwk).into_iter().collect() };
        }
        let key = Key { id: None, algorithms: vec![Algorithm::HS256], key: DecodingKey::from_secret(secret) };
        Keys { keys: vec![key] }
    }

    /// The claims of a token that one of the keys has signed.
    pub fn verify(&self, token: &str) -> Result<Map<String, Value>, Fault> {
        if token.is_empty() {
            return Err(undecodable("Empty JWT is sent in Authorization header", None));
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, payload, signature] = parts.as_slice() else {
            return Err(undecodable(&format!("Expected 3 parts in JWT; got {}", parts.len()), None));
        };
        let decode = |part: &str| {
            URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).map_err(|_| undecodable(BAD_CRYPTO, None))
        };
        let parsed: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| undecodable(BAD_CRYPTO, None))?;
        if parsed.alg == "none" {
            let details = "JWT is unsecured but expected 'alg' was not 'none'";
            return Err(undecodable(BAD_ALGORITHM, Some(details)));
        }
        let suitable: Vec<(&Key, Algorithm)> = match parsed.alg.parse::<Algorithm>() {
            Ok(algorithm) => self
                .keys
                .iter()
                .filter(|key| key.suits(&parsed, algorithm))
                .map(|key| (key, algorithm))
                .collect(),
            Err(_) => {
                return Err(undecodable(BAD_ALGORITHM, Some(&format!("Unknown algorithm: {}", parsed.alg))));
            }
        };
        if suitable.is_empty() {
            return Err(undecodable(NO_KEY, Some("No suitable key was found to decode the JWT")));
        }
        let signed = format!("{header}.{payload}");
        let signature = signature.trim_end_matches('=');
        let verifies = |(key, algorithm): &(&Key, Algorithm)| {
            crypto::verify(signature, signed.as_bytes(), &key.key, *algorithm).unwrap_or(false)
        };
        if !suitable.iter().any(verifies) {
            return Err(undecodable(NO_KEY, Some("None of the keys was able to decode the JWT")));
        }
        serde_json::from_slice(&decode(payload)?).map_err(|_| bad_claims("Parsing claims failed"))
    }
}

/// A set some of whose keys may be of kinds that we do not know.
#[derive(Deserialize)]
struct LooseSet {
    keys: Vec<Value>,
}

impl Key {
    fn of(jwk: Jwk) -> Option<Self> {
        let algorithms = match (&jwk.common.key_algorithm, &jwk.algorithm) {
            (Some(named), _) => vec![named.to_string().parse().ok()?],
            (None, AlgorithmParameters::OctetKey(_)) => {
                vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512]
            }
            (None, AlgorithmParameters::RSA(_)) => vec![
                Algorithm::RS256,
                Algorithm::RS384,
                Algorithm::RS512,
                Algorithm::PS256,
                Algorithm::PS384,
                Algorithm::PS512,
            ],
            (None, AlgorithmParameters::EllipticCurve(curve)) => match curve.curve {
                EllipticCurve::P256 => vec![Algorithm::ES256],
                EllipticCurve::P384 => vec![Algorithm::ES384],
                _ => return None,
            },
            (None, AlgorithmParameters::OctetKeyPair(_)) => vec![Algorithm::EdDSA],
        };
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Key { id: jwk.common.key_id.clone(), algorithms, key })
    }

    fn suits(&self, header: &Header, algorithm: Algorithm) -> bool {
        let named = match (&header.kid, &self.id) {
            (Some(wanted), Some(id)) => wanted == id,
            // Only a secret text has no name; it is the only key then.
            _ => true,
        };
        named && self.algorithms.contains(&algorithm)
    }
}
