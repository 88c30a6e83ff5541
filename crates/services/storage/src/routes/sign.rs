//! Making signed URLs.

use super::{Target, json};
use crate::Storage;
use crate::call::{Call, Incoming};
use crate::db::{As, Work};
use crate::find::Right;
use crate::names::BucketName;
use crate::refusal::{self, Outcome};
use crate::render::Transform;
use crate::routes::upload::wanted;
use crate::signed;
use crate::store::objects;
use axum::body::Body;
use http::{Response, header};
use serde_json::{Value, json};
use std::collections::HashSet;

/// The most objects that are signed at once.
const PATHS_MAX: usize = 1000;
/// Said of objects that are not there, and of those that the caller may not see.
const NOT_THERE: &str = "Either the object does not exist or you do not have access to it";

/// `POST /object/sign/<bucket>/…`
pub(crate) async fn one(
    storage: &Storage,
    call: &Call,
    target: &Target,
    mut body: Incoming,
) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    let mut fields = body.fields(&call.headers).await?;
    let seconds = fields.required_integer("expiresIn", 1);
    let transform = fields.object("transform").filter(|options| !options.is_empty());
    fields.finish()?;
    let transform = match transform {
        Some(options) if storage.settings.images.enabled => {
            let transform = Transform::of_body(options, &storage.settings.images)?;
            Some((transform.claim(), transform.format_word())).filter(|(claim, _)| !claim.is_empty())
        }
        _ => None,
    };
    let scope = call.scope(identity, "storage.object.sign");
    let found = storage.find(&scope, Right::Policies, &target.bucket, &target.key).await;
    let found = found.map_err(|refused| refused.instead("NoSuchBucket", refusal::no_key))?;
    let of = (found.bucket.as_str(), found.key.as_str());
    let options = transform.as_ref().map(|(claim, format)| (claim.as_str(), *format));
    let token =
        signed::download(&storage.settings, of, options, call.unix_seconds(), seconds.unsigned_abs())?;
    let way = if transform.is_some() { "/render/image/sign/" } else { "/object/sign/" };
    let url = [way, of.0, "/", of.1, "?token=", &token].concat();
    Ok(json(&json!({ "signedURL": url })))
}

/// `POST /object/sign/<bucket>`
pub(crate) async fn many(
    storage: &Storage,
    call: &Call,
    bucket: &str,
    mut body: Incoming,
) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    let mut fields = body.fields(&call.headers).await?;
    let seconds = fields.required_integer("expiresIn", 1);
    let paths = fields.required_texts("paths", 1, PATHS_MAX);
    fields.finish()?;
    let bucket = BucketName::parse(bucket)?;
    let scope = call.scope(identity, "storage.object.sign_many");
    let mut work = Work::new(&scope, As::Caller);
    let visible = work.caller(objects::visible_of(bucket.as_str(), &paths));
    let results = storage.db.run(&scope, work).await?;
    let visible: HashSet<&str> = results.of(visible)?.iter().filter_map(|row| row.text(0)).collect();
    let mut answers = Vec::with_capacity(paths.len());
    for path in &paths {
        answers.push(if visible.contains(path.as_str()) {
            let of = (bucket.as_str(), path.as_str());
            let token =
                signed::download(&storage.settings, of, None, call.unix_seconds(), seconds.unsigned_abs())?;
            let url = ["/object/sign/", of.0, "/", of.1, "?token=", &token].concat();
            json!({ "error": null, "path": path, "signedURL": url })
        } else {
            json!({ "error": NOT_THERE, "path": path, "signedURL": null })
        });
    }
    Ok(json(&Value::Array(answers)))
}

/// `POST /object/upload/sign/<bucket>/…`
pub(crate) async fn upload(storage: &Storage, call: &Call, target: &Target) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    let (bucket, key) = (BucketName::parse(&target.bucket)?, storage.key(&target.key)?);
    let upsert = call.says_true("x-upsert");
    let owner = identity.subject.clone();
    let scope = call.scope(identity, "storage.object.sign_upload_url");
    let mut wanted = wanted(storage, call, bucket, key, upsert);
    // The length is that of this request's own body, not of the file to come.
    wanted.is_exact = false;
    wanted.mime = call.header(header::CONTENT_TYPE).unwrap_or_default().to_owned();
    let permitted = storage.permit_key(&scope, &wanted).await;
    permitted.map_err(|refused| refused.instead("NoSuchBucket", refusal::no_relation))?;
    let of = (target.bucket.as_str(), target.key.as_str());
    let token = signed::upload(&storage.settings, of, owner.as_deref(), upsert, call.unix_seconds())?;
    let url = ["/object/upload/sign/", of.0, "/", of.1, "?token=", &token].concat();
    Ok(json(&json!({ "url": url, "token": token })))
}
