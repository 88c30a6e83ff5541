//! Whose ID tokens are taken: issuers by provider, and for which client.

use super::custom;
use super::oidc::{IdToken, Issuer, claimed_issuer};
use super::{Failure, claims};
use crate::Auth;
use crate::external::Profile;
use crate::moment::Moment;
use crate::settings::ProviderSettings;

pub(crate) const APPLE: &str = "https://appleid.apple.com";
/// The other name of Apple's.
pub(crate) const APPLE_TOO: &str = "https://account.apple.com";
pub(crate) const GOOGLE: &str = "https://accounts.google.com";
pub(crate) const FACEBOOK: &str = "https://www.facebook.com";
pub(crate) const KAKAO: &str = "https://kauth.kakao.com";
pub(crate) const LINKEDIN: &str = "https://www.linkedin.com/oauth";
pub(crate) const SNAPCHAT: &str = "https://accounts.snapchat.com/accounts/oauth2/token";
pub(crate) const VERCEL: &str = "https://marketplace.vercel.com";
const AZURE: &str = "https://login.microsoftonline.com/";
const AZURE_V1: &str = "https://sts.windows.net/";

/// Whose tokens a request wants to be taken, and on which terms.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) provider: String,
    pub(crate) issuer: String,
    /// A further name of the issuer.
    also: Option<&'static str>,
    discovery_url: Option<String>,
    /// Whom tokens may be for.
    pub(crate) clients: Vec<String>,
    pub(crate) skip_nonce_check: bool,
    pub(crate) email_optional: bool,
    custom: Option<Box<custom::Row>>,
}

/// Why a provider's tokens are not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    Invalid(String),
    Disabled(String),
    Database(pg::Error),
}

impl Terms {
    fn of(provider: &str, issuer: &str, settings: &ProviderSettings) -> Terms {
        let own = settings.url.trim_end_matches('/');
        Terms {
            provider: provider.to_owned(),
            issuer: if own.is_empty() { issuer.to_owned() } else { own.to_owned() },
            also: None,
            discovery_url: None,
            clients: settings.client_ids.clone(),
            skip_nonce_check: settings.skip_nonce_check,
            email_optional: settings.email_optional,
            custom: None,
        }
    }

    /// Checks a token on these terms, all but audience and nonce.
    pub(crate) async fn verify(&self, auth: &Auth, token: &str, now: Moment) -> Result<IdToken, Failure> {
        let issuer = Issuer { name: &self.issuer, discovery_url: self.discovery_url.as_deref() };
        auth.issuers.verify(&auth.settings.outbound, &issuer, self.also, token, now).await
    }

    /// Whether `issuer` is the one that the token names.
    pub(crate) fn is_of(&self, issuer: &str, token: &str) -> bool {
        claimed_issuer(token).as_deref() == Some(issuer)
    }

    /// Who the token says it is.
    pub(crate) fn profile(&self, token: &IdToken) -> Option<Profile> {
        match &self.custom {
            Some(row) => Some(row.of_token(&token.claims)),
            None => claims::read(&self.provider, &token.claims),
        }
    }
}

/// Providers whose ID tokens are taken.
const LISTED: [&str; 8] =
    ["apple", "azure", "facebook", "google", "kakao", "keycloak", "snapchat", "vercel_marketplace"];

/// Whether the provider of this name gives out ID tokens that are taken.
pub(crate) fn is_listed(name: &str) -> bool {
    LISTED.contains(&name)
}

/// The terms for a provider of the list, whether or not it is switched on.
pub(crate) fn listed(auth: &Auth, provider: &str, token: &str) -> Result<Terms, Refused> {
    let external = &auth.settings.external;
    let settings = external.providers.get(provider).cloned().unwrap_or_default();
    let mut terms = match provider {
        "apple" => {
            let mut terms = Terms::of(provider, APPLE, &settings);
            terms.also = (terms.issuer == APPLE).then_some(APPLE_TOO);
            terms.clients.push(external.ios_bundle_id.clone());
            terms
        }
        "azure" => azure(&settings, token)?,
        "google" => Terms::of(provider, GOOGLE, &settings),
        "kakao" => Terms::of(provider, KAKAO, &settings),
        "vercel_marketplace" => Terms::of(provider, VERCEL, &settings),
        "snapchat" => Terms::of(provider, SNAPCHAT, &settings),
        "keycloak" => Terms::of(provider, "", &settings),
        // The tokens of its limited login have a nonce that is not a hash.
        "facebook" => Terms { skip_nonce_check: true, ..Terms::of(provider, FACEBOOK, &settings) },
        _ => return Err(Refused::Invalid(format!("Custom OIDC provider {provider:?} not allowed"))),
    };
    terms.clients.retain(|client| !client.is_empty());
    if !settings.enabled {
        return Err(Refused::Disabled(format!("Provider (issuer {:?}) is not enabled", terms.issuer)));
    }
    Ok(terms)
}

/// Every tenant is an issuer of its own; which one it is the token says. A project that names its tenant takes no
/// other's.
fn azure(settings: &ProviderSettings, token: &str) -> Result<Terms, Refused> {
    let undetected = "Unable to detect issuer in ID token for Azure provider";
    let issuer = claimed_issuer(token).ok_or_else(|| Refused::Invalid(undetected.to_owned()))?;
    if !is_azure_of(&settings.url, &issuer) {
        let message = "Detected ID token issuer is not an Azure ID token issuer";
        return Err(Refused::Invalid(message.to_owned()));
    }
    Ok(Terms { issuer, ..Terms::of("azure", "", settings) })
}

