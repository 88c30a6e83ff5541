//! Copies of objects that are here already.

use super::objects::{conditional, find, is_new_only, wanted as headers_of};
use super::xml::Xml;
use super::{Ask, refused};
use crate::again;
use crate::call::Call;
use crate::find::Found;
use crate::metadata::parse_http_date;
use crate::names::BucketName;
use crate::refusal::{self, Outcome, Refusal};
use crate::routes::copy::Change;
use crate::serve;
use axum::body::Body;
use http::{Response, header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// The source that `x-amz-copy-source` names, if the caller sees it and it is as they expect.
pub(super) async fn source(ask: &Ask<'_>, operation: &'static str) -> Outcome<Found> {
    let (bucket, key) = parse(ask.call.header("x-amz-copy-source").unwrap_or_default())?;
    let found = find(ask, &BucketName::parse(&bucket)?, &key, operation).await?;
    if holds(ask.call, &found) { Ok(found) } else { Err(refusal::precondition_failed()) }
}

/// `[/]<bucket>/<key>[?versionId=…]`, percent-encoded.
fn parse(text: &str) -> Outcome<(String, String)> {
    let (path, version) = text.split_once("?versionId=").map_or((text, None), |(path, id)| (path, Some(id)));
    if version.is_some_and(|id| id != "null") {
        return Err(refused::not_implemented("versionId"));
    }
    let invalid = || {
        refused::invalid_argument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
        )
    };
    let path = percent_decode_str(path).decode_utf8().map_err(|_| invalid())?;
    let (bucket, key) = path.trim_start_matches('/').split_once('/').ok_or_else(invalid)?;
    if bucket.is_empty() || key.is_empty() { Err(invalid()) } else { Ok((bucket.to_owned(), key.to_owned())) }
}

/// Whether the source is what the client expects, RFC 9110 §13 with AWS's header names.
fn holds(call: &Call, found: &Found) -> bool {
    let etag = found.etag();
    let date = |name: &'static str| call.header(name).and_then(parse_http_date).map(|at| at.unix_timestamp());
    let modified = found.modified().map(|at| at.unix_timestamp());
    let matches = match call.header("x-amz-copy-source-if-match") {
        Some(list) => serve::matches(list, &etag),
        None => date("x-amz-copy-source-if-unmodified-since")
            .is_none_or(|since| modified.is_none_or(|at| at <= since)),
    };
    let differs = match call.header("x-amz-copy-source-if-none-match") {
        Some(list) => !serve::matches(list, &etag),
        None => date("x-amz-copy-source-if-modified-since")
            .is_none_or(|since| modified.is_none_or(|at| at > since)),
    };
    matches && differs
}

/// `PUT /<bucket>/<key>` with `x-amz-copy-source`
pub(super) async fn copy(ask: &Ask<'_>, bucket: BucketName, key: &str) -> Outcome<Response<Body>> {
    let key = ask.storage.key(key)?;
    let keeps = match ask.call.header("x-amz-metadata-directive") {
        None | Some("COPY") => true,
        Some("REPLACE") => false,
        Some(_) => return Err(refused::invalid_argument("Unknown metadata directive.")),
    };
    let said = headers_of(ask, bucket, key, None);
    let mut metadata = Map::new();
    for (name, header, value) in [
        ("mimetype", header::CONTENT_TYPE, &said.mime),
        ("cacheControl", header::CACHE_CONTROL, &said.cache_control),
    ] {
        if ask.call.headers.contains_key(header) {
            metadata.insert(name.to_owned(), Value::from(value.as_str()));
        }
    }
    let change = Change { keeps, metadata, user_metadata: said.user_metadata };
    let scope = ask.scope("storage.s3.object.copy");
    let upsert = !is_new_only(ask.call);
    let to = (said.bucket, said.key);
    // The source may be overwritten meanwhile.
    let stored = again::read(|| async {
        let found = source(ask, "storage.s3.object.copy").await?;
        ask.storage.copy(&scope, &found, to.clone(), upsert, &change).await.map_err(conditional)
    });
    let stored = stored.await?;
    let modified = stored.row.pointer("/metadata/lastModified").and_then(Value::as_str);
    let mut xml = Xml::new("CopyObjectResult");
    xml.maybe("LastModified", modified).leaf("ETag", &stored.etag);
    Ok(xml.answer())
}

/// The range of a source, `bytes=first-last`; both ends are needed and within the source.
pub(super) fn source_range(call: &Call, size: u64) -> Outcome<Option<std::ops::Range<u64>>> {
    let Some(text) = call.header("x-amz-copy-source-range") else { return Ok(None) };
    let range = || {
        let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last && last < size).then_some(first..last + 1)
    };
    // Unlike a reader's, such a range is an argument.
    range().map(Some).ok_or_else(|| Refusal::new(400, "InvalidRange", "invalid range provided"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        let pair = |bucket: &str, key: &str| (bucket.to_owned(), key.to_owned());
        assert_eq!(parse("b/k").unwrap(), pair("b", "k"));
        assert_eq!(parse("/b/a%20b/c%2Fd").unwrap(), pair("b", "a b/c/d"));
        assert_eq!(parse("b%2Fk?versionId=null").unwrap(), pair("b", "k"));
        for bad in ["", "b", "/b/", "//k", "b/%ff", "b/k?versionId=1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
