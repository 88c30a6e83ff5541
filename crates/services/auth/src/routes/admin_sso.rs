//! `/admin/sso/providers`: which identity providers sign people in, by administrators.

use super::sso_metadata::{self, Read};
use crate::Auth;
use crate::call::Call;
use crate::flow::attribute_mapping::AttributeMapping;
use crate::guard;
use crate::refusal::{Outcome, Refusal, database, invalid, refuse};
use crate::reply;
use crate::store::db::{all, first, last};
use crate::store::sso_providers::{self, Domain, SamlProvider, SsoProvider};
use axum::body::Body;
use http::{Response, StatusCode};
use saml::name_id;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

const FAILED: &str = "Database error finding SSO Identity Provider";
const FORMATS: [&str; 4] = [name_id::PERSISTENT, name_id::EMAIL, name_id::TRANSIENT, name_id::UNSPECIFIED];
const DOMAINS_MAX: usize = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Params {
    #[serde(rename = "type")]
    kind: Option<String>,
    metadata_url: Option<String>,
    metadata_xml: Option<String>,
    domains: Option<Vec<String>>,
    attribute_mapping: Option<AttributeMapping>,
    name_id_format: Option<String>,
    resource_id: Option<String>,
    disabled: Option<bool>,
}

/// Where metadata are from.
enum Source {
    None,
    Text(String),
    Url(String),
}

impl Params {
    /// What is given of the metadata, checked with the other fields.
    fn check(&self) -> Outcome<Source> {
        let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        let source = match (given(&self.metadata_xml), given(&self.metadata_url)) {
            (Some(_), Some(_)) => {
                return Err(invalid("Only one of metadata_xml or metadata_url needs to be set"));
            }
            (Some(text), None) => Source::Text(text),
            (None, Some(url)) => Source::Url(check_url(url)?),
            (None, None) => Source::None,
        };
        let format = self.name_id_format.as_deref().unwrap_or_default();
        if !format.is_empty() && !FORMATS.contains(&format) {
            let message = format!("name_id_format must be unspecified or one of {}", FORMATS.join(", "));
            return Err(invalid(message));
        }
        let domains = self.domains.as_deref().unwrap_or_default();
        if domains.len() > DOMAINS_MAX || domains.iter().any(|domain| domain.trim().is_empty()) {
            return Err(invalid(format!("domains must be up to {DOMAINS_MAX} names, none of them empty")));
        }
        Ok(source)
    }

    fn name_id_format(&self) -> Option<String> {
        self.name_id_format.clone().filter(|format| !format.is_empty())
    }

    fn domains(&self) -> &[String] {
        self.domains.as_deref().unwrap_or_default()
    }
}

fn check_url(url: String) -> Outcome<String> {
    let parsed = url.parse::<http::Uri>().ok().filter(|uri| uri.host().is_some());
    let parsed = parsed.ok_or_else(|| invalid("metadata_url is not a valid URL"))?;
    if parsed.scheme_str() != Some("https") {
        return Err(invalid("metadata_url is not a HTTPS URL"));
    }
    Ok(url)
}

/// The metadata and, if they were read from there, their address.
async fn load(auth: &Auth, source: Source) -> Outcome<Option<(Read, Option<String>)>> {
    Ok(match source {
        Source::None => None,
        Source::Text(text) => Some((sso_metadata::read(text)?, None)),
        Source::Url(url) => Some((sso_metadata::fetch(auth, &url).await?, Some(url))),
    })
}

/// `GET /admin/sso/providers`
pub(super) async fn list(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    guard::admin(auth, call).await?;
    let step = sso_providers::list(call.query("resource_id"), call.query("resource_id_prefix"));
    let rows = auth.db.one(step).await.map_err(database(FAILED))?;
    let mut providers: Vec<SsoProvider> = all(&rows).map_err(database(FAILED))?;
    for provider in &mut providers {
        provider.saml.metadata_xml.clear();
    }
    Ok(reply::ok(&json!({ "items": providers })))
}

/// `POST /admin/sso/providers`
pub(super) async fn create(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    guard::admin(auth, call).await?;
    let params: Params = call.json()?;
    if params.kind.as_deref() != Some("saml") {
        return Err(invalid("Only 'saml' supported for SSO provider type"));
    }
    let loaded = load(auth, params.check()?).await?;
    let (read, metadata_url) =
        loaded.ok_or_else(|| invalid("Either metadata_xml or metadata_url must be set"))?;
    let entity_id = read.provider.entity_id;
    let found = auth.db.one(sso_providers::by_entity(&entity_id)).await.map_err(database(FAILED))?;
    if !found.is_empty() {
        return Err(entity_exists(&entity_id));
    }
    check_domains(auth, params.domains(), None).await?;
    let id = Uuid::new_v4();
    let domain = |domain: &String| Domain { domain: domain.clone(), sso_provider_id: id };
    let provider = SsoProvider {
        id,
        resource_id: params.resource_id.clone().filter(|text| !text.is_empty()),
        disabled: params.disabled,
        saml: SamlProvider {
            entity_id: entity_id.clone(),
            metadata_xml: read.text,
            metadata_url,
            attribute_mapping: params.attribute_mapping.clone().unwrap_or_default(),
            name_id_format: params.name_id_format(),
            updated_at: Some(call.now),
        },
        domains: params.domains().iter().map(domain).collect(),
        created_at: Some(call.now),
        updated_at: Some(call.now),
    };
    let mut steps = sso_providers::insert(&provider, call.now);
    steps.push(sso_providers::by_id(id));
    let results = auth.db.run(steps).await.map_err(|error| conflict(error, &entity_id))?;
    let provider: SsoProvider = last(&results).map_err(database(FAILED))?;
    Ok(reply::json(StatusCode::CREATED, &provider))
}

