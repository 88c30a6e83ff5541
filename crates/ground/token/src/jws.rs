//! The compact form of a signed token: `header.payload.signature`, each base64url.

use crate::KeySet;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Longer tokens are refused unread.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// Why a token was refused. The claims are a second step, see [`crate::check_times`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is empty")]
    Empty,
    #[error("expected 3 parts in the token, got {0}")]
    Parts(usize),
    #[error("the token cannot be decoded")]
    Malformed,
    #[error("the algorithm {0} is not one of the configured keys")]
    Algorithm(String),
    #[error("no key matches the token")]
    NoKey,
    #[error("the signature is wrong")]
    Signature,
    #[error("the payload is not a JSON object")]
    Payload,
    #[error("no key is able to sign")]
    CannotSign,
}

/// What a correctly signed token says. Nothing in it has been compared with the time or an audience.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The claims, in the token's order.
    pub claims: Map<String, Value>,
    /// The claims as the token has them: JSON text.
    pub payload: String,
    /// `kid` of the header.
    pub key_id: Option<String>,
}

impl Verified {
    /// A claim that is text.
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

impl KeySet {
    /// Signs `claims`, whose fields keep the order in which they serialize. The header is `alg`, `kid` when the
    /// key has an id, `typ`.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, TokenError> {
        let key = self.signing_key().ok_or(TokenError::CannotSign)?;
        let mut header = format!(r#"{{"alg":"{}","#, key.algorithm().as_str());
        if let Some(id) = key.id() {
            header.push_str(&format!(r#""kid":{},"#, Value::from(id)));
        }
        header.push_str(r#""typ":"JWT"}"#);
        let payload = serde_json::to_vec(claims).map_err(|_| TokenError::Payload)?;
        let mut token = format!("{}.{}", B64.encode(header), B64.encode(payload));
        let signature = key.sign(token.as_bytes()).ok_or(TokenError::CannotSign)?;
        token.push('.');
        B64.encode_string(signature, &mut token);
        Ok(token)
    }

    /// Checks form, algorithm, key and signature.
    pub fn verify(&self, token: &str) -> Result<Verified, TokenError> {
        if token.is_empty() {
            return Err(TokenError::Empty);
        }
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Malformed);
        }
        let parts = token.split('.').count();
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Parts(parts))?;
        let (header, payload) = match signed.split_once('.') {
            Some(pair) if parts == 3 => pair,
            _ => return Err(TokenError::Parts(parts)),
        };
        let decode = |part: &str| B64.decode(part.trim_end_matches('=')).map_err(|_| TokenError::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        if !self.accepts(&header.alg) {
            return Err(TokenError::Algorithm(header.alg));
        }
        self.check_signature(&header, signed.as_bytes(), &signature)?;
        let payload = String::from_utf8(payload).map_err(|_| TokenError::Payload)?;
        let claims = serde_json::from_str(&payload).map_err(|_| TokenError::Payload)?;
        Ok(Verified { claims, payload, key_id: header.kid })
    }

    fn check_signature(&self, header: &Header, signed: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        let mut candidates = self.candidates(&header.alg, header.kid.as_deref()).peekable();
        if candidates.peek().is_none() {
            return Err(TokenError::NoKey);
        }
        let signature_fits = candidates.any(|key| key.verifies(signed, signature));
        if signature_fits { Ok(()) } else { Err(TokenError::Signature) }
    }
}

/// The token of an `Authorization` header: the scheme `Bearer` in any case, one blank or more, the token.
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains(' ')).then_some(token)
}
