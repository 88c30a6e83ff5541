//! Reading objects.

use super::Target;
use crate::Storage;
use crate::call::Call;
use crate::caller::Identity;
use crate::find::Right;
use crate::refusal::{self, Outcome};
use crate::serve::Manner;
use crate::signed;
use axum::body::Body;
use http::{Method, Response};
use serde_json::Value;

/// `GET|HEAD /object/public/…`: anybody, of public buckets.
pub(crate) async fn public(storage: &Storage, call: &Call, target: &Target) -> Outcome<Response<Body>> {
    let operation =
        if call.method == Method::HEAD { "storage.object.info_public" } else { "storage.object.get_public" };
    read(storage, call, target, Identity::anonymous(), Right::Public, operation).await
}

/// `GET|HEAD /object/authenticated/…`: callers, under their policies.
pub(crate) async fn authenticated(
    storage: &Storage,
    call: &Call,
    target: &Target,
) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    read(storage, call, target, identity, Right::Caller, operation_of(call)).await
}

/// `GET|HEAD /object/<bucket>/…`: callers under their policies, and anybody what is public.
pub(crate) async fn lenient(storage: &Storage, call: &Call, target: &Target) -> Outcome<Response<Body>> {
    match call.lenient(&storage.settings) {
        Some(identity) => read(storage, call, target, identity, Right::Caller, operation_of(call)).await,
        None => {
            let anonymous = Identity::anonymous();
            read(storage, call, target, anonymous, Right::Public, "storage.object.get_public").await
        }
    }
}

fn operation_of(call: &Call) -> &'static str {
    if call.method == Method::HEAD {
        "object.head_authenticated_info"
    } else {
        "storage.object.get_authenticated"
    }
}

async fn read(
    storage: &Storage,
    call: &Call,
    target: &Target,
    identity: Identity,
    right: Right,
    operation: &'static str,
) -> Outcome<Response<Body>> {
    let scope = call.scope(identity, operation);
    let found = storage.find(&scope, right, &target.bucket, &target.key).await?;
    if call.method == Method::HEAD {
        let mut response = storage.head(call, &found);
        crate::render::echo(storage, call, &mut response)?;
        return Ok(response);
    }
    storage.serve(call, &found, Manner::default()).await
}

/// `GET|HEAD /object/sign/…?token=`: whoever has the URL.
pub(crate) async fn signed(storage: &Storage, call: &Call, target: &Target) -> Outcome<Response<Body>> {
    let token = call
        .query("token")
        .ok_or_else(|| refusal::schema("querystring must have required property 'token'"))?;
    let claims =
        signed::check_download(&storage.settings, token, &target.bucket, &target.key, call.unix_seconds())?;
    // Whoever was given a smaller picture was not given the picture.
    if claims.get("transformations").and_then(Value::as_str).is_some_and(|text| !text.is_empty()) {
        return Err(refusal::invalid_signature("Invalid signature"));
    }
    let scope = call.scope(Identity::service(), "storage.object.get_signed");
    let found = storage.find(&scope, Right::Token, &target.bucket, &target.key).await?;
    let expires = claims.get("exp").and_then(Value::as_u64);
    storage.serve(call, &found, Manner { expires }).await
}
