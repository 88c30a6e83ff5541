//! Listings in the order of keys, folders as one entry each: the functions of the schema do the work.

use super::iso;
use crate::db::Step;
use pg::{param, text};

/// A page of a listing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: &'a str,
    /// A key, or a folder with its delimiter.
    pub(crate) after: &'a str,
    pub(crate) limit: usize,
}

/// Name, id, metadata and time of objects that the asking role sees; folders have only a name, without its last
/// delimiter.
pub(crate) fn objects(bucket: &str, page: &Page<'_>) -> Step {
    let sql = concat!(
        "select l.name, l.id, l.metadata, ",
        iso!("l.updated_at"),
        " from storage.list_objects_with_delimiter($1, $2, $3, $4::integer, $5) as l"
    );
    let limit = param(page.limit);
    Step::new(sql, [text(bucket), text(page.prefix), text(page.delimiter), limit, text(page.after)])
}

/// Key, id and time of uploads in parts that the asking role sees; what several begin with has no id. A page begins
/// behind the upload `id` of the key, or behind everything of that key.
pub(crate) fn uploads(bucket: &str, page: &Page<'_>, id: &str) -> Step {
    let sql = concat!(
        "select l.key, l.id, ",
        iso!("l.created_at"),
        " from storage.list_multipart_uploads_with_delimiter($1, $2, $3, $4::integer, $5, $6) as l"
    );
    let limit = param(page.limit);
    Step::new(sql, [text(bucket), text(page.prefix), text(page.delimiter), limit, text(page.after), text(id)])
}
