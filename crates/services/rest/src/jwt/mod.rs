//! Tokens: who a bearer is.
//!
//! A token is verified once; what it says is kept in a bounded cache. Its times are looked at on every use.

mod claims;
mod keys;
mod path;

use crate::config::Settings;
use claims::Claims;
use fault::Fault;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use keys::Keys;
use lru::LruCache;
use model::Caller;
use path::RolePath;
use serde_json::Value;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Longer tokens are verified every time.
const CACHED_BYTES_MAX: usize = 8 * 1024;

/// Verifies tokens with a project's keys.
pub struct Verifier {
    keys: Option<Keys>,
    audience: Option<String>,
    role_path: RolePath,
    anonymous: Option<Caller>,
    cache: Option<Mutex<LruCache<Box<str>, Arc<Verified>>>>,
    lookups: AtomicU64,
    hits: AtomicU64,
    evictions: AtomicU64,
}

/// What the cache of verified tokens was good for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenCacheStatus {
    /// Tokens that were looked up.
    pub lookups: u64,
    /// Tokens that were found.
    pub hits: u64,
    /// Tokens that made room for others.
    pub evictions: u64,
}

/// A token whose signature is right.
struct Verified {
    claims: Claims,
    /// Nothing when the token names no role and there is none for the anonymous.
    caller: Option<Caller>,
}

/// Whether a text can be the setting `jwt-role-claim-key`.
pub fn is_role_path(text: &str) -> bool {
    RolePath::parse(text).is_valid()
}

impl Verifier {
    /// A verifier with the keys and names that the settings hold.
    pub fn new(settings: &Settings) -> Self {
        let entries = NonZeroUsize::new(settings.jwt_cache_max_entries);
        Verifier {
            keys: settings.jwt_secret.as_deref().map(Keys::parse),
            audience: settings.jwt_aud.clone(),
            role_path: RolePath::parse(&settings.jwt_role_claim_key),
            anonymous: settings.db_anon_role.as_deref().map(Caller::of_role),
            cache: entries.map(|entries| Mutex::new(LruCache::new(entries))),
            lookups: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
        }
    }

    /// What the cache was good for so far.
    pub fn cache_status(&self) -> TokenCacheStatus {
        TokenCacheStatus {
            lookups: self.lookups.load(Ordering::Relaxed),
            hits: self.hits.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
        }
    }

    /// The caller that an `Authorization` header speaks for. Other schemes than Bearer count as none.
    ///
    /// # Errors
    /// PGRST300–303.
    pub fn caller(&self, authorization: Option<&HeaderValue>, now: SystemTime) -> Result<Caller, Fault> {
        let token = authorization.and_then(|value| bearer(value.as_bytes()));
        let Some(token) = token else { return self.anonymous.clone().ok_or_else(anonymous_disabled) };
        let verified = self.verified(token)?;
        verified.claims.check(self.audience.as_deref(), now)?;
        verified.caller.clone().ok_or_else(anonymous_disabled)
    }

    fn verified(&self, token: &[u8]) -> Result<Arc<Verified>, Fault> {
        let keys = self.keys.as_ref().ok_or_else(secret_missing)?;
        let text = std::str::from_utf8(token)
            .map_err(|_| undecodable("JWT cryptographic operation failed", None))?;
        self.lookups.fetch_add(1, Ordering::Relaxed);
        if let Some(known) = self.cache.as_ref().and_then(|cache| lock(cache).get(text).cloned()) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(known);
        }
        let object = keys.verify(text)?;
        let verified = Arc::new(Verified { caller: self.caller_of(&object), claims: Claims::of(&object) });
        if let Some(cache) = self.cache.as_ref().filter(|_| text.len() <= CACHED_BYTES_MAX)
            && lock(cache).push(text.into(), Arc::clone(&verified)).is_some_and(|(old, _)| *old != *text)
        {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
        Ok(verified)
    }

    fn caller_of(&self, claims: &serde_json::Map<String, Value>) -> Option<Caller> {
        let role = match self.role_path.find(claims) {
            Some(Value::String(role)) => role.clone(),
            Some(other) => other.to_string(),
            None => self.anonymous.as_ref()?.role.to_string(),
        };
        let mut claims = claims.clone();
        claims.insert("role".to_owned(), Value::from(role.as_str()));
        Some(Caller { role: role.into(), claims: Value::Object(claims).to_string().into() })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The token of a Bearer header.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = header.split_at_checked("Bearer".len())?;
    let rest = match rest {
        [] => rest,
        [b' ', ..] => rest.trim_ascii(),
        _ => return None,
    };
    scheme.eq_ignore_ascii_case(b"Bearer").then_some(rest)
}

fn secret_missing() -> Fault {
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "PGRST300", "Server lacks JWT secret")
}

fn anonymous_disabled() -> Fault {
    Fault::new(StatusCode::UNAUTHORIZED, "PGRST302", "Anonymous access is disabled")
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

fn unauthorized(code: &'static str, message: &str) -> Fault {
    let fault = Fault::new(StatusCode::UNAUTHORIZED, code, message);
    match HeaderValue::try_from(format!("Bearer error=\"invalid_token\", error_description=\"{message}\"")) {
        Ok(value) => fault.with_header(WWW_AUTHENTICATE, value),
        Err(_) => fault,
    }
}

/// The token's form, key, algorithm or signature is wrong.
fn undecodable(message: &str, details: Option<&str>) -> Fault {
    let fault = unauthorized("PGRST301", message);
    match details {
        Some(details) => fault.with_details(details),
        None => fault,
    }
}

/// What the token says is wrong.
fn bad_claims(message: &str) -> Fault {
    unauthorized("PGRST303", message)
}

#[cfg(test)]
mod tests;
