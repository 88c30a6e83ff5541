//! What is in a bucket: level by level with pages by offset, and in either way with pages by cursor.

use super::{no_route, text_json};
use crate::Storage;
use crate::call::{Call, Incoming};
use crate::db::{As, Work};
use crate::names::BucketName;
use crate::refusal::{self, Outcome};
use crate::schema_check::Fields;
use crate::store::search::{self, By, Level, Page, Place};
use axum::body::Body;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::Response;
use pg::Row;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The entries of a page of the first API when nothing is said.
const LEVEL_LIMIT: i64 = 100;
/// The most entries of a page of the second API.
const PAGE_MAX: i64 = 1000;

/// The bucket in a path that names nothing else.
fn bucket(call: &Call, name: &str) -> Outcome<BucketName> {
    if name.is_empty() || name.contains('/') {
        return Err(no_route(call));
    }
    BucketName::parse(name)
}

/// A text that can be part of a name.
fn checked(name: &'static str, text: Option<String>) -> Outcome<String> {
    let text = text.unwrap_or_default();
    if text.contains('\0') { Err(refusal::invalid_parameter(name)) } else { Ok(text) }
}

/// The member `sortBy`: one of the columns, and whether it ascends.
fn sort(fields: &mut Fields, columns: &[&'static str]) -> (Option<&'static str>, Option<bool>) {
    let Some(members) = fields.object("sortBy") else { return (None, None) };
    let mut inner = Fields::new("body/sortBy", members);
    if !inner.has("column") {
        inner.required_text("column");
    }
    let column = inner.one_of("column", columns);
    let ascends = inner.one_of("order", &["asc", "desc"]).map(|order| order == "asc");
    fields.absorb(inner);
    (column, ascends)
}

fn number(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// `POST /object/list/<bucket>`
pub(crate) async fn level(
    storage: &Storage,
    call: &Call,
    name: &str,
    mut body: Incoming,
) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    let mut fields = body.fields(&call.headers).await?;
    let prefix = fields.required_text("prefix");
    let limit = fields.integer("limit", 1).unwrap_or(LEVEL_LIMIT);
    let offset = fields.integer("offset", 0).unwrap_or_default();
    let search = fields.text("search");
    let (column, ascends) = sort(&mut fields, &["name", "updated_at", "created_at", "last_accessed_at"]);
    fields.finish()?;
    let bucket = bucket(call, name)?;
    let (mut prefix, search) = (checked("prefix", Some(prefix))?, checked("search", search)?);
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    let level = Level {
        prefix: &prefix,
        search: &search,
        limit: number(limit),
        offset: number(offset),
        column: column.unwrap_or("name"),
        order: if ascends.unwrap_or(true) { "asc" } else { "desc" },
    };
    let scope = call.scope(identity, "storage.object.list");
    let mut work = Work::new(&scope, As::Caller);
    let listed = work.caller(search::level(bucket.as_str(), &level));
    let results = storage.db.run(&scope, work).await?;
    let rows: Vec<&str> = results.of(listed)?.iter().filter_map(|row| row.text(0)).collect();
    Ok(text_json(format!("[{}]", rows.join(","))))
}

/// `POST /object/list-v2/<bucket>`
pub(crate) async fn second(
    storage: &Storage,
    call: &Call,
    name: &str,
    mut body: Incoming,
) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    let mut fields = body.fields(&call.headers).await?;
    let prefix = fields.text("prefix");
    let limit = fields.integer("limit", 1).unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let limit = usize::try_from(limit).unwrap_or(1);
    let token = fields.text("cursor").filter(|token| !token.is_empty());
    let by_folder = fields.flag("with_delimiter").unwrap_or_default();
    let (column, ascends) = sort(&mut fields, &["name", "updated_at", "created_at"]);
    fields.finish()?;
    let bucket = bucket(call, name)?;
    let prefix = checked("prefix", prefix)?;
    let cursor = match &token {
        Some(token) => Cursor::read(token).ok_or_else(|| refusal::invalid_parameter("continuation token"))?,
        None => Cursor { by: column.and_then(by), ascends, place: Place::default() },
    };
    // What the cursor does not say, the request does.
    let cursor =
        Cursor { by: cursor.by.or(column.and_then(by)), ascends: cursor.ascends.or(ascends), ..cursor };
    let page = Page {
        prefix: &prefix,
        limit: limit + 1,
        by: cursor.by.unwrap_or(By::Name),
        ascends: cursor.ascends.unwrap_or(true),
        after: &cursor.place,
    };
    let scope = call.scope(identity, "storage.object.list_v2");
    let mut work = Work::new(&scope, As::Caller);
    let step = if by_folder { search::folder } else { search::all };
    let listed = work.caller(step(bucket.as_str(), &page));
    let results = storage.db.run(&scope, work).await?;
    let rows: Vec<&Row> = results.of(listed)?.iter().collect();
    Ok(text_json(answer(&rows, limit, &cursor)))
}

