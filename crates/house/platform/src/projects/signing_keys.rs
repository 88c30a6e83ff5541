//! The keys that sign a project's tokens: listed, made or brought along, put in use, revoked.

use crate::{Error, Platform};
use catalog::{KeyStatus, NewSigningKey, SigningKey, signing_keys};
use model::ProjectRef;
use pg::Connection;
use serde::Serialize;
use serde_json::{Map, Value, json};
use token::Key;
use uuid::Uuid;

/// How many keys a project may have that are not revoked. Each makes every token with an unknown key dearer.
const KEYS_MAX: usize = 8;
/// How many revoked keys a list shows.
const REVOKED_MAX: u32 = 20;
/// The shortest secret that a key may be made of.
const SECRET_BYTES_MIN: usize = 32;

/// Which kind of key to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    Hs256,
    Es256,
    EdDsa,
}

impl std::str::FromStr for KeyAlgorithm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.to_ascii_uppercase().as_str() {
            "HS256" => Ok(KeyAlgorithm::Hs256),
            "ES256" => Ok(KeyAlgorithm::Es256),
            "EDDSA" | "ED25519" => Ok(KeyAlgorithm::EdDsa),
            "RS256" | "RS512" => Err(invalid("RSA keys are not made here; bring one along with --import")),
            _ => Err(invalid("must be ES256, EdDSA or HS256")),
        }
    }
}

/// A key as it is shown: without what signs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownKey {
    pub id: String,
    /// What tokens name it by; the secrets of HS256 have no such name.
    pub kid: Option<String>,
    pub algorithm: String,
    pub status: &'static str,
    pub created_at: String,
    pub public_jwk: Option<Value>,
}

/// A project's keys, the one in use first, revoked ones last.
///
/// # Errors
/// When the catalog does not answer.
pub async fn list(platform: &Platform, reference: &ProjectRef) -> Result<Vec<ShownKey>, Error> {
    let catalog = platform.catalog();
    let mut c = catalog.connection().await?;
    let keys = signing_keys::signing_key_list(&mut c, catalog.key(), reference).await?;
    let mut shown: Vec<ShownKey> = keys.iter().map(show).collect();
    for (id, algorithm, created_at) in
        signing_keys::signing_key_revoked(&mut c, reference, REVOKED_MAX).await?
    {
        let status = KeyStatus::Revoked.as_str();
        shown.push(ShownKey { id, kid: None, algorithm, status, created_at, public_jwk: None });
    }
    Ok(shown)
}

fn show(key: &SigningKey) -> ShownKey {
    let parsed = parse(key);
    ShownKey {
        id: key.id.to_string(),
        kid: parsed.as_ref().and_then(|key| key.id().map(str::to_owned)),
        algorithm: key.algorithm.clone(),
        status: key.status.as_str(),
        created_at: key.created_at.clone(),
        public_jwk: parsed.and_then(|key| key.public_jwk()),
    }
}

fn parse(key: &SigningKey) -> Option<Key> {
    if key.algorithm == signing_keys::HS256 {
        return Some(Key::hs256(key.material.as_bytes()));
    }
    serde_json::from_str(&key.material).ok().and_then(|jwk: Value| Key::from_jwk(&jwk).ok())
}

/// The set of keys by which the project's tokens are signed and verified.
pub fn key_set(keys: &[SigningKey]) -> token::KeySet {
    let usable = |key: &SigningKey| {
        let parsed = parse(key);
        if parsed.is_none() {
            tracing::error!(key = %key.id, algorithm = key.algorithm, "a stored signing key is not usable");
        }
        Some(if key.status == KeyStatus::InUse { parsed? } else { parsed?.verify_only() })
    };
    token::KeySet::from_keys(keys.iter().filter_map(usable).collect())
}

/// Where a new key comes from.
#[derive(Clone)]
pub enum KeySource {
    New(KeyAlgorithm),
    /// A private JSON Web Key, or a secret for HS256 that is no JSON.
    Given(String),
}

