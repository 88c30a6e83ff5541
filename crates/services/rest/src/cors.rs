//! Cross-origin requests, for a server that browsers reach without a gateway before it.

use crate::config::Settings;
use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use http::{HeaderMap, HeaderValue, Method, Response};

const METHODS: &str = "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD";
const EXPOSED: &str = "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, \
                       Transfer-Encoding, Range-Unit";

/// Who may read a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    origin: HeaderValue,
    credentials: bool,
}

impl Grant {
    /// The grant for a request's origin; nothing without one, or when it is not among those allowed.
    pub fn of(headers: &HeaderMap, settings: &Settings) -> Option<Self> {
        let origin = headers.get(ORIGIN)?;
        let allowed = &settings.server_cors_allowed_origins;
        if allowed.is_empty() {
            return Some(Grant { origin: HeaderValue::from_static("*"), credentials: false });
        }
        let listed = origin.to_str().is_ok_and(|origin| allowed.iter().any(|item| item == origin));
        listed.then(|| Grant { origin: origin.clone(), credentials: true })
    }

    /// Adds the grant to a response.
    pub fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }

    /// Adds what a response to an actual request needs.
    pub fn expose(&self, headers: &mut HeaderMap) {
        self.apply(headers);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        if headers.contains_key("next-cursor") {
            // Beyond the reference's list, for answers that are beyond its protocol.
            headers
                .append(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("ETag, Link, Next-Cursor"));
        }
    }
}

/// The answer to a preflight request, if this is one.
pub fn preflight(method: &Method, headers: &HeaderMap, settings: &Settings) -> Option<Response<Body>> {
    if *method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let grant = Grant::of(headers, settings)?;
    let mut response = Response::new(Body::empty());
    let reply = response.headers_mut();
    grant.apply(reply);
    reply.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    reply.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    let asked =
        headers.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked: Vec<&str> = asked.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let names: Vec<&str> = ["Authorization"]
        .into_iter()
        .chain(asked)
        .chain(["Accept", "Accept-Language", "Content-Language"])
        .collect();
    if let Ok(value) = HeaderValue::try_from(names.join(", ")) {
        reply.insert(ACCESS_CONTROL_ALLOW_HEADERS, value);
    }
    Some(response)
}
