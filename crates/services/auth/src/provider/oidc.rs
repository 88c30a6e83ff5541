//! OpenID Connect: what an issuer says of itself, its keys, and tokens that it signed.
//!
//! Documents and keys are kept as long as the issuer allows, within bounds. A key that is not known has the set
//! fetched again, though not more often than once a minute, so that made-up key ids cost the issuer nothing.

use super::Failure;
use super::exchange::{fetch, is_http};
use super::jwk::{self, Algorithm, Jwk};
use crate::moment::Moment;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use http::HeaderMap;
use lru::LruCache;
use outbound::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longer tokens are refused unread.
const TOKEN_BYTES_MAX: usize = 64 * 1024;
/// How many issuers a project's cache has room for.
const ISSUERS_MAX: NonZeroUsize = NonZeroUsize::new(32).expect("it is not zero");
/// How long something is kept whose issuer does not say, and the bounds for those that do.
const KEPT: Duration = Duration::from_secs(3600);
const KEPT_MIN: Duration = Duration::from_secs(60);
const KEPT_MAX: Duration = Duration::from_secs(86_400);
/// How far the clocks of issuers may be ahead of ours.
const AHEAD_MAX: i64 = 300;

/// What an issuer says of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Document {
    #[serde(default)]
    pub(crate) issuer: String,
    #[serde(default)]
    pub(crate) authorization_endpoint: String,
    #[serde(default)]
    pub(crate) token_endpoint: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) userinfo_endpoint: String,
    #[serde(default)]
    pub(crate) jwks_uri: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scopes_supported: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) response_types_supported: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grant_types_supported: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject_types_supported: Option<Vec<String>>,
    #[serde(default, skip_serializing)]
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    #[serde(default, skip_serializing)]
    pub(crate) token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Document {
    /// Whether the issuer may sign with this: what it says, else RS256.
    fn signs_with(&self, name: &str) -> bool {
        match &self.id_token_signing_alg_values_supported {
            Some(list) if list.iter().any(|known| Algorithm::of(known).is_some()) => {
                list.iter().any(|known| known == name)
            }
            _ => name == "RS256",
        }
    }
}

/// An issuer, and where its document is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Issuer<'a> {
    pub(crate) name: &'a str,
    /// Another address than the usual one.
    pub(crate) discovery_url: Option<&'a str>,
}

