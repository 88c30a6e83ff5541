//! What is in a bucket, in the order of the bytes of its keys.

use super::xml::Xml;
use super::{Ask, refused};
use crate::db::{As, Work};
use crate::listing::{self, Asked};
use crate::metadata::Metadata;
use crate::names::BucketName;
use crate::refusal::{self, Outcome};
use crate::store::entry::Moment;
use crate::store::{buckets, listed};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Response;
use std::borrow::Cow;

/// The most entries of a page.
const KEYS_MAX: u64 = 1000;

/// What of a bucket is wanted.
struct Wanted<'a> {
    prefix: &'a str,
    delimiter: &'a str,
    limit: usize,
    /// Behind which key the page begins.
    after: String,
    encodes: bool,
}

/// An entry: an object, or what several keys begin with.
enum Entry {
    Object { key: String, updated_at: String, metadata: Metadata },
    Prefix(String),
}

impl Entry {
    /// Where the page goes on when this was its last entry.
    fn place(&self) -> &str {
        match self {
            Entry::Object { key, .. } => key,
            Entry::Prefix(prefix) => prefix,
        }
    }
}

/// Whether names are written as in URLs. Not every name can be written in XML.
pub(super) fn encodes(ask: &Ask<'_>) -> Outcome<bool> {
    match ask.call.query("encoding-type") {
        None | Some("") => Ok(false),
        Some("url") => Ok(true),
        Some(_) => Err(refused::invalid_argument("Invalid Encoding Method specified in Request")),
    }
}

pub(super) fn written(name: &str, encodes: bool) -> Cow<'_, str> {
    if encodes { Cow::Owned(sigv4::encode_path(name)) } else { Cow::Borrowed(name) }
}

/// `GET /<bucket>`, of both versions.
pub(super) async fn list(ask: &Ask<'_>, bucket: &BucketName) -> Outcome<Response<Body>> {
    let second = match ask.call.query("list-type") {
        None | Some("") => false,
        Some("2") => true,
        Some(_) => return Err(refused::invalid_argument("Invalid List Type specified in Request")),
    };
    let text = |name: &str| ask.call.query(name).filter(|text| !text.is_empty());
    let token = text("continuation-token").filter(|_| second);
    let start = text(if second { "start-after" } else { "marker" });
    let limit = ask.number("max-keys", 0)?.filter(|limit| *limit > 0).unwrap_or(KEYS_MAX).min(KEYS_MAX);
    let wanted = Wanted {
        prefix: text("prefix").unwrap_or_default(),
        delimiter: text("delimiter").unwrap_or_default(),
        limit: usize::try_from(limit).unwrap_or(1),
        after: match token {
            Some(token) => {
                read_token(token).ok_or_else(|| refusal::invalid_parameter("continuation token"))?
            }
            None => start.unwrap_or_default().to_owned(),
        },
        encodes: encodes(ask)?,
    };
    let (entries, more) = entries(ask, bucket, &wanted).await?;
    let mut xml = Xml::new("ListBucketResult");
    let w = |name: &str| written(name, wanted.encodes).into_owned();
    xml.leaf("Name", bucket.as_str()).leaf("Prefix", w(wanted.prefix));
    let last = entries.last().map(Entry::place).filter(|_| more);
    if second {
        xml.maybe("StartAfter", start.map(w)).maybe("ContinuationToken", token);
        xml.value("KeyCount", entries.len());
        xml.maybe("NextContinuationToken", last.map(token_of));
    } else {
        xml.leaf("Marker", w(start.unwrap_or_default()));
        xml.maybe("NextMarker", last.filter(|_| !wanted.delimiter.is_empty()).map(w));
    }
    xml.value("MaxKeys", wanted.limit).value("IsTruncated", more);
    xml.maybe("Delimiter", text("delimiter").map(w)).maybe("EncodingType", wanted.encodes.then_some("url"));
    for entry in &entries {
        write(&mut xml, entry, wanted.encodes);
    }
    Ok(xml.answer())
}

fn write(xml: &mut Xml, entry: &Entry, encodes: bool) {
    match entry {
        Entry::Object { .. } => {
            xml.begin("Contents");
            write_object(xml, entry, encodes);
            xml.end();
        }
        Entry::Prefix(prefix) => {
            xml.begin("CommonPrefixes").leaf("Prefix", written(prefix, encodes)).end();
        }
    }
}

