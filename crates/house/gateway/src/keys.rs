//! API keys of a project: which are valid, and whom each stands for.

use lru::LruCache;
use model::{Bound, Caller, ProjectRef, role};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use token::{KeySet, OpaqueKind};

/// How many verified legacy keys are remembered a project. A project has two; tokens that are re-minted with
/// its secret make more.
const VERIFIED_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not zero");

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// For browsers: `anon`.
    Publishable,
    /// For servers: `service_role`.
    Secret,
}

/// What requests with a key are bound to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Binding {
    #[default]
    Free,
    Bound(Arc<Bound>),
    /// What is stored makes no sense: no request may pass that believes itself bound.
    Malformed,
}

impl From<Bound> for Binding {
    fn from(bound: Bound) -> Self {
        if bound.is_empty() { Binding::Free } else { Binding::Bound(Arc::new(bound)) }
    }
}

/// A key that was found valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedKey {
    pub kind: KeyKind,
    /// Opaque keys say nothing to a service: the gateway must say whom they stand for.
    pub opaque: bool,
    /// Whom a request with only this key comes from.
    pub caller: Caller,
    /// Settings and claims of every request with this key.
    pub binding: Binding,
    expires_at: Option<u64>,
}

impl VerifiedKey {
    fn is_expired(&self, now: u64) -> bool {
        self.expires_at.is_some_and(|at| now >= at)
    }
}

/// The keys of one project.
pub struct ApiKeys {
    reference: ProjectRef,
    /// By SHA-256, whose digits say nothing of the key to who measures how long a search takes.
    opaque: HashMap<[u8; 32], Arc<VerifiedKey>>,
    legacy: Option<KeySet>,
    /// What legacy keys are bound to.
    legacy_binding: Binding,
    verified: Mutex<LruCache<[u8; 32], Arc<VerifiedKey>>>,
}

impl ApiKeys {
    /// No keys yet.
    pub fn new(reference: ProjectRef) -> Self {
        ApiKeys {
            reference,
            opaque: HashMap::new(),
            legacy: None,
            legacy_binding: Binding::Free,
            verified: Mutex::new(LruCache::new(VERIFIED_MAX)),
        }
    }

    /// Accepts the opaque key with this SHA-256.
    #[must_use]
    pub fn with_opaque(self, kind: KeyKind, hash: [u8; 32]) -> Self {
        self.with_bound(kind, hash, Binding::Free)
    }

    /// The same; its requests are bound.
    #[must_use]
    pub fn with_bound(mut self, kind: KeyKind, hash: [u8; 32], binding: Binding) -> Self {
        let caller = Caller::of_role(match kind {
            KeyKind::Publishable => role::ANON,
            KeyKind::Secret => role::SERVICE,
        });
        self.opaque
            .insert(hash, Arc::new(VerifiedKey { kind, opaque: true, caller, binding, expires_at: None }));
        self
    }

    /// Accepts legacy keys: tokens with the role `anon` or `service_role` that these keys signed.
    #[must_use]
    pub fn with_legacy(mut self, keys: KeySet) -> Self {
        self.legacy = Some(keys);
        self
    }

    /// Binds requests with legacy keys.
    #[must_use]
    pub fn with_legacy_binding(mut self, binding: Binding) -> Self {
        self.legacy_binding = binding;
        self
    }

    /// What this key is, if it is valid at `now` (seconds since the Unix epoch).
    pub fn check(&self, presented: &str, now: u64) -> Option<Arc<VerifiedKey>> {
        let hash = token::sha256(presented.as_bytes());
        if token::opaque_kind(presented).is_some() {
            return self.opaque.get(&hash).map(Arc::clone);
        }
        if let Some(key) = self.remembered(&hash) {
            return (!key.is_expired(now)).then_some(key);
        }
        let key = Arc::new(self.check_legacy(presented, now)?);
        if let Ok(mut verified) = self.verified.lock() {
            verified.put(hash, Arc::clone(&key));
        }
        Some(key)
    }

    fn remembered(&self, hash: &[u8; 32]) -> Option<Arc<VerifiedKey>> {
        self.verified.lock().ok()?.get(hash).map(Arc::clone)
    }

