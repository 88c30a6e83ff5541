//! `/admin/custom-providers`: providers that administrators define.
//!
//! What they say is not trusted far: addresses lead to the public internet only, parameters that we decide cannot
//! be set, and what a provider says ends up in a profile, never in a column of ours. The secret goes in and is
//! never shown again.

use super::authorize::RESERVED;
use crate::Auth;
use crate::call::Call;
use crate::guard;
use crate::provider::custom::{self, Row};
use crate::provider::oidc::{self, Document};
use crate::refusal::{Outcome, Refusal, database, internal, invalid, refuse};
use crate::reply;
use crate::store::custom_providers;
use crate::store::db::{Step, all, first, last};
use axum::body::Body;
use http::{Response, StatusCode, Uri};
use model::Secret;
use outbound::Reach;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use uuid::Uuid;

const FAILED: &str = "Error retrieving custom OAuth provider";

/// What only we know of a user: no provider fills it.
const PROTECTED: [&str; 13] = [
    "id",
    "aud",
    "role",
    "app_metadata",
    "created_at",
    "updated_at",
    "confirmed_at",
    "email_confirmed_at",
    "phone_confirmed_at",
    "email_verified",
    "phone_verified",
    "banned_until",
    "is_super_admin",
];

/// How long lists are and how many keys objects have.
const ENTRIES_MAX: usize = 100;
/// For a name to be looked up.
const LOOKUP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

#[derive(Deserialize, Default)]
#[serde(default)]
struct Params {
    provider_type: String,
    identifier: String,
    name: String,
    client_id: String,
    client_secret: Secret,
    acceptable_client_ids: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    pkce_enabled: Option<bool>,
    attribute_mapping: Option<Map<String, Value>>,
    custom_claims_allowlist: Option<Vec<String>>,
    authorization_params: Option<Map<String, Value>>,
    enabled: Option<bool>,
    email_optional: Option<bool>,
    issuer: String,
    discovery_url: Option<String>,
    skip_nonce_check: Option<bool>,
    authorization_url: String,
    token_url: String,
    userinfo_url: String,
    jwks_uri: Option<String>,
}

async fn check(auth: &Auth, call: &Call) -> Outcome<()> {
    guard::admin(auth, call).await?;
    if !auth.settings.external.custom.enabled {
        return Err(refuse(404, "feature_disabled", "Custom OAuth providers are disabled"));
    }
    Ok(())
}

pub(super) async fn list(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    check(auth, call).await?;
    let kind = call.query("type");
    if !matches!(kind, "" | "oauth2" | "oidc") {
        return Err(invalid("type must be either 'oauth2' or 'oidc'"));
    }
    let rows = auth.db.one(custom_providers::list(Some(kind).filter(|kind| !kind.is_empty()))).await;
    let rows = rows.map_err(database("Error retrieving custom OAuth providers"))?;
    let providers: Vec<Row> = all(&rows).map_err(database("Error retrieving custom OAuth providers"))?;
    Ok(reply::ok(&json!({ "providers": providers })))
}

pub(super) async fn get(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    check(auth, call).await?;
    Ok(reply::ok(&find(auth, &identifier(call)?).await?))
}

/// The identifier in the path.
fn identifier(call: &Call) -> Outcome<String> {
    let raw = call.path.split('/').nth(3).unwrap_or_default();
    let identifier = percent_encoding::percent_decode_str(raw).decode_utf8_lossy().into_owned();
    check_identifier(&identifier)?;
    Ok(identifier)
}

fn check_identifier(identifier: &str) -> Outcome<()> {
    if identifier.is_empty() {
        return Err(invalid("identifier is required"));
    }
    if !identifier.starts_with("custom:") {
        let message = format!("identifier must start with 'custom:' prefix, e.g. 'custom:{identifier}'");
        return Err(invalid(message));
    }
    Ok(())
}

fn not_found() -> Refusal {
    refuse(404, "custom_provider_not_found", "Custom OAuth provider not found")
}

async fn find(auth: &Auth, identifier: &str) -> Outcome<Row> {
    custom::find(auth, identifier).await.map_err(database(FAILED))?.ok_or_else(not_found)
}