/// Adds a key that stands by: it verifies at once and signs after [`rotate`].
///
/// # Errors
/// [`Error::Invalid`] when one stands by already, there are too many, or the given one is not usable.
pub async fn create(
    platform: &Platform,
    reference: &ProjectRef,
    source: &KeySource,
    actor: &str,
) -> Result<ShownKey, Error> {
    let made = match source {
        KeySource::New(algorithm) => made(*algorithm),
        KeySource::Given(text) => given(text)?,
    };
    let catalog = platform.catalog();
    let mut c = catalog.connection().await?;
    let mut tx = c.begin().await?;
    let c = tx.connection();
    signing_keys::signing_key_lock(c, reference).await?;
    let there = signing_keys::signing_key_list(c, catalog.key(), reference).await?;
    if there.iter().any(|key| key.status == KeyStatus::Standby) {
        return Err(invalid("a key stands by already; put it in use or revoke it first"));
    }
    if there.len() >= KEYS_MAX {
        return Err(invalid("there are too many keys; revoke old ones first"));
    }
    let kid = parse(&made).and_then(|key| key.id().map(str::to_owned));
    if kid.is_some() && there.iter().filter_map(parse).any(|key| key.id().map(str::to_owned) == kid) {
        return Err(invalid("a key with this kid is there already"));
    }
    insert(c, platform, reference, &made, KeyStatus::Standby).await?;
    audit(c, actor, "signing_key.create", reference, &json!({ "id": made.id, "algorithm": made.algorithm }))
        .await?;
    tx.commit().await?;
    catalog.forget(reference);
    Ok(show(&SigningKey { status: KeyStatus::Standby, ..made }))
}

/// Puts the key that stands by in use. The one before goes on verifying.
///
/// # Errors
/// [`Error::Invalid`] when none stands by.
pub async fn rotate(
    platform: &Platform,
    reference: &ProjectRef,
    actor: &str,
) -> Result<Vec<ShownKey>, Error> {
    let catalog = platform.catalog();
    let mut c = catalog.connection().await?;
    let mut tx = c.begin().await?;
    signing_keys::signing_key_lock(tx.connection(), reference).await?;
    if !signing_keys::signing_key_rotate(tx.connection(), reference).await? {
        return Err(invalid("no key stands by; create one first"));
    }
    audit(tx.connection(), actor, "signing_key.rotate", reference, &json!({})).await?;
    tx.commit().await?;
    drop(c);
    catalog.forget(reference);
    list(platform, reference).await
}

/// Revokes a key that is not in use, by its id or its `kid`: tokens that it signed are worth nothing from now on.
///
/// # Errors
/// [`Error::Invalid`] when there is no such key, or it is in use.
pub async fn revoke(
    platform: &Platform,
    reference: &ProjectRef,
    key: &str,
    actor: &str,
) -> Result<Vec<ShownKey>, Error> {
    let catalog = platform.catalog();
    let mut c = catalog.connection().await?;
    let mut tx = c.begin().await?;
    signing_keys::signing_key_lock(tx.connection(), reference).await?;
    let there = signing_keys::signing_key_list(tx.connection(), catalog.key(), reference).await?;
    let is_meant = |found: &&SigningKey| {
        found.id.to_string() == key || parse(found).is_some_and(|parsed| parsed.id() == Some(key))
    };
    let found = there.iter().find(is_meant).ok_or_else(|| invalid("there is no such key"))?;
    if !signing_keys::signing_key_revoke(tx.connection(), reference, found.id).await? {
        return Err(invalid("the key is in use; rotate to another one first"));
    }
    let details = json!({ "id": found.id, "algorithm": found.algorithm });
    audit(tx.connection(), actor, "signing_key.revoke", reference, &details).await?;
    tx.commit().await?;
    drop(c);
    catalog.forget(reference);
    list(platform, reference).await
}

/// Makes these private JSON Web Keys the project's: the first that may sign does, the others verify. Nothing
/// happens when they are that already. Whether something did.
///
/// # Errors
/// [`Error::Invalid`] when one is not usable.
pub async fn replace(
    platform: &Platform,
    reference: &ProjectRef,
    jwks: &[Value],
    actor: &str,
) -> Result<bool, Error> {
    if jwks.len() > KEYS_MAX {
        return Err(invalid("there are too many keys"));
    }
    let keys = jwks.iter().map(|jwk| given(&jwk.to_string())).collect::<Result<Vec<_>, _>>()?;
    let signs = keys.iter().position(|key| parse(key).is_some_and(|key| key.may_sign()));
    let signs = signs.ok_or_else(|| invalid("none of the keys may sign"))?;
    let catalog = platform.catalog();
    let mut c = catalog.connection().await?;
    let mut tx = c.begin().await?;
    let c = tx.connection();
    signing_keys::signing_key_lock(c, reference).await?;
    let there = signing_keys::signing_key_list(c, catalog.key(), reference).await?;
    let status = |at| if at == signs { KeyStatus::InUse } else { KeyStatus::PreviouslyUsed };
    let mut wanted: Vec<_> =
        keys.iter().enumerate().map(|(at, key)| (status(at).as_str(), key.material.as_str())).collect();
    let mut present: Vec<_> = there
        .iter()
        .filter(|key| key.algorithm != signing_keys::HS256)
        .map(|key| (key.status.as_str(), key.material.as_str()))
        .collect();
    wanted.sort_unstable();
    present.sort_unstable();
    if wanted == present {
        return Ok(false);
    }
    signing_keys::signing_key_clear(c, reference).await?;
    for (at, key) in keys.iter().enumerate() {
        insert(c, platform, reference, key, status(at)).await?;
    }
    audit(c, actor, "signing_key.replace", reference, &json!({ "keys": keys.len() })).await?;
    tx.commit().await?;
    catalog.forget(reference);
    Ok(true)
}

