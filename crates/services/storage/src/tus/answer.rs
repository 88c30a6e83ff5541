//! Answers: what all of them carry.

use super::head::VERSION;
use crate::refusal::Refusal;
use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const EXPOSED: &str = "Authorization, Content-Type, Location, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, \
                       Tus-Complete, Upload-Concat, Upload-Defer-Length, Upload-Expires, Upload-Length, \
                       Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, X-Requested-With, X-Forwarded-Host, \
                       X-Forwarded-Proto, Forwarded";
const ALLOWED: &str = "Authorization, Content-Type, Location, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, \
                       Upload-Concat, Upload-Defer-Length, Upload-Length, Upload-Metadata, Upload-Offset, \
                       X-HTTP-Method-Override, X-Requested-With, X-Forwarded-Host, X-Forwarded-Proto, Forwarded, \
                       X-Upsert, Upload-Expires, ApiKey, x-signature";
const EXTENSIONS: &str = "creation,creation-with-upload,creation-defer-length,termination,expiration";

/// A successful answer without a body.
#[derive(Debug)]
pub(super) struct Answer(Response<Body>);

impl Answer {
    pub(super) fn new(status: StatusCode) -> Answer {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        Answer(response)
    }

    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Answer {
        // What cannot stand in a header was not taken from one either.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers_mut().insert(HeaderName::from_static(name), value);
        }
        self
    }

    pub(super) fn into_response(self) -> Response<Body> {
        common(self.0)
    }
}

/// A refusal, with the status that it stands for.
pub(super) fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = Response::new(Body::from(refusal.fault.message.clone()));
    *response.status_mut() = StatusCode::from_u16(refusal.inner).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if response.status() == StatusCode::PRECONDITION_FAILED {
        // The client may speak another version of the protocol.
        response.headers_mut().insert("tus-version", HeaderValue::from_static(VERSION));
    }
    common(response)
}

/// What a client may do here.
pub(super) fn options(size_max: u64) -> Response<Body> {
    Answer::new(StatusCode::NO_CONTENT)
        .with("tus-version", VERSION)
        .with("tus-extension", EXTENSIONS)
        .with("tus-max-size", &size_max.to_string())
        .with("access-control-allow-methods", "POST, HEAD, PATCH, OPTIONS, DELETE")
        .with("access-control-allow-headers", ALLOWED)
        .with("access-control-max-age", "86400")
        .into_response()
}

/// Adds what every answer carries.
pub(super) fn common(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(TUS_RESUMABLE, HeaderValue::from_static(VERSION));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    response
}
