//! `[auth.external]`, `[auth.linking]`, `[auth.id_tokens]` and `[auth.custom_providers]`: sign-in by others.

use super::ConfigError;
use super::reader::Section;
use model::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that concerns identities of others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExternalSection {
    /// The tables below `[auth.external]`.
    pub providers: BTreeMap<String, ProviderSection>,
    /// Whether a verified address of an existing account is enough to join it.
    pub automatic_linking: bool,
    /// Whether people may sign in whose address nobody has verified.
    pub allow_unverified_email: bool,
    /// Providers whose accounts are kept apart, with the name of what they are kept in.
    pub linking_domains: BTreeMap<String, String>,
    pub custom_enabled: bool,
    pub custom_max: u32,
    /// Where every sign-in by a provider ends, whatever the client asked for.
    pub redirect_url: String,
    /// A further audience of Apple's ID tokens.
    pub ios_bundle_id: String,
    /// Further issuers of ID tokens, with the clients that their tokens may be for.
    pub id_token_issuers: BTreeMap<String, Vec<String>>,
}

/// `[auth.external.<provider>]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProviderSection {
    pub enabled: bool,
    /// Several with commas.
    pub client_id: String,
    pub secret: Secret,
    pub redirect_uri: String,
    pub url: String,
    pub skip_nonce_check: bool,
    pub email_optional: bool,
}

impl Default for ExternalSection {
    fn default() -> Self {
        ExternalSection {
            providers: BTreeMap::new(),
            automatic_linking: true,
            allow_unverified_email: false,
            linking_domains: BTreeMap::new(),
            custom_enabled: true,
            custom_max: 0,
            redirect_url: String::new(),
            ios_bundle_id: String::new(),
            id_token_issuers: BTreeMap::new(),
        }
    }
}

impl ExternalSection {
    /// The settings of auth.
    pub fn settings(&self) -> auth::ExternalSettings {
        let provider = |from: &ProviderSection| auth::ProviderSettings {
            enabled: from.enabled,
            client_ids: from.client_id.split(',').map(|id| id.trim().to_owned()).collect(),
            secret: from.secret.clone(),
            redirect_uri: from.redirect_uri.clone(),
            url: from.url.clone(),
            skip_nonce_check: from.skip_nonce_check,
            email_optional: from.email_optional,
        };
        let mut to = auth::ExternalSettings {
            providers: self.providers.iter().map(|(name, from)| (name.clone(), provider(from))).collect(),
            automatic_linking: self.automatic_linking,
            allow_unverified_email: self.allow_unverified_email,
            linking_domains: self.linking_domains.clone(),
            redirect_url: self.redirect_url.clone(),
            ios_bundle_id: self.ios_bundle_id.clone(),
            id_token_issuers: self.id_token_issuers.clone(),
            ..auth::ExternalSettings::default()
        };
        to.custom.enabled = self.custom_enabled;
        to.custom.max = self.custom_max;
        to
    }
}

/// `[auth.id_tokens]`: an app's bundle, and issuers that no provider of the list stands for. Many trust such an issuer,
/// so one without the project's own clients would open the project to everybody's.
fn id_tokens(mut section: Section<'_>) -> Result<(String, BTreeMap<String, Vec<String>>), ConfigError> {
    let ios_bundle_id = section.text("ios_bundle_id")?.unwrap_or_default();
    let mut table = section.section("issuers")?;
    let mut issuers = BTreeMap::new();
    for issuer in table.keys() {
        let clients = table.texts(&issuer)?.unwrap_or_default();
        if !issuer.starts_with("https://") || clients.is_empty() || clients.iter().any(String::is_empty) {
            let expected = "an issuer's https:// address with a list of client ids";
            return Err(table.refuse(&issuer, expected, "something else".to_owned()));
        }
        issuers.insert(issuer, clients);
    }
    table.finish();
    section.finish();
    Ok((ios_bundle_id, issuers))
}

/// Takes the four tables out of `[auth]`.
pub(super) fn read(auth: &mut Section<'_>) -> Result<ExternalSection, ConfigError> {
    let default = ExternalSection::default();
    let mut external = auth.section("external")?;
    let mut providers = BTreeMap::new();
    for name in external.keys() {
        let section = external.section(&name)?;
        if !::auth::ExternalSettings::is_known(&name) {
            external.warn(&name, "there is no such provider, ignored");
            continue;
        }
        providers.insert(name, provider(section)?);
    }
    external.finish();
    let mut linking = auth.section("linking")?;
    let mut domains = linking.section("domains")?;
    let mut linking_domains = BTreeMap::new();
    for name in domains.keys() {
        if let Some(domain) = domains.text(&name)?.filter(|domain| !domain.is_empty()) {
            linking_domains.insert(name, domain);
        }
    }
    domains.finish();
    let (ios_bundle_id, id_token_issuers) = id_tokens(auth.section("id_tokens")?)?;
    let mut custom = auth.section("custom_providers")?;
    let section = ExternalSection {
        providers,
        automatic_linking: linking.flag("automatic")?.unwrap_or(default.automatic_linking),
        allow_unverified_email: linking
            .flag("allow_unverified_email")?
            .unwrap_or(default.allow_unverified_email),
        linking_domains,
        custom_enabled: custom.flag("enabled")?.unwrap_or(default.custom_enabled),
        custom_max: custom.number("max", 0, 10_000)?.map_or(default.custom_max, |max| max as u32),
        redirect_url: super::auth::url(&mut linking, "redirect_url")?,
        ios_bundle_id,
        id_token_issuers,
    };
    linking.finish();
    custom.finish();
    Ok(section)
}

fn provider(mut section: Section<'_>) -> Result<ProviderSection, ConfigError> {
    let mut text = |key: &str| section.text(key).map(Option::unwrap_or_default);
    let (client_id, secret) = (text("client_id")?, text("secret")?);
    let (redirect_uri, url) = (text("redirect_uri")?, text("url")?);
    let mut flag = |key: &str| section.flag(key).map(Option::unwrap_or_default);
    let provider = ProviderSection {
        enabled: flag("enabled")?,
        client_id,
        secret: Secret::new(secret),
        redirect_uri,
        url,
        skip_nonce_check: flag("skip_nonce_check")?,
        email_optional: flag("email_optional")?,
    };
    for (key, url) in [("redirect_uri", &provider.redirect_uri), ("url", &provider.url)] {
        if !url.is_empty() && !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(section.refuse(
                key,
                "an address that begins with https://",
                format!("the text {url:?}"),
            ));
        }
    }
    if provider.enabled && provider.client_id.is_empty() {
        section.warn("client_id", "the provider is switched on without one");
    }
    section.finish();
    Ok(provider)
}
