//! Refusals as S3 says them: real statuses, AWS's codes, XML.

use super::xml;
use crate::refusal::{self, Refusal};
use axum::body::Body;
use http::{Method, Response, StatusCode, header};

/// The answer to a refused request.
pub(super) fn answer(refusal: &Refusal, method: &Method, resource: &str) -> Response<Body> {
    let status = StatusCode::from_u16(refusal.inner).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    for (name, value) in &refusal.fault.headers {
        response.headers_mut().append(name, value.clone());
    }
    if *method != Method::HEAD {
        let code = code(&refusal.fault.code);
        *response.body_mut() = Body::from(fault::s3_body(&refusal.fault, code, resource));
        response.headers_mut().insert(header::CONTENT_TYPE, xml::TYPE);
    }
    response
}

/// The word for a code that clients of S3 know by another.
fn code(code: &str) -> &str {
    match code {
        "ResourceNotEmpty" => "BucketNotEmpty",
        other => other,
    }
}

impl From<sigv4::Error> for Refusal {
    fn from(error: sigv4::Error) -> Refusal {
        use sigv4::Error as E;
        let (status, code) = match error {
            E::Missing | E::Unsigned | E::PolicyRefused(_) => (403, "AccessDenied"),
            E::Malformed(_) => (400, "AuthorizationHeaderMalformed"),
            E::Mismatch => (403, "SignatureDoesNotMatch"),
            E::Skewed => (403, "RequestTimeTooSkewed"),
            E::Expired => (400, "ExpiredToken"),
            E::Body(_) => (400, "InvalidRequest"),
            E::TooLarge(_) => (413, "EntityTooLarge"),
            E::Incomplete => (400, "IncompleteBody"),
            E::PolicyMalformed(_) => (400, "InvalidPolicyDocument"),
        };
        Refusal::new(status, code, error.to_string())
    }
}

pub(super) fn invalid_access_key() -> Refusal {
    refusal::denied("Invalid Access Key")
}

pub(super) fn not_implemented(what: &str) -> Refusal {
    let message =
        format!("A header or query you provided implies functionality that is not implemented: {what}");
    Refusal::new(501, "NotImplemented", message)
}

pub(super) fn method_not_allowed() -> Refusal {
    Refusal::new(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
}

pub(super) fn bad_digest(header: &str) -> Refusal {
    Refusal::new(400, "BadDigest", format!("The {header} you specified did not match what was received"))
}

pub(super) fn invalid_digest() -> Refusal {
    Refusal::new(400, "InvalidDigest", "The Content-MD5 you specified is not valid.")
}

pub(super) fn invalid_checksum(header: &str) -> Refusal {
    refusal::invalid_request(format!("Value for {header} header is invalid."))
}

pub(super) fn wrong_hash() -> Refusal {
    let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    Refusal::new(400, "XAmzContentSHA256Mismatch", message)
}

pub(super) fn no_length() -> Refusal {
    Refusal::new(400, "MissingContentLength", "You must provide the Content-Length HTTP header.")
}

pub(super) fn too_small() -> Refusal {
    Refusal::new(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
}

pub(super) fn no_upload() -> Refusal {
    Refusal::new(404, "NoSuchUpload", "Upload not found")
}

pub(super) fn too_many_uploads() -> Refusal {
    let message = "Too many uploads in parts are open: complete or abort some of them first";
    Refusal::new(400, "TooManyUploads", message)
}

pub(super) fn invalid_part() -> Refusal {
    let message = "One or more of the specified parts could not be found. The part may not have been uploaded, or the \
                   specified entity tag may not match the part's entity tag.";
    Refusal::new(400, "InvalidPart", message)
}

pub(super) fn invalid_order() -> Refusal {
    let message = "The list of parts was not in ascending order. Parts must be ordered by part number.";
    Refusal::new(400, "InvalidPartOrder", message)
}

pub(super) fn invalid_argument(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidArgument", message)
}

pub(super) fn disabled() -> Refusal {
    Refusal::new(403, "FeatureNotEnabled", "The feature s3Protocol is not enabled for this resource")
}
