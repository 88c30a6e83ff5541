//! Objects one by one: written in one piece, read, described.

use super::body::{self, Checked};
use super::xml::Xml;
use super::{Ask, refused};
use crate::call::{Call, Incoming};
use crate::find::{Found, Right};
use crate::metadata::{http_date, parse_http_date};
use crate::mime;
use crate::names::{BucketName, ObjectKey};
use crate::refusal::{self, Outcome, Refusal};
use crate::serve::{self, Part};
use crate::upload::{Permission, Source, Wanted};
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value};

const META: &str = "x-amz-meta-";
/// Of a key that names a folder: the object that stands for it when it is empty.
const EMPTY_FOLDER: &str = ".emptyFolderPlaceholder";

/// What the headers of an upload say of the object, whatever its bytes.
pub(super) fn wanted(ask: &Ask<'_>, bucket: BucketName, key: ObjectKey, declared: Option<u64>) -> Wanted {
    let call = ask.call;
    Wanted {
        bucket,
        key,
        mime: call.header(header::CONTENT_TYPE).unwrap_or(mime::DEFAULT).to_owned(),
        cache_control: call.header(header::CACHE_CONTROL).unwrap_or("no-cache").to_owned(),
        robots: None,
        user_metadata: Some(user_metadata(&call.headers, &call.query)),
        declared,
        is_exact: declared.is_some(),
        upsert: !is_new_only(call),
        if_match: call.header(header::IF_MATCH).filter(|list| *list != "*").map(str::to_owned),
        permission: Permission::Policies,
        limit: ask.storage.settings.standard_limit(),
    }
}

/// Whether nothing may be overwritten.
pub(super) fn is_new_only(call: &Call) -> bool {
    call.header(header::IF_NONE_MATCH).is_some_and(|list| list.trim() == "*")
}

/// The headers `x-amz-meta-…` as a JSON object. Those of a URL may stand in its query: presigning puts them there.
fn user_metadata(headers: &HeaderMap, query: &[(String, String)]) -> String {
    let mut members = Map::new();
    for (name, value) in query {
        if let Some(name) = name.to_ascii_lowercase().strip_prefix(META) {
            members.insert(name.to_owned(), Value::from(value.as_str()));
        }
    }
    for name in headers.keys() {
        let Some(short) = name.as_str().strip_prefix(META) else { continue };
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        members.insert(short.to_owned(), Value::from(values.join(",")));
    }
    Value::Object(members).to_string()
}

/// A condition that did not hold is told apart from an object that was in the way.
pub(super) fn conditional(refusal: Refusal) -> Refusal {
    let in_the_way = refusal.is("KeyAlreadyExists") || refusal.is("ResourceAlreadyExists");
    if in_the_way { refusal::precondition_failed() } else { refusal }
}

/// `PUT /<bucket>/<key>`
pub(super) async fn put(
    ask: &Ask<'_>,
    bucket: BucketName,
    key: &str,
    body: Incoming,
) -> Outcome<Response<Body>> {
    let declared = body::declared_length(ask.call, &ask.verified)?;
    let key = match key.ends_with('/') && declared == Some(0) {
        true => [key, EMPTY_FOLDER].concat(),
        false => key.to_owned(),
    };
    if ask.call.header(header::IF_NONE_MATCH).is_some_and(|list| list.trim() != "*") {
        return Err(refused::not_implemented("If-None-Match with a value other than *"));
    }
    let wanted = wanted(ask, bucket, ask.storage.key(&key)?, declared);
    let body = Checked::of(ask.call, body, &ask.verified)?;
    let sums = body.found();
    let scope = ask.scope("storage.s3.upload");
    let stored =
        ask.storage.store(&scope, wanted, Source::Checked(Box::new(body))).await.map_err(conditional)?;
    let mut response = Response::new(Body::empty());
    set(response.headers_mut(), header::ETAG, &stored.etag);
    for (name, value) in sums.lock().map(|sums| sums.clone()).unwrap_or_default() {
        set(response.headers_mut(), HeaderName::from_static(name), &value);
    }
    Ok(response)
}

/// An object that the caller sees.
pub(super) async fn find(
    ask: &Ask<'_>,
    bucket: &BucketName,
    key: &str,
    operation: &'static str,
) -> Outcome<Found> {
    ask.storage.find(&ask.scope(operation), Right::Policies, bucket.as_str(), key).await
}

/// `GET /<bucket>/<key>?tagging`
pub(super) async fn tagging(ask: &Ask<'_>, bucket: &BucketName, key: &str) -> Outcome<Response<Body>> {
    find(ask, bucket, key, "storage.s3.object.get_tagging").await?;
    let mut xml = Xml::new("Tagging");
    xml.leaf("TagSet", "");
    Ok(xml.answer())
}

