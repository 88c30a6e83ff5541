//! The keys that sign a project's tokens, and those that only verify them any more or not yet.
//!
//! Exactly one is in use. A new key stands by first, so that everyone who verifies tokens can learn of it; then it
//! takes over, and the one before goes on verifying until it is revoked. The secrets of HS256 are kept as they
//! are, other keys as private JSON Web Keys, each sealed to its own row.

use crate::store::secrets::jwt_place;
use crate::{Error, MasterKey, Place, bytea, read_bytea};
use model::ProjectRef;
use pg::{Connection, param, text};
use uuid::Uuid;

/// How a key may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// Signs and verifies.
    InUse,
    /// Verifies, and signs next.
    Standby,
    /// Verifies what it signed.
    PreviouslyUsed,
    /// Is good for nothing.
    Revoked,
}

impl KeyStatus {
    /// The name in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyStatus::InUse => "in_use",
            KeyStatus::Standby => "standby",
            KeyStatus::PreviouslyUsed => "previously_used",
            KeyStatus::Revoked => "revoked",
        }
    }

    fn of(name: &str) -> KeyStatus {
        match name {
            "in_use" => KeyStatus::InUse,
            "standby" => KeyStatus::Standby,
            "previously_used" => KeyStatus::PreviouslyUsed,
            // What is not known must not sign or verify.
            _ => KeyStatus::Revoked,
        }
    }
}

/// The name of the algorithm whose keys are plain secrets.
pub const HS256: &str = "HS256";

/// A key with its material in clear.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    pub id: Uuid,
    pub algorithm: String,
    pub status: KeyStatus,
    /// The secret of HS256, else a private JSON Web Key.
    pub material: String,
    pub created_at: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A key to be stored.
#[derive(Clone, Copy)]
pub struct NewSigningKey<'a> {
    pub id: Uuid,
    pub algorithm: &'a str,
    pub status: KeyStatus,
    pub material: &'a str,
}

/// The keys of a project that are not revoked, the one in use first.
///
/// # Errors
/// When the database does not answer, or the master key is the wrong one.
pub async fn signing_key_list(
    c: &mut Connection,
    master: &MasterKey,
    project: &ProjectRef,
) -> Result<Vec<SigningKey>, Error> {
    let sql =
        "select id::text, algorithm, status, sealed, to_json(created_at) #>> '{}' from catalog.jwt_secrets
        where project_ref = $1 and status <> 'revoked'
        order by status <> 'in_use', status <> 'standby', created_at desc, id";
    let rows = c.query(sql, &[text(project.as_str())]).await?;
    rows.iter()
        .map(|row| {
            let (id, algorithm): (String, String) = (row.get(0)?, row.get(1)?);
            let material = master.open_text(&read_bytea(row, 3)?, place(&algorithm, project, &id))?;
            let id = Uuid::parse_str(&id).map_err(|_| pg::Error::Decode("not a UUID".to_owned()))?;
            let status = KeyStatus::of(row.text(2).unwrap_or_default());
            Ok(SigningKey { id, algorithm, status, material, created_at: row.get(4)? })
        })
        .collect()
}

/// The ids, algorithms and times of a project's newest revoked keys.
///
/// # Errors
/// When the database does not answer.
pub async fn signing_key_revoked(
    c: &mut Connection,
    project: &ProjectRef,
    limit: u32,
) -> Result<Vec<(String, String, String)>, Error> {
    let sql = "select id::text, algorithm, to_json(created_at) #>> '{}' from catalog.jwt_secrets
        where project_ref = $1 and status = 'revoked' order by created_at desc, id limit $2";
    let rows = c.query(sql, &[text(project.as_str()), param(limit)]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).collect()
}

/// Stores a key.
///
/// # Errors
/// When the database does not answer, or there is another key in use.
pub async fn signing_key_insert(
    c: &mut Connection,
    master: &MasterKey,
    project: &ProjectRef,
    key: NewSigningKey<'_>,
) -> Result<(), Error> {
    let id = key.id.to_string();
    let sealed = master.seal(key.material.as_bytes(), place(key.algorithm, project, &id))?;
    let sql = "insert into catalog.jwt_secrets (id, project_ref, algorithm, status, sealed)
        values ($1, $2, $3, $4, $5)";
    let (algorithm, status) = (text(key.algorithm), text(key.status.as_str()));
    c.query(sql, &[text(&id), text(project.as_str()), algorithm, status, bytea(&sealed)]).await?;
    Ok(())
}

/// Locks a project's keys, so that two who change them come one after the other.
///
/// # Errors
/// When the database does not answer.
pub async fn signing_key_lock(c: &mut Connection, project: &ProjectRef) -> Result<(), Error> {
    c.query("select ref from catalog.projects where ref = $1 for update", &[text(project.as_str())]).await?;
    Ok(())
}

/// Puts the key that stands by in use; the one before goes on verifying. Whether one stood by.
///
/// # Errors
/// When the database does not answer.
pub async fn signing_key_rotate(c: &mut Connection, project: &ProjectRef) -> Result<bool, Error> {
    let is_there =
        "select exists (select from catalog.jwt_secrets where project_ref = $1 and status = 'standby')";
    if !c.query(is_there, &[text(project.as_str())]).await?.one()?.get::<bool>(0)? {
        return Ok(false);
    }
    // Two statements: the index that allows one key in use looks at every row as it is written.
    let retire = "update catalog.jwt_secrets set status = 'previously_used'
        where project_ref = $1 and status = 'in_use'";
    c.query(retire, &[text(project.as_str())]).await?;
    let promote = "update catalog.jwt_secrets set status = 'in_use' where id = (
        select id from catalog.jwt_secrets where project_ref = $1 and status = 'standby'
        order by created_at, id limit 1)";
    c.query(promote, &[text(project.as_str())]).await?;
    Ok(true)
}

/// Revokes a key that does not sign. Whether there was such a key.
///
/// # Errors
/// When the database does not answer.
pub async fn signing_key_revoke(c: &mut Connection, project: &ProjectRef, id: Uuid) -> Result<bool, Error> {
    let sql = "update catalog.jwt_secrets set status = 'revoked'
        where project_ref = $1 and id = $2 and status in ('standby', 'previously_used')";
    Ok(c.query(sql, &[text(project.as_str()), text(id.to_string())]).await?.affected() > 0)
}

/// Takes away all keys but the secrets of HS256, of which none is in use then.
///
/// # Errors
/// When the database does not answer.
pub async fn signing_key_clear(c: &mut Connection, project: &ProjectRef) -> Result<(), Error> {
    let project = text(project.as_str());
    let delete = "delete from catalog.jwt_secrets where project_ref = $1 and algorithm <> 'HS256'";
    c.query(delete, std::slice::from_ref(&project)).await?;
    let retire = "update catalog.jwt_secrets set status = 'previously_used'
        where project_ref = $1 and status = 'in_use'";
    c.query(retire, &[project]).await?;
    Ok(())
}

fn place<'a>(algorithm: &str, project: &'a ProjectRef, id: &'a str) -> Place<'a> {
    match algorithm {
        HS256 => jwt_place(project),
        _ => Place { table: "jwt_secrets", column: "sealed", row: id },
    }
}
