//! The answer to a batch: one object an operation, in their order.

use super::Done;
use crate::config::Settings;
use crate::response;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fault::Fault;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Shown {
    status: u16,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    body: Option<Box<RawValue>>,
}

/// The answer to a batch that took effect. An operation whose own settings of its response make no sense has that fault
/// as its result: the transaction is over.
///
/// # Errors
/// A result that cannot be written, which is ours.
pub async fn results(done: Vec<Done>, settings: &Settings) -> Result<Response<Body>, Fault> {
    let mut shown = Vec::with_capacity(done.len());
    for Done { prepared, outcome } in done {
        let response = response::rows(outcome, &prepared.request, &prepared.plan, settings);
        let response = response.unwrap_or_else(|mut fault| {
            response::show_schemas(&mut fault, settings);
            response::fault_response(&fault, settings)
        });
        shown.push(show(response).await?);
    }
    let text = serde_json::to_vec(&shown).map_err(internal)?;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    *response.body_mut() = Body::from(text);
    Ok(response)
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Fault {
    crate::faults::internal("The results could not be written").caused_by(error)
}

async fn show(response: Response<Body>) -> Result<Shown, Fault> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(internal)?.to_bytes();
    let (encoding, body) = written(&body, &parts.headers)?;
    Ok(Shown { status: parts.status.as_u16(), headers: headers(&parts.headers), encoding, body })
}

/// The headers that tell something here, repeated ones joined.
fn headers(all: &HeaderMap) -> BTreeMap<String, String> {
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in all.iter().filter(|(name, _)| ![CONTENT_LENGTH, VARY].contains(name)) {
        let value = String::from_utf8_lossy(value.as_bytes());
        shown
            .entry(name.as_str().to_owned())
            .and_modify(|text| {
                text.push_str(", ");
                text.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    shown
}

/// JSON as it is, other texts as JSON texts, bytes in base 64.
fn written(
    body: &Bytes,
    headers: &HeaderMap,
) -> Result<(Option<&'static str>, Option<Box<RawValue>>), Fault> {
    if body.is_empty() {
        return Ok((None, None));
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = content_type.split(';').next().unwrap_or_default().trim();
    let text = std::str::from_utf8(body).ok();
    if name == "application/json" || name.ends_with("+json") {
        let json = text.and_then(|text| serde_json::from_str::<Box<RawValue>>(text).ok());
        if json.is_some() {
            return Ok((None, json));
        }
    }
    let (encoding, text) = match text {
        Some(text) => (None, text.to_owned()),
        None => (Some("base64"), STANDARD.encode(body)),
    };
    let json = serde_json::value::to_raw_value(&text).map_err(internal)?;
    Ok((encoding, Some(json)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_shown_by_their_type() {
        let shown = |content_type: &'static str, body: &'static [u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            let (encoding, json) = written(&Bytes::from_static(body), &headers).unwrap();
            (encoding, json.map(|json| json.get().to_owned()))
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(shown("application/json; charset=utf-8", b"[1.50]"), (None, text("[1.50]")));
        assert_eq!(shown("application/json", b"[1"), (None, text("\"[1\"")));
        assert_eq!(shown("text/csv", b"a\n1"), (None, text("\"a\\n1\"")));
        assert_eq!(shown("image/png", b"\xff\x00"), (Some("base64"), text("\"/wA=\"")));
        assert_eq!(shown("text/csv", b""), (None, None));
    }
}
