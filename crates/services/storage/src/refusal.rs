//! Refused requests: which code, which of the two statuses, which words.
//!
//! The status line and the `statusCode` in the body differ on purpose: clients of the reference read the latter, and
//! nearly everything is 400 on the line. Surfaces with statuses of their own (S3, TUS) use [`Refusal::inner`].

use fault::Fault;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use std::borrow::Cow;

/// A refused request, or its result.
pub(crate) type Outcome<T> = Result<T, Refusal>;

/// Why a request was refused, as every surface of storage can say it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) fault: Fault,
    /// The status that the refusal stands for.
    pub(crate) inner: u16,
    /// The word of the member `error`.
    pub(crate) error: Cow<'static, str>,
}

/// The status line for an inner status.
fn line(inner: u16) -> StatusCode {
    match inner {
        500 | 544 | 416 | 429 => StatusCode::from_u16(inner).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        _ => StatusCode::BAD_REQUEST,
    }
}

impl Refusal {
    /// A refusal whose `error` is its code.
    pub(crate) fn new(inner: u16, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { fault: Fault::new(line(inner), code, message), inner, error: code.into() }
    }

    #[must_use]
    pub(crate) fn called(mut self, error: &'static str) -> Refusal {
        self.error = error.into();
        self
    }

    /// With the inner status on the status line, too.
    #[must_use]
    pub(crate) fn openly(mut self) -> Refusal {
        self.fault.status = StatusCode::from_u16(self.inner).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self
    }

    #[must_use]
    pub(crate) fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Refusal {
        self.fault = self.fault.caused_by(cause);
        self
    }

    /// Whether this is the refusal with the code.
    pub(crate) fn is(&self, code: &str) -> bool {
        self.fault.code == code
    }

    /// Whether a row was found whose body is not there.
    pub(crate) fn is_body_gone(&self) -> bool {
        self.error == BODY_GONE
    }

    /// Another refusal, if this is one of the code.
    pub(crate) fn instead(self, code: &str, other: fn() -> Refusal) -> Refusal {
        if self.is(code) { other() } else { self }
    }

    /// The JSON body.
    pub(crate) fn body(&self) -> Vec<u8> {
        fault::storage_body(&self.fault, self.inner, &self.error)
    }
}

pub(crate) fn no_bucket() -> Refusal {
    Refusal::new(404, "NoSuchBucket", "Bucket not found").called("Bucket not found")
}

pub(crate) fn no_key() -> Refusal {
    Refusal::new(404, "NoSuchKey", "Object not found").called("not_found")
}

const BODY_GONE: &str = "Not found";

/// The row is there, the body is not.
pub(crate) fn no_body() -> Refusal {
    let mut refusal = Refusal::new(404, "NoSuchKey", "The resource was not found").called(BODY_GONE);
    refusal.fault.headers.push((CACHE_CONTROL, HeaderValue::from_static("no-store")));
    refusal
}

pub(crate) fn no_relation() -> Refusal {
    Refusal::new(404, "InvalidRequest", "The related resource does not exist")
}

pub(crate) fn exists(code: &'static str) -> Refusal {
    Refusal::new(409, code, "The resource already exists").called("Duplicate")
}

pub(crate) fn not_empty() -> Refusal {
    Refusal::new(409, "ResourceNotEmpty", "The bucket you tried to delete is not empty")
}

pub(crate) fn denied(message: impl Into<String>) -> Refusal {
    Refusal::new(403, "AccessDenied", message).called("Unauthorized")
}

pub(crate) fn rls() -> Refusal {
    denied("new row violates row-level security policy")
}

/// A route that is the service role's.
pub(crate) fn not_service() -> Refusal {
    denied("Access denied: Invalid role").openly()
}

pub(crate) fn invalid_jwt(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidJWT", message)
}

pub(crate) fn invalid_signature(message: &'static str) -> Refusal {
    Refusal::new(400, "InvalidSignature", message)
}

pub(crate) fn invalid_key(key: &str) -> Refusal {
    Refusal::new(400, "InvalidKey", format!("Invalid key: {key}"))
}

pub(crate) fn invalid_bucket() -> Refusal {
    Refusal::new(400, "InvalidBucketName", "Bucket name invalid").called("Invalid Input")
}

pub(crate) fn invalid_mime(mime: &str) -> Refusal {
    Refusal::new(415, "InvalidMimeType", format!("mime type {mime} is not supported"))
        .called("invalid_mime_type")
}

pub(crate) fn invalid_content_type() -> Refusal {
    Refusal::new(415, "InvalidMimeType", "Invalid Content-Type header").called("invalid_mime_type")
}

pub(crate) fn too_large() -> Refusal {
    Refusal::new(413, "EntityTooLarge", "The object exceeded the maximum allowed size")
        .called("Payload too large")
}

/// The object is not as the client said it must be.
pub(crate) fn precondition_failed() -> Refusal {
    let message = "At least one of the pre-conditions you specified did not hold";
    Refusal::new(412, "PreconditionFailed", message)
}

pub(crate) fn invalid_range() -> Refusal {
    Refusal::new(416, "InvalidRange", "invalid range provided").called("invalid_range")
}

pub(crate) fn invalid_request(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidRequest", message)
}

/// What the request's schema does not allow.
pub(crate) fn schema(message: impl Into<String>) -> Refusal {
    invalid_request(message).called("Error")
}

pub(crate) fn invalid_parameter(name: &str) -> Refusal {
    Refusal::new(400, "InvalidParameter", format!("Invalid Parameter {name}"))
}

