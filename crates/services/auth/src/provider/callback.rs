//! Who came back from a provider.

use super::entries::{Entry, Says};
use super::exchange::{bearer, fetch};
use super::oidc::{IdToken, Issuer, claimed_issuer};
use super::resolve::Source;
use super::{Failure, Provider, Tokens, claims, custom, id_token};
use crate::Auth;
use crate::external::Profile;
use crate::moment::Moment;
use crate::settings::ProviderSettings;
use http::{HeaderName, HeaderValue};
use ring::hmac;
use serde_json::Value;

const NOTION_VERSION: &str = "2021-08-16";

/// Asks a provider whom the tokens are of.
pub(crate) async fn profile(
    auth: &Auth,
    provider: &Provider,
    tokens: &Tokens,
    now: Moment,
) -> Result<Profile, Failure> {
    let profile = match &provider.source {
        Source::Custom(row) => return defined(auth, provider, row, tokens, now).await,
        Source::Listed(entry, settings) => listed(auth, provider, entry, settings, tokens, now).await?,
    };
    profile.ok_or_else(|| Failure::new("a page says nothing"))
}

async fn listed(
    auth: &Auth,
    provider: &Provider,
    entry: &Entry,
    settings: &ProviderSettings,
    tokens: &Tokens,
    now: Moment,
) -> Result<Option<Profile>, Failure> {
    match &entry.says {
        Says::IdToken { issuer } => by_token(auth, provider, settings, issuer, tokens, now).await,
        Says::Either { issuer, .. } if !tokens.id.is_empty() => {
            by_token(auth, provider, settings, issuer, tokens, now).await
        }
        Says::Either { page, read, .. } => {
            let own = settings.url.trim_end_matches('/');
            let page = if own.is_empty() { (*page).to_owned() } else { format!("{own}/userinfo/v2/me") };
            let (value, _) = fetch(&auth.settings.outbound, &page, &bearer(&tokens.access)?).await?;
            Ok(read(&page, &[value]))
        }
        Says::Pages { pages, read } => {
            let mut values = Vec::with_capacity(pages.len());
            for page in *pages {
                values.push(ask(auth, provider, page, tokens).await?);
            }
            Ok(read(&provider.api, &values))
        }
        Says::Beside(read) => Ok(read(&provider.api, std::slice::from_ref(&tokens.whole))),
        Says::OAuth1(_) => Err(Failure::new("the provider speaks OAuth 1")),
    }
}

/// One page, asked for as this provider wants it.
async fn ask(auth: &Auth, provider: &Provider, page: &str, tokens: &Tokens) -> Result<Value, Failure> {
    let mut headers = bearer(&tokens.access)?;
    let mut url = format!("{}{page}", provider.api);
    match provider.name.as_str() {
        "notion" => {
            let version = HeaderValue::from_static(NOTION_VERSION);
            headers.insert(HeaderName::from_static("notion-version"), version);
        }
        "twitch" => {
            let client = HeaderValue::from_str(&provider.client_id)
                .map_err(|_| Failure::new("the client id cannot stand in a header"))?;
            headers.insert(HeaderName::from_static("client-id"), client);
        }
        "facebook" => {
            let key = hmac::Key::new(hmac::HMAC_SHA256, provider.secret.expose().as_bytes());
            let proof = hex::encode(hmac::sign(&key, tokens.access.as_bytes()));
            url.push_str("&appsecret_proof=");
            url.push_str(&proof);
        }
        _ => {}
    }
    Ok(fetch(&auth.settings.outbound, &url, &headers).await?.0)
}

async fn by_token(
    auth: &Auth,
    provider: &Provider,
    settings: &ProviderSettings,
    issuer: &str,
    tokens: &Tokens,
    now: Moment,
) -> Result<Option<Profile>, Failure> {
    if tokens.id.is_empty() {
        return Err(Failure::new("no ID token was given"));
    }
    let own = settings.url.trim_end_matches('/');
    let (issuer, also) = match provider.name.as_str() {
        "azure" => {
            let issuer = claimed_issuer(&tokens.id).filter(|issuer| id_token::is_azure_of(own, issuer));
            (issuer.ok_or_else(|| Failure::new("the ID token is not Azure's"))?, None)
        }
        "apple" if own.is_empty() => (issuer.to_owned(), Some(id_token::APPLE_TOO)),
        _ => (if own.is_empty() { issuer.to_owned() } else { own.to_owned() }, None),
    };
    let client = &auth.settings.outbound;
    let token = auth.issuers.verify(client, &Issuer::new(&issuer), also, &tokens.id, now).await?;
    check(&token, tokens, std::iter::once(&*provider.client_id))?;
    Ok(claims::read(&provider.name, &token.claims))
}

fn check<'a>(
    token: &IdToken,
    tokens: &Tokens,
    clients: impl Iterator<Item = &'a str>,
) -> Result<(), Failure> {
    if !token.is_for(clients) {
        return Err(Failure::new("the ID token is for another client"));
    }
    if !token.goes_with(&tokens.access) {
        return Err(Failure::new("the ID token goes with another access token"));
    }
    Ok(())
}

async fn defined(
    auth: &Auth,
    provider: &Provider,
    row: &custom::Row,
    tokens: &Tokens,
    now: Moment,
) -> Result<Profile, Failure> {
    let client = &auth.settings.outbound;
    if row.is_oidc() && !tokens.id.is_empty() {
        let token = auth.issuers.verify(client, &row.issuer(), None, &tokens.id, now).await?;
        let others = row.acceptable_client_ids.iter().map(String::as_str);
        check(&token, tokens, std::iter::once(&*row.client_id).chain(others))?;
        return Ok(row.of_token(&token.claims));
    }
    if provider.api.is_empty() {
        return Err(Failure::new("there is neither an ID token nor a page to ask"));
    }
    match fetch(client, &provider.api, &bearer(&tokens.access)?).await?.0 {
        Value::Object(claims) => Ok(row.of_page(&claims)),
        _ => Err(Failure::new("a page says nothing")),
    }
}