impl<'a> Issuer<'a> {
    pub(crate) fn new(name: &'a str) -> Issuer<'a> {
        Issuer { name, discovery_url: None }
    }

    fn key(&self) -> String {
        format!("{} {}", self.name, self.address())
    }

    fn address(&self) -> String {
        match self.discovery_url.filter(|url| !url.is_empty()) {
            Some(url) => url.to_owned(),
            None => format!("{}/.well-known/openid-configuration", self.name.trim_end_matches('/')),
        }
    }
}

/// Fetches an issuer's document.
pub(crate) async fn discover(client: &Client, issuer: &Issuer<'_>) -> Result<Document, Failure> {
    fetch_document(client, issuer).await.map(|(document, _)| document)
}

async fn fetch_document(client: &Client, issuer: &Issuer<'_>) -> Result<(Document, Duration), Failure> {
    let (value, headers) = fetch(client, &issuer.address(), &HeaderMap::new()).await?;
    let document: Document =
        serde_json::from_value(value).map_err(|_| Failure::new("the discovery document is not one"))?;
    if document.issuer != issuer.name {
        let text = format!("the issuer is {:?} where {:?} was expected", document.issuer, issuer.name);
        return Err(Failure::new(text));
    }
    let secure = issuer.name.starts_with("https://");
    for address in [&document.token_endpoint, &document.userinfo_endpoint, &document.jwks_uri] {
        if !address.is_empty() && !is_http(address, secure) {
            return Err(Failure::new("the discovery document names an address that is not secure"));
        }
    }
    Ok((document, kept(&headers)))
}

/// How long an answer may be kept.
fn kept(headers: &HeaderMap) -> Duration {
    let value = headers.get("cache-control").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut words = value.split(',').map(|word| word.trim().to_ascii_lowercase());
    let age = words.find_map(|word| match word.as_str() {
        "no-store" | "no-cache" => Some(0),
        word => word.strip_prefix("max-age=").and_then(|seconds| seconds.trim_matches('"').parse().ok()),
    });
    age.map_or(KEPT, Duration::from_secs).clamp(KEPT_MIN, KEPT_MAX)
}

/// How long an issuer that did not answer is not asked again.
const FAILED_PAUSE: Duration = Duration::from_secs(10);

/// The issuers that a project has met.
#[derive(Debug)]
pub(crate) struct Issuers {
    shelves: Mutex<Shelves>,
}

/// Tokens may name whom they like: those that have yet to prove anything only push out one another.
#[derive(Debug)]
struct Shelves {
    proven: LruCache<String, Shared>,
    met: LruCache<String, Shared>,
}

type Shared = Arc<tokio::sync::Mutex<Known>>;

/// What is known of an issuer. Whoever fetches it holds the lock; the others want the same.
#[derive(Debug, Default)]
struct Known {
    document: Option<(Document, Moment)>,
    keys: Vec<Jwk>,
    keys_fetched: Option<Moment>,
    keys_until: Option<Moment>,
    /// When it last did not answer.
    failed: Option<Moment>,
}

impl Issuers {
    pub(crate) fn new() -> Issuers {
        let (proven, met) = (LruCache::new(ISSUERS_MAX), LruCache::new(ISSUERS_MAX));
        Issuers { shelves: Mutex::new(Shelves { proven, met }) }
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, issuer: &Issuer<'_>) -> Shared {
        let (key, mut shelves) = (issuer.key(), self.shelves());
        match shelves.proven.get(&key) {
            Some(known) => Arc::clone(known),
            None => Arc::clone(shelves.met.get_or_insert(key, Arc::default)),
        }
    }

    /// Keeps an issuer that the project has named, or one whose signature somebody has shown.
    fn keep(&self, issuer: &Issuer<'_>, known: &Shared) {
        let (key, mut shelves) = (issuer.key(), self.shelves());
        shelves.met.pop(&key);
        shelves.proven.get_or_insert(key, || Arc::clone(known));
    }

    /// Forgets what is known of all issuers, for when one was set up anew.
    pub(crate) fn forget(&self) {
        let mut shelves = self.shelves();
        shelves.proven.clear();
        shelves.met.clear();
    }

    /// An issuer's document.
    pub(crate) async fn document(
        &self,
        client: &Client,
        issuer: &Issuer<'_>,
        now: Moment,
    ) -> Result<Document, Failure> {
        let known = self.known(issuer);
        let document = known.lock().await.document(client, issuer, now).await?;
        self.keep(issuer, &known);
        Ok(document)
    }

    /// Checks form, algorithm, issuer, key, signature and times of a token. Whose it is and for whom is another
    /// question. `also` is a further name of the issuer.
    pub(crate) async fn verify(
        &self,
        client: &Client,
        issuer: &Issuer<'_>,
        also: Option<&str>,
        token: &str,
        now: Moment,
    ) -> Result<IdToken, Failure> {
        let raw = Raw::read(token)?;
        let algorithm = Algorithm::of(&raw.algorithm)
            .ok_or_else(|| Failure::new(format!("the algorithm {:?} proves nothing", raw.algorithm)))?;
        let name = raw.text("iss");
        if name != issuer.name && also.is_none_or(|also| name != also) {
            return Err(Failure::new("the token is of another issuer"));
        }
        let shared = self.known(issuer);
        let mut known = shared.lock().await;
        let document = known.document(client, issuer, now).await?;
        if !document.signs_with(&raw.algorithm) {
            return Err(Failure::new("the issuer does not sign with the token's algorithm"));
        }
        if !known.has_key(&raw, now) {
            known.fetch_keys(client, &document, now).await?;
        }
        let mut candidates = known.candidates(&raw);
        if !candidates.any(|key| key.verifies(algorithm, raw.signed.as_bytes(), &raw.signature)) {
            return Err(Failure::new("no key of the issuer made the signature"));
        }
        drop(candidates);
        drop(known);
        self.keep(issuer, &shared);
        raw.checked(algorithm, now)
    }
}

impl Known {
    async fn document(
        &mut self,
        client: &Client,
        issuer: &Issuer<'_>,
        now: Moment,
    ) -> Result<Document, Failure> {
        match &self.document {
            Some((document, until)) if now < *until => return Ok(document.clone()),
            _ => {}
        }
        let fetched = match self.paused(now) {
            Some(failure) => Err(failure),
            None => fetch_document(client, issuer).await,
        };
        self.note(&fetched, now);
        match (fetched, &self.document) {
            (Ok((document, kept)), _) => {
                self.document = Some((document.clone(), now.plus(kept)));
                Ok(document)
            }
            // The issuer is out for a while; it will hardly have moved.
            (Err(_), Some((document, until))) if now < until.plus(KEPT_MAX) => Ok(document.clone()),
            (Err(failure), _) => Err(failure),
        }
    }

