//! Listings as the REST surface shows them.

use super::entry::entry;
use super::listed::LAST;
use crate::db::Step;
use pg::{Param, param, text};
use sql::Fragment;

/// Of the first API: one level, pages by offset.
#[derive(Debug)]
pub(crate) struct Level<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) search: &'a str,
    pub(crate) limit: i32,
    pub(crate) offset: i32,
    /// A column's name that was checked.
    pub(crate) column: &'static str,
    pub(crate) ascends: bool,
}

/// The most rows of a page of the first API.
const LEVEL_MAX: i32 = 1500;
/// How many rows a page passes over row by row; above it, it is better to count them in bulk.
const SKIPPED_MAX: i32 = 1000;

impl Level<'_> {
    fn params(&self, bucket: &str, sought: &str) -> Vec<Param> {
        vec![text(bucket), text(sought), param(self.limit.min(LEVEL_MAX))]
    }
}

/// [Entries](super::entry::Entry) of the level that the asking role sees, named from the prefix's last slash on.
pub(crate) fn level(bucket: &str, level: &Level) -> Step {
    let sql = concat!(
        "select ",
        entry!("s"),
        " from storage.search($1, $2, $3::integer, 1, $4::integer, $5, $6, $7) as s"
    );
    let (limit, offset) = (param(level.limit), param(level.offset));
    let (column, order) = (text(level.column), text(if level.ascends { "asc" } else { "desc" }));
    let params = [text(level.prefix), text(bucket), limit, offset, text(level.search), column, order];
    Step::new(sql, params).binary()
}

/// The rows of a level in which nothing is in a folder, named in full; nothing when it cannot be told so. `sought` is
/// prefix and search, `depth` how many segments they have. The seventh column says whether a row that the offset
/// passes over lies deeper.
pub(crate) fn flat_level(bucket: &str, level: &Level, sought: &str, depth: usize) -> Option<Step> {
    macro_rules! folded {
        ($row:literal) => {
            concat!("extensions.leakproof_lower(", $row, ".name) collate \"C\"")
        };
    }
    macro_rules! rows {
        ($row:literal, $order:literal, $range:literal) => {
            concat!(
                " from storage.objects as ",
                $row,
                " where ",
                $row,
                ".bucket_id = $1 and ",
                folded!($row),
                " >= extensions.leakproof_lower($2) and ",
                folded!($row),
                " < extensions.leakproof_lower($2) || chr(1114111) order by ",
                folded!($row),
                $order,
                $range
            )
        };
    }
    macro_rules! page {
        ($order:literal) => {
            concat!("select ", entry!("o"), rows!("o", $order, " limit $3::bigint"))
        };
    }
    macro_rules! later_page {
        ($order:literal) => {
            concat!(
                "select ",
                entry!("o"),
                ", exists (select from (select s.name",
                rows!("s", $order, " limit $4::bigint"),
                ") as s where storage.search_depth(s.name) > $5::integer)",
                rows!("o", $order, " offset $4::bigint limit $3::bigint")
            )
        };
    }
    let mut params = level.params(bucket, sought);
    let sql = match (level.offset, level.ascends) {
        _ if level.column != "name" => return None,
        (0, true) => page!(""),
        (0, false) => page!(" desc"),
        (SKIPPED_MAX.., _) => return None,
        (offset, ascends) => {
            params.extend([param(offset), param(depth)]);
            if ascends { later_page!("") } else { later_page!(" desc") }
        }
    };
    Some(Step::new(sql, params).binary())
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

/// The page of one level whose entries the asking role sees, folders named without their last slash.
pub(crate) fn folder(bucket: &str, page: &Page) -> Step {
    let sql = concat!(
        "select ",
        entry!("l"),
        " from storage.search_v2($1, $2, $3::integer, $4::integer, $5, $6, $7, $8) as l"
    );
    let (limit, segments) = (param(page.limit), param(page.prefix.split('/').count()));
    let order = text(if page.ascends { "asc" } else { "desc" });
    let after = [text(&page.after.path), order, text(column(page.by)), text(&page.after.moment)];
    let params = [text(page.prefix), text(bucket), limit, segments];
    Step::new(sql, [params, after].concat()).binary()
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
    sql.push(concat!("select ", entry!("l"), " from storage.objects as l where l.bucket_id = "));
    sql.bind(bucket.to_owned());
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
    Step::built(sql).binary()
}
