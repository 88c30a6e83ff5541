//! Writing objects in one piece.

use super::{Target, json};
use crate::Storage;
use crate::call::{Call, Incoming};
use crate::caller::Identity;
use crate::mime;
use crate::names::{BucketName, ObjectKey};
use crate::refusal::{self, Outcome};
use crate::signed;
use crate::upload::{Permission, Source, Stored, Wanted, user_metadata};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Response, header};
use serde_json::json;

/// `POST /object/<bucket>/…`
pub(crate) async fn create(
    storage: &Storage,
    call: &Call,
    target: &Target,
    body: Incoming,
) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    let upsert = call.says_true("x-upsert");
    own(storage, call, target, body, identity, (upsert, "storage.object.upload")).await
}

/// `PUT /object/<bucket>/…`
pub(crate) async fn update(
    storage: &Storage,
    call: &Call,
    target: &Target,
    body: Incoming,
) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    own(storage, call, target, body, identity, (true, "storage.object.upload_update")).await
}

async fn own(
    storage: &Storage,
    call: &Call,
    target: &Target,
    body: Incoming,
    identity: Identity,
    (upsert, operation): (bool, &'static str),
) -> Outcome<Response<Body>> {
    let stored =
        store(storage, call, target, body, identity, (Permission::Policies, upsert, operation)).await?;
    Ok(json(&json!({ "Key": path_of(target), "Id": stored.text("id") })))
}

/// `PUT /object/upload/sign/…?token=`
pub(crate) async fn signed(
    storage: &Storage,
    call: &Call,
    target: &Target,
    body: Incoming,
) -> Outcome<Response<Body>> {
    let token = call
        .query("token")
        .ok_or_else(|| refusal::schema("querystring must have required property 'token'"))?;
    let granted =
        signed::check_upload(&storage.settings, token, &target.bucket, &target.key, call.unix_seconds())?;
    let permission = Permission::Token { owner: granted.owner };
    let how = (permission, granted.upsert, "storage.object.upload_signed");
    store(storage, call, target, body, Identity::service(), how).await?;
    Ok(json(&json!({ "Key": path_of(target) })))
}

async fn store(
    storage: &Storage,
    call: &Call,
    target: &Target,
    body: Incoming,
    identity: Identity,
    (permission, upsert, operation): (Permission, bool, &'static str),
) -> Outcome<Stored> {
    let scope = call.scope(identity, operation);
    let bucket = BucketName::parse(&target.bucket)?;
    let key = match storage.key(&target.key) {
        Ok(key) => key,
        Err(refused) => {
            let exists = storage.bucket(&scope, bucket.as_str()).await?.is_some();
            return Err(if exists { refused } else { refusal::no_bucket() });
        }
    };
    let mut wanted = wanted(storage, call, bucket, key, upsert);
    wanted.permission = permission;
    let source = Source::of(call, body.patient(storage.settings.idle_timeout)).await?;
    wanted = source.complete(wanted)?;
    storage.store(&scope, wanted, source).await
}

/// What the headers of an upload say.
pub(crate) fn wanted(
    storage: &Storage,
    call: &Call,
    bucket: BucketName,
    key: ObjectKey,
    upsert: bool,
) -> Wanted {
    let content_type = call.header(header::CONTENT_TYPE);
    Wanted {
        bucket,
        key,
        mime: content_type.unwrap_or(mime::DEFAULT).to_owned(),
        cache_control: call.header(header::CACHE_CONTROL).unwrap_or("no-cache").to_owned(),
        robots: call.header("x-robots-tag").map(str::to_owned),
        user_metadata: Some(header_metadata(call).unwrap_or_else(|| "{}".to_owned())),
        declared: call.content_length(),
        is_exact: !content_type.is_some_and(|t| t.starts_with("multipart/form-data")),
        upsert,
        if_match: None,
        permission: Permission::Policies,
        limit: storage.settings.standard_limit(),
    }
}

/// The header `x-metadata`: an object in base64.
pub(crate) fn header_metadata(call: &Call) -> Option<String> {
    let text = STANDARD.decode(call.header("x-metadata")?.trim()).ok()?;
    user_metadata(std::str::from_utf8(&text).ok()?)
}

fn path_of(target: &Target) -> String {
    [target.bucket.as_str(), "/", target.key.as_str()].concat()
}
