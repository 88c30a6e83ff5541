//! From a provider's name to everything that is needed to sign in with it.

use super::custom;
use super::entries::{self, Entry, Place, Says};
use super::oidc::Issuer;
use super::{ClientAuth, Failure};
use crate::Auth;
use crate::flow::redirect;
use crate::moment::Moment;
use crate::settings::ProviderSettings;
use model::Secret;
use std::collections::BTreeMap;

/// A provider that people can be sent to.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(super) authorize_url: String,
    pub(super) token_url: String,
    /// Where the pages are.
    pub(super) api: String,
    pub(super) client_id: String,
    pub(super) secret: Secret,
    pub(super) redirect_uri: String,
    scopes: Vec<String>,
    /// What people bring along whatever the client says.
    params: Vec<(String, String)>,
    /// Whether a code needs our verifier.
    pub(crate) pkce: bool,
    pub(crate) email_optional: bool,
    pub(super) client_auth: ClientAuth,
    pub(super) source: Source,
}

/// Where a provider is defined.
#[derive(Debug)]
pub(super) enum Source {
    Listed(&'static Entry, Box<ProviderSettings>),
    Custom(Box<custom::Row>),
}

/// Why a provider cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// As clients are told.
    Because(String),
    Database(pg::Error),
}

fn because(why: impl Into<String>) -> Unusable {
    Unusable::Because(why.into())
}

impl From<Failure> for Unusable {
    fn from(failure: Failure) -> Self {
        Unusable::Because(failure.0)
    }
}

/// The provider of this name, with the scopes that a client asks for.
pub(crate) async fn resolve(
    auth: &Auth,
    name: &str,
    scopes: &str,
    now: Moment,
) -> Result<Provider, Unusable> {
    let name = name.to_lowercase();
    if name.starts_with("custom:") {
        return custom(auth, &name, scopes, now).await;
    }
    let missing = || because(format!("Provider {name} could not be found"));
    let entry = entries::find(&name).ok_or_else(missing)?;
    let settings = auth.settings.external.providers.get(&name).cloned().unwrap_or_default();
    listed(auth, entry, settings, scopes, now).await
}

async fn listed(
    auth: &Auth,
    entry: &'static Entry,
    settings: ProviderSettings,
    scopes: &str,
    now: Moment,
) -> Result<Provider, Unusable> {
    if !settings.enabled {
        return Err(because("provider is not enabled"));
    }
    let client_id = settings.client_ids.iter().find(|id| !id.is_empty());
    let client_id = client_id.ok_or_else(|| because("missing OAuth client ID"))?.clone();
    if settings.secret.is_empty() {
        return Err(because("missing OAuth secret"));
    }
    let own = settings.url.trim_end_matches('/');
    if own.is_empty() && entry.authorize.0.is_empty() {
        return Err(because("unable to find URL for the Keycloak provider"));
    }
    let (mut authorize_url, mut token_url) = (at(own, entry.authorize), at(own, entry.token));
    // These two are found by their issuer, so that a stand-in for them is as well.
    if !own.is_empty() && matches!(entry.name, "google" | "apple") {
        let document = auth.issuers.document(&auth.settings.outbound, &Issuer::new(own), now).await?;
        (authorize_url, token_url) = (document.authorization_endpoint, document.token_endpoint);
    }
    let api = match (own, entry.own_api) {
        ("", _) | (_, "") => at(own, entry.api),
        (own, path) => format!("{own}{path}"),
    };
    let mut wanted: Vec<String> = entry.scopes.iter().map(|scope| (*scope).to_owned()).collect();
    if entry.more_scopes && !scopes.is_empty() {
        wanted.extend(scopes.split(',').map(str::to_owned));
    }
    Ok(Provider {
        name: entry.name.to_owned(),
        authorize_url,
        token_url,
        api,
        client_id,
        secret: settings.secret.clone(),
        redirect_uri: redirect_uri(auth, &settings.redirect_uri),
        scopes: wanted,
        params: Vec::new(),
        pkce: entry.pkce,
        email_optional: settings.email_optional,
        client_auth: entry.client_auth,
        source: Source::Listed(entry, Box::new(settings)),
    })
}

