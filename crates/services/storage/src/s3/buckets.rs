//! Buckets.

use super::xml::Xml;
use super::{Ask, refused};
use crate::db::{As, Work};
use crate::names::BucketName;
use crate::refusal::{self, Outcome};
use crate::store::buckets::{self, Bucket, Listing, New};
use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

/// `GET /`
pub(super) async fn list(ask: &Ask<'_>) -> Outcome<Response<Body>> {
    let scope = ask.scope("storage.s3.bucket.list");
    let mut work = Work::new(&scope, As::Caller);
    let rows = work.caller(buckets::list(
        &Listing { sort: Some(("name", true)), ..Listing::default() },
        ask.storage.layout,
    ));
    let results = ask.storage.db.run(&scope, work).await?;
    let mut xml = Xml::new("ListAllMyBucketsResult");
    xml.begin("Buckets");
    for row in results.of(rows)?.iter() {
        let bucket: Value = row.json(0)?;
        let text = |name: &str| bucket.get(name).and_then(Value::as_str);
        xml.begin("Bucket");
        xml.maybe("Name", text("name")).maybe("CreationDate", text("created_at"));
        xml.end();
    }
    Ok(xml.answer())
}

/// A bucket that the caller sees.
async fn visible(ask: &Ask<'_>, bucket: &BucketName, operation: &'static str) -> Outcome<Bucket> {
    let scope = ask.scope(operation);
    let mut work = Work::new(&scope, As::Caller);
    let found = work.caller(buckets::find(bucket.as_str()));
    let results = ask.storage.db.run(&scope, work).await?;
    Ok(results.of(found)?.first().ok_or_else(refusal::no_bucket)?.json(0)?)
}

/// `GET /<bucket>?location`
pub(super) async fn location(ask: &Ask<'_>, bucket: &BucketName) -> Outcome<Response<Body>> {
    visible(ask, bucket, "storage.s3.bucket.get_location").await?;
    // The root is the element here: its text is the region.
    let document = Xml::text_root("LocationConstraint", &ask.storage.settings.s3.region);
    Ok(document.answer())
}

/// `GET /<bucket>?versioning`
pub(super) async fn versioning(ask: &Ask<'_>, bucket: &BucketName) -> Outcome<Response<Body>> {
    visible(ask, bucket, "storage.s3.bucket.get_versioning").await?;
    let mut xml = Xml::new("VersioningConfiguration");
    xml.leaf("Status", "Suspended").leaf("MfaDelete", "Disabled");
    Ok(xml.answer())
}

/// `HEAD /<bucket>`
pub(super) async fn head(ask: &Ask<'_>, bucket: &BucketName) -> Outcome<Response<Body>> {
    visible(ask, bucket, "storage.s3.bucket.head").await?;
    let mut response = Response::new(Body::empty());
    if let Ok(region) = HeaderValue::from_str(&ask.storage.settings.s3.region) {
        response.headers_mut().insert("x-amz-bucket-region", region);
    }
    Ok(response)
}

/// `PUT /<bucket>`
pub(super) async fn create(ask: &Ask<'_>, bucket: BucketName) -> Outcome<Response<Body>> {
    let bucket = BucketName::parse_new(bucket.as_str())?;
    let new = New {
        id: bucket.as_str(),
        name: bucket.as_str(),
        owner: ask.identity.owner(),
        owner_id: ask.identity.subject.as_deref(),
        public: ask.call.header("x-amz-acl").is_some_and(|acl| acl == "public-read"),
        ..New::default()
    };
    if ask
        .call
        .header("x-amz-bucket-object-lock-enabled")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    {
        return Err(refused::not_implemented("x-amz-bucket-object-lock-enabled"));
    }
    ask.storage.create_bucket(&ask.scope("storage.s3.bucket.create"), &new).await?;
    let mut response = Response::new(Body::empty());
    let path = ["/", &sigv4::encode(bucket.as_str())].concat();
    if let Ok(location) = HeaderValue::from_str(&path) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// `DELETE /<bucket>`
pub(super) async fn delete(ask: &Ask<'_>, bucket: &BucketName) -> Outcome<Response<Body>> {
    ask.storage.delete_bucket(&ask.scope("storage.s3.bucket.delete"), bucket).await?;
    Ok(no_content())
}

pub(super) fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
