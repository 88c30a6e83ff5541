//! `POST /token?grant_type=id_token`: an ID token that an app got by itself, for a session.

use crate::Auth;
use crate::call::Call;
use crate::external::{self, Arrival, Ended, Ending, Purpose};
use crate::guard::{self, audience};
use crate::provider::id_token::{self, Refused, Terms};
use crate::provider::oidc::IdToken;
use crate::refusal::{Outcome, Refusal, database, invalid, oauth, refuse};
use axum::body::Body;
use http::Response;
use serde::Deserialize;

#[derive(Deserialize)]
struct Params {
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    provider: Option<String>,
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    issuer: Option<String>,
    #[serde(default)]
    link_identity: Option<bool>,
}

/// What is wrong with a request, in the words of the reference, which has a blank in its code.
fn bad(description: impl Into<String>) -> Refusal {
    oauth("invalid request", description)
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let params: Params = call.json()?;
    let given = |field: &Option<String>| field.clone().unwrap_or_default();
    let (token, provider) = (given(&params.id_token), given(&params.provider));
    let (client, issuer) = (given(&params.client_id), given(&params.issuer));
    if token.is_empty() {
        return Err(bad("id_token required"));
    }
    if provider.is_empty() && (client.is_empty() || issuer.is_empty()) {
        return Err(bad("provider or client_id and issuer required"));
    }
    let purpose = purpose(auth, call, params.link_identity.unwrap_or(false)).await?;
    let terms = terms(auth, &provider, &issuer, &client, &token).await?;
    let verified = terms.verify(auth, &token, call.now).await.map_err(|failure| {
        let Refusal { fault, shape } = bad("Bad ID token");
        Refusal { fault: fault.caused_by(failure), shape }
    })?;
    let access_token = given(&params.access_token);
    if !access_token.is_empty() && !verified.goes_with(&access_token) {
        return Err(bad("Bad ID token"));
    }
    check(&terms, &verified, &given(&params.nonce))?;
    let profile = terms.profile(&verified).filter(|profile| !profile.subject().is_empty());
    let arrival = Arrival {
        provider: terms.provider.clone(),
        profile: profile.ok_or_else(|| bad("Missing sub claim in id_token"))?,
        email_optional: terms.email_optional,
        audience: audience(&auth.settings, call, None),
    };
    let ending = Ending::Session { method: "oauth", flow: None };
    match external::run(auth, call, &arrival, &purpose, &ending).await? {
        Ended::Session(grant) => Ok(grant.respond()),
        Ended::Code(_) => Err(oauth("server_error", "Internal Server Error")),
    }
}

/// Linking is for whoever is signed in, where people may link by themselves.
async fn purpose(auth: &Auth, call: &Call, link: bool) -> Outcome<Purpose> {
    if !link {
        return Ok(Purpose::SignIn);
    }
    if call.header("authorization").is_empty() {
        return Err(bad("Linking requires a valid user access token in Authorization"));
    }
    let signed = guard::user(auth, call).await?;
    super::identities::check_enabled(auth)?;
    Ok(Purpose::Link(signed.user.id))
}

async fn terms(auth: &Auth, provider: &str, issuer: &str, client: &str, token: &str) -> Outcome<Terms> {
    let found = if provider.starts_with("custom:") {
        id_token::defined(auth, provider).await
    } else {
        let by_issuer = id_token::provider_of(auth, issuer);
        match (provider, by_issuer) {
            (name, _) if id_token::is_listed(name) => id_token::listed(auth, name, token),
            (_, Some(name)) => id_token::listed(auth, name, token),
            (name, None) => id_token::foreign(auth, name, issuer, client),
        }
    };
    let terms = found.map_err(|refused| match refused {
        Refused::Invalid(message) => invalid(message),
        Refused::Disabled(message) => refuse(400, "provider_disabled", message),
        Refused::Database(error) => database("Error finding custom provider")(error),
    })?;
    // Who names an issuer means that one; only for these two is it not settled by the provider's name.
    if matches!(terms.provider.as_str(), "apple" | "azure")
        && !issuer.is_empty()
        && !terms.is_of(issuer, token)
    {
        return Err(invalid("Provided issuer does not match ID token issuer"));
    }
    Ok(terms)
}

/// Whom the token is for, and whether it answers this very request.
fn check(terms: &Terms, token: &IdToken, nonce: &str) -> Outcome<()> {
    if token.text("sub").is_empty() && !token.claims.contains_key("sub") {
        return Err(bad("Missing sub claim in id_token"));
    }
    if !token.is_for(terms.clients.iter().map(String::as_str)) {
        let audience = token.audience().join(" ");
        return Err(bad(format!("Unacceptable audience in id_token: [{audience}]")));
    }
    if terms.skip_nonce_check {
        return Ok(());
    }
    let theirs = token.text("nonce");
    if theirs.is_empty() != nonce.is_empty() {
        return Err(bad("Passed nonce and nonce in id_token should either both exist or not."));
    }
    let hash = hex::encode(::token::sha256(nonce.as_bytes()));
    if !theirs.is_empty() && !::token::same_secret(hash.as_bytes(), theirs.as_bytes()) {
        return Err(oauth("invalid nonce", "Nonces mismatch"));
    }
    Ok(())
}
