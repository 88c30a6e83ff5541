//! What goes back: JSON answers, and refusals in the shape that the request's API version asks for.

use crate::refusal::{Refusal, Shape};
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

const API_VERSION: HeaderName = HeaderName::from_static("x-supabase-api-version");
const ERROR_CODE: HeaderName = HeaderName::from_static("x-sb-error-code");
/// From this date on clients get the error code in `code`.
const DATED: &str = "2024-01-01";

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let bytes = serde_json::to_vec(body).expect("answers are made of maps with text keys");
    with_body(status, bytes)
}

/// 200 with a JSON body.
pub(crate) fn ok(body: &impl Serialize) -> Response<Body> {
    json(StatusCode::OK, body)
}

/// 302 to a URL.
pub(crate) fn found(url: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    set(&mut response, "location", url);
    response
}

/// 303 to a URL.
pub(crate) fn see_other(url: &str) -> Response<Body> {
    let mut response = found(url);
    *response.status_mut() = StatusCode::SEE_OTHER;
    response
}

/// 204.
pub(crate) fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A path or method that does not exist, as plain text.
pub(crate) fn unrouted(status: StatusCode) -> Response<Body> {
    let text = if status == StatusCode::NOT_FOUND { "404 page not found\n" } else { "" };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Adds a header whose value is visible ASCII; others are dropped.
pub(crate) fn set(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// The answer for a refusal.
pub(crate) fn refusal(refusal: &Refusal, request: &HeaderMap) -> Response<Body> {
    let fault = &refusal.fault;
    let dated = is_dated(request);
    let request_id = request.get("x-request-id").and_then(|id| id.to_str().ok());
    // What the database said has the same form in both versions: its code is the SQLSTATE.
    let body = match refusal.shape {
        Shape::OAuth => fault::oauth_body(fault),
        Shape::Coded => fault::auth_body(fault, dated, request_id),
        Shape::Database => fault::auth_body(fault, true, request_id),
    };
    let mut response = with_body(fault.status, body);
    // Clients of OAuth look into the body.
    let code = match refusal.shape {
        Shape::Coded => Some(fault.code.as_ref()),
        Shape::Database => Some("unexpected_failure"),
        Shape::OAuth => None,
    };
    if let Some(code) = code.and_then(|code| HeaderValue::from_str(code).ok()) {
        response.headers_mut().insert(ERROR_CODE, code);
    }
    if dated {
        response.headers_mut().insert(API_VERSION, HeaderValue::from_static(DATED));
    }
    for (name, value) in &fault.headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

fn with_body(status: StatusCode, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether the request names a date from which errors have their new shape.
fn is_dated(headers: &HeaderMap) -> bool {
    let Some(date) = headers.get(API_VERSION).and_then(|value| value.to_str().ok()) else { return false };
    let digits = |range: std::ops::Range<usize>| {
        date.get(range).is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()))
    };
    let is_date = date.len() == 10
        && digits(0..4)
        && digits(5..7)
        && digits(8..10)
        && date.get(4..5) == Some("-")
        && date.get(7..8) == Some("-");
    is_date && date >= DATED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dates_from_2024_on_change_the_shape() {
        for (date, dated) in [
            ("2024-01-01", true),
            ("2026-05-05", true),
            ("2023-12-31", false),
            ("2024-1-1", false),
            ("x", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(API_VERSION, HeaderValue::from_static(date));
            assert_eq!(is_dated(&headers), dated, "{date}");
        }
    }
}