/// The page as JSON, with the place where the next one begins.
fn answer(rows: &[&Row], limit: usize, cursor: &Cursor) -> String {
    let has_next = rows.len() > limit;
    let shown = &rows[..rows.len().min(limit)];
    let part = |folders: bool| {
        let of = shown.iter().filter(|row| (row.text(1) == Some("t")) == folders);
        of.filter_map(|row| row.text(4)).collect::<Vec<_>>().join(",")
    };
    let mut text =
        format!("{{\"hasNext\":{has_next},\"folders\":[{}],\"objects\":[{}]", part(true), part(false));
    if let Some(last) = shown.last().filter(|_| has_next) {
        let name = last.text(0).unwrap_or_default();
        let next = Cursor { place: cursor.place_of(last), ..*cursor };
        let (token, key) = (json!(next.write()), json!(name));
        text.push_str(&format!(",\"nextCursor\":{token},\"nextCursorKey\":{key}"));
    }
    text.push('}');
    text
}

fn by(column: &str) -> Option<By> {
    match column {
        "name" => Some(By::Name),
        "created_at" => Some(By::CreatedAt),
        "updated_at" => Some(By::UpdatedAt),
        _ => None,
    }
}

/// Where a page of the second API ended, and in which order; nothing that was not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Cursor {
    by: Option<By>,
    ascends: Option<bool>,
    place: Place,
}

/// Tokens come with and without their padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Cursor {
    /// The reference's cursor: lines of a letter, a colon and a value. Ours say `v:2`, and folders with their slash.
    fn read(token: &str) -> Option<Cursor> {
        let text = String::from_utf8(LENIENT.decode(token).ok()?).ok()?;
        let mut cursor = Cursor::default();
        cursor.place.vague = true;
        for line in text.split('\n') {
            let (letter, value) = line.split_once(':')?;
            match letter {
                "l" => cursor.place.path = value.to_owned(),
                "o" => cursor.ascends = Some(!value.eq_ignore_ascii_case("desc")),
                "c" => cursor.by = Some(by(value)?),
                "a" => {
                    OffsetDateTime::parse(value, &Rfc3339).ok()?;
                    cursor.place.moment = value.to_owned();
                }
                "v" => cursor.place.vague = value != "2",
                _ => return None,
            }
        }
        (!cursor.place.path.contains('\0')).then_some(cursor)
    }

    fn write(&self) -> String {
        let mut lines = vec![format!("l:{}", self.place.path)];
        if let Some(ascends) = self.ascends {
            lines.push(format!("o:{}", if ascends { "asc" } else { "desc" }));
        }
        match self.by {
            None => {}
            Some(By::Name) => lines.push("c:name".to_owned()),
            Some(By::CreatedAt) => lines.push("c:created_at".to_owned()),
            Some(By::UpdatedAt) => lines.push("c:updated_at".to_owned()),
        }
        if !self.place.moment.is_empty() {
            lines.push(format!("a:{}", self.place.moment));
        }
        lines.push("v:2".to_owned());
        LENIENT.encode(lines.join("\n"))
    }

    /// The place of a row of the page.
    fn place_of(&self, row: &Row) -> Place {
        let mut path = row.text(0).unwrap_or_default().to_owned();
        if row.text(1) == Some("t") {
            path.push('/');
        }
        let moment = match self.by {
            None | Some(By::Name) => None,
            Some(By::UpdatedAt) => row.text(2),
            Some(By::CreatedAt) => row.text(3),
        };
        Place { path, moment: moment.unwrap_or_default().to_owned(), vague: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        for (path, by, ascends, moment) in [
            ("a/b.txt", None, None, ""),
            ("a/", Some(By::Name), Some(false), ""),
            ("x:y", Some(By::UpdatedAt), Some(true), "2026-01-02T03:04:05.678Z"),
        ] {
            let place = Place { path: path.to_owned(), moment: moment.to_owned(), vague: false };
            let cursor = Cursor { by, ascends, place };
            assert_eq!(Cursor::read(&cursor.write()), Some(cursor));
        }
    }

    #[test]
    fn cursors_of_the_reference_are_read_and_nonsense_is_not() {
        let token = LENIENT.encode("l:folder\no:desc\nc:created_at\na:2026-01-02T03:04:05.678Z");
        let cursor = Cursor::read(&token).unwrap();
        assert_eq!((cursor.by, cursor.ascends), (Some(By::CreatedAt), Some(false)));
        assert!(cursor.place.vague && cursor.place.path == "folder");
        for bad in ["l:a\nx:b", "a:yesterday", "", "c:size", "l:a\0", "a"] {
            assert_eq!(Cursor::read(&LENIENT.encode(bad)), None, "{bad:?}");
        }
        assert_eq!(Cursor::read("%%%"), None);
        assert!(Cursor::read(LENIENT.encode("l:ab").trim_end_matches('=')).is_some());
    }
}