pub(super) async fn create(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    check(auth, call).await?;
    let params: Params = call.json()?;
    let is_oidc = match params.provider_type.as_str() {
        "oidc" => true,
        "oauth2" => false,
        _ => return Err(invalid("provider_type must be either 'oauth2' or 'oidc'")),
    };
    params.check_required(is_oidc)?;
    params.check_contents()?;
    let mut row = Row {
        id: Uuid::new_v4(),
        provider_type: params.provider_type.clone(),
        identifier: params.identifier.clone(),
        name: String::new(),
        client_id: String::new(),
        client_secret: Secret::default(),
        acceptable_client_ids: Vec::new(),
        scopes: Vec::new(),
        pkce_enabled: true,
        attribute_mapping: Map::new(),
        custom_claims_allowlist: Vec::new(),
        authorization_params: Map::new(),
        enabled: true,
        email_optional: false,
        issuer: None,
        discovery_url: None,
        skip_nonce_check: false,
        cached_discovery: None,
        authorization_url: None,
        token_url: None,
        userinfo_url: None,
        jwks_uri: None,
        created_at: call.now,
        updated_at: call.now,
    };
    params.apply(auth, &mut row).await?;
    if custom::find(auth, &row.identifier).await.map_err(database(FAILED))?.is_some() {
        return Err(taken());
    }
    if is_oidc {
        row.cached_discovery = Some(discover(auth, &row).await?);
    }
    let max = auth.settings.external.custom.max;
    let mut steps: Vec<Step> = Vec::new();
    steps.extend((max > 0).then(custom_providers::lock));
    steps.push(custom_providers::insert(&row, max, call.now));
    let results = auth.db.run(steps).await.map_err(unwritable)?;
    if results.last().is_none_or(pg::Rows::is_empty) {
        let message = "Maximum number of custom OAuth/OIDC providers reached";
        return Err(refuse(400, "over_custom_provider_quota", message));
    }
    let row: Row = last(&results).map_err(database(FAILED))?;
    Ok(reply::json(StatusCode::CREATED, &row))
}

fn taken() -> Refusal {
    refuse(400, "conflict", "A custom OAuth provider with this identifier already exists")
}

/// What the table does not take is the caller's mistake: lengths, forms, and names that are taken.
fn unwritable(error: pg::Error) -> Refusal {
    let constraint = error.db().and_then(|report| report.constraint.clone()).unwrap_or_default();
    match error.sqlstate() {
        Some("23505") => taken(),
        Some("23514") => {
            let field = constraint.strip_prefix("custom_oauth_providers_").unwrap_or(&constraint);
            invalid(format!("The provider is not valid: {field}"))
        }
        _ => database("Error creating custom OAuth provider")(error),
    }
}

pub(super) async fn update(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    check(auth, call).await?;
    let identifier = identifier(call)?;
    let params: Params = call.json()?;
    params.check_contents()?;
    let mut row = find(auth, &identifier).await?;
    params.apply(auth, &mut row).await?;
    if row.is_oidc() && (!params.issuer.is_empty() || params.discovery_url.is_some()) {
        row.cached_discovery = Some(discover(auth, &row).await?);
    }
    let rows = auth.db.one(custom_providers::update(&row, call.now)).await.map_err(unwritable)?;
    let row: Option<Row> = first(&rows).map_err(database(FAILED))?;
    auth.issuers.forget();
    Ok(reply::ok(&row.ok_or_else(not_found)?))
}

pub(super) async fn delete(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    check(auth, call).await?;
    let deleted = auth.db.one(custom_providers::delete(&identifier(call)?)).await;
    let rows = deleted.map_err(database("Error deleting custom OAuth provider"))?;
    if rows.is_empty() {
        return Err(not_found());
    }
    auth.issuers.forget();
    Ok(reply::no_content())
}

/// Asks the issuer, so that a mistake is seen now and not by the first who signs in.
async fn discover(auth: &Auth, row: &Row) -> Outcome<Document> {
    let document = oidc::discover(&auth.settings.outbound, &row.issuer()).await;
    let document = document.map_err(|failure| {
        let issuer = row.issuer.as_deref().unwrap_or_default();
        invalid(format!("OIDC discovery of {issuer:?} failed: {failure}"))
    })?;
    let fields = [
        ("authorization_endpoint", &document.authorization_endpoint),
        ("token_endpoint", &document.token_endpoint),
        ("jwks_uri", &document.jwks_uri),
    ];
    let missing: Vec<&str> =
        fields.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(document);
    }
    let missing = missing.join(", ");
    Err(invalid(format!("OIDC discovery document is missing required fields: {missing}")))
}

impl Params {
    fn check_required(&self, is_oidc: bool) -> Outcome<()> {
        check_identifier(&self.identifier)?;
        let common = [
            ("name", self.name.is_empty()),
            ("client_id", self.client_id.is_empty()),
            ("client_secret", self.client_secret.is_empty()),
        ];
        if let Some((name, _)) = common.iter().find(|(_, is_missing)| *is_missing) {
            return Err(invalid(format!("{name} is required")));
        }
        if is_oidc {
            return match self.issuer.as_str() {
                "" => Err(invalid("issuer is required for OIDC providers")),
                _ => Ok(()),
            };
        }
        let addresses = [
            ("authorization_url", &self.authorization_url),
            ("token_url", &self.token_url),
            ("userinfo_url", &self.userinfo_url),
        ];
        match addresses.iter().find(|(_, url)| url.is_empty()) {
            Some((name, _)) => Err(invalid(format!("{name} is required for OAuth2 providers"))),
            None => Ok(()),
        }
    }

