//! The operations of a batch, as the body has them.

use crate::faults;
use crate::request::{Incoming, MediaType};
use bytes::Bytes;
use fault::Fault;
use http::header::{
    ACCEPT, ACCEPT_RANGES, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, IF_MATCH,
    IF_NONE_MATCH, RANGE, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The most operations of a batch.
pub const OPERATIONS_MAX: usize = 100;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const X_HTTP_METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
/// Headers of the whole request that say nothing of its operations.
const NOT_INHERITED: [HeaderName; 12] = [
    ACCEPT,
    ACCEPT_RANGES,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    IF_MATCH,
    IF_NONE_MATCH,
    PREFER,
    RANGE,
    TRANSFER_ENCODING,
    X_HTTP_METHOD_OVERRIDE,
];
/// Headers that an operation may have of its own. Others say who is asking, and that is one for all.
const OWN: [&str; 7] =
    ["accept", "accept-profile", "content-profile", "content-type", "prefer", "range", "range-unit"];

/// A request within a request.
#[derive(Debug, Clone)]
pub struct Operation {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Operation {
    /// The operation as a request of its own.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { method: &self.method, path: &self.path, query: &self.query, headers: &self.headers }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    prefer: Option<String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// Whether a request is a batch.
pub fn is_batch(incoming: Incoming<'_>, body: &[u8]) -> bool {
    let json = incoming
        .headers
        .get(CONTENT_TYPE)
        .is_none_or(|value| value.to_str().is_ok_and(|text| MediaType::parse(text) == MediaType::Json));
    let array = || body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    *incoming.method == Method::POST && matches!(incoming.path, "/" | "") && json && array()
}

/// The operations of a body; for each that makes no sense, why.
///
/// # Errors
/// A body that is no JSON array, or too long a one.
pub fn operations(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Result<Operation, Fault>>, Fault> {
    let written: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|_| faults::body("Empty or invalid json"))?;
    if written.is_empty() || written.len() > OPERATIONS_MAX {
        return Err(faults::batch_length(OPERATIONS_MAX));
    }
    let mut inherited = headers.clone();
    NOT_INHERITED.iter().for_each(|name| drop(inherited.remove(name)));
    Ok(written.into_iter().map(|text| operation(text, &inherited)).collect())
}

fn operation(text: &RawValue, inherited: &HeaderMap) -> Result<Operation, Fault> {
    let written: Written = serde_json::from_str(text.get())
        .map_err(|error| faults::operation(format!("This is no operation: {error}")))?;
    let method = match written.method.to_ascii_uppercase().as_str() {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        "POST" => Method::POST,
        "PATCH" => Method::PATCH,
        "PUT" => Method::PUT,
        "DELETE" => Method::DELETE,
        _ => return Err(faults::method(&written.method)),
    };
    let target = written.path.strip_prefix('/').unwrap_or(&written.path);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path.is_empty() {
        return Err(faults::not_in_batch());
    }
    let mut headers = inherited.clone();
    for (name, value) in &written.headers {
        let name = name.to_ascii_lowercase();
        let own = OWN.iter().find(|own| **own == name);
        let own = own.ok_or_else(|| faults::operation(format!("An operation has no header '{name}'")))?;
        set(&mut headers, HeaderName::from_static(own), value)?;
    }
    if let Some(prefer) = &written.prefer {
        let both =
            headers.get(PREFER).and_then(|value| value.to_str().ok()).map(|text| format!("{text}, {prefer}"));
        set(&mut headers, PREFER, both.as_ref().unwrap_or(prefer))?;
    }
    let body = body(written.body, &headers)?;
    Ok(Operation { method, path: format!("/{path}"), query: query.to_owned(), headers, body })
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), Fault> {
    let bad = |_| faults::operation(format!("The header '{name}' cannot have this value"));
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(bad)?;
    headers.insert(name, value);
    Ok(())
}

/// JSON stays as it is written; what is of another type comes as a JSON text.
fn body(written: Option<&RawValue>, headers: &HeaderMap) -> Result<Bytes, Fault> {
    let Some(written) = written else { return Ok(Bytes::new()) };
    let media = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    match media.as_deref().map_or(MediaType::Json, MediaType::parse) {
        MediaType::Json => Ok(Bytes::copy_from_slice(written.get().as_bytes())),
        _ => serde_json::from_str::<String>(written.get())
            .map(Bytes::from)
            .map_err(|_| faults::operation("A body that is not JSON must be given as a text".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: serde_json::Value, headers: &HeaderMap) -> Vec<Result<Operation, Fault>> {
        operations(headers, value.to_string().as_bytes()).unwrap()
    }

    fn one(value: serde_json::Value) -> Result<Operation, Fault> {
        read(json!([value]), &HeaderMap::new()).pop().unwrap()
    }

    #[test]
    fn an_operation_is_a_request() {
        let text = br#"[{"method":"post","path":"todos?select=id","prefer":"return=representation",
            "headers":{"Prefer":"missing=default"},"body":{"n": 1.50}}]"#;
        let read = operations(&HeaderMap::new(), text).unwrap().pop().unwrap().unwrap();
        assert_eq!(
            (read.method.as_str(), read.path.as_str(), read.query.as_str()),
            ("POST", "/todos", "select=id")
        );
        assert_eq!(read.headers["prefer"], "missing=default, return=representation");
        assert_eq!(&*read.body, br#"{"n": 1.50}"#, "digits and blanks stay");
        let csv = one(
            json!({ "method": "POST", "path": "/t", "headers": { "content-type": "text/csv" }, "body": "a\n1" }),
        );
        assert_eq!(&*csv.unwrap().body, b"a\n1");
    }

    #[test]
    fn who_asks_is_the_same_for_all() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("x-client-info", "y"),
            ("content-type", "application/json"),
            ("prefer", "tx=rollback"),
            ("accept", "text/csv"),
            ("content-length", "5"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let read = read(json!([{ "method": "GET", "path": "/t" }]), &headers).pop().unwrap().unwrap();
        let mut names: Vec<_> = read.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "x-client-info"]);
        for name in ["Authorization", "apikey", "cookie", "x-forwarded-for", "a b"] {
            assert!(
                one(json!({ "method": "GET", "path": "/t", "headers": { name: "x" } })).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_no_operation_is_refused() {
        for bad in [
            json!(1),
            json!({}),
            json!({ "method": "GET" }),
            json!({ "method": "OPTIONS", "path": "/t" }),
            json!({ "method": "GET", "path": "/" }),
            json!({ "method": "GET", "path": "" }),
            json!({ "method": "GET", "path": "/t", "more": 1 }),
            json!({ "method": "get t", "path": "/t" }),
            json!({ "method": "GET", "path": "/t", "prefer": "a\nb" }),
            json!({ "method": "POST", "path": "/t", "headers": { "content-type": "text/csv" }, "body": {} }),
        ] {
            assert!(one(bad.clone()).is_err(), "{bad}");
        }
        assert!(
            operations(&HeaderMap::new(), b"[]").is_err() && operations(&HeaderMap::new(), b"[1").is_err()
        );
        let many = format!("[{}]", vec!["{}"; OPERATIONS_MAX + 1].join(","));
        assert!(operations(&HeaderMap::new(), many.as_bytes()).is_err());
    }

    #[test]
    fn a_batch_is_posted_to_the_root() {
        let check = |method: &Method, path, content_type: Option<&'static str>, body: &str| {
            let mut headers = HeaderMap::new();
            if let Some(value) = content_type {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            }
            is_batch(Incoming { method, path, query: "", headers: &headers }, body.as_bytes())
        };
        assert!(check(&Method::POST, "/", Some("application/json; charset=utf-8"), " \n[{"));
        assert!(check(&Method::POST, "/", None, "["));
        for (method, path, content_type, body) in [
            (&Method::GET, "/", None, "["),
            (&Method::POST, "/t", None, "["),
            (&Method::POST, "/", Some("text/csv"), "["),
            (&Method::POST, "/", None, "{}"),
            (&Method::POST, "/", None, ""),
        ] {
            assert!(!check(method, path, content_type, body));
        }
    }
}
