//! Reads whose query is in the body: the method QUERY, and POST that says it stands for GET or HEAD.
//!
//! A filter of ten thousand ids does not fit into a URL. Such a request is answered as the GET or HEAD with the
//! same query: everything after this module sees that one.

use super::media::MediaType;
use crate::faults;
use bytes::Bytes;
use fault::Fault;
use http::header::{CONTENT_LOCATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method};

/// The longest query in a body. PostgreSQL takes no more than 65,535 values anyway.
pub const QUERY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// A `Content-Location` above this length is left out: clients and proxies have limits for headers.
const LOCATION_BYTES_MAX: usize = 2048;

const X_HTTP_METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

/// The read that a request stands for, if its query is in the body.
///
/// # Errors
/// QUERY with a body of another type.
pub fn stands_for(method: &Method, headers: &HeaderMap) -> Result<Option<Method>, Fault> {
    let content_type = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let media = content_type.as_deref().map(MediaType::parse);
    if method.as_str() == "QUERY" {
        return match media {
            Some(MediaType::Form) | None => Ok(Some(Method::GET)),
            Some(other) => Err(faults::body(format!("Content-Type not acceptable: {}", other.name()))
                .with_hint("A query is sent as application/x-www-form-urlencoded.")),
        };
    }
    if *method != Method::POST || media != Some(MediaType::Form) {
        return Ok(None);
    }
    let named = headers.get(X_HTTP_METHOD_OVERRIDE).and_then(|value| value.to_str().ok()).map(str::trim);
    Ok(match named {
        Some(name) if name.eq_ignore_ascii_case("GET") => Some(Method::GET),
        Some(name) if name.eq_ignore_ascii_case("HEAD") => Some(Method::HEAD),
        _ => None,
    })
}

/// The whole query: the URL's, and after it the body's.
///
/// # Errors
/// A body that is no text.
pub fn whole_query(url: &str, body: &Bytes) -> Result<String, Fault> {
    let text = std::str::from_utf8(body).map_err(|_| faults::body("The query in the body is not UTF-8"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    let mut whole = String::with_capacity(url.len() + text.len() + 1);
    whole.push_str(url);
    if !url.is_empty() && !text.is_empty() {
        whole.push('&');
    }
    whole.push_str(text);
    Ok(whole)
}

/// Takes away a `Content-Location` that would be longer than clients can take.
pub fn shorten_location(headers: &mut HeaderMap) {
    if headers.get(CONTENT_LOCATION).is_some_and(|value| value.len() > LOCATION_BYTES_MAX) {
        headers.remove(CONTENT_LOCATION);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(method: &str, content_type: &str, named: &str) -> Option<Option<Method>> {
        let mut headers = HeaderMap::new();
        for (name, value) in [(CONTENT_TYPE, content_type), (X_HTTP_METHOD_OVERRIDE, named)] {
            if !value.is_empty() {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        stands_for(&Method::from_bytes(method.as_bytes()).unwrap(), &headers).ok()
    }

    #[test]
    fn only_forms_stand_for_reads() {
        let form = "application/x-www-form-urlencoded; charset=UTF-8";
        assert_eq!(read("POST", form, "GET"), Some(Some(Method::GET)));
        assert_eq!(read("POST", form, " head"), Some(Some(Method::HEAD)));
        assert_eq!(read("QUERY", form, ""), Some(Some(Method::GET)));
        assert_eq!(read("QUERY", "", ""), Some(Some(Method::GET)));
        assert_eq!(read("QUERY", "application/json", ""), None);
        for (method, content_type, named) in [
            ("POST", form, ""),
            ("POST", form, "DELETE"),
            ("POST", "application/json", "GET"),
            ("POST", "", "GET"),
            ("PATCH", form, "GET"),
            ("GET", form, "HEAD"),
            ("query", form, ""),
        ] {
            assert_eq!(read(method, content_type, named), Some(None), "{method} {content_type} {named}");
        }
    }

    #[test]
    fn the_body_continues_the_url() {
        let whole = |url, body: &'static str| whole_query(url, &Bytes::from_static(body.as_bytes())).unwrap();
        assert_eq!(whole("select=id", "id=eq.1\r\n"), "select=id&id=eq.1");
        assert_eq!(whole("", "id=eq.1"), "id=eq.1");
        assert_eq!(whole("a=eq.1", ""), "a=eq.1");
        assert!(whole_query("", &Bytes::from_static(b"a=\xff")).is_err());
    }
}
