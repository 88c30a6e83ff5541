//! API keys: the legacy ones, which are tokens that name a role, and the opaque ones, which only mean
//! something to who stored their hash.

use crate::{KeySet, TokenError, random_bytes, sha256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use ring::hmac;
use serde::Serialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

/// The publishable key of every local stack.
pub const LOCAL_PUBLISHABLE_KEY: &str = "sb_publishable_ACJWlzQHlZjBrEguHvfOxg_3BJgxAaH";
/// The secret key of every local stack.
pub const LOCAL_SECRET_KEY: &str = concat!("sb_secret", "_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz");

/// The key that signs the tokens of every local stack of the official CLI. As public as its secret is: it is in
/// that program's source, and tests of apps sign with it.
pub fn local_signing_jwk() -> Value {
    json!({
        "kty": "EC", "kid": "b81269f1-21d8-4f2e-b719-c2240a840d90", "use": "sig", "key_ops": ["sign", "verify"],
        "alg": "ES256", "ext": true, "crv": "P-256",
        "x": "M5Sjqn5zwC9Kl1zVfUUGvv9boQjCGd45G8sdopBExB4",
        "y": "P6IXMvA2WYXSHSOMTBH2jsw_9rrzGy89FjPf6oOsIxQ",
        "d": concat!("dIhR8wywJlqlua4y_yMq2", "SLhlFXDZJBCvFrY1DCHyVU"),
    })
}

/// What an opaque key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpaqueKind {
    /// For browsers: the role `anon`.
    Publishable,
    /// For servers: the role `service_role`.
    Secret,
}

impl OpaqueKind {
    pub fn prefix(self) -> &'static str {
        match self {
            OpaqueKind::Publishable => "sb_publishable_",
            OpaqueKind::Secret => "sb_secret_",
        }
    }
}

/// A new opaque key: prefix, 22 random characters, `_`, 8 characters of a checksum over them and `tag` (the
/// project's ref).
pub fn new_opaque(kind: OpaqueKind, tag: &str) -> String {
    let body = format!("{}{}", kind.prefix(), B64.encode(random_bytes::<16>()));
    let checksum = B64.encode(sha256(format!("{tag}|{body}").as_bytes()));
    format!("{body}_{}", &checksum[..8])
}

/// The kind of an opaque key, by its prefix; nothing for any other text.
pub fn opaque_kind(key: &str) -> Option<OpaqueKind> {
    [OpaqueKind::Publishable, OpaqueKind::Secret].into_iter().find(|kind| key.starts_with(kind.prefix()))
}

/// What is stored of an opaque key. The keys have 128 random bits, so a plain SHA-256 is enough.
pub fn hash_opaque(key: &str) -> [u8; 32] {
    sha256(key.as_bytes())
}

/// Whether two secrets are equal, in a time that does not tell where they differ.
pub fn same_secret(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[derive(Serialize)]
struct LegacyClaims<'a> {
    iss: &'a str,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    role: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    exp: u64,
}

/// A legacy key of a hosted project: a token that names the role.
pub fn legacy_key(
    keys: &KeySet,
    project: &str,
    role: &str,
    iat: u64,
    exp: u64,
) -> Result<String, TokenError> {
    keys.sign(&LegacyClaims { iss: "supabase", project: Some(project), role, iat: Some(iat), exp })
}

/// The key of a local stack for this secret and role. With the stack's usual secret these are the well-known keys
/// that front-ends have in their sample configuration.
pub fn demo_key(secret: &[u8], role: &str) -> String {
    let claims = LegacyClaims { iss: "supabase-demo", project: None, role, iat: None, exp: 1_983_812_996 };
    let claims = serde_json::to_string(&claims).expect("the claims are plain text and numbers");
    let body = format!("{}.{}", B64.encode(r#"{"alg":"HS256","typ":"JWT"}"#), B64.encode(claims));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body.as_bytes());
    format!("{body}.{}", B64.encode(mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL_SECRET: &[u8] = b"super-secret-jwt-token-with-at-least-32-characters-long";

    #[test]
    fn demo_keys_are_the_well_known_ones() {
        assert_eq!(
            demo_key(LOCAL_SECRET, "anon"),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6ImFub24iLCJleHAiOjE5ODM4MTI5OTZ9.CRXP1A7WOeoJeXxjNni43kdQwgnWNReilDMblYTn_I0"
        );
        assert_eq!(
            demo_key(LOCAL_SECRET, "service_role"),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6InNlcnZpY2Vfcm9sZSIsImV4cCI6MTk4MzgxMjk5Nn0.EGIM96RAZx35lJzdJsyH-qQwv8Hdp7fsn3W0YpN81IU"
        );
    }

    #[test]
    fn opaque_keys_tell_their_kind_and_differ() {
        let (a, b) = (new_opaque(OpaqueKind::Secret, "ref"), new_opaque(OpaqueKind::Secret, "ref"));
        assert_ne!(a, b);
        assert_eq!(a.len(), LOCAL_SECRET_KEY.len());
        assert_eq!(opaque_kind(&a), Some(OpaqueKind::Secret));
        assert_eq!(opaque_kind(LOCAL_PUBLISHABLE_KEY), Some(OpaqueKind::Publishable));
        assert_eq!(opaque_kind("eyJhbGciOi"), None);
        assert!(same_secret(&hash_opaque(&a), &hash_opaque(&a)));
        assert!(!same_secret(&hash_opaque(&a), &hash_opaque(&b)));
    }
}
