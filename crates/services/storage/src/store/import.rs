//! What an import reads and writes: rows in the order of their names, and those that it describes or makes.

use crate::db::Step;
use crate::store::iso;
use pg::{null, param, text};

/// Rows that are read at a time.
pub(crate) const PAGE: usize = 500;

/// What this transaction changes is no event.
pub(crate) fn quiet() -> Step {
    Step::new("select set_config('storage.events', '', true)", [])
}

/// The rows after a name.
pub(crate) fn page(bucket: &str, key: &str) -> Step {
    let sql = concat!(
        "select id, bucket_id, name, version, metadata, ",
        iso!("updated_at"),
        " from storage.objects where (bucket_id, name collate \"C\") > ($1, $2 collate \"C\") and not is_delete_marker ",
        "order by bucket_id, name collate \"C\" limit $3::bigint"
    );
    Step::new(sql, [text(bucket), text(key), param(PAGE)])
}

/// Whether a row names a version.
pub(crate) fn still(id: &str, version: &str) -> Step {
    Step::new("select 1 from storage.objects where id = $1::uuid and version = $2", [text(id), text(version)])
}

/// Whether any row names a version.
pub(crate) fn named(version: &str) -> Step {
    Step::new("select 1 from storage.objects where version = $1 limit 1", [text(version)])
}

/// Has a row that names `old` name `version` and say `metadata`.
pub(crate) fn describe(id: &str, old: Option<&str>, version: &str, metadata: &str) -> Step {
    let sql = "
update storage.objects
set version = $3, metadata = $4::jsonb
where id = $1::uuid and version is not distinct from $2
returning id";
    Step::new(sql, [text(id), old.map_or_else(null, text), text(version), text(metadata)])
}

/// The version of a key that has a row.
pub(crate) fn version_of(bucket: &str, key: &str) -> Step {
    let sql = "select version from storage.objects where bucket_id = $1 and name = $2";
    Step::new(sql, [text(bucket), text(key)])
}

/// Makes a private bucket where there is none.
pub(crate) fn bucket(id: &str) -> Step {
    let sql = "insert into storage.buckets (id, name, public) values ($1, $1, false) on conflict do nothing";
    Step::new(sql, [text(id)])
}

/// A row to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct New<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) version: &'a str,
    /// JSON.
    pub(crate) metadata: &'a str,
    /// When the file was made.
    pub(crate) at: &'a str,
}

/// Makes an object where there is none.
pub(crate) fn object(new: &New) -> Step {
    let sql = "
insert into storage.objects (bucket_id, name, version, metadata, created_at, updated_at)
values ($1, $2, $3, $4::jsonb, $5::timestamptz, $5::timestamptz)
on conflict do nothing
returning id";
    let New { bucket, key, version, metadata, at } = *new;
    Step::new(sql, [text(bucket), text(key), text(version), text(metadata), text(at)])
}
