//! What is known of an object, without its bytes.

use super::{Target, no_route, target, text_json};
use crate::Storage;
use crate::call::Call;
use crate::caller::Identity;
use crate::find::{Found, Right};
use crate::metadata::http_date;
use crate::refusal::Outcome;
use crate::serve;
use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, header};
use serde_json::{Value, json};

/// `GET|HEAD /object/info/…`
pub(crate) async fn answer(storage: &Storage, call: &Call, below: &str) -> Outcome<Response<Body>> {
    let (word, rest) = below.split_once('/').unwrap_or((below, ""));
    match word {
        "public" => show(storage, call, &target(rest)?, Identity::anonymous(), Right::Public).await,
        "authenticated" => {
            let identity = call.identity(&storage.settings)?;
            show(storage, call, &target(rest)?, identity, Right::Caller).await
        }
        _ if rest.is_empty() => Err(no_route(call)),
        _ => match call.lenient(&storage.settings) {
            Some(identity) => show(storage, call, &target(below)?, identity, Right::Caller).await,
            None => show(storage, call, &target(below)?, Identity::anonymous(), Right::Public).await,
        },
    }
}

async fn show(
    storage: &Storage,
    call: &Call,
    target: &Target,
    identity: Identity,
    right: Right,
) -> Outcome<Response<Body>> {
    let operation = match right {
        Right::Public => "storage.object.info_public",
        // The reference leaves the first part out of these two.
        _ => "object.get_authenticated_info",
    };
    let found = storage.find(&call.scope(identity, operation), right, &target.bucket, &target.key).await?;
    let mut response = text_json(described(&found).to_string());
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::ETAG, &found.etag());
    set(header::CACHE_CONTROL, &serve::own_word(call, &found));
    if let Some(at) = found.modified() {
        set(header::LAST_MODIFIED, &http_date(at));
    }
    crate::render::echo(storage, call, &mut response)?;
    Ok(response)
}

fn described(found: &Found) -> Value {
    let user: Value =
        found.user_metadata.as_deref().and_then(|m| serde_json::from_str(m).ok()).unwrap_or_default();
    let metadata = &found.metadata;
    json!({
        "id": found.id,
        "name": found.key,
        "version": found.version,
        "bucket_id": found.bucket,
        "size": metadata.size,
        "content_type": metadata.mimetype,
        "cache_control": metadata.cache_control,
        "etag": found.etag(),
        "metadata": user,
        "last_modified": found.updated_at,
        "created_at": found.created_at,
    })
}
