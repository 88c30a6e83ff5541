//! Shards: the databases that hold pooled projects, and who has a place in which.

use crate::Error;
use model::{AppId, InstanceId, ProjectRef, ShardId};
use pg::{Connection, param, text};
use serde::{Deserialize, Serialize};

/// Whether a shard takes new projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShardStatus {
    /// Its database is being made.
    Opening,
    Open,
    Full,
    /// Takes no new projects, by the operator's will.
    Closed,
}

/// A shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shard {
    pub number: ShardId,
    pub instance_id: InstanceId,
    pub database: String,
    pub capacity: u32,
    pub used: u32,
    pub status: ShardStatus,
    pub created_at: String,
}

/// Serialises the opening of shards: any number that differs from the catalog's other locks.
const OPENING_LOCK: i64 = 0x7368_6172;

/// Gives the project a place in the current shard; nothing when all are full.
///
/// # Errors
/// When the database does not answer.
pub async fn shard_assign(
    c: &mut Connection,
    project: &ProjectRef,
) -> Result<Option<(ShardId, AppId)>, Error> {
    let rows = c.query(include_str!("shards/assign.sql"), &[text(project.as_str())]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some((ShardId(row.get(0)?), AppId(row.get(1)?))))
}

/// Takes the project's place back. Repeatable.
///
/// # Errors
/// When the database does not answer.
pub async fn shard_release(c: &mut Connection, project: &ProjectRef) -> Result<(), Error> {
    c.query(include_str!("shards/release.sql"), &[text(project.as_str())]).await?;
    Ok(())
}

/// Waits until no other transaction opens a shard; held until this one ends. Then looks again whether any shard has
/// room: only when none has may the caller open the next.
///
/// # Errors
/// When the database does not answer.
pub async fn shard_lock_opening(c: &mut Connection) -> Result<bool, Error> {
    c.query("select pg_advisory_xact_lock($1)", &[param(OPENING_LOCK)]).await?;
    let sql = "select exists (select from catalog.shards where status = 'open' and used < capacity)";
    Ok(c.query(sql, &[]).await?.one()?.get(0)?)
}

/// The shard that is being opened, left over from an interrupted attempt or newly recorded with the next number.
/// Its database is `prefix` and the number, three digits at least.
///
/// # Errors
/// When the database does not answer.
pub async fn shard_begin(
    c: &mut Connection,
    instance: InstanceId,
    capacity: u32,
    prefix: &str,
) -> Result<Shard, Error> {
    let left = "select to_jsonb(s) from catalog.shards as s where status = 'opening' order by number limit 1";
    if let Some(row) = c.query(left, &[]).await?.first() {
        return Ok(row.json(0)?);
    }
    let sql = "insert into catalog.shards as s (number, instance_id, database, capacity)
        select n, $1, $3 || lpad(n::text, greatest(3, length(n::text)), '0'), $2
        from (select coalesce(max(number), 0) + 1 as n from catalog.shards) as next
        returning to_jsonb(s)";
    let rows = c.query(sql, &[param(instance), param(capacity), text(prefix)]).await?;
    Ok(rows.one()?.json(0)?)
}

/// Lets a shard whose database is ready take projects.
///
/// # Errors
/// When the database does not answer.
pub async fn shard_open(c: &mut Connection, shard: ShardId) -> Result<(), Error> {
    let sql = "update catalog.shards set status = 'open' where number = $1 and status = 'opening'";
    c.query(sql, &[param(shard)]).await?;
    Ok(())
}

/// All shards, in order.
///
/// # Errors
/// When the database does not answer.
pub async fn shard_list(c: &mut Connection) -> Result<Vec<Shard>, Error> {
    let rows = c.query("select to_jsonb(s) from catalog.shards as s order by number", &[]).await?;
    Ok(rows.iter().map(|row| row.json(0)).collect::<Result<_, _>>()?)
}

/// The shard with this number.
///
/// # Errors
/// When the database does not answer, or there is none.
pub async fn shard_get(c: &mut Connection, shard: ShardId) -> Result<Shard, Error> {
    let rows =
        c.query("select to_jsonb(s) from catalog.shards as s where number = $1", &[param(shard)]).await?;
    let missing = || Error::Missing { what: "shard", value: shard.to_string() };
    Ok(rows.first().ok_or_else(missing)?.json(0)?)
}
