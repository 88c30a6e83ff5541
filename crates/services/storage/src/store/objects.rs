//! `storage.objects`.

use super::{Layout, iso};
use crate::db::Step;
use crate::store::buckets::array;
use pg::{null, param, text};
use sql::Fragment;
use uuid::Uuid;

macro_rules! shown {
    () => {
        concat!(
            "json_build_object('name', o.name, 'bucket_id', o.bucket_id, 'owner', coalesce(o.owner::text, ''), ",
            "'owner_id', coalesce(o.owner_id, ''), 'version', o.version, 'id', o.id, 'updated_at', ",
            iso!("o.updated_at"),
            ", 'created_at', ",
            iso!("o.created_at"),
            ", 'last_accessed_at', ",
            iso!("o.last_accessed_at"),
            ", 'metadata', o.metadata, 'user_metadata', o.user_metadata)"
        )
    };
}

/// A bucket's publicity with one of its objects, if that is there: everything that a download needs, see
/// [`Found`](crate::find::Found).
pub(crate) fn with_bucket(bucket: &str, key: &str) -> Step {
    let sql = concat!(
        "select coalesce(b.public, false), o.id, o.version, o.metadata, o.user_metadata, ",
        iso!("o.created_at"),
        ", ",
        iso!("o.updated_at"),
        " from storage.buckets as b left join storage.objects as o on o.bucket_id = b.id and o.name = $2 ",
        "where b.id = $1"
    );
    Step::new(sql, [text(bucket), text(key)])
}

/// Whether the asking role sees an object.
pub(crate) fn visible(bucket: &str, key: &str) -> Step {
    Step::new("select 1 from storage.objects where bucket_id = $1 and name = $2", [text(bucket), text(key)])
}

/// Those of some keys that the asking role sees.
pub(crate) fn visible_of(bucket: &str, keys: &[String]) -> Step {
    let sql = "select name from storage.objects where bucket_id = $1 and name = any ($2::text[])";
    Step::new(sql, [text(bucket), array(keys)])
}

/// A row as it is to be.
#[derive(Debug, Clone)]
pub(crate) struct New<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) owner: Option<Uuid>,
    pub(crate) owner_id: Option<&'a str>,
    pub(crate) version: &'a str,
    /// JSON.
    pub(crate) metadata: &'a str,
    /// JSON.
    pub(crate) user_metadata: Option<&'a str>,
}

impl New<'_> {
    fn values(&self) -> Vec<sql::Param> {
        vec![
            text(self.bucket),
            text(self.key),
            self.owner.map_or_else(null, param),
            self.owner_id.map_or_else(null, text),
            text(self.version),
            text(self.metadata),
            self.user_metadata.map_or_else(null, text),
        ]
    }
}

macro_rules! columns {
    () => {
        "insert into storage.objects as o (bucket_id, name, owner, owner_id, version, metadata, user_metadata) "
    };
}
macro_rules! values {
    () => {
        "values ($1, $2, $3::uuid, $4, $5, $6::jsonb, $7::jsonb)"
    };
}
macro_rules! overwrite {
    ($keys:literal) => {
        concat!(
            " on conflict (",
            $keys,
            ") do update set owner = excluded.owner, owner_id = excluded.owner_id, version = excluded.version, ",
            "metadata = excluded.metadata, user_metadata = excluded.user_metadata "
        )
    };
}

/// The write that policies are asked about: an insert alone, or one that may overwrite (which also needs to see
/// and update the row).
pub(crate) fn candidate(new: &New, upsert: bool, layout: Layout) -> Step {
    let sql = match (upsert, layout) {
        (false, _) => concat!(columns!(), values!()),
        (true, Layout::Own) => {
            concat!(columns!(), values!(), overwrite!("bucket_id, name"), "returning o.id")
        }
        (true, Layout::Shard) => {
            concat!(columns!(), values!(), overwrite!("app_id, bucket_id, name"), "returning o.id")
        }
    };
    Step::new(sql, new.values())
}

/// What a bucket's limits say of a body, decided where the bucket is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured<'a> {
    pub(crate) size: u64,
    /// The type without parameters, in lower case.
    pub(crate) mime: &'a str,
    /// Whether types do not matter: the mark of an empty folder.
    pub(crate) any_type: bool,
    /// Whether the first bytes are of another type than the declared one.
    pub(crate) contradicts: bool,
    /// ETags, one of which the object must have that is overwritten.
    pub(crate) if_match: Option<&'a str>,
    /// The resumable upload whose body it is, and who has to have it.
    pub(crate) held: Option<(Uuid, Uuid)>,
}