/// Gives a project that is being made its first key. The secret that its API keys were signed with goes on
/// verifying.
pub(super) async fn first(
    c: &mut Connection,
    platform: &Platform,
    reference: &ProjectRef,
    key: Option<Value>,
) -> Result<(), Error> {
    let key = match key {
        Some(jwk) => given(&jwk.to_string())?,
        None => made(KeyAlgorithm::Es256),
    };
    insert(c, platform, reference, &key, KeyStatus::Standby).await?;
    signing_keys::signing_key_rotate(c, reference).await?;
    Ok(())
}

async fn insert(
    c: &mut Connection,
    platform: &Platform,
    reference: &ProjectRef,
    key: &SigningKey,
    status: KeyStatus,
) -> Result<(), Error> {
    let (algorithm, material) = (key.algorithm.as_str(), key.material.as_str());
    let new = NewSigningKey { id: key.id, algorithm, status, material };
    Ok(signing_keys::signing_key_insert(c, platform.catalog().key(), reference, new).await?)
}

fn made(algorithm: KeyAlgorithm) -> SigningKey {
    use base64::{Engine, engine::general_purpose::STANDARD as B64};
    let id = Uuid::new_v4();
    let (algorithm, material) = match algorithm {
        KeyAlgorithm::Hs256 => (signing_keys::HS256, B64.encode(token::random_bytes::<48>())),
        KeyAlgorithm::Es256 => ("ES256", token::new_es256_jwk(&id.to_string()).to_string()),
        KeyAlgorithm::EdDsa => ("EdDSA", token::new_ed25519_jwk(&id.to_string()).to_string()),
    };
    stored(id, algorithm, material)
}

/// A key that somebody brings along. One without a name gets one.
fn given(text: &str) -> Result<SigningKey, Error> {
    let id = Uuid::new_v4();
    let text = text.trim();
    let Ok(Value::Object(mut jwk)) = serde_json::from_str(text) else {
        if text.len() < SECRET_BYTES_MIN || text.starts_with(['{', '[']) {
            return Err(invalid("must be a private JSON Web Key or a secret of at least 32 characters"));
        }
        return Ok(stored(id, signing_keys::HS256, text.to_owned()));
    };
    if jwk.get("kid").and_then(Value::as_str).is_none_or(str::is_empty) {
        jwk.insert("kid".to_owned(), Value::from(id.to_string()));
    }
    let jwk = Value::Object(jwk);
    let key = Key::from_jwk(&jwk).map_err(|e| invalid(&e.to_string()))?;
    if key.algorithm().is_symmetric() {
        return Err(invalid("a shared secret is brought along as text, not as a JSON Web Key"));
    }
    if jwk.get("d").is_none() {
        return Err(invalid("the key has no private part"));
    }
    Ok(stored(id, key.algorithm().as_str(), jwk.to_string()))
}

fn stored(id: Uuid, algorithm: &str, material: String) -> SigningKey {
    let algorithm = algorithm.to_owned();
    SigningKey { id, algorithm, status: KeyStatus::Standby, material, created_at: String::new() }
}

fn invalid(reason: &str) -> Error {
    Error::Invalid { field: "signing key", reason: reason.to_owned() }
}

async fn audit(
    c: &mut Connection,
    actor: &str,
    action: &str,
    reference: &ProjectRef,
    details: &Value,
) -> Result<(), Error> {
    let details = details.as_object().cloned().unwrap_or_else(Map::new);
    Ok(catalog::audit::audit_write(c, actor, action, reference, &details).await?)
}