    /// Whoever comes while the issuer is out does not ask it again.
    fn paused(&self, now: Moment) -> Option<Failure> {
        let is_paused = self.failed.is_some_and(|at| now < at.plus(FAILED_PAUSE));
        is_paused.then(|| Failure::new("the issuer did not answer a moment ago"))
    }

    fn note<T>(&mut self, fetched: &Result<T, Failure>, now: Moment) {
        if fetched.is_ok() {
            self.failed = None;
        } else if self.paused(now).is_none() {
            self.failed = Some(now);
        }
    }

    fn candidates<'a>(&'a self, raw: &'a Raw) -> impl Iterator<Item = &'a Jwk> {
        self.keys.iter().filter(|key| raw.key_id.is_empty() || key.id == raw.key_id)
    }

    /// Whether the keys at hand are to be used: they are fresh and have the token's, or were fetched just now.
    fn has_key(&self, raw: &Raw, now: Moment) -> bool {
        let just_now = self.keys_fetched.is_some_and(|at| now < at.plus(KEPT_MIN));
        let fresh = self.keys_until.is_some_and(|until| now < until);
        just_now || (fresh && self.candidates(raw).next().is_some())
    }

    async fn fetch_keys(&mut self, client: &Client, from: &Document, now: Moment) -> Result<(), Failure> {
        let fetched = match self.paused(now) {
            Some(failure) => Err(failure),
            None => fetch(client, &from.jwks_uri, &HeaderMap::new()).await,
        };
        self.note(&fetched, now);
        match fetched {
            Ok((set, headers)) => {
                self.keys = jwk::read(&set);
                self.keys_until = Some(now.plus(kept(&headers)));
                self.keys_fetched = Some(now);
                Ok(())
            }
            // Tried is tried: made-up key ids do not ask a server again that is down.
            Err(_) if self.keys_until.is_some_and(|until| now < until.plus(KEPT_MAX)) => {
                self.keys_fetched = Some(now);
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }
}

/// A token in parts, nothing about it checked.
struct Raw {
    algorithm: String,
    key_id: String,
    signed: String,
    signature: Vec<u8>,
    claims: Map<String, Value>,
}

impl Raw {
    fn read(token: &str) -> Result<Raw, Failure> {
        let malformed = || Failure::new("the token is malformed");
        if token.len() > TOKEN_BYTES_MAX {
            return Err(malformed());
        }
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            return Err(malformed());
        };
        let object = |part: &str| -> Result<Map<String, Value>, Failure> {
            let bytes = B64.decode(part).map_err(|_| malformed())?;
            serde_json::from_slice(&bytes).map_err(|_| malformed())
        };
        let header = object(header)?;
        if header.contains_key("crit") {
            return Err(malformed());
        }
        let say = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Raw {
            algorithm: say("alg"),
            key_id: say("kid"),
            signed: token.rsplit_once('.').map_or("", |(signed, _)| signed).to_owned(),
            signature: B64.decode(signature).map_err(|_| malformed())?,
            claims: object(payload)?,
        })
    }

