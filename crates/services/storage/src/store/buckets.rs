//! `storage.buckets`.

use super::{Layout, iso};
use crate::db::Step;
use pg::{Param, null, param, text};
use serde::Deserialize;
use sql::Fragment;

/// What uploads and downloads need to know of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) id: String,
    pub(crate) public: bool,
    pub(crate) file_size_limit: Option<u64>,
    #[serde(default)]
    pub(crate) allowed_mime_types: Option<Vec<String>>,
}

impl Bucket {
    /// The types that the bucket takes; none: all.
    pub(crate) fn types(&self) -> &[String] {
        self.allowed_mime_types.as_deref().unwrap_or_default()
    }
}

const FIND: &str = "
select json_build_object(
  'id', id, 'public', coalesce(public, false),
  'file_size_limit', case when file_size_limit < 0 then 0 else file_size_limit end,
  'allowed_mime_types', allowed_mime_types)
from storage.buckets
where id = $1";

/// A bucket as [`Bucket`].
pub(crate) fn find(id: &str) -> Step {
    Step::new(FIND, [text(id)])
}

macro_rules! shown {
    ($($more:literal)?) => {
        concat!(
            "json_build_object('id', id, 'name', name, 'owner', coalesce(owner::text, ''), 'public', public, ",
            $($more,)?
            "'file_size_limit', file_size_limit, 'allowed_mime_types', allowed_mime_types, 'created_at', ",
            iso!("created_at"),
            ", 'updated_at', ",
            iso!("updated_at"),
            ")"
        )
    };
}

/// Who reads and writes what lies in a bucket of a pooled project: its policies are ours, and go by this.
pub(crate) const ACCESS: [&str; 4] = ["owner", "project", "public_read", "folder"];

/// One bucket as clients see it.
pub(crate) fn show(id: &str, layout: Layout) -> Step {
    let sql = match layout {
        Layout::Own => concat!("select ", shown!(), " from storage.buckets where id = $1"),
        Layout::Shard => {
            concat!("select ", shown!("'access', access, "), " from storage.buckets where id = $1")
        }
    };
    Step::new(sql, [text(id)])
}

/// Which buckets a list shows.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) limit: Option<i64>,
    pub(crate) offset: Option<i64>,
    /// A column's name that was checked, and whether it ascends.
    pub(crate) sort: Option<(&'static str, bool)>,
    pub(crate) search: Option<String>,
    /// Whether the member `type` is shown.
    pub(crate) typed: bool,
}

/// Buckets as clients see them.
pub(crate) fn list(listing: &Listing, layout: Layout) -> Step {
    let mut sql = Fragment::new();
    sql.push("select ");
    sql.push(match (listing.typed, layout) {
        (true, Layout::Own) => shown!("'type', type, "),
        (true, Layout::Shard) => shown!("'type', type, 'access', access, "),
        (false, Layout::Own) => shown!(),
        (false, Layout::Shard) => shown!("'access', access, "),
    });
    sql.push(" from storage.buckets");
    if let Some(search) = &listing.search {
        sql.push(" where position(lower(").bind(search.clone()).push(") in lower(name)) > 0");
    }
    if let Some((column, ascends)) = listing.sort {
        sql.push(" order by ").quoted(column).push(if ascends { " asc" } else { " desc" });
    }
    if let Some(limit) = listing.limit {
        sql.push(" limit ").bind(limit.to_string());
    }
    if let Some(offset) = listing.offset {
        sql.push(" offset ").bind(offset.to_string());
    }
    Step::built(sql)
}

/// What is written of a bucket.
#[derive(Debug, Default)]
pub(crate) struct New<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) owner: Option<uuid::Uuid>,
    pub(crate) owner_id: Option<&'a str>,
    pub(crate) public: bool,
    pub(crate) file_size_limit: Option<u64>,
    pub(crate) allowed_mime_types: Option<&'a [String]>,
    /// One of [`ACCESS`], of a pooled project only; nothing: the column's default.
    pub(crate) access: Option<&'static str>,
}

