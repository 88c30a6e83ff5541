//! API keys of projects. What a key is lies sealed beside its hash: the hash finds it, the sealed form shows it to
//! who may see it.

use crate::{Error, MasterKey, Place, bytea, decode_bytea};
use model::ProjectRef;
use pg::{Connection, param, text};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The form of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// A token that names the role.
    Legacy,
    Publishable,
    Secret,
}

impl KeyKind {
    pub fn as_str(self) -> &'static str {
        match self {
            KeyKind::Legacy => "legacy",
            KeyKind::Publishable => "publishable",
            KeyKind::Secret => "secret",
        }
    }
}

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub kind: KeyKind,
    pub name: String,
    pub role: String,
    pub key: String,
}

/// A stored key, without the key itself: see [`key_reveal`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredKey {
    pub id: Uuid,
    #[serde(rename = "type", alias = "kind")]
    pub kind: KeyKind,
    pub name: String,
    pub role: String,
    pub prefix: String,
    pub description: Option<String>,
    /// Settings that every request with this key runs under.
    pub settings: Map<String, Value>,
    pub enabled: bool,
    pub inserted_at: String,
    pub updated_at: String,
    #[serde(skip_serializing)]
    hash: String,
    #[serde(skip_serializing)]
    sealed: String,
}

impl StoredKey {
    /// SHA-256 of the key.
    ///
    /// # Errors
    /// When the stored value is damaged.
    pub fn hash(&self) -> Result<[u8; 32], Error> {
        let bytes = decode_bytea(&self.hash)?;
        bytes.try_into().map_err(|_| Error::Database(pg::Error::Decode("not a SHA-256".to_owned())))
    }
}

/// Stores a key. Repeatable: a key of the same kind and name stays what it was.
///
/// # Errors
/// [`Error::Taken`] when another project has the same key.
pub async fn key_ensure(
    c: &mut Connection,
    master: &MasterKey,
    project: &ProjectRef,
    new: &NewKey,
) -> Result<(), Error> {
    let hash = token::hash_opaque(&new.key);
    let row = row_name(project, new.kind, &new.name);
    let sealed = master.seal(new.key.as_bytes(), place(&row))?;
    let sql = "insert into catalog.api_keys (project_ref, kind, name, role, hash, sealed, prefix)
        values ($1, $2, $3, $4, $5, $6, $7) on conflict (project_ref, kind, name) do nothing";
    let params = [
        text(project.as_str()),
        text(new.kind.as_str()),
        text(&new.name),
        text(&new.role),
        bytea(&hash),
        bytea(&sealed),
        text(prefix(&new.key)),
    ];
    match c.query(sql, &params).await {
        Ok(_) => Ok(()),
        Err(e) if Error::violates(&e, "api_keys_hash_key") => {
            Err(Error::Taken { what: "the API key", value: prefix(&new.key).to_owned() })
        }
        Err(e) => Err(e.into()),
    }
}

/// Stores a new key whose requests run under settings.
///
/// # Errors
/// [`Error::Taken`] when the project has a key of that kind and name.
pub async fn key_insert(
    c: &mut Connection,
    master: &MasterKey,
    project: &ProjectRef,
    new: &NewKey,
    settings: &Map<String, Value>,
) -> Result<StoredKey, Error> {
    let sealed = master.seal(new.key.as_bytes(), place(&row_name(project, new.kind, &new.name)))?;
    let sql = "insert into catalog.api_keys as k (project_ref, kind, name, role, hash, sealed, prefix, settings)
        values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (project_ref, kind, name) do nothing returning to_jsonb(k)";
    let params = [
        text(project.as_str()),
        text(new.kind.as_str()),
        text(&new.name),
        text(&new.role),
        bytea(&token::hash_opaque(&new.key)),
        bytea(&sealed),
        text(prefix(&new.key)),
        text(Value::Object(settings.clone()).to_string()),
    ];
    match c.query(sql, &params).await?.first() {
        Some(row) => Ok(row.json(0)?),
        None => Err(Error::Taken { what: "the API key", value: new.name.clone() }),
    }
}

/// How many keys a project has.
///
/// # Errors
/// When the database does not answer.
pub async fn key_count(c: &mut Connection, project: &ProjectRef) -> Result<u64, Error> {
    let sql = "select count(*) from catalog.api_keys where project_ref = $1";
    let rows = c.query(sql, &[text(project.as_str())]).await?;
    Ok(rows.first().map_or(Ok(0), |row| row.get(0))?)
}

/// A project's keys: legacy ones first, then by age.
///
/// # Errors
/// When the database does not answer.
pub async fn key_list(c: &mut Connection, project: &ProjectRef) -> Result<Vec<StoredKey>, Error> {
    let sql = "select to_jsonb(k) from catalog.api_keys as k where project_ref = $1
        order by kind <> 'legacy', inserted_at, kind, name";
    let rows = c.query(sql, &[text(project.as_str())]).await?;
    Ok(rows.iter().map(|row| row.json(0)).collect::<Result<_, _>>()?)
}

/// The key itself.
///
/// # Errors
/// When the master key is not the one it was sealed with.
pub fn key_reveal(master: &MasterKey, project: &ProjectRef, stored: &StoredKey) -> Result<String, Error> {
    let row = row_name(project, stored.kind, &stored.name);
    Ok(master.open_text(&decode_bytea(&stored.sealed)?, place(&row))?)
}

/// Removes a key. Repeatable.
///
/// # Errors
/// When the database does not answer.
pub async fn key_delete(c: &mut Connection, project: &ProjectRef, id: Uuid) -> Result<bool, Error> {
    let sql = "delete from catalog.api_keys where project_ref = $1 and id = $2";
    Ok(c.query(sql, &[text(project.as_str()), param(id)]).await?.affected() > 0)
}

fn row_name(project: &ProjectRef, kind: KeyKind, name: &str) -> String {
    format!("{project}/{}/{name}", kind.as_str())
}

fn place(row: &str) -> Place<'_> {
    Place { table: "api_keys", column: "sealed", row }
}

/// What of a key may be shown to tell it from others: the word and the first four random characters.
fn prefix(key: &str) -> &str {
    let word = token::opaque_kind(key).map_or(0, |kind| kind.prefix().len());
    key.get(..word + 4).unwrap_or_default()
}
