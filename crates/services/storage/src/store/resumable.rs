//! `storage.resumable_uploads`. The bytes are in a growing body of the same version.
//!
//! Only one request appends to an upload at a time: the one whose lease is in the row. A lease ends by itself if its
//! holder does not renew it, so that a process that was killed holds up nobody for long; and whoever finds a lease
//! taken leaves a word in the row, on which the holder gives it up.

use super::iso;
use crate::db::Step;
use pg::{Row, null, param, text};
use uuid::Uuid;

/// How long a lease lasts that is not renewed.
macro_rules! lease {
    () => {
        "clock_timestamp() + interval '4 seconds'"
    };
}
macro_rules! columns {
    () => {
        concat!("bucket_id, key, length, upload_metadata, ", iso!("expires_at"), ", completed_at is not null")
    };
}

/// An upload as it is begun.
#[derive(Debug)]
pub(crate) struct New<'a> {
    pub(crate) version: Uuid,
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) length: Option<u64>,
    /// The header as later answers show it.
    pub(crate) upload_metadata: &'a str,
    /// [`crate::metadata::iso`]
    pub(crate) expires_at: &'a str,
    pub(crate) holder: Uuid,
}

/// Begins an upload, held by who begins it, unless so many are open now; a row comes back if it was begun.
pub(crate) fn begin(new: &New<'_>, now: &str, open_max: u32) -> Step {
    let sql = concat!(
        "insert into storage.resumable_uploads ",
        "(version, bucket_id, key, length, upload_metadata, expires_at, holder, held_until) ",
        "select $1::uuid, $2, $3, $4::bigint, $5, $6::timestamptz, $7::uuid, ",
        lease!(),
        " where (select count(*) from (select from storage.resumable_uploads ",
        "where completed_at is null and expires_at > $8::timestamptz limit $9::bigint) as open) < $9::bigint ",
        "returning version"
    );
    Step::new(
        sql,
        [
            param(new.version),
            text(new.bucket),
            text(new.key),
            new.length.map_or_else(null, param),
            text(new.upload_metadata),
            text(new.expires_at),
            param(new.holder),
            text(now),
            param(open_max),
        ],
    )
}

/// An upload's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) version: Uuid,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) length: Option<u64>,
    pub(crate) upload_metadata: String,
    pub(crate) expires_at: String,
    pub(crate) is_completed: bool,
}

impl Upload {
    /// Reads a row of [`hold`].
    pub(crate) fn of(version: Uuid, row: &Row) -> Result<Upload, pg::Error> {
        let word = |at: usize| row.text(at).unwrap_or_default().to_owned();
        Ok(Upload {
            version,
            bucket: word(0),
            key: word(1),
            length: row.get(2)?,
            upload_metadata: word(3),
            expires_at: word(4),
            is_completed: row.get(5)?,
        })
    }
}

/// The row, and last whether this holder has the lease now. If another has it, they are asked to give it up.
pub(crate) fn hold(version: Uuid, bucket: &str, key: &str, holder: Uuid) -> Step {
    let sql = concat!(
        "update storage.resumable_uploads set ",
        "holder = case when holder is null or held_until < clock_timestamp() then $2::uuid else holder end, ",
        "held_until = case when holder is null or held_until < clock_timestamp() then ",
        lease!(),
        " else held_until end, ",
        "asked = not (holder is null or held_until < clock_timestamp()) ",
        "where version = $1::uuid and bucket_id = $3 and key = $4 returning ",
        columns!(),
        ", holder = $2::uuid"
    );
    Step::new(sql, [param(version), param(holder), text(bucket), text(key)])
}

/// Makes the lease last longer; whether somebody asks for it. No row: it is lost.
pub(crate) fn renew(version: Uuid, holder: Uuid) -> Step {
    let sql = concat!(
        "update storage.resumable_uploads set held_until = ",
        lease!(),
        " where version = $1::uuid and holder = $2::uuid returning asked"
    );
    Step::new(sql, [param(version), param(holder)])
}

/// Gives the lease up.
pub(crate) fn release(version: Uuid, holder: Uuid) -> Step {
    let sql = "update storage.resumable_uploads set holder = null, held_until = null, asked = false \
               where version = $1::uuid and holder = $2::uuid";
    Step::new(sql, [param(version), param(holder)])
}

/// Says how long an upload is to be that was begun without.
pub(crate) fn set_length(version: Uuid, length: u64) -> Step {
    let sql = "update storage.resumable_uploads set length = $2::bigint where version = $1::uuid and length is null";
    Step::new(sql, [param(version), param(length)])
}

/// Notes that there is an object of it now, if there is. A row comes back then.
pub(crate) fn complete(version: Uuid, holder: Uuid) -> Step {
    let sql = "
update storage.resumable_uploads as u set completed_at = now()
where u.version = $1::uuid and u.holder = $2::uuid and exists (
  select from storage.objects as o
  where o.bucket_id = u.bucket_id and o.name = u.key and o.version = u.version::text)
returning 1";
    Step::new(sql, [param(version), param(holder)])
}

/// Forgets an upload that its holder still has; whether an object has its body. No row: somebody else has it.
pub(crate) fn end(version: Uuid, holder: Uuid) -> Step {
    let sql = "
delete from storage.resumable_uploads as u where u.version = $1::uuid and u.holder = $2::uuid
returning u.completed_at is not null or exists (
  select from storage.objects as o
  where o.bucket_id = u.bucket_id and o.name = u.key and o.version = u.version::text)";
    Step::new(sql, [param(version), param(holder)])
}

/// Versions of uploads whose time is over and that have become no object, from after one on.
pub(crate) fn expired(now: &str, after: Option<Uuid>, limit: usize) -> Step {
    let sql = "
select version from storage.resumable_uploads
where expires_at < $1::timestamptz and completed_at is null
  and (holder is null or held_until < clock_timestamp()) and ($2::uuid is null or version > $2::uuid)
order by version limit $3::bigint";
    Step::new(sql, [text(now), after.map_or_else(null, param), param(limit)])
}

/// Forgets uploads whose time has been over for a day: until then clients are told that it is.
pub(crate) fn end_old(now: &str) -> Step {
    let sql = "
delete from storage.resumable_uploads
where expires_at < $1::timestamptz - interval '1 day' and (holder is null or held_until < clock_timestamp())";
    Step::new(sql, [text(now)])
}