macro_rules! inserted {
    ($column:literal, $value:literal) => {
        concat!(
            "insert into storage.buckets (id, name, owner, owner_id, public, file_size_limit, allowed_mime_types",
            $column,
            ") values ($1, $2, $3::uuid, $4, $5, $6::bigint, $7::text[]",
            $value,
            ")"
        )
    };
}

pub(crate) fn insert(new: &New) -> Step {
    let mut params = vec![
        text(new.id),
        text(new.name),
        new.owner.map_or_else(null, param),
        new.owner_id.map_or_else(null, text),
        param(new.public),
        new.file_size_limit.map_or_else(null, param),
        new.allowed_mime_types.map_or_else(null, array),
    ];
    let Some(access) = new.access else { return Step::new(inserted!("", ""), params) };
    params.push(text(access));
    Step::new(inserted!(", access", ", $8"), params)
}

/// A change of a bucket: what is not named stays.
#[derive(Debug, Default)]
pub(crate) struct Patch {
    pub(crate) public: Option<bool>,
    pub(crate) file_size_limit: Option<Option<u64>>,
    pub(crate) allowed_mime_types: Option<Option<Vec<String>>>,
    /// One of [`ACCESS`], of a pooled project only.
    pub(crate) access: Option<&'static str>,
}

pub(crate) fn update(id: &str, patch: &Patch) -> Step {
    let mut sql = Fragment::new();
    sql.push("update storage.buckets set id = id");
    if let Some(public) = patch.public {
        sql.push(", public = ").bind_param(param(public)).push("::boolean");
    }
    if let Some(limit) = patch.file_size_limit {
        sql.push(", file_size_limit = ").bind_param(limit.map_or_else(null, param)).push("::bigint");
    }
    if let Some(types) = &patch.allowed_mime_types {
        sql.push(", allowed_mime_types = ")
            .bind_param(types.as_deref().map_or_else(null, array))
            .push("::text[]");
    }
    if let Some(access) = patch.access {
        sql.push(", access = ").bind(access);
    }
    sql.push(" where id = ").bind(id.to_owned()).push(" returning id");
    Step::built(sql)
}

/// Locks a bucket and says whether anything is in it. Uploads do not wait for that lock: who takes it may be somebody
/// who may not delete the bucket.
pub(crate) fn lock_and_look(id: &str) -> [Step; 2] {
    let look = "
select
  exists (select from storage.objects where bucket_id = $1),
  exists (select from storage.s3_multipart_uploads where bucket_id = $1)";
    [
        Step::new("select id from storage.buckets where id = $1 for no key update", [text(id)]),
        Step::new(look, [text(id)]),
    ]
}

/// Deletes a bucket where it is empty.
pub(crate) fn delete(id: &str) -> Step {
    let sql = "
delete from storage.buckets
where id = $1
  and not exists (select from storage.objects where bucket_id = $1)
  and not exists (select from storage.s3_multipart_uploads where bucket_id = $1)
returning id";
    Step::new(sql, [text(id)])
}

/// A list of texts in PostgreSQL's form.
pub(crate) fn array(items: &[String]) -> Param {
    let mut out = String::from("{");
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push('"');
        for c in item.chars().filter(|c| *c != '\0') {
            if c == '"' || c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push('}');
    text(out)
}

/// How many objects a bucket holds, counted no further than `most`.
pub(crate) fn count(id: &str, most: i64) -> Step {
    let sql = "
select count(*)
from (select from storage.objects where bucket_id = $1 limit $2::bigint) as counted";
    Step::new(sql, [text(id), param(most)])
}

/// How many objects are deleted by one statement.
pub(crate) const EMPTIED_AT_ONCE: usize = 500;

/// Deletes some of the objects that were there at a time; the versions whose bodies are to go.
pub(crate) fn delete_some(id: &str, before: &str) -> Step {
    let sql = "
delete from storage.objects
where id in (
  select id from storage.objects where bucket_id = $1 and created_at <= $2::timestamptz limit $3::bigint)
returning version";
    Step::new(sql, [text(id), text(before), param(EMPTIED_AT_ONCE)])
}
