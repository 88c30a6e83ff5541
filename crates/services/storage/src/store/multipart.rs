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

/// Begins an upload. Sizes are summed up from the parts, which no caller may write, so the column for a seal on the
/// sum stays empty.
pub(crate) fn begin(
    id: Id<'_>,
    version: Uuid,
    owner_id: Option<&str>,
    user_metadata: Option<&str>,
    metadata: &str,
) -> Step {
    let sql = "
insert into storage.s3_multipart_uploads
  (id, bucket_id, key, version, upload_signature, owner_id, user_metadata, metadata)
values ($1, $2, $3, $4, '', $5, $6::jsonb, $7::jsonb)";
    let mut params = id.params();
    params.extend([
        param(version),
        owner_id.map_or_else(null, text),
        user_metadata.map_or_else(null, text),
        text(metadata),
    ]);
    Step::new(sql, params)
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
