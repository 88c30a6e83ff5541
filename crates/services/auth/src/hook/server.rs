//! Asking a server of the project's owner: one signed POST, as Standard Webhooks has it, tried again when it cannot
//! be reached.

use crate::Auth;
use crate::refusal::{Outcome, Refusal, internal, refuse};
use crate::settings::Hook;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use model::Secret;
use ring::hmac;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

const TRIES: u32 = 3;
/// Bytes of an answer.
pub(super) const ANSWER_BYTES_MAX: usize = 200 * 1024;

/// Sends the payload and returns the answer's body; nothing when there is none.
pub(super) async fn ask(auth: &Auth, hook: &Hook, url: &Uri, payload: Bytes) -> Outcome<Option<Bytes>> {
    let pace = auth.settings.hooks.pace;
    let deadline = Instant::now() + pace.timeout;
    for attempt in 1..=TRIES {
        let request = signed(auth, hook, url, payload.clone())?;
        let limits = outbound::Limits {
            timeout: deadline.saturating_duration_since(Instant::now()),
            body: ANSWER_BYTES_MAX,
        };
        match auth.settings.outbound.send(request, limits).await {
            Ok(answer) if asks_to_come_back(&answer) => {}
            Ok(answer) => return read(answer),
            Err(outbound::Error::Timeout) => return Err(too_slow(pace.timeout)),
            Err(outbound::Error::TooLarge) => return Err(too_large()),
            Err(error @ outbound::Error::Address(_)) => {
                tracing::warn!(%hook, %error, "a hook cannot be called");
                return Err(internal("Failed to reach hook", error));
            }
            Err(error @ (outbound::Error::Connect(_) | outbound::Error::Io(_))) => {
                tracing::warn!(%hook, %error, attempt, "a hook was not reached");
                if attempt == TRIES {
                    let message = "Failed to reach hook after maximum retries";
                    return Err(refuse(422, "hook_timeout_after_retry", message));
                }
                if Instant::now() + pace.pause >= deadline {
                    return Err(too_slow(pace.timeout));
                }
                tokio::time::sleep(pace.pause).await;
            }
        }
    }
    Err(failed("Service currently unavailable due to hook"))
}

/// A request with its own id, time and signatures.
pub(super) fn signed(auth: &Auth, hook: &Hook, url: &Uri, payload: Bytes) -> Outcome<Request<Bytes>> {
    let (id, now) = (Uuid::new_v4().to_string(), auth.clock.unix_seconds());
    let mut content = format!("{id}.{now}.").into_bytes();
    content.extend_from_slice(&payload);
    let signatures = hook.keys.iter().map(|key| sign(key, &content)).collect::<Outcome<Vec<_>>>()?;
    Request::post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", now)
        .header("webhook-signature", signatures.join(", "))
        .body(payload)
        .map_err(|error| internal("Hook failed to make request object", error))
}

fn sign(key: &Secret, content: &[u8]) -> Outcome<String> {
    let key = B64.decode(key.expose()).map_err(|_| failed("Error generating signatures"))?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    Ok(format!("v1,{}", B64.encode(hmac::sign(&key, content))))
}

pub(super) fn asks_to_come_back(answer: &Response<Bytes>) -> bool {
    matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
        && answer.headers().get(header::RETRY_AFTER).is_some_and(|value| !value.is_empty())
}

pub(super) fn read(answer: Response<Bytes>) -> Outcome<Option<Bytes>> {
    match answer.status().as_u16() {
        204 => Ok(None),
        200 | 202 => {
            check_type(answer.headers())?;
            Ok(Some(answer.into_body()))
        }
        429 | 503 => Err(failed("Service currently unavailable due to hook")),
        400 => Err(failed("Invalid payload sent to hook")),
        401 => Err(failed("Hook requires authorization token")),
        other => Err(failed(format!("Unexpected status code returned from hook: {other}"))),
    }
}

fn check_type(headers: &HeaderMap) -> Outcome<()> {
    let bad = |message: String| Err(refuse(400, "hook_payload_invalid_content_type", message));
    let Some(given) = headers.get(header::CONTENT_TYPE).filter(|value| !value.is_empty()) else {
        return bad("Invalid Content-Type: Missing Content-Type header".to_owned());
    };
    let given = given.to_str().unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    bad(format!("Invalid JSON response. Received content-type: {given}"))
}

fn too_slow(timeout: Duration) -> Refusal {
    let message = format!("Failed to reach hook within maximum time of {:.6} seconds", timeout.as_secs_f64());
    refuse(422, "hook_timeout", message)
}

fn too_large() -> Refusal {
    let message = format!("Payload size exceeded size limit of {ANSWER_BYTES_MAX} bytes");
    refuse(422, "hook_payload_over_size_limit", message)
}

fn failed(message: impl Into<String>) -> Refusal {
    refuse(500, "unexpected_failure", message)
}
