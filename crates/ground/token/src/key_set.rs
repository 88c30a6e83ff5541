//! The keys of one project: one signs, all verify.

use crate::{Algorithm, Key, KeyError};
use serde_json::{Value, json};

/// Keys by which tokens are signed and verified.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// One HMAC secret, without an id.
    pub fn from_secret(secret: &[u8]) -> KeySet {
        KeySet { keys: vec![Key::hs256(secret)] }
    }

    /// These keys. At most one of them may be for signing by being asymmetric; see [`KeySet::from_json`].
    pub fn from_keys(keys: Vec<Key>) -> KeySet {
        KeySet { keys }
    }

    /// A JSON array of JSON Web Keys, a `{"keys": […]}` document or a single key.
    pub fn from_json(text: &str) -> Result<KeySet, KeyError> {
        let value: Value = serde_json::from_str(text).map_err(|_| KeyError::Malformed("it is not JSON"))?;
        let list = match &value {
            Value::Array(list) => list.as_slice(),
            Value::Object(object) => match object.get("keys") {
                Some(Value::Array(list)) => list.as_slice(),
                _ => std::slice::from_ref(&value),
            },
            _ => return Err(KeyError::Malformed("it is neither an object nor an array")),
        };
        let keys = list.iter().map(Key::from_jwk).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(KeyError::Empty);
        }
        if keys.iter().filter(|key| key.may_sign()).count() > 1 {
            return Err(KeyError::SeveralSigningKeys);
        }
        Ok(KeySet { keys })
    }

    /// The same set with one more secret that verifies HS256 tokens (whatever `kid` they name) and, when no other
    /// key is for signing, signs.
    #[must_use]
    pub fn with_secret(mut self, secret: &[u8]) -> KeySet {
        let key = Key::hs256(secret);
        let key = if self.signing_key().is_some() { key.verify_only() } else { key };
        self.keys.push(key);
        self
    }

    /// The key that signs.
    pub fn signing_key(&self) -> Option<&Key> {
        self.keys.iter().find(|key| key.may_sign())
    }

    /// The document of public keys. Secrets never appear in it.
    pub fn public_jwks(&self) -> Value {
        json!({ "keys": self.keys.iter().filter_map(Key::public_jwk).collect::<Vec<_>>() })
    }

    /// The keys that may have signed a token with this header: those with its id; without such, secrets, keys
    /// without an id and, when the header names no id either, every key. Always of the header's algorithm only.
    pub(crate) fn candidates<'a>(
        &'a self,
        algorithm: &'a str,
        id: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Key> {
        let known = id.is_some() && self.keys.iter().any(|key| key.id() == id);
        self.keys.iter().filter(move |key| {
            key.algorithm().as_str() == algorithm
                && match (known, id) {
                    (true, _) => key.id() == id,
                    (false, None) => true,
                    (false, Some(_)) => key.id().is_none() || key.algorithm() == Algorithm::Hs256,
                }
        })
    }

    pub(crate) fn accepts(&self, algorithm: &str) -> bool {
        self.keys.iter().any(|key| key.algorithm().as_str() == algorithm)
    }
}
