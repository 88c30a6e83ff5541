//! One key: an HMAC secret, an RSA, P-256 or Ed25519 key, perhaps only its public half.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use ring::{hmac, rand::SystemRandom, rsa, signature};
use serde_json::{Value, json};
use std::fmt;

/// The signature algorithms that keys can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Hs256,
    Rs256,
    Rs512,
    Es256,
    /// With Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The name in a token's header.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Hs256 => "HS256",
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs512 => "RS512",
            Algorithm::Es256 => "ES256",
            Algorithm::EdDsa => "EdDSA",
        }
    }

    /// Whether its keys are shared secrets, which cannot be published.
    pub fn is_symmetric(self) -> bool {
        self == Algorithm::Hs256
    }
}

/// A text that is not a usable key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the key is not a JSON Web Key: {0}")]
    Malformed(&'static str),
    #[error("keys of type {0} are not supported")]
    Unsupported(String),
    #[error("the key was rejected: {0}")]
    Rejected(String),
    #[error("more than one key is marked for signing")]
    SeveralSigningKeys,
    #[error("the key set is empty")]
    Empty,
}

enum Material {
    Hmac(hmac::Key),
    Rsa { public: rsa::PublicKeyComponents<Vec<u8>>, private: Option<RsaKeyPair>, digest: Digest },
    P256 { public: Vec<u8>, private: Option<EcdsaKeyPair> },
    Ed25519 { public: [u8; 32], private: Option<Ed25519KeyPair> },
}

/// What an RSA key signs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Digest {
    Sha256,
    Sha512,
}

/// A key with its id.
pub struct Key {
    id: Option<String>,
    material: Material,
    may_sign: bool,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

impl Key {
    /// An HMAC secret, able to sign.
    pub fn hs256(secret: &[u8]) -> Key {
        Key { id: None, material: Material::Hmac(hmac::Key::new(hmac::HMAC_SHA256, secret)), may_sign: true }
    }

    /// The same key under an id, which the headers of its tokens carry as `kid`.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Key {
        self.id = Some(id.into());
        self
    }

    /// The same key, only for verifying.
    #[must_use]
    pub fn verify_only(mut self) -> Key {
        self.may_sign = false;
        self
    }

    /// A key from a JSON Web Key, public or private. A private key signs unless it has `key_ops` without `sign`.
    pub fn from_jwk(jwk: &Value) -> Result<Key, KeyError> {
        let material = match jwk.get("kty").and_then(Value::as_str) {
            Some("oct") => Material::Hmac(hmac::Key::new(hmac::HMAC_SHA256, &number(jwk, "k")?)),
            Some("RSA") => rsa_material(jwk)?,
            Some("EC") => p256_material(jwk)?,
            Some("OKP") => ed25519_material(jwk)?,
            Some(other) => return Err(KeyError::Unsupported(other.to_owned())),
            None => return Err(KeyError::Malformed("it has no kty")),
        };
        let private = match &material {
            Material::Hmac(_) => true,
            Material::Rsa { private, .. } => private.is_some(),
            Material::P256 { private, .. } => private.is_some(),
            Material::Ed25519 { private, .. } => private.is_some(),
        };
        let allowed = match jwk.get("key_ops") {
            Some(Value::Array(ops)) => ops.iter().any(|op| op == "sign"),
            _ => true,
        };
        let id = jwk.get("kid").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned);
        let key = Key { id, material, may_sign: private && allowed };
        match jwk.get("alg").and_then(Value::as_str) {
            Some(alg) if alg != key.algorithm().as_str() => Err(KeyError::Unsupported(alg.to_owned())),
            _ => Ok(key),
        }
    }

    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub fn may_sign(&self) -> bool {
        self.may_sign
    }

    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Hmac(_) => Algorithm::Hs256,
            Material::Rsa { digest: Digest::Sha256, .. } => Algorithm::Rs256,
            Material::Rsa { digest: Digest::Sha512, .. } => Algorithm::Rs512,
            Material::P256 { .. } => Algorithm::Es256,
            Material::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }

    /// The public half as a JSON Web Key; nothing for a secret.
    pub fn public_jwk(&self) -> Option<Value> {
        let mut jwk = match &self.material {
            Material::Hmac(_) => return None,
            Material::Rsa { public, .. } => {
                json!({ "kty": "RSA", "n": B64.encode(&public.n), "e": B64.encode(&public.e) })
            }
            Material::P256 { public, .. } => json!({
                "kty": "EC", "crv": "P-256", "x": B64.encode(&public[1..33]), "y": B64.encode(&public[33..]),
            }),
            Material::Ed25519 { public, .. } => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": B64.encode(public) })
            }
        };
        jwk["alg"] = self.algorithm().as_str().into();
        jwk["use"] = "sig".into();
        jwk["key_ops"] = json!(["verify"]);
        if let Some(id) = &self.id {
            jwk["kid"] = id.as_str().into();
        }
        Some(jwk)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.material {
            Material::Hmac(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
            Material::Rsa { private, digest, .. } => {
                let pair = private.as_ref()?;
                let mut out = vec![0; pair.public().modulus_len()];
                let padding: &dyn signature::RsaEncoding = match digest {
                    Digest::Sha256 => &signature::RSA_PKCS1_SHA256,
                    Digest::Sha512 => &signature::RSA_PKCS1_SHA512,
                };
                pair.sign(padding, &SystemRandom::new(), message, &mut out).ok()?;
                Some(out)
            }
            Material::P256 { private, .. } => {
                Some(private.as_ref()?.sign(&SystemRandom::new(), message).ok()?.as_ref().to_vec())
            }
            Material::Ed25519 { private, .. } => Some(private.as_ref()?.sign(message).as_ref().to_vec()),
        }
    }

    pub(crate) fn verifies(&self, message: &[u8], mac_or_signature: &[u8]) -> bool {
        match &self.material {
            Material::Hmac(key) => hmac::verify(key, message, mac_or_signature).is_ok(),
            Material::Rsa { public, digest, .. } => {
                let padding = match digest {
                    Digest::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Digest::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                };
                public.verify(padding, message, mac_or_signature).is_ok()
            }
            Material::P256 { public, .. } => {
                signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, public)
                    .verify(message, mac_or_signature)
                    .is_ok()
            }
            Material::Ed25519 { public, .. } => {
                signature::UnparsedPublicKey::new(&signature::ED25519, public)
                    .verify(message, mac_or_signature)
                    .is_ok()
            }
        }
    }
}

