//! `GET /oauth/authorize`: an application sends a user here, and this sends them on to the page of the site
//! that asks for consent.

use super::oauth_clients;
use crate::Auth;
use crate::call::Call;
use crate::flow::pkce::{Challenge, ChallengeFields};
use crate::flow::redirect::with_query;
use crate::flow::scope;
use crate::refusal::{Outcome, Refusal, invalid, refuse};
use crate::reply;
use crate::store::oauth_authorizations::{self, NewAuthorization};
use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use http::{Response, Uri};
use uuid::Uuid;

const STATE_BYTES_MAX: usize = 4096;
const SCOPE_BYTES_MAX: usize = 2048;
const RESOURCE_BYTES_MAX: usize = 2048;
const NONCE_BYTES_MAX: usize = 255;

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    oauth_clients::check_enabled(auth)?;
    let redirect_uri = call.query("redirect_uri");
    let client = client(auth, call, redirect_uri).await?;
    // From here on the redirect is known to be the client's, so that it may hear of errors.
    match begin(auth, call, client, redirect_uri).await {
        Ok(page) => Ok(reply::found(&page)),
        Err(refusal) => {
            let error = if refusal.fault.status.is_server_error() {
                tracing::error!(fault = %refusal.fault, cause = ?refusal.fault.cause(), "an authorization failed");
                "server_error"
            } else {
                "invalid_request"
            };
            Ok(reply::found(&refused(redirect_uri, error, &refusal.fault.message, call.query("state"))))
        }
    }
}

/// Where a client hears that it gets nothing.
pub(super) fn refused(redirect_uri: &str, error: &str, why: &str, state: &str) -> String {
    let mut pairs = vec![("error", error), ("error_description", why)];
    if !state.is_empty() {
        pairs.push(("state", state));
    }
    with_query(redirect_uri, &pairs)
}

async fn client(auth: &Auth, call: &Call, redirect_uri: &str) -> Outcome<Uuid> {
    let id = call.query("client_id");
    if id.is_empty() {
        return Err(invalid("client_id is required"));
    }
    if redirect_uri.is_empty() {
        return Err(invalid("redirect_uri is required"));
    }
    let unknown = |message| refuse(400, "oauth_client_not_found", message);
    let id = Uuid::parse_str(id).map_err(|_| unknown("invalid client_id format"))?;
    let client = oauth_clients::find(auth, id).await?.ok_or_else(|| unknown("invalid client_id"))?;
    if !client.may_redirect_to(redirect_uri) {
        return Err(invalid("invalid redirect_uri"));
    }
    Ok(client.id)
}

/// Writes the request and returns the address of the page that asks.
async fn begin(auth: &Auth, call: &Call, client: Uuid, redirect_uri: &str) -> Outcome<String> {
    let server = &auth.settings.oauth_server;
    if !matches!(call.query("response_type"), "" | "code") {
        return Err(invalid("only response_type=code is supported"));
    }
    let wanted = call.query("scope").trim();
    let wanted = if wanted.is_empty() { server.default_scope.as_str() } else { wanted };
    check_scope(wanted)?;
    check_resource(call.query("resource"))?;
    let challenge = challenge(call)?;
    let lengths = [("state", STATE_BYTES_MAX), ("nonce", NONCE_BYTES_MAX)];
    if let Some((name, _)) = lengths.iter().find(|(name, max)| call.query(name).len() > *max) {
        return Err(invalid(format!("{name} is too long")));
    }
    if server.authorization_path.is_empty() {
        return Err(refuse(500, "unexpected_failure", "oauth authorization path not configured"));
    }
    let id = B64.encode(token::random_bytes::<24>());
    let new = NewAuthorization {
        authorization_id: &id,
        client,
        redirect_uri,
        scope: wanted,
        state: call.query("state"),
        resource: call.query("resource"),
        challenge: &challenge,
        nonce: call.query("nonce"),
        expires_at: call.now.plus(server.authorization_expiry),
    };
    let failed = |e: pg::Error| -> Refusal { crate::refusal::internal("error creating authorization", e) };
    auth.db.one(oauth_authorizations::insert(&new, call.now)).await.map_err(failed)?;
    let site = auth.settings.site_url.trim_end_matches('/');
    let path = server.authorization_path.trim_start_matches('/');
    Ok(with_query(&format!("{site}/{path}"), &[("authorization_id", &id)]))
}

fn check_scope(wanted: &str) -> Outcome<()> {
    if wanted.len() > SCOPE_BYTES_MAX {
        return Err(invalid("scope is too long"));
    }
    match scope::parse(wanted).find(|name| !scope::SUPPORTED.contains(name)) {
        Some(name) => Err(invalid(format!("unsupported scope: {name}"))),
        None => Ok(()),
    }
}

/// A resource is named by an absolute URI and nothing after its path.
fn check_resource(resource: &str) -> Outcome<()> {
    if resource.is_empty() {
        return Ok(());
    }
    if resource.contains(['#', '?']) {
        return Err(invalid("resource must not include a fragment or query component"));
    }
    let absolute = resource.parse::<Uri>().is_ok_and(|uri| uri.scheme().is_some());
    if absolute && resource.len() <= RESOURCE_BYTES_MAX {
        return Ok(());
    }
    Err(invalid("resource must be an absolute URI"))
}

/// Without a challenge the code would be good for whoever intercepts it.
fn challenge(call: &Call) -> Outcome<Challenge> {
    let given = |name: &str| Some(call.query(name).to_owned());
    let fields = ChallengeFields {
        code_challenge: given("code_challenge"),
        code_challenge_method: given("code_challenge_method"),
    };
    if call.query("code_challenge").is_empty() || call.query("code_challenge_method").is_empty() {
        return Err(invalid("PKCE flow requires both code_challenge and code_challenge_method"));
    }
    let method = call.query("code_challenge_method").to_ascii_lowercase();
    if !matches!(method.as_str(), "s256" | "plain") {
        return Err(invalid("code_challenge_method must be 'S256' or 'plain'"));
    }
    fields.read()?.ok_or_else(|| invalid("PKCE flow requires both code_challenge and code_challenge_method"))
}
