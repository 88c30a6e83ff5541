//! Listings as the REST surface shows them.

use super::iso;
use crate::db::Step;
use pg::{param, text};
use sql::Fragment;

/// Behind everything that begins with a text.
const LAST: char = '\u{10FFFF}';

/// Of the first API: one level, pages by offset.
#[derive(Debug)]
pub(crate) struct Level<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) search: &'a str,
    pub(crate) limit: i32,
    pub(crate) offset: i32,
    /// A column's name that was checked.
    pub(crate) column: &'static str,
    pub(crate) order: &'static str,
}

/// What the asking role sees of a level, an entry a row.
pub(crate) fn level(bucket: &str, level: &Level) -> Step {
    let sql = concat!(
        "select json_build_object('name', s.name, 'id', s.id, 'updated_at', ",
        iso!("s.updated_at"),
        ", 'created_at', ",
        iso!("s.created_at"),
        ", 'last_accessed_at', ",
        iso!("s.last_accessed_at"),
        ", 'metadata', s.metadata) from storage.search($1, $2, $3::integer, 1, $4::integer, $5, $6, $7) as s"
    );
    let (limit, offset) = (param(level.limit), param(level.offset));
    let (column, order) = (text(level.column), text(level.order));
    Step::new(sql, [text(level.prefix), text(bucket), limit, offset, text(level.search), column, order])
}

/// By what a page of the second API is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Name,
    CreatedAt,
    UpdatedAt,
}

/// Behind what a page of the second API begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// A name, or a folder with its slash; nothing at the beginning.
    pub(crate) path: String,
    /// The time that it is ordered by, if it is.
    pub(crate) moment: String,
    /// Whether a folder may lack its slash, as in the reference's cursors.
    pub(crate) vague: bool,
}

/// A page of the second API.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) limit: usize,
    pub(crate) by: By,
    pub(crate) ascends: bool,
    pub(crate) after: &'a Place,
}

impl Page<'_> {
    fn order(&self) -> &'static str {
        if self.ascends { "asc" } else { "desc" }
    }
}

macro_rules! member {
    ($($more:literal)?) => {
        concat!(
            "json_build_object(",
            $($more,)?
            "'id', l.id, 'name', l.name || case when l.id is null then '/' else '' end, 'updated_at', ",
            iso!("l.updated_at"),
            ", 'created_at', ",
            iso!("l.created_at"),
            ", 'last_accessed_at', ",
            iso!("l.last_accessed_at"),
            ", 'metadata', l.metadata)"
        )
    };
}

/// What the asking role sees of one level: name, whether it is a folder, when it was updated and made, and all of it
/// as clients see it.
pub(crate) fn folder(bucket: &str, page: &Page) -> Step {
    let mut sql = Fragment::new();
    let by_name = page.by == By::Name && !page.after.vague;
    sql.push("select l.name, l.id is null, ");
    sql.push(concat!(iso!("l.updated_at"), ", ", iso!("l.created_at"), ", "));
    let segments = page.prefix.split('/').count();
    if by_name {
        sql.push(member!("'key', split_part(l.name, '/', l.level), "));
        sql.push(" from (select f.*, ").bind_param(param(segments));
        sql.push("::integer as level from storage.list_objects_with_delimiter(").bind(bucket.to_owned());
        sql.push(", ").bind(page.prefix.to_owned()).push(", '/', ").bind_param(param(page.limit));
        sql.push("::integer, '', ").bind(page.after.path.clone()).push(", ").bind(page.order());
        sql.push(") as f) as l");
    } else {
        sql.push(member!("'key', l.key, ")).push(" from storage.search_v2(").bind(page.prefix.to_owned());
        sql.push(", ").bind(bucket.to_owned()).push(", ").bind_param(param(page.limit)).push("::integer, ");
        sql.bind_param(param(segments)).push("::integer, ").bind(page.after.path.clone()).push(", ");
        sql.bind(page.order()).push(", ").bind(column(page.by)).push(", ").bind(page.after.moment.clone());
        sql.push(") as l");
    }
    Step::built(sql)
}

fn column(by: By) -> &'static str {
    match by {
        By::Name => "name",
        By::CreatedAt => "created_at",
        By::UpdatedAt => "updated_at",
    }
}

/// The same of everything under the prefix, folders not told apart.
pub(crate) fn all(bucket: &str, page: &Page) -> Step {
    let mut sql = Fragment::new();
    sql.push("select l.name, false, ");
    sql.push(concat!(iso!("l.updated_at"), ", ", iso!("l.created_at"), ", ", member!()));
    sql.push(" from storage.objects as l where l.bucket_id = ").bind(bucket.to_owned());
    if !page.prefix.is_empty() {
        let mut behind = page.prefix.to_owned();
        behind.push(LAST);
        sql.push(" and l.name collate \"C\" >= ").bind(page.prefix.to_owned());
        sql.push(" and l.name collate \"C\" < ").bind(behind);
    }
    let moment = match page.by {
        By::Name => None,
        By::CreatedAt => Some("date_trunc('milliseconds', coalesce(l.created_at, 'epoch'))"),
        By::UpdatedAt => Some("date_trunc('milliseconds', coalesce(l.updated_at, 'epoch'))"),
    };
    let (further, direction) = if page.ascends { (" > ", " asc") } else { (" < ", " desc") };
    if !page.after.path.is_empty() {
        match moment {
            None => sql.push(" and l.name collate \"C\"").push(further).bind(page.after.path.clone()),
            Some(moment) => sql
                .push(" and (")
                .push(moment)
                .push(", l.name collate \"C\")")
                .push(further)
                .push("(coalesce(nullif(")
                .bind(page.after.moment.clone())
                .push(", '')::timestamptz, 'epoch'), ")
                .bind(page.after.path.clone())
                .push(")"),
        };
    }
    sql.push(" order by ");
    if let Some(moment) = moment {
        sql.push(moment).push(direction).push(", ");
    }
    sql.push("l.name collate \"C\"").push(direction).push(" limit ").bind_param(param(page.limit));
    sql.push("::bigint");
    Step::built(sql)
}
