//! `POST /sso` and `GET /sso/saml/metadata`: on the way to an identity provider.

use crate::Auth;
use crate::call::Call;
use crate::flow::pkce::ChallengeFields;
use crate::refusal::{Outcome, database, internal, invalid, refuse};
use crate::reply;
use crate::store::db::first;
use crate::store::relay_states::{self, Start};
use crate::store::sso_providers::{self, SsoProvider};
use axum::body::Body;
use http::Response;
use saml::{IdentityProvider, name_id};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug, Deserialize)]
struct Params {
    #[serde(default)]
    provider_id: Option<Uuid>,
    #[serde(default)]
    domain: Option<String>,
    #[serde(default)]
    redirect_to: Option<String>,
    #[serde(default)]
    skip_http_redirect: Option<bool>,
    #[serde(flatten)]
    challenge: ChallengeFields,
}

/// `POST /sso`
pub(super) async fn start(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let service = auth.service_provider()?;
    let params: Params = call.json()?;
    let provider = find(auth, &params).await?;
    if !provider.is_enabled() {
        return Err(refuse(404, "sso_provider_disabled", "SSO Provider is currently disabled"));
    }
    let challenge = params.challenge.read()?;
    let redirect_to = params.redirect_to.unwrap_or_default();
    let (id, request_id) = (Uuid::new_v4(), format!("id-{}", Uuid::new_v4().simple()));
    let metadata = IdentityProvider::parse(&provider.saml.metadata_xml)
        .map_err(|error| internal("Error parsing SAML Metadata for SAML provider", error))?;
    let no_way = "its metadata name no address for the redirect binding";
    let location = metadata
        .redirect_location
        .ok_or_else(|| internal("Error creating SAML Authentication Request", no_way))?;
    let format = provider.saml.name_id_format.as_deref().unwrap_or(name_id::PERSISTENT);
    let url = service
        .redirect_url(&location, &request_id, format, &id.to_string(), call.now.time())
        .map_err(|error| internal("Error creating SAML authentication request redirect URL", error))?;
    let start = Start {
        id,
        provider: provider.id,
        request_id: &request_id,
        redirect_to: &redirect_to,
        challenge: challenge.as_ref(),
    };
    let written = auth.db.run(relay_states::start(&start, call.now).to_vec()).await;
    written.map_err(database("Error creating SAML relay state from sign up"))?;
    if params.skip_http_redirect == Some(true) {
        return Ok(reply::ok(&json!({ "url": url })));
    }
    Ok(reply::see_other(&url))
}

async fn find(auth: &Auth, params: &Params) -> Outcome<SsoProvider> {
    let id = params.provider_id.filter(|id| !id.is_nil());
    let domain = params.domain.as_deref().filter(|domain| !domain.is_empty());
    let (step, missing) = match (id, domain) {
        (Some(_), Some(_)) => return Err(invalid("Only one of provider_id or domain supported")),
        (None, None) => return Err(invalid("A provider_id or domain needs to be provided")),
        (Some(id), None) => (sso_providers::by_id(id), "No such SSO provider"),
        (None, Some(domain)) => {
            (sso_providers::by_domain(domain), "No SSO provider assigned for this domain")
        }
    };
    let rows = auth.db.one(step).await.map_err(database("Unable to find SSO provider"))?;
    let found = first(&rows).map_err(database("Unable to find SSO provider"))?;
    found.ok_or_else(|| refuse(404, "sso_provider_not_found", missing))
}

/// `GET /sso/saml/metadata`
pub(super) fn metadata(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let service = auth.service_provider()?;
    let is_download = call.form("download") == "true";
    let valid = if is_download { DAY * 365 * 5 } else { DAY * 2 };
    let metadata = service
        .metadata(call.now.plus(valid).time())
        .map_err(|error| internal("Error creating SAML metadata", error))?;
    let mut response = Response::new(Body::from(metadata));
    reply::set(&mut response, "content-type", "application/xml");
    // While keys change, nobody should hold on to the old ones.
    let cache = if service.has_next_key() { "public, max-age=60" } else { "public, max-age=600" };
    reply::set(&mut response, "cache-control", cache);
    if is_download {
        reply::set(&mut response, "content-disposition", "attachment; filename=\"metadata.xml\"");
    }
    Ok(response)
}
