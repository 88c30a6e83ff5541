//! `GET` and `POST /callback`: back from a provider.
//!
//! Whoever comes is a browser: everything, refusals too, is a redirect. A state that is not one of ours leads to
//! the site; all others to where the sign-in began.

use super::authorize::unsupported;
use crate::Auth;
use crate::call::Call;
use crate::external::{self, Arrival, Ended, Ending, Profile, Purpose};
use crate::flow::redirect;
use crate::guard::audience;
use crate::issue::Grant;
use crate::provider::{self, Provider, oauth1};
use crate::refusal::{Outcome, Refusal, Shape, database, internal, refuse};
use crate::reply;
use crate::store::db::first;
use crate::store::oauth_client_states::ClientState;
use crate::store::records::FlowState;
use crate::store::{flow_states, oauth_client_states};
use axum::body::Body;
use fault::Fault;
use http::{Response, StatusCode};
use serde::Deserialize;
use std::time::Duration;
use uuid::Uuid;

/// How long we keep something for ourselves while somebody is at a provider.
const CLIENT_STATE_EXPIRY: Duration = Duration::from_secs(300);
/// How much of the time for a request is the database's, not the provider's.
const SPARE: Duration = Duration::from_secs(2);
/// How much of what a provider says about its refusal is repeated.
const REFUSAL_CHARS_MAX: usize = 1000;

/// What a provider says of somebody, with its tokens.
struct Answer {
    profile: Profile,
    access_token: String,
    refresh_token: String,
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let flow = match load(auth, call).await {
        Ok(flow) => flow,
        Err(refusal) => {
            log(&refusal);
            let url = redirect::with_query(&auth.settings.site_url, &borrowed(&error_pairs(&refusal)));
            return Ok(redirected(StatusCode::SEE_OTHER, &url));
        }
    };
    let target = target(auth, &flow);
    let answered = answer(auth, call, &flow).await;
    let ended = match answered {
        Ok(answer) => finish(auth, call, &flow, &answer).await.map(|ended| (ended, answer)),
        Err(refusal) => Err(refusal),
    };
    match ended {
        Ok((Ended::Session(grant), answer)) => {
            let url = signed_in(&target, &grant, &answer);
            Ok(grant.with_headers(redirected(StatusCode::FOUND, &url)))
        }
        Ok((Ended::Code(code), _)) => {
            Ok(redirected(StatusCode::FOUND, &redirect::with_query(&target, &[("code", &code)])))
        }
        Err(refusal) => {
            log(&refusal);
            let mut pairs = error_pairs(&refusal);
            let url = redirect::with_query(&target, &borrowed(&pairs));
            pairs.push(("sb", String::new()));
            Ok(redirected(StatusCode::FOUND, &redirect::with_fragment(&url, &borrowed(&pairs))))
        }
    }
}

/// The flow that the state names: one that began here, not long ago, and that nobody has ended.
async fn load(auth: &Auth, call: &Call) -> Outcome<FlowState> {
    let state = call.form("state");
    if state.is_empty() {
        return Err(refuse(400, "bad_oauth_callback", "OAuth state parameter missing"));
    }
    let bad = |message: &'static str| refuse(400, "bad_oauth_state", message);
    let id = Uuid::try_parse(&state).map_err(|_| bad("OAuth state parameter is invalid"))?;
    let rows = auth.db.one(flow_states::by_id(id)).await.map_err(database("Error loading flow state"))?;
    let flow: Option<FlowState> = first(&rows).map_err(database("Error loading flow state"))?;
    // Flows of codes by mail live in the same table; they have an owner from the beginning.
    let flow = flow.filter(|flow| flow.authentication_method == "oauth");
    let flow = flow.ok_or_else(|| bad("OAuth state not found or expired"))?;
    let expiry = auth.settings.flow_state_expiry;
    if flow.created_at.is_none_or(|start| call.now > start.plus(expiry)) {
        return Err(bad("OAuth state has expired"));
    }
    if flow.user_id.is_some() {
        return Err(refuse(400, "flow_state_already_used", "State has already been used"));
    }
    Ok(flow)
}

/// Where the sign-in ends.
fn target(auth: &Auth, flow: &FlowState) -> String {
    let settings = &auth.settings;
    let fixed = Some(settings.external.redirect_url.as_str());
    let wanted = [fixed, flow.referrer.as_deref()].into_iter().flatten().find(|url| !url.is_empty());
    wanted.unwrap_or(&settings.site_url).to_owned()
}