    fn check_legacy(&self, presented: &str, now: u64) -> Option<VerifiedKey> {
        let verified = self.legacy.as_ref()?.verify(presented).ok()?;
        token::check_times(&verified.claims, now, 0).ok()?;
        if verified.claims.contains_key("ref") && verified.text("ref") != Some(self.reference.as_str()) {
            return None;
        }
        // A signed-in user's token may name any role, but it names its user: it is no key.
        if verified.claims.contains_key("sub") {
            return None;
        }
        let (kind, role) = match verified.text("role")? {
            role::ANON => (KeyKind::Publishable, role::ANON),
            role::SERVICE => (KeyKind::Secret, role::SERVICE),
            _ => return None,
        };
        let expires_at = verified.claims.get("exp").and_then(serde_json::Value::as_u64);
        let caller = Caller { role: role.into(), claims: verified.payload.into() };
        let binding = self.legacy_binding.clone();
        Some(VerifiedKey { kind, opaque: false, caller, binding, expires_at })
    }
}

impl From<OpaqueKind> for KeyKind {
    fn from(kind: OpaqueKind) -> Self {
        match kind {
            OpaqueKind::Publishable => KeyKind::Publishable,
            OpaqueKind::Secret => KeyKind::Secret,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SECRET: &[u8] = b"super-secret-jwt-token-with-at-least-32-characters-long";

    fn reference() -> ProjectRef {
        "abcdefghijklmnopqrst".parse().unwrap()
    }

    fn keys() -> ApiKeys {
        ApiKeys::new(reference())
            .with_legacy(KeySet::from_secret(SECRET))
            .with_opaque(KeyKind::Secret, token::hash_opaque(token::LOCAL_SECRET_KEY))
    }

    fn signed(claims: serde_json::Value) -> String {
        KeySet::from_secret(SECRET).sign(&claims).unwrap()
    }

    #[test]
    fn opaque_keys_are_found_by_hash() {
        let found = keys().check(token::LOCAL_SECRET_KEY, 0).unwrap();
        assert_eq!((found.kind, found.opaque), (KeyKind::Secret, true));
        assert_eq!(&*found.caller.role, "service_role");
        assert_eq!(keys().check("sb_secret_wrong", 0), None);
        assert_eq!(keys().check(token::LOCAL_PUBLISHABLE_KEY, 0), None);
    }

    #[test]
    fn demo_keys_keep_their_claims() {
        let keys = keys();
        let demo = token::demo_key(SECRET, "anon");
        for _ in 0..2 {
            let found = keys.check(&demo, 1_000).unwrap();
            assert_eq!(found.kind, KeyKind::Publishable);
            assert_eq!(&*found.caller.claims, r#"{"iss":"supabase-demo","role":"anon","exp":1983812996}"#);
        }
        assert_eq!(keys.check(&demo, 1_983_812_996), None, "an expired key is refused, also from the cache");
    }

    #[test]
    fn tokens_that_are_no_keys_are_refused() {
        let keys = keys();
        assert!(keys.check(&signed(json!({ "role": "anon" })), 0).is_some());
        assert!(keys.check(&signed(json!({ "role": "anon", "ref": reference() })), 0).is_some());
        for claims in [
            json!({ "role": "authenticated", "sub": "u" }),
            json!({ "role": "service_role", "sub": "u" }),
            json!({ "role": "postgres" }),
            json!({}),
            json!({ "role": "anon", "ref": "zzzzzzzzzzzzzzzzzzzz" }),
            json!({ "role": "anon", "exp": 1 }),
        ] {
            assert_eq!(keys.check(&signed(claims.clone()), 10), None, "{claims}");
        }
        let other =
            KeySet::from_secret(b"another secret of at least thirty-two bytes").sign(&json!({"role":"anon"}));
        assert_eq!(keys.check(&other.unwrap(), 0), None);
        // alg none: {"alg":"none"} . {"role":"service_role"} .
        assert_eq!(keys.check("eyJhbGciOiJub25lIn0.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.", 0), None);
        assert_eq!(keys.check("", 0), None);
        assert_eq!(keys.check("x", 0), None);
    }
}