    fn text(&self, name: &str) -> &str {
        self.claims.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn checked(self, algorithm: Algorithm, now: Moment) -> Result<IdToken, Failure> {
        let time = |name: &str| self.claims.get(name).and_then(Value::as_f64);
        let now = now.unix();
        match time("exp") {
            #[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact")]
            Some(end) if end > now as f64 => {}
            _ => return Err(Failure::new("the token has expired")),
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds of this age are exact")]
        if time("nbf").is_some_and(|start| start > (now + AHEAD_MAX) as f64) {
            return Err(Failure::new("the token is not valid yet"));
        }
        Ok(IdToken { algorithm, claims: self.claims })
    }
}

/// The issuer that a token names, without any check.
pub(crate) fn claimed_issuer(token: &str) -> Option<String> {
    Some(Raw::read(token).ok()?.text("iss").to_owned())
}

/// A token that its issuer signed and that has not expired.
#[derive(Debug)]
pub(crate) struct IdToken {
    algorithm: Algorithm,
    pub(crate) claims: Map<String, Value>,
}

impl IdToken {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.claims.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whom the token is for.
    pub(crate) fn audience(&self) -> Vec<&str> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it is for one of these.
    pub(crate) fn is_for<'a>(&self, mut clients: impl Iterator<Item = &'a str>) -> bool {
        let audience = self.audience();
        clients.any(|client| !client.is_empty() && audience.contains(&client))
    }

    /// Whether it was given out together with this access token; one that does not say may have been.
    pub(crate) fn goes_with(&self, access_token: &str) -> bool {
        let hash = self.text("at_hash");
        hash.is_empty()
            || token::same_secret(
                self.algorithm.half_hash(access_token.as_bytes()).as_bytes(),
                hash.as_bytes(),
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn what_may_be_kept_is_kept_within_bounds() {
        for (value, seconds) in [
            ("", 3600),
            ("public, max-age=600", 600),
            ("max-age=1", 60),
            ("max-age=99999999", 86_400),
            ("no-store", 60),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("cache-control", HeaderValue::from_static(value));
            assert_eq!(kept(&headers).as_secs(), seconds, "{value}");
        }
    }

    #[test]
    fn issuers_that_tokens_make_up_push_out_one_another_only() {
        let issuers = Issuers::new();
        let (ours, theirs) = (Issuer::new("https://ours.test"), Issuer::new("https://theirs.test"));
        let kept = issuers.known(&ours);
        issuers.keep(&ours, &kept);
        let met = issuers.known(&theirs);
        for number in 0..100 {
            issuers.known(&Issuer::new(&format!("https://tenant-{number}.test")));
        }
        assert!(Arc::ptr_eq(&issuers.known(&ours), &kept), "what has proven something stays");
        assert!(!Arc::ptr_eq(&issuers.known(&theirs), &met));
    }

    #[test]
    fn an_issuer_that_lists_no_algorithm_signs_with_rsa() {
        let mut document = Document::default();
        assert!(document.signs_with("RS256") && !document.signs_with("ES256"));
        document.id_token_signing_alg_values_supported = Some(vec!["none".to_owned(), "HS256".to_owned()]);
        assert!(document.signs_with("RS256") && !document.signs_with("HS256"));
        document.id_token_signing_alg_values_supported = Some(vec!["ES256".to_owned()]);
        assert!(document.signs_with("ES256") && !document.signs_with("RS256"));
    }

    #[test]
    fn tokens_have_three_parts_and_nothing_critical() {
        for token in ["", "a.b", "a.b.c.d", "e30.e30", "W10.e30.AA", &"x".repeat(TOKEN_BYTES_MAX + 1)] {
            assert!(Raw::read(token).is_err(), "{token:.20}");
        }
        let critical = format!("{}.e30.AA", B64.encode(r#"{"alg":"RS256","crit":["x"]}"#));
        assert!(Raw::read(&critical).is_err());
    }
}