/// Asks the provider, within what a request may take.
async fn answer(auth: &Auth, call: &Call, flow: &FlowState) -> Outcome<Answer> {
    let refusal = call.form("error");
    if !refusal.is_empty() {
        return Err(refused_there(&refusal, &call.form("error_description")));
    }
    let time = auth.settings.request_timeout.saturating_sub(SPARE);
    let asked = tokio::time::timeout(time, Box::pin(ask(auth, call, flow))).await;
    asked.unwrap_or_else(|_| {
        Err(internal("Error getting user profile from external provider", "no answer in time"))
    })
}

async fn ask(auth: &Auth, call: &Call, flow: &FlowState) -> Outcome<Answer> {
    let name = flow.provider_type.as_str();
    let provider = provider::resolve(auth, name, "", call.now).await;
    let provider = provider.map_err(unsupported("oauth_provider_not_supported"))?;
    if provider.is_oauth1() {
        return ask_oauth1(auth, call, flow, &provider).await;
    }
    let code = call.form("code");
    if code.is_empty() {
        let message = "OAuth callback with missing authorization code missing";
        return Err(refuse(400, "bad_oauth_callback", message));
    }
    let kept = kept(auth, call, flow).await?;
    if provider.pkce && kept.is_none() {
        return Err(refuse(400, "oauth_invalid_state", "OAuth PKCE code verifier missing"));
    }
    let client = &auth.settings.outbound;
    let tokens = provider::exchange(client, &provider, &code, kept.as_deref()).await.map_err(|failure| {
        let start: String = code.chars().take(4).collect();
        let message = format!("Unable to exchange external code: {start}");
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message).caused_by(failure)
    })?;
    let profile = provider::profile(auth, &provider, &tokens, call.now).await;
    let profile = profile.map_err(|e| internal("Error getting user profile from external provider", e))?;
    let profile = if name == "apple" { named_by_apple(profile, &call.form("user"))? } else { profile };
    Ok(Answer { profile, access_token: tokens.access, refresh_token: tokens.refresh })
}

async fn ask_oauth1(auth: &Auth, call: &Call, flow: &FlowState, provider: &Provider) -> Outcome<Answer> {
    if !call.form("denied").is_empty() {
        return Err(refused_there("access_denied", ""));
    }
    let kept = kept(auth, call, flow).await?;
    let request = kept.as_deref().and_then(oauth1::Pair::from_text);
    let request = request.ok_or_else(|| refuse(400, "oauth_invalid_state", "OAuth request token missing"))?;
    let (token, verifier) = (call.form("oauth_token"), call.form("oauth_verifier"));
    if verifier.is_empty() || !token::same_secret(token.as_bytes(), request.token.as_bytes()) {
        return Err(refuse(400, "bad_oauth_callback", "OAuth callback with another request token"));
    }
    let ended = oauth1::end(&auth.settings.outbound, provider, &request, &verifier, call.now).await;
    let (access_token, profile) = ended.map_err(|e| internal("Unable to retrieve access token", e))?;
    Ok(Answer { profile, access_token, refresh_token: String::new() })
}

/// What we kept for ourselves, used up.
async fn kept(auth: &Auth, call: &Call, flow: &FlowState) -> Outcome<Option<String>> {
    let Some(id) = flow.oauth_client_state_id else { return Ok(None) };
    let taken = auth.db.one(oauth_client_states::take(id)).await;
    let rows = taken.map_err(database("Failed to find OAuth state"))?;
    let state: Option<ClientState> = first(&rows).map_err(database("Failed to find OAuth state"))?;
    let state = state.ok_or_else(|| refuse(422, "oauth_client_state_not_found", "OAuth state not found"))?;
    if state.provider_type != flow.provider_type {
        return Err(refuse(400, "oauth_invalid_state", "OAuth provider mismatch"));
    }
    if call.now > state.created_at.plus(CLIENT_STATE_EXPIRY) {
        return Err(refuse(422, "oauth_client_state_expired", "OAuth state expired"));
    }
    Ok(state.code_verifier)
}

/// Apple tells the name once, and beside the tokens.
fn named_by_apple(profile: Profile, user: &str) -> Outcome<Profile> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Name {
        #[serde(rename = "firstName")]
        first: String,
        #[serde(rename = "lastName")]
        last: String,
    }
    #[derive(Deserialize)]
    struct User {
        #[serde(default)]
        name: Name,
    }
    if user.is_empty() {
        return Ok(profile);
    }
    let user: User = serde_json::from_str(user)
        .map_err(|e| internal("Error getting user profile from external provider", e))?;
    Ok(profile.name(format!("{} {}", user.name.first, user.name.last).trim()))
}

