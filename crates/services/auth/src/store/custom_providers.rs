//! `auth.custom_oauth_providers`.

use super::db::Step;
use crate::moment::Moment;
use crate::provider::custom::Row;
use pg::{null, param, text};
use serde_json::Value;
use sql::Param;

pub(crate) fn by_identifier(identifier: &str) -> Step {
    Step::new(include_str!("sql/custom_provider.sql"), [text(identifier)])
}

/// All, or those of a type.
pub(crate) fn list(kind: Option<&str>) -> Step {
    Step::new(include_str!("sql/custom_provider_list.sql"), [kind.map_or_else(null, text)])
}

/// Adds one unless there are `max` already; 0 is no limit. Returns it when it was added.
pub(crate) fn insert(row: &Row, max: u32, now: Moment) -> Step {
    let mut params = values(row, now);
    params.push(param(max));
    Step::new(include_str!("sql/custom_provider_insert.sql"), params)
}

/// Writes one anew. Returns it when it is there.
pub(crate) fn update(row: &Row, now: Moment) -> Step {
    Step::new(include_str!("sql/custom_provider_update.sql"), values(row, now))
}

/// Takes one away. Returns a row when it was there.
pub(crate) fn delete(identifier: &str) -> Step {
    Step::new(include_str!("sql/custom_provider_delete.sql"), [text(identifier)])
}

/// Keeps two additions from counting before either has been made.
pub(crate) fn lock() -> Step {
    Step::new(include_str!("sql/custom_provider_lock.sql"), [])
}

fn values(row: &Row, now: Moment) -> Vec<Param> {
    let list = |texts: &[String]| text(Value::from(texts).to_string());
    let object = |map: &serde_json::Map<String, Value>| text(Value::Object(map.clone()).to_string());
    let optional = |value: &Option<String>| value.as_ref().map_or_else(null, text);
    let document = row.cached_discovery.as_ref().and_then(|document| serde_json::to_string(document).ok());
    vec![
        param(row.id),
        text(&row.provider_type),
        text(&row.identifier),
        text(&row.name),
        text(&row.client_id),
        text(row.client_secret.expose()),
        list(&row.acceptable_client_ids),
        list(&row.scopes),
        param(row.pkce_enabled),
        object(&row.attribute_mapping),
        object(&row.authorization_params),
        param(row.enabled),
        param(row.email_optional),
        optional(&row.issuer),
        optional(&row.discovery_url),
        param(row.skip_nonce_check),
        optional(&document),
        optional(&row.authorization_url),
        optional(&row.token_url),
        optional(&row.userinfo_url),
        optional(&row.jwks_uri),
        list(&row.custom_claims_allowlist),
        param(now),
    ]
}