fn at(own: &str, Place(host, path): Place) -> String {
    format!("{}{path}", if own.is_empty() { host } else { own })
}

fn redirect_uri(auth: &Auth, configured: &str) -> String {
    match configured {
        "" => format!("{}/callback", auth.settings.external_url.trim_end_matches('/')),
        uri => uri.to_owned(),
    }
}

async fn custom(auth: &Auth, name: &str, scopes: &str, now: Moment) -> Result<Provider, Unusable> {
    if !auth.settings.external.custom.enabled {
        return Err(because("custom OAuth providers are disabled"));
    }
    let row = custom::find(auth, name).await.map_err(Unusable::Database)?;
    let row = row.ok_or_else(|| because(format!("custom provider {name} not found")))?;
    if !row.enabled {
        return Err(because(format!("custom provider {name} is disabled")));
    }
    let secret = row.secret(auth.settings.external.custom.key.as_ref())?;
    let mut wanted: Vec<String> = scopes.split_whitespace().map(str::to_owned).collect();
    if wanted.is_empty() {
        wanted.clone_from(&row.scopes);
    }
    let (authorize_url, token_url, api, client_auth);
    if row.is_oidc() {
        if !wanted.iter().any(|scope| scope == "openid") {
            wanted.insert(0, "openid".to_owned());
        }
        let document = auth.issuers.document(&auth.settings.outbound, &row.issuer(), now).await?;
        let methods = document.token_endpoint_auth_methods_supported.unwrap_or_default();
        let by_params = methods.iter().any(|method| method == "client_secret_post")
            && !methods.iter().any(|method| method == "client_secret_basic");
        client_auth = if by_params { ClientAuth::Params } else { ClientAuth::Header };
        (authorize_url, token_url) = (document.authorization_endpoint, document.token_endpoint);
        api = document.userinfo_endpoint;
    } else {
        client_auth = ClientAuth::Header;
        (authorize_url, token_url) =
            (row.authorization_url.clone().unwrap_or_default(), row.token_url.clone().unwrap_or_default());
        api = row.userinfo_url.clone().unwrap_or_default();
    }
    let params = row.authorization_params.iter();
    Ok(Provider {
        name: row.identifier.clone(),
        authorize_url,
        token_url,
        api,
        client_id: row.client_id.clone(),
        secret,
        redirect_uri: redirect_uri(auth, ""),
        scopes: wanted,
        params: params.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect(),
        pkce: row.pkce_enabled,
        email_optional: row.email_optional,
        client_auth,
        source: Source::Custom(Box::new(row)),
    })
}

impl Provider {
    pub(super) fn says(&self) -> Option<&'static Says> {
        match &self.source {
            Source::Listed(entry, _) => Some(&entry.says),
            Source::Custom(_) => None,
        }
    }

    /// Whether it speaks the first version of OAuth.
    pub(crate) fn is_oauth1(&self) -> bool {
        matches!(self.says(), Some(Says::OAuth1(_)))
    }

    /// Where people go to sign in. `more` is what the client wants to have passed on, `challenge` that of our own
    /// verifier.
    pub(crate) fn authorize_url(
        &self,
        state: &str,
        more: &[(String, String)],
        challenge: Option<&str>,
    ) -> String {
        let scope = self.scopes.join(" ");
        let mut pairs: BTreeMap<&str, &str> = BTreeMap::from([
            ("response_type", "code"),
            ("client_id", &*self.client_id),
            ("redirect_uri", &*self.redirect_uri),
            ("state", state),
        ]);
        if !scope.is_empty() {
            pairs.insert("scope", &scope);
        }
        if self.name == "apple" {
            // Apple refuses parameters that it does not know.
            pairs.insert("response_mode", "form_post");
        } else {
            pairs.extend(more.iter().chain(&self.params).map(|(key, value)| (key.as_str(), value.as_str())));
        }
        if let Some(challenge) = challenge {
            pairs.extend([("code_challenge", challenge), ("code_challenge_method", "S256")]);
        }
        let pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
        redirect::with_query(&self.authorize_url, &pairs)
    }
}