fn entity_exists(entity_id: &str) -> Refusal {
    let message = format!("SAML Identity Provider with this EntityID ({entity_id}) already exists");
    refuse(422, "saml_idp_already_exists", message)
}

/// Somebody else was faster.
fn conflict(error: pg::Error, entity_id: &str) -> Refusal {
    match error.db().and_then(|report| report.constraint.as_deref()) {
        Some("saml_providers_entity_id_key") => entity_exists(entity_id),
        Some("sso_domains_domain_idx") => {
            let message = "An SSO domain is already assigned to an SSO identity provider";
            refuse(400, "sso_domain_already_exists", message)
        }
        Some("sso_providers_resource_id_idx") => {
            let message = "Updating SSO provider failed, likely due to a conflict. Try again?";
            refuse(422, "conflict", message)
        }
        _ => database("Database error saving SSO Identity Provider")(error),
    }
}

/// None of the domains is another provider's.
async fn check_domains(auth: &Auth, domains: &[String], own: Option<Uuid>) -> Outcome<()> {
    if domains.is_empty() {
        return Ok(());
    }
    let rows = auth.db.one(sso_providers::domains_taken(domains, own)).await.map_err(database(FAILED))?;
    match first::<Domain>(&rows).map_err(database(FAILED))? {
        None => Ok(()),
        Some(Domain { domain, sso_provider_id }) => {
            let message = match own {
                None => format!(
                    "SSO Domain '{domain}' is already assigned to an SSO identity provider ({sso_provider_id})"
                ),
                Some(_) => {
                    format!("SSO domain '{domain}' already assigned to another provider ({sso_provider_id})")
                }
            };
            Err(refuse(400, "sso_domain_already_exists", message))
        }
    }
}

/// The provider that the path names, by its id or as `resource_<resource id>`.
async fn named(auth: &Auth, call: &Call) -> Outcome<SsoProvider> {
    let not_found = || refuse(404, "sso_provider_not_found", "SSO Identity Provider not found");
    let name = call.path.split('/').nth(4).unwrap_or_default();
    let step = match name.strip_prefix("resource_") {
        Some(resource) => {
            let decoded = percent_encoding::percent_decode_str(resource).decode_utf8_lossy();
            sso_providers::by_resource(&decoded)
        }
        None => sso_providers::by_id(Uuid::parse_str(name).map_err(|_| not_found())?),
    };
    let rows = auth.db.one(step).await.map_err(database(FAILED))?;
    first(&rows).map_err(database(FAILED))?.ok_or_else(not_found)
}

/// `GET /admin/sso/providers/:id`
pub(super) async fn get(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    guard::admin(auth, call).await?;
    Ok(reply::ok(&named(auth, call).await?))
}

/// `PUT /admin/sso/providers/:id`: only what is named changes, except for the format of names.
pub(super) async fn update(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    guard::admin(auth, call).await?;
    let mut provider = named(auth, call).await?;
    let params: Params = call.json()?;
    if let Some((read, url)) = load(auth, params.check()?).await? {
        let (expected, got) = (&provider.saml.entity_id, &read.provider.entity_id);
        if expected != got {
            let message = format!(
                "SAML Metadata can be updated only if the EntityID matches for the provider; expected '{expected}' but got '{got}'"
            );
            return Err(refuse(400, "saml_entity_id_mismatch", message));
        }
        provider.saml.metadata_xml = read.text;
        provider.saml.updated_at = Some(call.now);
        provider.saml.metadata_url = url.or(provider.saml.metadata_url);
    }
    check_domains(auth, params.domains(), Some(provider.id)).await?;
    if let Some(mapping) = params.attribute_mapping.clone().filter(|mapping| mapping.keys.is_some()) {
        provider.saml.attribute_mapping = mapping;
    }
    provider.saml.name_id_format = params.name_id_format();
    if let Some(resource) = &params.resource_id {
        provider.resource_id = Some(resource.clone()).filter(|text| !text.is_empty());
    }
    provider.disabled = params.disabled.or(provider.disabled);
    let mut steps = sso_providers::update(&provider, call.now).to_vec();
    if let Some(domains) = &params.domains {
        steps.push(sso_providers::delete_other_domains(provider.id, domains));
        let known = |domain: &&String| {
            provider.domains.iter().any(|known| known.domain.to_lowercase() == domain.to_lowercase())
        };
        let new = domains.iter().filter(|domain| !known(domain));
        steps.extend(new.map(|domain| sso_providers::insert_domain(provider.id, domain, call.now)));
    }
    steps.push(sso_providers::by_id(provider.id));
    let entity_id = provider.saml.entity_id.clone();
    let results = auth.db.run(steps).await.map_err(|error| conflict(error, &entity_id))?;
    let provider: SsoProvider = last(&results).map_err(database(FAILED))?;
    Ok(reply::ok(&provider))
}

/// `DELETE /admin/sso/providers/:id`: people keep their accounts but have no way in.
pub(super) async fn delete(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    guard::admin(auth, call).await?;
    let provider = named(auth, call).await?;
    let gone = auth.db.one(sso_providers::delete(provider.id)).await;
    gone.map_err(database("Database error deleting SSO Identity Provider"))?;
    Ok(reply::ok(&provider))
}
