//! What is in a bucket: level by level with pages by offset, and in either way with pages by cursor.

use super::{no_route, text_json};
use crate::Storage;
use crate::call::{Call, Incoming};
use crate::db::{As, Work};
use crate::listing::{self, Asked, slashes};
use crate::names::BucketName;
use crate::refusal::{self, Outcome};
use crate::schema_check::Fields;
use crate::store::entry::{Entry, Moment, write_text};
use crate::store::listed;
use crate::store::search::{self, By, Level, Page, Place};
use axum::body::Body;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::Response;
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
        ascends: ascends.unwrap_or(true),
    };
    let (bucket, sought) = (bucket.as_str(), [prefix.as_str(), &search].concat());
    let asked = Asked {
        bucket,
        prefix: &sought,
        by_level: true,
        flat: search::flat_level(bucket, &level, &sought, slashes(&sought) + 1),
        skips: level.offset > 0,
        leaping: search::level(bucket, &level),
    };
    let scope = call.scope(identity, "storage.object.list");
    let found = listing::read(storage, &scope, Work::new(&scope, As::Caller), asked).await?;
    let named_behind = if found.is_flat { slashes(&prefix) } else { 0 };
    let mut text = String::from("[");
    for entry in found.entries()? {
        text.push_str(if text.len() > 1 { ",{\"name\":" } else { "{\"name\":" });
        write_text(&mut text, behind(entry.name, named_behind));
        text.push(',');
        entry.write_id(&mut text);
        entry.write_rest(&mut text);
        text.push('}');
    }
    text.push(']');
    Ok(text_json(text))
}

/// What follows so many slashes.
fn behind(name: &str, slashes: usize) -> &str {
    name.splitn(slashes + 1, '/').nth(slashes).unwrap_or_default()
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
    let asked = asked(bucket.as_str(), &page, by_folder);
    let found = listing::read(storage, &scope, Work::new(&scope, As::Caller), asked).await?;
    let entries: Vec<Entry> = found.entries()?.collect();
    let level = by_folder.then(|| slashes(&prefix));
    Ok(text_json(answer(&entries, limit, level, &cursor)))
}

/// How a page of the second API is read.
fn asked<'a>(bucket: &'a str, page: &Page<'a>, by_folder: bool) -> Asked<'a> {
    let by_name = page.by == By::Name;
    let listed = listed::Page {
        prefix: page.prefix,
        delimiter: "/",
        after: &page.after.path,
        limit: page.limit,
        ascends: page.ascends,
    };
    let (flat, leaping) = match by_folder {
        true if by_name && !page.after.vague => {
            (Some(listed::flat(bucket, &listed)), listed::leaping(bucket, &listed))
        }
        true => (None, search::folder(bucket, page)),
        false => (by_name.then(|| search::all(bucket, page)), search::all(bucket, page)),
    };
    Asked { bucket, prefix: page.prefix, by_level: by_folder, flat, skips: false, leaping }
}

/// The page as JSON, with the place where the next one begins. The entries of a level, which follow so many slashes,
/// also have a key.
fn answer(entries: &[Entry], limit: usize, level: Option<usize>, cursor: &Cursor) -> String {
    let has_next = entries.len() > limit;
    let shown = &entries[..entries.len().min(limit)];
    let (mut folders, mut objects) = (String::new(), String::with_capacity(512 * shown.len()));
    for entry in shown {
        let is_folder = level.is_some() && entry.is_folder();
        let part = if is_folder { &mut folders } else { &mut objects };
        part.push_str(if part.is_empty() { "{" } else { ",{" });
        if let Some(slashes) = level {
            part.push_str("\"key\":");
            write_text(part, entry.name.split('/').nth(slashes).unwrap_or_default());
            part.push(',');
        }
        entry.write_id(part);
        part.push_str(",\"name\":");
        if is_folder {
            write_text(part, &[entry.name, "/"].concat());
        } else {
            write_text(part, entry.name);
        }
        entry.write_rest(part);
        part.push('}');
    }
    let mut text = format!("{{\"hasNext\":{has_next},\"folders\":[{folders}],\"objects\":[{objects}]");
    if let Some(last) = shown.last().filter(|_| has_next) {
        let next = Cursor { place: cursor.place_of(last), ..*cursor };
        let (token, key) = (json!(next.write()), json!(last.name));
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

    /// The place of an entry of the page.
    fn place_of(&self, entry: &Entry) -> Place {
        let mut path = entry.name.to_owned();
        if entry.is_folder() {
            path.push('/');
        }
        let moment = match self.by {
            None | Some(By::Name) => None,
            Some(By::UpdatedAt) => entry.updated_at,
            Some(By::CreatedAt) => entry.created_at,
        };
        Place { path, moment: moment.map(Moment::iso).unwrap_or_default(), vague: false }
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
