//! What is not about files: status, version, health, caches in front.

use super::Target;
use crate::Storage;
use crate::call::Call;
use crate::cdn::Purged;
use crate::db::{As, Step, Work};
use crate::refusal::{self, Outcome};
use crate::schema_check::Fields;
use axum::body::Body;
use http::{HeaderValue, Response, header};
use serde_json::json;

pub(crate) fn version() -> Response<Body> {
    let mut response = Response::new(Body::from(env!("CARGO_PKG_VERSION")));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Whether the database answers.
pub(crate) async fn health(storage: &Storage, call: &Call) -> Outcome<Response<Body>> {
    if call.is_unsigned() {
        return Err(refusal::denied("Invalid Compact JWS"));
    }
    let scope = call.scope(call.identity(&storage.settings)?, "storage.health");
    let mut work = Work::new(&scope, As::Service);
    work.service(Step::new("select id from storage.buckets limit 1", []));
    let healthy = storage.db.run(&scope, work).await.is_ok();
    Ok(super::json(&json!({ "healthy": healthy })))
}

/// `DELETE /cdn[/<bucket>[/<key>]]`: takes objects out of caches in front, be they there or not.
pub(crate) async fn purge(storage: &Storage, call: &Call, below: &str) -> Outcome<Response<Body>> {
    if !call.identity(&storage.settings)?.is_service() {
        return Err(refusal::not_service());
    }
    let mut fields = Fields::of_query(&call.query);
    let pictures = fields.flag("transformations").unwrap_or_default();
    fields.finish()?;
    let Target { bucket, key } = super::target(below)?;
    let what = match (bucket.is_empty(), key.is_empty()) {
        (true, true) => Purged::All,
        (true, false) => return Err(refusal::invalid_bucket()),
        (false, true) => Purged::Bucket(bucket),
        (false, false) => Purged::Object(bucket, key),
    };
    storage.purge(&what, pictures).await?;
    Ok(super::message("success"))
}
