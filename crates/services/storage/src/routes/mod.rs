//! Which function answers which path.

mod bucket;
pub(crate) mod copy;
mod delete;
mod download;
mod info;
mod list;
mod sign;
mod system;
mod upload;

use crate::Storage;
use crate::again;
use crate::call::{Call, Incoming, decoded};
use crate::refusal::{Outcome, Refusal};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::Value;

/// Answers a request of the REST surface.
pub(crate) async fn answer(storage: &Storage, call: &Call, body: Incoming) -> Outcome<Response<Body>> {
    if matches!(call.method, Method::GET | Method::HEAD) {
        return again::read(|| Box::pin(once(storage, call, Incoming::none()))).await;
    }
    once(storage, call, body).await
}

async fn once(storage: &Storage, call: &Call, body: Incoming) -> Outcome<Response<Body>> {
    let path = call.path.trim_start_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let read = matches!(call.method, Method::GET | Method::HEAD);
    match (first, read) {
        ("object", _) => object(storage, call, rest, body).await,
        ("render", true) => crate::render::answer(storage, call, rest).await,
        ("bucket", _) => bucket::answer(storage, call, rest, body).await,
        ("cdn", false) if call.method == Method::DELETE => system::purge(storage, call, rest).await,
        ("status", true) if rest.is_empty() => Ok(empty(StatusCode::OK)),
        ("version", true) if rest.is_empty() => Ok(system::version()),
        ("health", true) if rest.is_empty() => system::health(storage, call).await,
        _ => Err(no_route(call)),
    }
}

/// What comes after `/object/`: a word that names what is wanted, or a bucket.
async fn object(storage: &Storage, call: &Call, rest: &str, body: Incoming) -> Outcome<Response<Body>> {
    let (word, below) = rest.split_once('/').unwrap_or((rest, ""));
    let read = matches!(call.method, Method::GET | Method::HEAD);
    let post = call.method == Method::POST;
    match word {
        "public" | "authenticated" | "sign" if read && below.is_empty() => Err(no_route(call)),
        "public" if read => download::public(storage, call, &target(below)?).await,
        "authenticated" if read => download::authenticated(storage, call, &target(below)?).await,
        "sign" if read => download::signed(storage, call, &target(below)?).await,
        "info" if read => info::answer(storage, call, below).await,
        "sign" if post => match below.split_once('/') {
            Some(_) => sign::one(storage, call, &target(below)?, body).await,
            None => sign::many(storage, call, &bucket_of(below)?, body).await,
        },
        "list" if post => list::level(storage, call, &bucket_of(below)?, body).await,
        "list-v2" if post => list::second(storage, call, &bucket_of(below)?, body).await,
        "copy" if post && below.is_empty() => copy::copy(storage, call, body).await,
        "move" if post && below.is_empty() => copy::rename(storage, call, body).await,
        "upload" => match (below.strip_prefix("sign/"), &call.method) {
            (Some(below), &Method::POST) => sign::upload(storage, call, &target(below)?).await,
            (Some(below), &Method::PUT) => upload::signed(storage, call, &target(below)?, body).await,
            _ => plain(storage, call, rest, body).await,
        },
        _ => plain(storage, call, rest, body).await,
    }
}

/// `/object/<bucket>/<key>`
async fn plain(storage: &Storage, call: &Call, rest: &str, body: Incoming) -> Outcome<Response<Body>> {
    if call.method == Method::DELETE && !rest.is_empty() && !rest.contains('/') {
        return delete::many(storage, call, &bucket_of(rest)?, body).await;
    }
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() || (key.is_empty() && !rest.ends_with('/')) {
        return Err(no_route(call));
    }
    let target = target(rest)?;
    match call.method {
        Method::GET | Method::HEAD => download::lenient(storage, call, &target).await,
        Method::POST => upload::create(storage, call, &target, body).await,
        Method::PUT => upload::update(storage, call, &target, body).await,
        Method::DELETE => delete::one(storage, call, &target).await,
        _ => Err(no_route(call)),
    }
}

/// A bucket and a key as a path names them, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

/// The bucket and key in a raw path: each decoded once.
pub(crate) fn target(raw: &str) -> Outcome<Target> {
    let (bucket, key) = raw.split_once('/').unwrap_or((raw, ""));
    let key = decoded(key).ok_or_else(|| crate::refusal::invalid_key(key))?;
    Ok(Target { bucket: bucket_of(bucket)?, key })
}

fn bucket_of(raw: &str) -> Outcome<String> {
    decoded(raw.strip_suffix('/').unwrap_or(raw)).ok_or_else(crate::refusal::invalid_bucket)
}

pub(crate) fn no_route(call: &Call) -> Refusal {
    let query = if call.raw_query.is_empty() { String::new() } else { format!("?{}", call.raw_query) };
    let message = format!("Route {}:{}{query} not found", call.method, call.path);
    Refusal::new(404, "InvalidRequest", message).called("Not Found").openly()
}

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// A JSON answer.
pub(crate) fn json(value: &Value) -> Response<Body> {
    text_json(value.to_string())
}

/// An answer of JSON text.
pub(crate) fn text_json(text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(text.into()));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

pub(crate) fn message(text: &str) -> Response<Body> {
    json(&serde_json::json!({ "message": text }))
}

pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A refusal as the REST surface says it.
pub(crate) fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = text_json(refusal.body());
    *response.status_mut() = refusal.fault.status;
    for (name, value) in &refusal.fault.headers {
        response.headers_mut().append(name, value.clone());
    }
    response
}