    fn check_contents(&self) -> Outcome<()> {
        for (key, value) in self.authorization_params.iter().flatten() {
            let lower = key.to_ascii_lowercase();
            if lower == "nonce" || RESERVED.contains(&lower.as_str()) {
                return Err(invalid(format!("Cannot override reserved OAuth parameter: {key}")));
            }
            if !value.is_string() {
                return Err(invalid(format!("Authorization parameter {key:?} must be a string")));
            }
        }
        let mut targets = self.attribute_mapping.iter().flatten().map(|(target, _)| target);
        if let Some(target) = targets.find(|target| PROTECTED.contains(&target.as_str())) {
            return Err(invalid(format!("Cannot map to protected system field: {target}")));
        }
        if self.custom_claims_allowlist.iter().flatten().any(|key| key.trim().is_empty()) {
            return Err(invalid("custom_claims_allowlist entries must be non-empty strings"));
        }
        let lists = [&self.acceptable_client_ids, &self.scopes, &self.custom_claims_allowlist];
        let objects = [&self.authorization_params, &self.attribute_mapping];
        let longest = lists.iter().map(|list| list.as_ref().map_or(0, Vec::len));
        if longest.chain(objects.iter().map(|map| map.as_ref().map_or(0, Map::len))).any(|n| n > ENTRIES_MAX)
        {
            return Err(invalid(format!("lists have {ENTRIES_MAX} entries at most")));
        }
        Ok(())
    }

    /// Writes what is given into a row. What the provider's type has no use for stays out.
    async fn apply(&self, auth: &Auth, row: &mut Row) -> Outcome<()> {
        fn put<T: Clone>(field: &mut T, given: Option<&T>) {
            if let Some(given) = given {
                field.clone_from(given);
            }
        }
        let filled = |text: &'_ String| (!text.is_empty()).then(|| text.clone());
        put(&mut row.name, filled(&self.name).as_ref());
        put(&mut row.client_id, filled(&self.client_id).as_ref());
        put(&mut row.acceptable_client_ids, self.acceptable_client_ids.as_ref());
        put(&mut row.scopes, self.scopes.as_ref());
        put(&mut row.pkce_enabled, self.pkce_enabled.as_ref());
        put(&mut row.attribute_mapping, self.attribute_mapping.as_ref());
        put(&mut row.custom_claims_allowlist, self.custom_claims_allowlist.as_ref());
        put(&mut row.authorization_params, self.authorization_params.as_ref());
        put(&mut row.enabled, self.enabled.as_ref());
        put(&mut row.email_optional, self.email_optional.as_ref());
        let optional = |url: &Option<String>| url.as_ref().and_then(filled);
        let addresses = if row.is_oidc() {
            put(&mut row.skip_nonce_check, self.skip_nonce_check.as_ref());
            if !row.scopes.iter().any(|scope| scope == "openid") {
                row.scopes.insert(0, "openid".to_owned());
            }
            vec![
                (&mut row.issuer, filled(&self.issuer)),
                (&mut row.discovery_url, optional(&self.discovery_url)),
            ]
        } else {
            vec![
                (&mut row.authorization_url, filled(&self.authorization_url)),
                (&mut row.token_url, filled(&self.token_url)),
                (&mut row.userinfo_url, filled(&self.userinfo_url)),
                (&mut row.jwks_uri, optional(&self.jwks_uri)),
            ]
        };
        for (field, given) in addresses {
            let Some(url) = given else { continue };
            check_address(auth, &url).await?;
            *field = Some(url);
        }
        if !self.client_secret.is_empty() {
            let key = auth.settings.external.custom.key.as_ref();
            row.client_secret = custom::sealed(key, row.id, &self.client_secret)
                .ok_or_else(|| internal("Error encrypting custom OAuth provider client secret", "no key"))?;
        }
        Ok(())
    }
}

/// Refuses addresses that lead anywhere but into the public internet. They are looked at once more whenever they
/// are called; this is to tell the administrator.
async fn check_address(auth: &Auth, url: &str) -> Outcome<()> {
    let uri: Uri = url.parse().map_err(|_| invalid("Invalid URL format"))?;
    let is_local = auth.settings.external.custom.local && auth.settings.outbound.reach() == Reach::Anywhere;
    let scheme = uri.scheme_str().unwrap_or_default();
    if scheme != "https" && !(is_local && scheme == "http") {
        return Err(invalid("URL must use HTTPS"));
    }
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
    if host.is_empty() {
        return Err(invalid("URL must have a valid hostname"));
    }
    if is_local {
        return Ok(());
    }
    if host == "localhost" || host.ends_with(".localhost") {
        return Err(invalid("URL cannot point to localhost or loopback addresses"));
    }
    let addresses: Vec<IpAddr> = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => {
            let found = auth.settings.outbound.look_up(&host, 443, LOOKUP_TIMEOUT).await;
            let found = found.map_err(|_| invalid("Unable to resolve hostname"))?;
            found.into_iter().map(|socket| socket.ip()).collect()
        }
    };
    if addresses.is_empty() {
        return Err(invalid("Unable to resolve hostname"));
    }
    if !addresses.into_iter().all(outbound::is_public) {
        return Err(invalid("URL cannot resolve to addresses that are not public"));
    }
    Ok(())
}
