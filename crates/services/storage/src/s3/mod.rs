//! The S3 protocol, path-style: `/s3/<bucket>/<key>`.
//!
//! A request is authenticated by its signature (`identity`), its body is held against what the signature promised
//! (`body`), and then it is the same upload, download or deletion as on the REST surface: policies are asked in the
//! same place, objects are the same objects. Only words differ: XML, AWS's codes, real statuses (`xml`, `refused`).
//!
//! What AWS has and this has not is refused with 501. Taken for something simpler, `PUT ?acl` would overwrite the
//! object with the text of its permissions.

mod body;
mod buckets;
mod checksum;
mod copy;
mod delete;
mod form;
mod identity;
mod listing;
mod multipart;
mod objects;
mod parts;
mod refused;
mod uploads;
mod xml;

pub(crate) use body::Checked;

use crate::Storage;
use crate::call::{Call, Incoming, decoded};
use crate::caller::Identity;
use crate::db::Scope;
use crate::names::BucketName;
use crate::refusal::{self, Outcome};
use axum::body::Body;
use http::{HeaderValue, Method, Response, header};
use sigv4::Verified;

/// Where the protocol lives below the storage.
const PREFIX: &str = "/s3";

/// A signed request.
struct Ask<'a> {
    storage: &'a Storage,
    call: &'a Call,
    identity: Identity,
    verified: Verified,
}

impl Ask<'_> {
    fn scope(&self, operation: &'static str) -> Scope {
        self.call.scope(self.identity.clone(), operation)
    }

    /// Whether a parameter was given, with or without a value.
    fn has(&self, name: &str) -> bool {
        self.call.query(name).is_some()
    }

    /// A number in the query, from `least` on.
    fn number(&self, name: &str, least: u64) -> Outcome<Option<u64>> {
        let Some(text) = self.call.query(name) else { return Ok(None) };
        match text.parse::<u64>() {
            Ok(number) if number >= least => Ok(Some(number)),
            Ok(_) => Err(refusal::invalid_request(format!("Querystring, {name} must be >= {least}"))),
            Err(_) => Err(refusal::invalid_request(format!("Querystring, {name} must be integer"))),
        }
    }
}

