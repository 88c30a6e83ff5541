//! `auth.sso_providers` with `auth.saml_providers` and `auth.sso_domains`: who signs people in for a project.

use super::db::Step;
use crate::flow::attribute_mapping::AttributeMapping;
use crate::moment::Moment;
use pg::{Param, null, param, text};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! provider_where {
    ($condition:literal) => {
        concat!(include_str!("sql/sso_provider.sql"), $condition)
    };
}

/// A provider as it is in the tables and as administrators see it.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct SsoProvider {
    pub(crate) id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resource_id: Option<String>,
    pub(crate) disabled: Option<bool>,
    pub(crate) saml: SamlProvider,
    pub(crate) domains: Vec<Domain>,
    pub(crate) created_at: Option<Moment>,
    pub(crate) updated_at: Option<Moment>,
}

/// What is known of its SAML.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct SamlProvider {
    pub(crate) entity_id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) metadata_xml: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata_url: Option<String>,
    #[serde(default, deserialize_with = "mapping_or_none")]
    pub(crate) attribute_mapping: AttributeMapping,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name_id_format: Option<String>,
    /// When the metadata were read.
    #[serde(skip_serializing)]
    pub(crate) updated_at: Option<Moment>,
}

/// People of this domain are its.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Domain {
    pub(crate) domain: String,
    #[serde(skip_serializing)]
    pub(crate) sso_provider_id: Uuid,
}

fn mapping_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<AttributeMapping, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl SsoProvider {
    pub(crate) fn is_enabled(&self) -> bool {
        self.disabled != Some(true)
    }
}

pub(crate) fn by_id(id: Uuid) -> Step {
    Step::new(provider_where!("where p.id = $1"), [param(id)])
}

pub(crate) fn by_resource(resource: &str) -> Step {
    Step::new(provider_where!("where p.resource_id = $1"), [text(resource)])
}

pub(crate) fn by_domain(domain: &str) -> Step {
    Step::new(
        provider_where!(
            "where p.id = (select d.sso_provider_id from auth.sso_domains d where lower(d.domain) = lower($1))"
        ),
        [text(domain)],
    )
}

pub(crate) fn by_entity(entity_id: &str) -> Step {
    Step::new(
        provider_where!(
            "where p.id = (select s.sso_provider_id from auth.saml_providers s where s.entity_id = $1)"
        ),
        [text(entity_id)],
    )
}

/// All, or those of a resource, or those whose resource begins so.
pub(crate) fn list(resource: &str, prefix: &str) -> Step {
    let optional = |value: &str| if value.is_empty() { null() } else { text(value) };
    let prefix = if resource.is_empty() { prefix } else { "" };
    Step::new(
        provider_where!(
            "where ($1::text is null or p.resource_id = $1) and ($2::text is null or starts_with(p.resource_id, $2))
order by p.created_at, p.id"
        ),
        [optional(resource), optional(prefix)],
    )
}

/// Somebody else's domains among these.
pub(crate) fn domains_taken(domains: &[String], except: Option<Uuid>) -> Step {
    let params = [array(domains), except.map_or_else(null, param)];
    Step::new(include_str!("sql/sso_domains_taken.sql"), params)
}

/// Writes a provider.
pub(crate) fn insert(provider: &SsoProvider, now: Moment) -> Vec<Step> {
    let params =
        [param(provider.id), optional(provider.resource_id.as_ref()), flag(provider.disabled), param(now)];
    let saml = &provider.saml;
    let saml_params = [
        param(Uuid::new_v4()),
        param(provider.id),
        text(&saml.entity_id),
        text(&saml.metadata_xml),
        optional(saml.metadata_url.as_ref()),
        text(saml.attribute_mapping.to_json()),
        optional(saml.name_id_format.as_ref()),
        param(now),
    ];
    let mut steps = vec![
        Step::new(include_str!("sql/sso_provider_insert.sql"), params),
        Step::new(include_str!("sql/saml_provider_insert.sql"), saml_params),
    ];
    steps.extend(provider.domains.iter().map(|domain| insert_domain(provider.id, &domain.domain, now)));
    steps
}

/// Writes a provider anew; its domains are written apart.
pub(crate) fn update(provider: &SsoProvider, now: Moment) -> [Step; 2] {
    let params =
        [param(provider.id), optional(provider.resource_id.as_ref()), flag(provider.disabled), param(now)];
    let saml = &provider.saml;
    let saml_params = [
        param(provider.id),
        text(&saml.metadata_xml),
        optional(saml.metadata_url.as_ref()),
        text(saml.attribute_mapping.to_json()),
        optional(saml.name_id_format.as_ref()),
        param(saml.updated_at.unwrap_or(now)),
    ];
    [
        Step::new(include_str!("sql/sso_provider_update.sql"), params),
        Step::new(include_str!("sql/saml_provider_update.sql"), saml_params),
    ]
}

/// Keeps metadata that were read again.
pub(crate) fn renew(id: Uuid, metadata: &str, now: Moment) -> Step {
    Step::new(include_str!("sql/saml_provider_renew.sql"), [param(id), text(metadata), param(now)])
}

pub(crate) fn insert_domain(provider: Uuid, domain: &str, now: Moment) -> Step {
    let params = [param(Uuid::new_v4()), param(provider), text(domain), param(now)];
    Step::new(include_str!("sql/sso_domain_insert.sql"), params)
}

/// Takes all domains away but these.
pub(crate) fn delete_other_domains(provider: Uuid, kept: &[String]) -> Step {
    Step::new(include_str!("sql/sso_domain_delete.sql"), [param(provider), array(kept)])
}

pub(crate) fn delete(id: Uuid) -> Step {
    Step::new(include_str!("sql/sso_provider_delete.sql"), [param(id)])
}

fn optional(value: Option<&String>) -> Param {
    value.map_or_else(null, text)
}

fn flag(value: Option<bool>) -> Param {
    value.map_or_else(null, param)
}

/// A list of texts, in lower case.
fn array(list: &[String]) -> Param {
    let lower: Vec<String> = list.iter().map(|text| text.to_lowercase()).collect();
    text(serde_json::Value::from(lower).to_string())
}
