//! API keys beside those that a project is born with: each bound to settings and claims of its requests.

use crate::{Error, Platform};
use catalog::keys::NewKey;
use catalog::{KeyKind, StoredKey};
use model::{Bound, ProjectRef, role};
use serde::Serialize;
use serde_json::{Map, json};
use token::OpaqueKind;

/// How many keys a project has at most. All of them are in memory while the project is in use.
pub const KEYS_MAX: u64 = 1000;
/// The longest name of a key, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewBoundKey {
    pub kind: OpaqueKind,
    pub name: String,
    pub bound: Bound,
    /// Who is responsible, for the audit log.
    pub actor: String,
}

/// A key just made. Not `Debug`, so that no log line shows it.
#[derive(Clone, Serialize)]
pub struct MadeKey {
    #[serde(flatten)]
    pub stored: StoredKey,
    pub api_key: String,
}

/// Makes a key.
///
/// # Errors
/// [`Error::Invalid`] for a name that is none or one key too many, [`catalog::Error::Taken`] for a name in use,
/// [`Error::NoProject`].
pub async fn key_create(
    platform: &Platform,
    reference: &ProjectRef,
    new: NewBoundKey,
) -> Result<MadeKey, Error> {
    let named = !new.name.is_empty()
        && new.name.len() <= NAME_BYTES_MAX
        && new.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if !named {
        let reason = format!("1 to {NAME_BYTES_MAX} letters, digits, and the characters - _ .");
        return Err(Error::Invalid { field: "name", reason });
    }
    let (kind, role) = match new.kind {
        OpaqueKind::Publishable => (KeyKind::Publishable, role::ANON),
        OpaqueKind::Secret => (KeyKind::Secret, role::SERVICE),
    };
    let api_key = token::new_opaque(new.kind, reference.as_str());
    let key = NewKey { kind, name: new.name, role: role.to_owned(), key: api_key.clone() };
    let catalog = platform.catalog();
    let mut connection = catalog.connection().await?;
    let mut tx = connection.begin().await?;
    let c = tx.connection();
    if catalog::projects::project_find(c, reference).await?.is_none() {
        return Err(Error::NoProject(reference.to_string()));
    }
    if catalog::keys::key_count(c, reference).await? >= KEYS_MAX {
        let reason = format!("a project has at most {KEYS_MAX}");
        return Err(Error::Invalid { field: "keys", reason });
    }
    let stored = catalog::keys::key_insert(c, catalog.key(), reference, &key, &new.bound.to_stored()).await?;
    audit(c, &new.actor, "key.create", reference, &stored).await?;
    tx.commit().await?;
    catalog.forget(reference);
    Ok(MadeKey { stored, api_key })
}

/// All keys of a project, without the keys themselves.
///
/// # Errors
/// When the catalog does not answer.
pub async fn key_list(platform: &Platform, reference: &ProjectRef) -> Result<Vec<StoredKey>, Error> {
    let mut c = platform.catalog().connection().await?;
    Ok(catalog::keys::key_list(&mut c, reference).await?)
}

/// Deletes the opaque key of this name, or with this id where two kinds share the name. Requests with it are
/// refused from now on.
///
/// # Errors
/// [`catalog::Error::Missing`] when there is none, [`Error::Invalid`] when two have the name.
pub async fn key_delete(
    platform: &Platform,
    reference: &ProjectRef,
    name: &str,
    actor: &str,
) -> Result<StoredKey, Error> {
    let mut connection = platform.catalog().connection().await?;
    let mut tx = connection.begin().await?;
    let c = tx.connection();
    let mut found = catalog::keys::key_list(c, reference).await?;
    found.retain(|key| key.kind != KeyKind::Legacy && (key.name == name || key.id.to_string() == name));
    let stored = match found.len() {
        0 => return Err(catalog::Error::Missing { what: "API key", value: name.to_owned() }.into()),
        1 => found.swap_remove(0),
        _ => {
            let reason = "a publishable and a secret key have this name; give the id".to_owned();
            return Err(Error::Invalid { field: "name", reason });
        }
    };
    catalog::keys::key_delete(c, reference, stored.id).await?;
    audit(c, actor, "key.delete", reference, &stored).await?;
    tx.commit().await?;
    platform.catalog().forget(reference);
    Ok(stored)
}

async fn audit(
    c: &mut pg::Connection,
    actor: &str,
    action: &str,
    reference: &ProjectRef,
    key: &StoredKey,
) -> Result<(), Error> {
    let names: Vec<&String> = key.settings.keys().collect();
    let details = Map::from_iter([
        ("name".to_owned(), json!(key.name)),
        ("type".to_owned(), json!(key.kind)),
        ("settings".to_owned(), json!(names)),
    ]);
    Ok(catalog::audit::audit_write(c, actor, action, reference, &details).await?)
}