async fn finish(auth: &Auth, call: &Call, flow: &FlowState, answer: &Answer) -> Outcome<Ended> {
    if answer.profile.emails().is_empty() && !flow.email_optional {
        return Err(refuse(500, "unexpected_failure", "Error getting user email from external provider"));
    }
    let arrival = Arrival {
        provider: flow.provider_type.clone(),
        profile: answer.profile.clone(),
        email_optional: flow.email_optional,
        audience: audience(&auth.settings, call, None),
    };
    let invite_token = flow.invite_token.as_deref().unwrap_or_default();
    let purpose = match flow.linking_target_id {
        Some(target) => Purpose::Link(target),
        None if !invite_token.is_empty() => Purpose::Accept(invite_token.to_owned()),
        None => Purpose::SignIn,
    };
    let is_pkce = flow.code_challenge.as_deref().is_some_and(|challenge| !challenge.is_empty());
    let ending = if is_pkce {
        Ending::Code {
            flow: flow.id,
            access_token: answer.access_token.clone(),
            refresh_token: answer.refresh_token.clone(),
        }
    } else {
        Ending::Session { method: "oauth", flow: Some(flow.id) }
    };
    external::run(auth, call, &arrival, &purpose, &ending).await
}

/// The session with what the provider gave for itself.
fn signed_in(target: &str, grant: &Grant, answer: &Answer) -> String {
    let own = [("provider_token", &*answer.access_token), ("provider_refresh_token", &answer.refresh_token)];
    // A provider that gives no second token is said to have given none; the first is always named.
    let given = if answer.refresh_token.is_empty() { &own[..1] } else { &own[..] };
    grant.redirect(target, given)
}

/// The provider's own refusal, in its words.
fn refused_there(error: &str, description: &str) -> Refusal {
    let short = |text: &str| text.chars().take(REFUSAL_CHARS_MAX).collect::<String>();
    let fault = Fault::new(StatusCode::BAD_REQUEST, short(error), short(description));
    Refusal { fault, shape: Shape::OAuth }
}

/// A refusal as parameters.
fn error_pairs(refusal: &Refusal) -> Vec<(&'static str, String)> {
    let fault = &refusal.fault;
    let description = ("error_description", fault.message.clone());
    if refusal.shape == Shape::OAuth {
        return vec![("error", fault.code.to_string()), description];
    }
    let error = match (fault.code.as_ref(), fault.status.as_u16()) {
        ("signup_disabled" | "user_banned" | "provider_email_needs_verification", _) => "access_denied",
        (_, 400) => "invalid_request",
        (_, 401) => "unauthorized_client",
        (_, 403) => "access_denied",
        (_, 503) => "temporarily_unavailable",
        _ => "server_error",
    };
    let mut pairs = vec![("error", error.to_owned()), description];
    if refusal.shape == Shape::Coded {
        pairs.push(("error_code", fault.code.to_string()));
    }
    pairs
}

fn borrowed<'a>(pairs: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    pairs.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

fn redirected(status: StatusCode, url: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    reply::set(&mut response, "location", url);
    response
}

fn log(refusal: &Refusal) {
    match refusal.fault.cause() {
        Some(cause) => {
            tracing::error!(status = refusal.fault.status.as_u16(), code = %refusal.fault.code, %cause, "sign-in at a provider failed");
        }
        None => tracing::debug!(fault = %refusal.fault, "sign-in at a provider refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(refusal: &Refusal) -> (String, Option<String>) {
        let pairs = error_pairs(refusal);
        let find = |key: &str| pairs.iter().find(|(k, _)| *k == key).map(|(_, value)| value.clone());
        (find("error").unwrap(), find("error_code"))
    }

    #[test]
    fn refusals_have_the_words_of_oauth() {
        for (status, code, wanted) in [
            (422, "signup_disabled", "access_denied"),
            (422, "provider_email_needs_verification", "access_denied"),
            (403, "user_banned", "access_denied"),
            (400, "bad_oauth_state", "invalid_request"),
            (422, "identity_already_exists", "server_error"),
            (500, "unexpected_failure", "server_error"),
        ] {
            assert_eq!(error(&refuse(status, code, "x")), (wanted.to_owned(), Some(code.to_owned())));
        }
        let theirs = error(&refused_there("access_denied", &"x".repeat(5000)));
        assert_eq!(theirs, ("access_denied".to_owned(), None));
    }

    #[test]
    fn apple_names_people_beside_the_tokens() {
        let profile = || Profile::new("i", "7");
        let named = named_by_apple(profile(), r#"{"name":{"firstName":"Ann","lastName":"Lee"},"email":"x"}"#)
            .unwrap();
        assert_eq!(named.identity_data()["full_name"], "Ann Lee");
        assert!(!named.identity_data().contains_key("email"));
        assert_eq!(named_by_apple(profile(), "").unwrap(), profile());
        assert!(named_by_apple(profile(), "{").is_err());
    }
}
