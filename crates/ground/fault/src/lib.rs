//! The one shape in which things go wrong, and the one place that renders it.
//!
//! A [`Fault`] carries what the client may know (status, code, message, details, hint, headers) and, apart
//! from it, the cause for the log. Each public surface has its own JSON body; all of them are written here,
//! so that no other crate builds an error body.

mod body;

pub use body::{
    auth_body, gateway_body, oauth_body, push_xml, rest_batch_body, rest_batch_body_minimal, rest_body,
    rest_body_minimal, s3_body, storage_body,
};

use http::{HeaderName, HeaderValue, StatusCode};
use std::borrow::Cow;
use std::fmt;

/// A failed request, as its client will see it.
pub struct Fault {
    pub status: StatusCode,
    /// The code by which clients tell faults apart: `PGRST205`, `42501`, `invalid_credentials`.
    pub code: Cow<'static, str>,
    pub message: String,
    /// Any JSON: PostgREST's details are usually text, sometimes an array of candidates.
    pub details: Option<serde_json::Value>,
    pub hint: Option<String>,
    /// Headers that the answer carries beside the usual ones.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The reason phrase of the status line, when a database function chose one.
    pub reason: Option<String>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Fault {
    /// A fault with a status, a code and a message for the client.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Fault {
            status,
            code: code.into(),
            message: message.into(),
            details: None,
            hint: None,
            headers: Vec::new(),
            reason: None,
            cause: None,
        }
    }

    #[must_use]
    pub fn with_details(mut self, details: impl Into<serde_json::Value>) -> Self {
        self.details = Some(details.into());
        self
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Keeps what lies behind the fault, for the log only.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What lies behind the fault. Never shown to a client.
    pub fn cause(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.cause.as_deref()
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("status", &self.status.as_u16())
            .field("code", &self.code)
            .field("message", &self.message)
            .field("details", &self.details)
            .field("hint", &self.hint)
            .field("cause", &self.cause.as_ref().map(ToString::to_string))
            .finish()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.message)
    }
}

impl std::error::Error for Fault {}
