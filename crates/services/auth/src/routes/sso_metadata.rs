//! The metadata of identity providers: read from their address, kept, and read again when they are stale.

use crate::Auth;
use crate::call::Call;
use crate::moment::Moment;
use crate::refusal::{Outcome, Refusal, database, internal, invalid, refuse};
use crate::store::sso_providers::{self, SsoProvider};
use bytes::Bytes;
use http::{Request, StatusCode};
use outbound::Limits;
use saml::IdentityProvider;
use std::time::Duration;

/// Metadata may be this long, and reading them take so long.
const BYTES_MAX: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(5);

/// Metadata with what they say.
pub(super) struct Read {
    pub(super) text: String,
    pub(super) provider: IdentityProvider,
}

/// Reads metadata that somebody gave.
pub(super) fn read(text: String) -> Outcome<Read> {
    let provider = IdentityProvider::parse(&text).map_err(|error| invalid(error.to_string()))?;
    Ok(Read { text, provider })
}

/// Reads metadata from their address.
pub(super) async fn fetch(auth: &Auth, url: &str) -> Outcome<Read> {
    let failed = |why: String| {
        let message = format!("{why} fetching SAML Metadata from URL '{url}'");
        refuse(400, "saml_metadata_fetch_failed", message)
    };
    let request = Request::get(url)
        .header("accept", "application/xml;charset=UTF-8")
        .header("accept-charset", "UTF-8")
        .body(Bytes::new())
        .map_err(|_| invalid("metadata_url is not a valid URL"))?;
    let limits = Limits { timeout: TIMEOUT, body: BYTES_MAX };
    let response = auth.settings.outbound.send(request, limits).await;
    let response = response.map_err(|error| failed(format!("Error ({error})")))?;
    if response.status() != StatusCode::OK {
        return Err(failed(format!("HTTP {} error", response.status().as_u16())));
    }
    let text = String::from_utf8(response.into_body().to_vec()).map_err(|_| {
        invalid("SAML Metadata XML contains invalid UTF-8 characters, which are not supported at this time")
    })?;
    read(text)
}

/// The metadata of a provider as they are now. Those that cannot be read again are used as they were.
pub(super) async fn current(auth: &Auth, call: &Call, provider: &SsoProvider) -> Outcome<IdentityProvider> {
    let saml = &provider.saml;
    let kept = IdentityProvider::parse(&saml.metadata_xml)
        .map_err(|error| internal("Error parsing SAML Metadata for SAML provider", error))?;
    let read_at = saml.updated_at.unwrap_or(call.now).time();
    let Some(url) = saml.metadata_url.as_deref().filter(|url| !url.is_empty()) else {
        warn_of_end(provider, &kept, call.now);
        return Ok(kept);
    };
    if !kept.is_stale(read_at, call.now.time()) || !auth.saml.may_try(provider.id, call.now) {
        return Ok(kept);
    }
    match fetch(auth, url).await {
        Ok(read) if read.provider.entity_id == saml.entity_id => {
            let renewed = auth.db.one(sso_providers::renew(provider.id, &read.text, call.now)).await;
            renewed.map_err(database("Database error updating SAML metadata"))?;
            Ok(read.provider)
        }
        Ok(_) => {
            tracing::warn!(provider = %provider.id, "SAML metadata are of another entity now; the old ones are used");
            Ok(kept)
        }
        Err(Refusal { fault, .. }) => {
            tracing::warn!(provider = %provider.id, why = %fault.message, "SAML metadata could not be read again");
            Ok(kept)
        }
    }
}

fn warn_of_end(provider: &SsoProvider, metadata: &IdentityProvider, now: Moment) {
    const MONTH: Duration = Duration::from_secs(30 * 86_400);
    if metadata.valid_until.is_some_and(|end| Moment::from_time(end) <= now.plus(MONTH)) {
        tracing::warn!(provider = %provider.id, "SAML metadata end soon: update its metadata_xml");
    }
}
