//! `storage.s3_multipart_uploads` and its parts. The version of a part names the body that holds it.

use super::iso;
use crate::db::Step;
use pg::{null, param, text};
use serde::Deserialize;
use uuid::Uuid;

/// Which upload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id<'a> {
    pub(crate) id: &'a str,
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
}

impl Id<'_> {
    fn params(&self) -> Vec<sql::Param> {
        vec![text(self.id), text(self.bucket), text(self.key)]
    }
}

/// What an upload was begun with.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Said {
    pub(crate) mimetype: Option<String>,
    #[serde(rename = "cacheControl")]
    pub(crate) cache_control: Option<String>,
}

/// An upload as it is begun.
#[derive(Debug)]
pub(crate) struct New<'a> {
    pub(crate) id: Id<'a>,
    pub(crate) version: Uuid,
    pub(crate) owner_id: Option<&'a str>,
    /// JSON.
    pub(crate) user_metadata: Option<&'a str>,
    /// JSON, [`Said`].
    pub(crate) metadata: &'a str,
}

/// Begins an upload, unless so many are open; a row comes back if it was begun. Sizes are summed up from the parts,
/// which no caller may write, so the column for a seal on the sum stays empty.
pub(crate) fn begin(new: &New<'_>, open_max: u32) -> Step {
    let sql = "
insert into storage.s3_multipart_uploads
  (id, bucket_id, key, version, upload_signature, owner_id, user_metadata, metadata)
select $1, $2, $3, $4, '', $5, $6::jsonb, $7::jsonb
where (select count(*) from (select from storage.s3_multipart_uploads limit $8::bigint) as open) < $8::bigint
returning id";
    let mut params = new.id.params();
    params.extend([
        param(new.version),
        new.owner_id.map_or_else(null, text),
        new.user_metadata.map_or_else(null, text),
        text(new.metadata),
        param(open_max),
    ]);
    Step::new(sql, params)
}

/// Notes that somebody goes on with an upload now, unless that has been noted since `lately`. Times are texts that
/// sort as times do, [`crate::metadata::iso`].
pub(crate) fn touch(id: Id<'_>, now: &str, lately: &str) -> Step {
    let sql = r#"
update storage.s3_multipart_uploads
set metadata = coalesce(metadata, '{}') || jsonb_build_object('touchedAt', $4::text)
where id = $1 and bucket_id = $2 and key = $3
  and created_at < $5::text::timestamptz and coalesce(metadata ->> 'touchedAt', '') collate "C" < $5::text"#;
    let mut params = id.params();
    params.extend([text(now), text(lately)]);
    Step::new(sql, params)
}

/// Ends uploads that were begun, and last gone on with, before a time; those not that somebody writes to right now.
/// Their ids, each with the versions of the bodies of its parts, if it has any.
pub(crate) fn end_old(before: &str, limit: usize) -> Step {
    let sql = r#"
with old as (
  select u.id from storage.s3_multipart_uploads as u
  where u.created_at < $1::text::timestamptz and coalesce(u.metadata ->> 'touchedAt', '') collate "C" < $1::text
  order by u.id limit $2::bigint
  for update skip locked
), gone as (
  delete from storage.s3_multipart_uploads as u using old where u.id = old.id
  returning u.id
)
select gone.id, p.version
from gone left join storage.s3_multipart_uploads_parts as p on p.upload_id = gone.id"#;
    Step::new(sql, [text(before), param(limit)])
}

/// An upload's metadata, user metadata, and the bytes in its other parts than this one.
pub(crate) fn find(id: Id<'_>, but: u32) -> Step {
    let sql = "
select u.metadata, u.user_metadata, (
  select coalesce(sum(p.size), 0)::bigint from storage.s3_multipart_uploads_parts as p
  where p.upload_id = u.id and p.part_number <> $4::integer)
from storage.s3_multipart_uploads as u
where u.id = $1 and u.bucket_id = $2 and u.key = $3";
    let mut params = id.params();
    params.push(param(but));
    Step::new(sql, params)
}

/// Has writers of one upload wait for each other.
pub(crate) fn lock(id: Id<'_>) -> Step {
    let sql = "
select id from storage.s3_multipart_uploads where id = $1 and bucket_id = $2 and key = $3 for update";
    Step::new(sql, id.params())
}

/// A part as it is to be.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) number: u32,
    pub(crate) size: u64,
    pub(crate) etag: &'a str,
    pub(crate) version: Uuid,
    pub(crate) owner_id: Option<&'a str>,
}

/// Writes a part in place of the one of its number, where all of them together stay within a limit. A row comes back
/// if it was written: with the version of the body that it replaces.
pub(crate) fn place(id: Id<'_>, part: &Part<'_>, limit: u64) -> Step {
    let sql = "
with fit as (
  select u.id
  from storage.s3_multipart_uploads as u
  where u.id = $1 and u.bucket_id = $2 and u.key = $3 and $5::bigint <= $9::bigint - (
    select coalesce(sum(p.size), 0) from storage.s3_multipart_uploads_parts as p
    where p.upload_id = u.id and p.part_number <> $4::integer)
), gone as (
  delete from storage.s3_multipart_uploads_parts as p using fit
  where p.upload_id = fit.id and p.part_number = $4::integer
  returning p.version, p.size
), added as (
  insert into storage.s3_multipart_uploads_parts
    (upload_id, bucket_id, key, part_number, size, etag, version, owner_id)
  select $1, $2, $3, $4::integer, $5::bigint, $6, $7, $8 from fit
  returning id
), summed as (
  update storage.s3_multipart_uploads as u
  set in_progress_size = u.in_progress_size + $5::bigint - coalesce((select sum(gone.size) from gone), 0)
  from fit
  where u.id = fit.id
  returning u.id
)
select (select gone.version from gone limit 1) from added, summed";
    let mut params = id.params();
    params.extend([
        param(part.number),
        param(part.size),
        text(part.etag),
        param(part.version),
        part.owner_id.map_or_else(null, text),
        param(i64::try_from(limit).unwrap_or(i64::MAX)),
    ]);
    Step::new(sql, params)
}

/// Number, ETag, size, version and time of parts that the asking role sees, behind a number.
pub(crate) fn parts(upload: &str, after: u32, limit: usize) -> Step {
    let sql = concat!(
        "select p.part_number, p.etag, p.size, p.version, ",
        iso!("p.created_at"),
        " from storage.s3_multipart_uploads_parts as p where p.upload_id = $1 and p.part_number > $2::integer ",
        "order by p.part_number limit $3::bigint"
    );
    Step::new(sql, [text(upload), param(after), param(limit)])
}

/// Ends an upload; the versions of the bodies of its parts, which go with it.
pub(crate) fn end(id: Id<'_>) -> Step {
    let sql = "
with gone as (
  delete from storage.s3_multipart_uploads as u
  where u.id = $1 and u.bucket_id = $2 and u.key = $3
  returning u.id
)
select p.version from storage.s3_multipart_uploads_parts as p, gone where p.upload_id = gone.id";
    Step::new(sql, id.params())
}
