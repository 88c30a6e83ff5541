//! Cross-origin rules: any origin may call, as with Supabase; the keys and policies protect the data.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Response, header};

const ANY: HeaderValue = HeaderValue::from_static("*");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, QUERY, POST, PUT, PATCH, DELETE, OPTIONS");
/// Told to a preflight that names no headers.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, apikey, content-type, accept, accept-profile, content-profile, prefer, range, range-unit, \
     x-client-info, x-supabase-api-version, x-retry-count",
);
const MAX_AGE: HeaderValue = HeaderValue::from_static("86400");
/// What scripts may read of answers to which the service gave no such list itself.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "content-range, content-location, content-profile, location, link, preference-applied, x-total-count, \
     x-supabase-api-version, x-sb-error-code, x-request-id, sb-request-id, retry-after, etag, next-cursor, \
     accept-ranges, content-disposition, content-encoding, last-modified, x-transformations",
);

/// Whether a browser asks beforehand whether it may send a request.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight: it may, with whatever headers it names.
pub(crate) fn preflight(asked: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let allowed = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).filter(|v| !v.is_empty());
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed.cloned().unwrap_or(HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

/// Opens an answer to every origin, unless the service has said something itself.
pub(crate) fn open(headers: &mut HeaderMap) {
    if !headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
        headers.entry(header::ACCESS_CONTROL_EXPOSE_HEADERS).or_insert(EXPOSED);
    }
}