fn write_object(xml: &mut Xml, entry: &Entry, encodes: bool) {
    let Entry::Object { key, updated_at, metadata } = entry else { return };
    xml.leaf("Key", written(key, encodes)).leaf("LastModified", updated_at);
    xml.leaf("ETag", &metadata.etag).value("Size", metadata.size).leaf("StorageClass", "STANDARD");
}

/// `GET /<bucket>?versions`: of a bucket without versions, every object is its only one.
pub(super) async fn versions(ask: &Ask<'_>, bucket: &BucketName) -> Outcome<Response<Body>> {
    let text = |name: &str| ask.call.query(name).filter(|text| !text.is_empty());
    let limit = ask.number("max-keys", 0)?.filter(|limit| *limit > 0).unwrap_or(KEYS_MAX).min(KEYS_MAX);
    let wanted = Wanted {
        prefix: text("prefix").unwrap_or_default(),
        delimiter: text("delimiter").unwrap_or_default(),
        limit: usize::try_from(limit).unwrap_or(1),
        after: text("key-marker").unwrap_or_default().to_owned(),
        encodes: encodes(ask)?,
    };
    let (entries, more) = entries(ask, bucket, &wanted).await?;
    let mut xml = Xml::new("ListVersionsResult");
    let w = |name: &str| written(name, wanted.encodes).into_owned();
    xml.leaf("Name", bucket.as_str()).leaf("Prefix", w(wanted.prefix)).leaf("KeyMarker", w(&wanted.after));
    xml.leaf("VersionIdMarker", text("version-id-marker").unwrap_or_default());
    if let (true, Some(last)) = (more, entries.last()) {
        xml.leaf("NextKeyMarker", w(last.place())).leaf("NextVersionIdMarker", "null");
    }
    xml.value("MaxKeys", wanted.limit).value("IsTruncated", more);
    xml.maybe("Delimiter", text("delimiter").map(w)).maybe("EncodingType", wanted.encodes.then_some("url"));
    for entry in &entries {
        match entry {
            Entry::Object { .. } => {
                xml.begin("Version").leaf("VersionId", "null").leaf("IsLatest", "true");
                write_object(&mut xml, entry, wanted.encodes);
                xml.end();
            }
            Entry::Prefix(_) => write(&mut xml, entry, wanted.encodes),
        }
    }
    Ok(xml.answer())
}

/// A page, and whether there is another.
async fn entries(ask: &Ask<'_>, bucket: &BucketName, wanted: &Wanted<'_>) -> Outcome<(Vec<Entry>, bool)> {
    let scope = ask.scope("storage.s3.object.list");
    let mut work = Work::new(&scope, As::Service);
    let there = work.service(buckets::find(bucket.as_str()));
    let page = listed::Page {
        prefix: wanted.prefix,
        delimiter: wanted.delimiter,
        after: &wanted.after,
        limit: wanted.limit + 1,
        ascends: true,
    };
    let bucket = bucket.as_str();
    let asked = Asked {
        bucket,
        prefix: wanted.prefix,
        by_level: !wanted.delimiter.is_empty(),
        flat: matches!(wanted.delimiter, "" | "/").then(|| listed::flat(bucket, &page)),
        skips: false,
        leaping: listed::leaping(bucket, &page),
    };
    let found = listing::read(ask.storage, &scope, work, asked).await?;
    if found.results.of(there)?.is_empty() {
        return Err(refusal::no_bucket());
    }
    let mut entries = Vec::new();
    for row in found.entries()? {
        entries.push(if row.is_folder() {
            Entry::Prefix([row.name, wanted.delimiter].concat())
        } else {
            Entry::Object {
                key: row.name.to_owned(),
                updated_at: row.updated_at.map(Moment::iso).unwrap_or_default(),
                metadata: Metadata::of(row.metadata),
            }
        });
    }
    let more = entries.len() > wanted.limit;
    entries.truncate(wanted.limit);
    Ok((entries, more))
}

/// Where a page goes on, as clients get it.
pub(super) fn token_of(place: &str) -> String {
    STANDARD.encode(["l:", place].concat())
}

/// Where a page goes on, as clients send it back.
pub(super) fn read_token(token: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    // Those of the reference name further parts on further lines; the place is always the first.
    text.lines().find_map(|line| line.strip_prefix("l:")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_there_and_back() {
        assert_eq!(read_token(&token_of("a/b c")).as_deref(), Some("a/b c"));
        assert_eq!(read_token(&STANDARD.encode("l:x\no:asc")).as_deref(), Some("x"));
        for bad in ["", "x", &STANDARD.encode("a/b")] {
            assert_eq!(read_token(bad), None, "{bad}");
        }
    }
}