/// A new P-256 key as a private JSON Web Key with this id, marked for signing.
pub fn new_es256_jwk(id: &str) -> Value {
    // ring hands out keys only as PKCS #8; its P-256 document has the scalar at 36 and ends with the point.
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
        .expect("the operating system gives random bytes");
    let bytes = document.as_ref();
    let point = &bytes[bytes.len() - 64..];
    json!({
        "kty": "EC", "kid": id, "use": "sig", "key_ops": ["sign", "verify"], "alg": "ES256", "ext": true,
        "d": B64.encode(&bytes[36..68]), "crv": "P-256", "x": B64.encode(&point[..32]), "y": B64.encode(&point[32..]),
    })
}

/// A new Ed25519 key as a private JSON Web Key with this id, marked for signing.
pub fn new_ed25519_jwk(id: &str) -> Value {
    let seed = crate::random_bytes::<32>();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed has 32 bytes");
    json!({
        "kty": "OKP", "kid": id, "use": "sig", "key_ops": ["sign", "verify"], "alg": "EdDSA", "ext": true,
        "d": B64.encode(seed), "crv": "Ed25519", "x": B64.encode(pair.public_key()),
    })
}

fn ed25519_material(jwk: &Value) -> Result<Material, KeyError> {
    match jwk.get("crv").and_then(Value::as_str) {
        Some("Ed25519") => {}
        other => return Err(KeyError::Unsupported(other.unwrap_or("OKP without a curve").to_owned())),
    }
    let public = fixed(jwk, "x")?;
    let private = match jwk.get("d") {
        None => None,
        Some(_) => {
            let pair = Ed25519KeyPair::from_seed_and_public_key(&fixed(jwk, "d")?, &public);
            Some(pair.map_err(|e| KeyError::Rejected(e.to_string()))?)
        }
    };
    Ok(Material::Ed25519 { public, private })
}

fn rsa_material(jwk: &Value) -> Result<Material, KeyError> {
    let digest = match jwk.get("alg").and_then(Value::as_str) {
        Some("RS512") => Digest::Sha512,
        _ => Digest::Sha256,
    };
    let public = rsa::PublicKeyComponents { n: number(jwk, "n")?, e: number(jwk, "e")? };
    if public.n.len() < 256 {
        return Err(KeyError::Rejected("RSA keys have at least 2048 bits".to_owned()));
    }
    let private = match jwk.get("d") {
        None => None,
        Some(_) => {
            let components = rsa::KeyPairComponents {
                public_key: rsa::PublicKeyComponents { n: &public.n, e: &public.e },
                d: &number(jwk, "d")?,
                p: &number(jwk, "p")?,
                q: &number(jwk, "q")?,
                dP: &number(jwk, "dp")?,
                dQ: &number(jwk, "dq")?,
                qInv: &number(jwk, "qi")?,
            };
            Some(RsaKeyPair::from_components(&components).map_err(|e| KeyError::Rejected(e.to_string()))?)
        }
    };
    Ok(Material::Rsa { public, private, digest })
}

fn p256_material(jwk: &Value) -> Result<Material, KeyError> {
    match jwk.get("crv").and_then(Value::as_str) {
        Some("P-256") => {}
        other => return Err(KeyError::Unsupported(other.unwrap_or("EC without a curve").to_owned())),
    }
    let (x, y) = (fixed(jwk, "x")?, fixed(jwk, "y")?);
    let public = [&[4u8][..], &x, &y].concat();
    let private = match jwk.get("d") {
        None => None,
        Some(_) => {
            let pair = EcdsaKeyPair::from_private_key_and_public_key(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &fixed(jwk, "d")?,
                &public,
                &SystemRandom::new(),
            )
            .map_err(|e| KeyError::Rejected(e.to_string()))?;
            debug_assert_eq!(pair.public_key().as_ref(), public);
            Some(pair)
        }
    };
    Ok(Material::P256 { public, private })
}

fn number(jwk: &Value, name: &'static str) -> Result<Vec<u8>, KeyError> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or(KeyError::Malformed("a part is missing"))?;
    B64.decode(text.trim_end_matches('=')).map_err(|_| KeyError::Malformed("a part is not base64url"))
}

fn fixed(jwk: &Value, name: &'static str) -> Result<[u8; 32], KeyError> {
    number(jwk, name)?.try_into().map_err(|_| KeyError::Malformed("a coordinate does not have 32 bytes"))
}