/// Whether a path is of this protocol.
pub(crate) fn is_ours(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request of the protocol.
pub(crate) async fn answer(storage: &Storage, call: &Call, body: Incoming) -> Response<Body> {
    let place = Place::of(&call.path);
    let answered = dispatch(storage, call, &place, body.patient(storage.settings.idle_timeout)).await;
    let closes = is_unheard(call, answered.is_err());
    let mut response = answered.unwrap_or_else(|refusal| {
        crate::log(&refusal);
        refused::answer(&refusal, &call.method, &place.resource())
    });
    if closes {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether the client waits for `100 Continue` and gets an answer instead. botocore takes the next answer on such a
/// connection for a part of this one.
fn is_unheard(call: &Call, refused: bool) -> bool {
    let waits = call.header(header::EXPECT).is_some_and(|e| e.eq_ignore_ascii_case("100-continue"));
    waits && (refused || call.content_length() == Some(0))
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Service,
    Bucket(String),
    Object(String, String),
    /// No text.
    Nothing,
}

impl Place {
    fn of(path: &str) -> Place {
        let rest = path.strip_prefix(PREFIX).unwrap_or(path).trim_start_matches('/');
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        match (decoded(bucket), decoded(key)) {
            (Some(bucket), Some(_)) if bucket.is_empty() => Place::Service,
            (Some(bucket), Some(key)) if key.is_empty() => Place::Bucket(bucket),
            (Some(bucket), Some(key)) => Place::Object(bucket, key),
            _ => Place::Nothing,
        }
    }

    fn resource(&self) -> String {
        match self {
            Place::Service | Place::Nothing => String::new(),
            Place::Bucket(bucket) => bucket.clone(),
            Place::Object(bucket, key) => [bucket, "/", key].concat(),
        }
    }
}

async fn dispatch(storage: &Storage, call: &Call, place: &Place, body: Incoming) -> Outcome<Response<Body>> {
    if !storage.settings.s3.enabled {
        return Err(refused::disabled());
    }
    let Some(signed) = identity::of_request(storage, call)? else {
        return match place {
            Place::Bucket(bucket) if call.method == Method::POST && is_form(call) => {
                form::upload(storage, call, BucketName::parse(bucket)?, body).await
            }
            _ => Err(identity::missing()),
        };
    };
    let ask = Ask { storage, call, identity: signed.identity, verified: signed.verified };
    refuse_unknown(&ask, place)?;
    match place {
        Place::Service if call.method == Method::GET => buckets::list(&ask).await,
        Place::Service => Err(refused::method_not_allowed()),
        Place::Bucket(bucket) => of_bucket(&ask, BucketName::parse(bucket)?, body).await,
        Place::Object(bucket, key) => of_object(&ask, BucketName::parse(bucket)?, key, body).await,
        Place::Nothing => Err(refusal::invalid_key("")),
    }
}

fn is_form(call: &Call) -> bool {
    call.header(header::CONTENT_TYPE)
        .is_some_and(|t| t.to_ascii_lowercase().starts_with("multipart/form-data"))
}

async fn of_bucket(ask: &Ask<'_>, bucket: BucketName, body: Incoming) -> Outcome<Response<Body>> {
    match ask.call.method {
        Method::GET if ask.has("location") => buckets::location(ask, &bucket).await,
        Method::GET if ask.has("versioning") => buckets::versioning(ask, &bucket).await,
        Method::GET if ask.has("uploads") => uploads::list(ask, &bucket).await,
        Method::GET if ask.has("versions") => listing::versions(ask, &bucket).await,
        Method::GET => listing::list(ask, &bucket).await,
        Method::HEAD => buckets::head(ask, &bucket).await,
        Method::PUT => buckets::create(ask, bucket).await,
        Method::DELETE => buckets::delete(ask, &bucket).await,
        Method::POST if ask.has("delete") => delete::many(ask, &bucket, body).await,
        _ => Err(refused::method_not_allowed()),
    }
}

async fn of_object(ask: &Ask<'_>, bucket: BucketName, key: &str, body: Incoming) -> Outcome<Response<Body>> {
    let upload = ask.call.query("uploadId");
    let copies = ask.call.header("x-amz-copy-source").is_some();
    match (&ask.call.method, upload) {
        (&Method::GET, Some(id)) => uploads::parts(ask, &bucket, key, id).await,
        (&Method::GET, None) if ask.has("tagging") => objects::tagging(ask, &bucket, key).await,
        (&Method::GET, None) => objects::get(ask, &bucket, key).await,
        (&Method::HEAD, _) => objects::head(ask, &bucket, key).await,
        (&Method::PUT, Some(id)) if copies => parts::copy(ask, bucket, key, id).await,
        (&Method::PUT, Some(id)) => parts::upload(ask, bucket, key, id, body).await,
        (&Method::PUT, None) if copies => copy::copy(ask, bucket, key).await,
        (&Method::PUT, None) => objects::put(ask, bucket, key, body).await,
        (&Method::POST, Some(id)) => multipart::complete(ask, bucket, key, id, body).await,
        (&Method::POST, None) if ask.has("uploads") => multipart::create(ask, bucket, key).await,
        (&Method::DELETE, Some(id)) => multipart::abort(ask, bucket, key, id).await,
        (&Method::DELETE, None) => delete::one(ask, &bucket, key).await,
        _ => Err(refused::method_not_allowed()),
    }
}

/// Parts of AWS's protocol that change what a request means and are not here.
const UNKNOWN: [&str; 35] = [
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "annotation",
    "attributes",
    "cors",
    "encryption",
    "encryptionConfiguration",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "logging",
    "metadataConfiguration",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "resourcePolicy",
    "restore",
    "retention",
    "select",
    "session",
    "torrent",
    "website",
    "object-lambda",
    "append",
];

/// Headers that promise what is not kept here: keys of the client's own, and locks.
const UNKNOWN_HEADERS: [&str; 5] = [
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-legal-hold",
    "x-amz-write-offset-bytes",
];

fn refuse_unknown(ask: &Ask<'_>, place: &Place) -> Outcome<()> {
    if let Some(name) = UNKNOWN.iter().find(|name| ask.has(name)) {
        return Err(refused::not_implemented(name));
    }
    if let Some(name) = UNKNOWN_HEADERS.iter().find(|name| ask.call.headers.contains_key(**name)) {
        return Err(refused::not_implemented(name));
    }
    let get = ask.call.method == Method::GET;
    let known_for_reading = ["location", "versioning", "versions", "tagging"];
    if let Some(name) = known_for_reading.iter().find(|name| ask.has(name) && !get) {
        return Err(refused::not_implemented(name));
    }
    // Tags are of objects, and there are none; those of a bucket are not even that.
    if ask.has("tagging") && !matches!(place, Place::Object(..)) {
        return Err(refused::not_implemented("tagging"));
    }
    refuse_misplaced(ask)?;
    match ask.call.query("versionId") {
        None | Some("null" | "") => Ok(()),
        Some(_) => Err(refused::not_implemented("versionId")),
    }
}

/// What makes a request another one is not passed over where it makes no sense: a part of an upload would become the
/// object.
fn refuse_misplaced(ask: &Ask<'_>) -> Outcome<()> {
    let method = &ask.call.method;
    let writes = !matches!(*method, Method::GET | Method::HEAD);
    if writes && *method != Method::POST && (ask.has("uploads") || ask.has("delete")) {
        return Err(refused::method_not_allowed());
    }
    if writes && ask.has("partNumber") && !ask.has("uploadId") {
        return Err(refusal::invalid_request("Querystring, must have required property 'uploadId'"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let object = |bucket: &str, key: &str| Place::Object(bucket.to_owned(), key.to_owned());
        assert_eq!(Place::of("/s3"), Place::Service);
        assert_eq!(Place::of("/s3/"), Place::Service);
        assert_eq!(Place::of("/s3/b"), Place::Bucket("b".to_owned()));
        assert_eq!(Place::of("/s3/b/"), Place::Bucket("b".to_owned()));
        assert_eq!(Place::of("/s3/b/k"), object("b", "k"));
        assert_eq!(Place::of("/s3/b//k/"), object("b", "/k/"));
        assert_eq!(Place::of("/s3/b/a%20b%2Fc%252F"), object("b", "a b/c%2F"));
        assert_eq!(Place::of("/s3/b/%ff"), Place::Nothing);
        assert!(is_ours("/s3") && is_ours("/s3/b") && !is_ours("/s3b") && !is_ours("/object/s3"));
    }
}