pub(crate) fn disabled(feature: &str) -> Refusal {
    Refusal::new(409, "FeatureNotEnabled", format!("The feature {feature} is not enabled for this resource"))
        .with_line(StatusCode::FORBIDDEN)
}

/// Other requests hold the memory that there is.
pub(crate) fn no_room() -> Refusal {
    Refusal::new(503, "SlowDown", "Too many large requests at once").openly()
}

pub(crate) fn aborted() -> Refusal {
    Refusal::new(499, "Aborted", "The request was aborted by the client").openly()
}

pub(crate) fn internal(message: &'static str) -> Refusal {
    Refusal::new(500, "InternalError", message)
}

impl Refusal {
    #[must_use]
    pub(crate) fn with_line(mut self, status: StatusCode) -> Refusal {
        self.fault.status = status;
        self
    }
}

impl From<pg::Error> for Refusal {
    fn from(error: pg::Error) -> Refusal {
        let refusal = match error.sqlstate() {
            Some(state) => of_state(state, error.db().map(|e| e.message.as_str()).unwrap_or_default()),
            None => of_lost(&error),
        };
        refusal.caused_by(error)
    }
}

fn of_lost(error: &pg::Error) -> Refusal {
    match error {
        pg::Error::PoolTimeout => {
            Refusal::new(429, "SlowDown", "Too many connections issued to the database")
                .called("too_many_connections")
        }
        pg::Error::Io(io) if io.kind() == std::io::ErrorKind::TimedOut => {
            Refusal::new(544, "DatabaseTimeout", "The transaction took too long")
        }
        pg::Error::Timeout => {
            Refusal::new(544, "DatabaseTimeout", "The connection to the database timed out")
        }
        _ => internal("Internal server error"),
    }
}

fn of_state(state: &str, message: &str) -> Refusal {
    match state {
        "42501" => of_privilege(message),
        "23505" => exists("ResourceAlreadyExists"),
        "23503" => no_relation(),
        // What is not of its type, and texts that PostgreSQL cannot keep: those with a NUL.
        "22P02" | "22P05" | "22021" => invalid_request_parameter(),
        // A role that the database does not know, named by a token.
        "22023" if message.starts_with("role ") => denied("Access denied: Invalid role"),
        "57014" => {
            Refusal::new(544, "DatabaseTimeout", "The statement was cancelled because it took too long")
        }
        "55P03" => Refusal::new(503, "LockTimeout", "The resource is in use by another request")
            .called("acquiring_lock_timeout"),
        "25006" => Refusal::new(503, "DatabaseReadOnly", "The database is read-only"),
        "42P01" | "42703" => Refusal::new(503, "DatabaseSchemaMismatch", "The database schema is not ready"),
        "42P17" => {
            Refusal::new(503, "DatabaseInvalidObjectDefinition", "A policy of the database is malformed")
        }
        "25P02" => Refusal::new(500, "DatabaseTransactionAborted", "The transaction was aborted"),
        "53300" | "57P03" => Refusal::new(429, "SlowDown", "Too many connections issued to the database")
            .called("too_many_connections"),
        // What a user's trigger raised.
        "P0001" => Refusal::new(400, "DatabaseError", message.to_owned()),
        other => Refusal::new(500, "DatabaseError", format!("database error, code: {other}")),
    }
}

fn of_privilege(message: &str) -> Refusal {
    // Policies on `storage.objects` say the table's name; clients are told the reference's shorter form.
    if message.starts_with("new row violates row-level security policy") {
        rls()
    } else {
        denied("Access denied")
    }
}

fn invalid_request_parameter() -> Refusal {
    Refusal::new(400, "InvalidParameter", "Invalid text representation")
}

impl From<blob::Error> for Refusal {
    fn from(error: blob::Error) -> Refusal {
        let refusal = match &error {
            blob::Error::NotFound => no_body(),
            blob::Error::Full => {
                Refusal::new(507, "InsufficientStorage", "There is no space left for files").openly()
            }
            blob::Error::Slow => {
                Refusal::new(503, "SlowDown", "The file storage did not answer in time").openly()
            }
            _ => internal("Internal server error"),
        };
        refusal.caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_hides_most_statuses() {
        assert_eq!((no_key().fault.status.as_u16(), no_key().inner), (400, 404));
        assert_eq!(not_service().fault.status.as_u16(), 403);
        assert_eq!(invalid_range().fault.status.as_u16(), 416);
        assert_eq!(of_state("57014", "").fault.status.as_u16(), 544);
        assert_eq!(of_state("XX000", "").fault.status.as_u16(), 500);
        for unkept in ["22021", "22P05"] {
            assert_eq!(of_state(unkept, "").inner, 400, "{unkept}");
        }
        assert_eq!(disabled("x").fault.status.as_u16(), 403);
    }

    #[test]
    fn bodies_are_texts_only() {
        let body: serde_json::Value = serde_json::from_slice(&no_bucket().body()).unwrap();
        let wanted = serde_json::json!({ "statusCode": "404", "error": "Bucket not found",
            "message": "Bucket not found", "code": "NoSuchBucket" });
        assert_eq!(body, wanted);
    }

    #[test]
    fn policies_refuse_without_naming_tables() {
        let refusal = of_state("42501", "new row violates row-level security policy for table \"objects\"");
        assert_eq!(refusal.fault.message, "new row violates row-level security policy");
        assert_eq!(of_state("42501", "permission denied for table x").fault.message, "Access denied");
    }
}