/// Whether an issuer is Azure's, and that of the tenant whose address is configured.
pub(super) fn is_azure_of(url: &str, issuer: &str) -> bool {
    let url = url.trim_end_matches('/');
    let tenant = |text: &str| {
        let rest = text.strip_prefix(AZURE).or_else(|| text.strip_prefix(AZURE_V1))?;
        let tenant = rest.split('/').next().unwrap_or_default();
        (!tenant.is_empty()).then(|| tenant.to_owned())
    };
    match tenant(url).as_deref() {
        // Everybody's, or those of all organizations: the tenant is in the token.
        None | Some("common" | "organizations" | "consumers") if url.is_empty() || tenant(url).is_some() => {
            tenant(issuer).is_some_and(|of| !matches!(of.as_str(), "common" | "organizations"))
        }
        Some(wanted) => tenant(issuer).is_some_and(|given| given == wanted),
        // Another cloud of theirs, or an own server.
        None => issuer.trim_end_matches('/') == format!("{url}/v2.0"),
    }
}

/// The provider whose way of speaking an issuer's tokens have.
pub(super) fn dialect(issuer: &str) -> Option<&'static str> {
    Some(match issuer {
        APPLE | APPLE_TOO => "apple",
        GOOGLE => "google",
        FACEBOOK => "facebook",
        KAKAO => "kakao",
        LINKEDIN => "linkedin_oidc",
        VERCEL => "vercel_marketplace",
        SNAPCHAT => "snapchat",
        other if other.starts_with(AZURE) => "azure",
        _ => return None,
    })
}

/// The provider that an issuer stands for, for requests that name the issuer only.
pub(crate) fn provider_of(auth: &Auth, issuer: &str) -> Option<&'static str> {
    let keycloak = auth.settings.external.providers.get("keycloak");
    Some(match issuer {
        "" => return None,
        APPLE | APPLE_TOO => "apple",
        GOOGLE => "google",
        FACEBOOK => "facebook",
        KAKAO => "kakao",
        VERCEL => "vercel_marketplace",
        SNAPCHAT => "snapchat",
        other if is_azure_of("", other) && other.starts_with(AZURE) => "azure",
        other if keycloak.is_some_and(|k| k.enabled && !k.url.is_empty() && k.url == other) => "keycloak",
        _ => return None,
    })
}

/// The terms for an issuer that no provider stands for, and one client. Of an issuer whom many trust, only tokens
/// that are for the project's own clients say that somebody wants to sign in here.
pub(crate) fn foreign(auth: &Auth, provider: &str, issuer: &str, client: &str) -> Result<Terms, Refused> {
    let clients = auth.settings.external.id_token_issuers.get(issuer).filter(|_| !issuer.is_empty());
    let Some(clients) = clients else {
        return Err(Refused::Invalid(format!("Custom OIDC provider {provider:?} not allowed")));
    };
    let client_ids = clients.iter().filter(|known| *known == client).cloned().collect();
    Ok(Terms::of(issuer, issuer, &ProviderSettings { client_ids, ..ProviderSettings::default() }))
}

/// The terms for a provider that administrators defined.
pub(crate) async fn defined(auth: &Auth, identifier: &str) -> Result<Terms, Refused> {
    if !auth.settings.external.custom.enabled {
        return Err(Refused::Invalid("Custom OAuth providers are disabled".to_owned()));
    }
    let row = custom::find(auth, identifier).await.map_err(Refused::Database)?;
    let row = row.ok_or_else(|| Refused::Invalid(format!("Custom provider {identifier:?} not found")))?;
    if !row.enabled {
        return Err(Refused::Disabled(format!("Custom provider {identifier:?} is disabled")));
    }
    if !row.is_oidc() {
        return Err(Refused::Invalid(format!("Provider {identifier:?} is not an OIDC provider")));
    }
    let mut clients = vec![row.client_id.clone()];
    clients.extend(row.acceptable_client_ids.iter().cloned());
    Ok(Terms {
        provider: row.identifier.clone(),
        issuer: row.issuer.clone().unwrap_or_default(),
        also: None,
        discovery_url: row.discovery_url.clone(),
        clients,
        skip_nonce_check: row.skip_nonce_check,
        email_optional: row.email_optional,
        custom: Some(Box::new(row)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azure_tenants_are_told_apart() {
        let (mine, other) =
            ("https://login.microsoftonline.com/t1/v2.0", "https://login.microsoftonline.com/t2/v2.0");
        for url in [
            "",
            "https://login.microsoftonline.com/common",
            "https://login.microsoftonline.com/organizations/",
        ] {
            assert!(is_azure_of(url, mine) && is_azure_of(url, "https://sts.windows.net/t1/"), "{url}");
            assert!(!is_azure_of(url, "https://login.microsoftonline.com.evil.dev/t1/v2.0"));
            assert!(!is_azure_of(url, "https://login.microsoftonline.com/common/v2.0"));
            assert!(!is_azure_of(url, ""));
        }
        let tenant = "https://login.microsoftonline.com/t1";
        assert!(is_azure_of(tenant, mine) && is_azure_of(tenant, "https://sts.windows.net/t1/"));
        assert!(!is_azure_of(tenant, other));
        let external = "https://x.ciamlogin.com/t1";
        assert!(is_azure_of(external, "https://x.ciamlogin.com/t1/v2.0"));
        assert!(!is_azure_of(external, mine) && !is_azure_of(external, "https://y.ciamlogin.com/t1/v2.0"));
    }
}