/// `HEAD /<bucket>/<key>`
pub(super) async fn head(ask: &Ask<'_>, bucket: &BucketName, key: &str) -> Outcome<Response<Body>> {
    let found = find(ask, bucket, key, "storage.s3.object.info").await?;
    let (status, mut headers, range) = described(ask, &found)?;
    if status != StatusCode::NOT_MODIFIED {
        let length = range.map_or(found.metadata.size, |range| range.end - range.start);
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(serve::answer(status, headers, Body::empty()))
}

/// `GET /<bucket>/<key>`
pub(super) async fn get(ask: &Ask<'_>, bucket: &BucketName, key: &str) -> Outcome<Response<Body>> {
    crate::again::read(|| get_once(ask, bucket, key)).await
}

async fn get_once(ask: &Ask<'_>, bucket: &BucketName, key: &str) -> Outcome<Response<Body>> {
    let found = find(ask, bucket, key, "storage.s3.object.get").await?;
    let (status, headers, range) = described(ask, &found)?;
    if status == StatusCode::NOT_MODIFIED {
        return Ok(serve::answer(status, headers, Body::empty()));
    }
    let reading = ask.storage.read(&found, range).await?;
    Ok(serve::answer_with(status, headers, reading))
}

type Described = (StatusCode, HeaderMap, Option<std::ops::Range<u64>>);

/// Everything about an answer but the bytes.
fn described(ask: &Ask<'_>, found: &Found) -> Outcome<Described> {
    let call = ask.call;
    let mut headers = headers(found);
    if failed(call, found) {
        return Err(refusal::precondition_failed());
    }
    if serve::is_known(&call.headers, found) {
        return Ok((StatusCode::NOT_MODIFIED, headers, None));
    }
    if ask.number("partNumber", 1)?.is_some_and(|part| part > 1) {
        let message = "The requested partnumber is not satisfiable";
        return Err(Refusal::new(416, "InvalidPartNumber", message));
    }
    overrides(call, &mut headers);
    // A URL can be opened in a browser.
    serve::disarm(&mut headers);
    let size = found.metadata.size;
    match serve::part(serve::range_of(&call.headers, found), size) {
        Part::Whole => Ok((StatusCode::OK, headers, None)),
        Part::Unsatisfiable => Err(refusal::invalid_range()),
        Part::Range(range) => {
            let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            set(&mut headers, header::CONTENT_RANGE, &text);
            Ok((StatusCode::PARTIAL_CONTENT, headers, Some(range)))
        }
    }
}

/// Whether the client wanted another object than this one.
fn failed(call: &Call, found: &Found) -> bool {
    if let Some(list) = call.header(header::IF_MATCH) {
        return !serve::matches(list, &found.etag());
    }
    let since = call.header(header::IF_UNMODIFIED_SINCE).and_then(parse_http_date);
    matches!((since, found.modified()), (Some(since), Some(at)) if at.unix_timestamp() > since.unix_timestamp())
}

fn headers(found: &Found) -> HeaderMap {
    let metadata = &found.metadata;
    let mut headers = HeaderMap::with_capacity(12);
    let mime = if metadata.mimetype.is_empty() { mime::DEFAULT } else { &metadata.mimetype };
    set(&mut headers, header::CONTENT_TYPE, mime);
    set(&mut headers, header::CACHE_CONTROL, &metadata.cache_control);
    set(&mut headers, header::ETAG, &found.etag());
    if let Some(at) = found.modified() {
        set(&mut headers, header::LAST_MODIFIED, &http_date(at));
    }
    let mut missing = 0u64;
    let members =
        found.user_metadata.as_deref().and_then(|text| serde_json::from_str::<Map<_, _>>(text).ok());
    for (name, value) in members.unwrap_or_default() {
        if !add_meta(&mut headers, &name, &value) {
            missing += 1;
        }
    }
    if missing > 0 {
        headers.insert("x-amz-missing-meta", HeaderValue::from(missing));
    }
    headers
}

/// Adds a header of the user's; whether it can be one.
fn add_meta(headers: &mut HeaderMap, name: &str, value: &Value) -> bool {
    let Some(text) = value.as_str().filter(|text| !name.is_empty() && text.is_ascii()) else { return false };
    let name = HeaderName::from_bytes([META, &name.to_ascii_lowercase()].concat().as_bytes());
    let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(text)) else { return false };
    headers.insert(name, value);
    true
}

/// The parameters by which a client chooses headers of the answer.
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("response-content-disposition", header::CONTENT_DISPOSITION),
    ("response-content-type", header::CONTENT_TYPE),
    ("response-cache-control", header::CACHE_CONTROL),
    ("response-content-encoding", header::CONTENT_ENCODING),
    ("response-content-language", header::CONTENT_LANGUAGE),
    ("response-expires", header::EXPIRES),
];

fn overrides(call: &Call, headers: &mut HeaderMap) {
    for (name, header) in OVERRIDES {
        if let Some(value) = call.query(name) {
            set(headers, header, value);
        }
    }
}

/// Sets a header, if the value can be one and is not empty.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value)
        && !value.is_empty()
    {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_of_headers() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-meta-a", HeaderValue::from_static("1"));
        headers.append("x-amz-meta-a", HeaderValue::from_static("2"));
        headers.insert("x-amz-acl", HeaderValue::from_static("private"));
        assert_eq!(user_metadata(&headers, &[]), r#"{"a":"1,2"}"#);
        let query = [("X-Amz-Meta-B", "3"), ("x-amz-meta-a", "0"), ("x-id", "PutObject")];
        let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(user_metadata(&headers, &query), r#"{"b":"3","a":"1,2"}"#);
        assert_eq!(user_metadata(&HeaderMap::new(), &[]), "{}");
    }

    #[test]
    fn headers_are_of_metadata_as_far_as_they_can_be() {
        let mut headers = HeaderMap::new();
        assert!(add_meta(&mut headers, "Name", &Value::from("value")));
        assert!(add_meta(&mut headers, "empty", &Value::from("")));
        for (name, value) in [
            ("é", Value::from("a")),
            ("a", Value::from("é")),
            ("", Value::from("a")),
            ("n", Value::from(1)),
            ("b", Value::from("a\nb")),
        ] {
            assert!(!add_meta(&mut headers, name, &value), "{name}");
        }
        assert_eq!(headers.get("x-amz-meta-name").unwrap(), "value");
        assert_eq!(headers.get("x-amz-meta-empty").unwrap(), "");
        assert_eq!(headers.len(), 2);
    }
}
