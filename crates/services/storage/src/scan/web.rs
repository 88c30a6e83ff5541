//! A scanner behind a URL: the file by POST, the verdict as JSON.

use super::{Failure, Verdict};
use http::{HeaderValue, Request, StatusCode, Uri, header};
use model::Secret;
use serde::Deserialize;
use std::time::Duration;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What the scanner answers with status 200.
#[derive(Deserialize)]
struct Answer {
    infected: bool,
    #[serde(default)]
    signature: Option<String>,
}

pub(super) async fn scan(
    client: &outbound::Client,
    url: &Uri,
    token: Option<&Secret>,
    timeout: Duration,
    body: blob::Reading,
) -> Result<Verdict, Failure> {
    let mut request = Request::post(url.clone()).header(header::CONTENT_TYPE, "application/octet-stream");
    if let Some(token) = token {
        let mut bearer = HeaderValue::try_from(["Bearer ", token.expose()].concat())
            .map_err(|_| Failure::Said("its token cannot stand in a header".to_owned()))?;
        bearer.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, bearer);
    }
    let request = request.body(body).map_err(|error| Failure::Said(error.to_string()))?;
    let answer = client.send_body(request, outbound::Limits { timeout, body: ANSWER_BYTES_MAX }).await?;
    if answer.status() != StatusCode::OK {
        return Err(Failure::Said(answer.status().to_string()));
    }
    let answer: Answer = serde_json::from_slice(answer.body())
        .map_err(|_| Failure::Said("something that is no verdict".to_owned()))?;
    Ok(if answer.infected {
        Verdict::Infected(answer.signature.unwrap_or_default().chars().take(200).collect())
    } else {
        Verdict::Clean
    })
}
