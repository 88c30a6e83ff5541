//! PostgreSQL servers that the platform knows.

use crate::{Error, MasterKey, Place, bytea, decode_bytea};
use model::InstanceId;
use pg::{Connection, param, text};
use serde::{Deserialize, Serialize};

/// Who runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceKind {
    Managed,
    External,
}

/// A server. Its URL, if it is external, stays sealed: see [`instance_url`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Instance {
    pub id: InstanceId,
    pub kind: InstanceKind,
    pub name: String,
    pub status: String,
    #[serde(default, skip_serializing)]
    url_sealed: Option<String>,
}

/// The managed server of this name, recorded when missing. Repeatable.
///
/// # Errors
/// When the database does not answer.
pub async fn instance_ensure_managed(c: &mut Connection, name: &str) -> Result<Instance, Error> {
    let insert =
        "insert into catalog.instances (kind, name) values ('managed', $1) on conflict (name) do nothing";
    c.query(insert, &[text(name)]).await?;
    by_name(c, name).await
}

/// Records an external server, or its new URL. Repeatable.
///
/// # Errors
/// When the database does not answer.
pub async fn instance_ensure_external(
    c: &mut Connection,
    key: &MasterKey,
    name: &str,
    url: &str,
) -> Result<Instance, Error> {
    let sealed = key.seal(url.as_bytes(), place(name))?;
    let sql = "insert into catalog.instances (kind, name, url_sealed) values ('external', $1, $2)
        on conflict (name) do update set url_sealed = excluded.url_sealed where instances.kind = 'external'";
    c.query(sql, &[text(name), bytea(&sealed)]).await?;
    by_name(c, name).await
}

/// The server with this id.
///
/// # Errors
/// When the database does not answer, or there is none.
pub async fn instance_get(c: &mut Connection, id: InstanceId) -> Result<Instance, Error> {
    let rows = c.query("select to_jsonb(i) from catalog.instances as i where id = $1", &[param(id)]).await?;
    let missing = || Error::Missing { what: "instance", value: id.to_string() };
    Ok(rows.first().ok_or_else(missing)?.json(0)?)
}

/// Forgets a server, unless something lies on it. Repeatable.
///
/// # Errors
/// When the database does not answer.
pub async fn instance_delete(c: &mut Connection, name: &str) -> Result<(), Error> {
    let sql = "delete from catalog.instances as i where name = $1
        and not exists (select from catalog.projects where instance_id = i.id)
        and not exists (select from catalog.shards where instance_id = i.id)";
    c.query(sql, &[text(name)]).await?;
    Ok(())
}

/// The URL of an external server.
///
/// # Errors
/// When the master key is not the one it was sealed with.
pub fn instance_url(key: &MasterKey, instance: &Instance) -> Result<Option<String>, Error> {
    let Some(sealed) = &instance.url_sealed else { return Ok(None) };
    Ok(Some(key.open_text(&decode_bytea(sealed)?, place(&instance.name))?))
}

fn place(name: &str) -> Place<'_> {
    Place { table: "instances", column: "url_sealed", row: name }
}

async fn by_name(c: &mut Connection, name: &str) -> Result<Instance, Error> {
    let rows =
        c.query("select to_jsonb(i) from catalog.instances as i where name = $1", &[text(name)]).await?;
    Ok(rows.one()?.json(0)?)
}