macro_rules! within_limits {
    () => {
        concat!(
            "select b.id, $2, $3::uuid, $4, $5, $6::jsonb, $7::jsonb from storage.buckets as b ",
            "where b.id = $1 and $8::bigint <= coalesce(b.file_size_limit, $8::bigint) and ($9::boolean ",
            "or coalesce(cardinality(b.allowed_mime_types), 0) = 0 or (not $12::boolean and exists (",
            "select from unnest(b.allowed_mime_types) as allowed(entry) ",
            "where lower(trim(split_part(allowed.entry, ';', 1))) in ($10, $11, '*', '*/*')))) and ($13::text[] is null or exists (",
            "select from storage.objects as old where old.bucket_id = $1 and old.name = $2 ",
            "and trim(both '\"' from old.metadata ->> 'eTag') = any ($13::text[]))) and ($14::uuid is null or exists (",
            "select from storage.resumable_uploads as up where up.version = $14::uuid and up.holder = $15::uuid))"
        )
    };
}

/// The real write: the row, where the bucket's limits allow it. No row comes back where they do not, or where one is
/// there already and must not be overwritten.
pub(crate) fn place(new: &New, measured: Measured, upsert: bool, layout: Layout) -> Step {
    let sql = match (upsert, layout) {
        (false, _) => {
            concat!(columns!(), within_limits!(), " on conflict do nothing returning ", shown!())
        }
        (true, Layout::Own) => {
            concat!(columns!(), within_limits!(), overwrite!("bucket_id, name"), "returning ", shown!())
        }
        (true, Layout::Shard) => {
            concat!(
                columns!(),
                within_limits!(),
                overwrite!("app_id, bucket_id, name"),
                "returning ",
                shown!()
            )
        }
    };
    let kind = measured.mime.split('/').next().unwrap_or_default();
    let mut values = new.values();
    values.extend([
        param(measured.size),
        param(measured.any_type),
        text(measured.mime),
        text([kind, "/*"].concat()),
        param(measured.contradicts),
        measured.if_match.map_or_else(null, |list| array(&plain_tags(list))),
        measured.held.map_or_else(null, |(version, _)| param(version)),
        measured.held.map_or_else(null, |(_, holder)| param(holder)),
    ]);
    Step::new(sql, values)
}

/// The ETags of a list, without quotes.
fn plain_tags(list: &str) -> Vec<String> {
    list.split(',').map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned()).collect()
}

const LOCK: &str = "
select case when coalesce(current_setting('rowhouse.app_id', true), '') = ''
  then pg_advisory_xact_lock(hashtextextended($1, 0))
  else pg_advisory_xact_lock(current_setting('rowhouse.app_id')::integer, hashtext($1))
  end";

/// Has writers of one key wait for each other, and says which version the key has now. The locks of a shard are the
/// app's own: in a space of all apps somebody else's keys could have the same.
pub(crate) fn lock(project: &str, bucket: &str, key: &str) -> [Step; 2] {
    let name = [project, "/", bucket, "/", key].concat();
    [
        Step::new(LOCK, [text(name)]),
        Step::new(
            "select version from storage.objects where bucket_id = $1 and name = $2 for update",
            [text(bucket), text(key)],
        ),
    ]
}

/// Gives an object another name: whichever has the name now, or none but the one of this id and version. Its id, its
/// version and its metadata.
pub(crate) fn rename(
    from: (&str, &str),
    to: (&str, &str),
    (owner, owner_id): (Option<Uuid>, Option<&str>),
    only: Option<(&str, Option<&str>)>,
) -> Step {
    let sql = "
update storage.objects
set bucket_id = $3, name = $4, owner = $5::uuid, owner_id = $6
where bucket_id = $1 and name = $2 and ($7::uuid is null or id = $7::uuid and version is not distinct from $8::text)
returning id, version, metadata";
    Step::new(
        sql,
        [
            text(from.0),
            text(from.1),
            text(to.0),
            text(to.1),
            owner.map_or_else(null, param),
            owner_id.map_or_else(null, text),
            only.map_or_else(null, |(id, _)| text(id)),
            only.and_then(|(_, version)| version).map_or_else(null, text),
        ],
    )
}

/// Deletes an object; the version whose body is to go.
pub(crate) fn delete(bucket: &str, key: &str) -> Step {
    let sql = "delete from storage.objects where bucket_id = $1 and name = $2 returning version";
    Step::new(sql, [text(bucket), text(key)])
}

/// Whether an object is there, held until the end of the transaction.
pub(crate) fn hold(bucket: &str, key: &str) -> Step {
    let sql = "select version from storage.objects where bucket_id = $1 and name = $2 for update";
    Step::new(sql, [text(bucket), text(key)])
}

/// Deletes those of some objects that the asking role may delete, and shows them.
pub(crate) fn delete_of(bucket: &str, keys: &[String]) -> Step {
    let mut sql = Fragment::new();
    sql.push("delete from storage.objects as o where o.bucket_id = ").bind(bucket.to_owned());
    sql.push(" and o.name = any (").bind_param(array(keys)).push("::text[]) returning ");
    sql.push(concat!(shown!(), ", o.version"));
    Step::built(sql)
}
