//! `GET /authorize` and `GET /user/identities/authorize`: off to a provider.

use crate::Auth;
use crate::call::Call;
use crate::flow::pkce::ChallengeFields;
use crate::guard;
use crate::message;
use crate::provider::{self, Provider, Unusable, oauth1};
use crate::refusal::{Outcome, Refusal, database, internal, invalid, refuse};
use crate::reply;
use crate::store::db::{Step, first};
use crate::store::records::User;
use crate::store::{flow_states, oauth_client_states, users};
use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use http::Response;
use serde_json::json;
use uuid::Uuid;

const FAILED: &str = "Error creating flow state";

/// What we decide: a client that could set one of these would have the code sent elsewhere, or a code of its own
/// accepted. The last two stand for all others.
pub(super) const RESERVED: [&str; 10] = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "state",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "request",
    "request_uri",
];

/// What is for us and no business of the provider's.
const OURS: [&str; 3] = ["provider", "scopes", "invite_token"];

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    Ok(reply::found(&begin(auth, call, None).await?))
}

pub(super) async fn link(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    let signed = guard::user(auth, call).await?;
    super::identities::check_enabled(auth)?;
    let url = begin(auth, call, Some(signed.user.id)).await?;
    if call.query("skip_http_redirect") == "true" {
        return Ok(reply::ok(&json!({ "url": url })));
    }
    Ok(reply::found(&url))
}

pub(super) fn unsupported(code: &'static str) -> impl FnOnce(Unusable) -> Refusal {
    move |unusable| match unusable {
        Unusable::Because(why) => refuse(400, code, format!("Unsupported provider: {why}")),
        Unusable::Database(error) => database("Error finding custom provider")(error),
    }
}

/// Remembers where somebody goes and for what, and says where to.
async fn begin(auth: &Auth, call: &Call, target: Option<Uuid>) -> Outcome<String> {
    let provider = provider::resolve(auth, call.query("provider"), call.query("scopes"), call.now).await;
    let provider = provider.map_err(unsupported("validation_failed"))?;
    let invite_token = call.query("invite_token");
    check_invitation(auth, invite_token).await?;
    let referrer = message::redirect_target(auth, call);
    let given = |name: &str| Some(call.query(name).to_owned());
    let fields = ChallengeFields {
        code_challenge: given("code_challenge"),
        code_challenge_method: given("code_challenge_method"),
    };
    let challenge = fields.read()?;
    let id = Uuid::new_v4();
    let Departure { url, kept } = depart(auth, call, &provider, id).await?;
    let client_state = kept.as_ref().map(|_| Uuid::new_v4());
    let mut steps: Vec<Step> = Vec::new();
    if let (Some(state), Some(kept)) = (client_state, kept) {
        steps.push(oauth_client_states::insert(state, &provider.name, &kept, call.now));
    }
    let start = flow_states::Start {
        id,
        provider: &provider.name,
        challenge: challenge.as_ref(),
        invite_token,
        referrer: &referrer,
        client_state,
        target,
        email_optional: provider.email_optional,
    };
    steps.push(flow_states::start(&start, call.now));
    auth.db.run(steps).await.map_err(database(FAILED))?;
    Ok(url)
}

/// Where somebody goes, and what we keep for ourselves until they are back.
struct Departure {
    url: String,
    kept: Option<String>,
}

async fn depart(auth: &Auth, call: &Call, provider: &Provider, state: Uuid) -> Outcome<Departure> {
    let state = state.to_string();
    if provider.is_oauth1() {
        let begun = oauth1::begin(&auth.settings.outbound, provider, &state, call.now).await;
        let (pair, url) = begun.map_err(|e| internal("Unable to retrieve request token", e))?;
        return Ok(Departure { url, kept: Some(pair.to_text()) });
    }
    let verifier = provider.pkce.then(|| B64.encode(token::random_bytes::<32>()));
    let challenge = verifier.as_ref().map(|verifier| B64.encode(token::sha256(verifier.as_bytes())));
    let url = provider.authorize_url(&state, &passed_on(call), challenge.as_deref());
    Ok(Departure { url, kept: verifier })
}

/// The parameters that the client has for the provider: all but ours, each once.
fn passed_on(call: &Call) -> Vec<(String, String)> {
    let mut passed: Vec<(String, String)> = Vec::new();
    for (key, value) in &call.query {
        let lower = key.to_ascii_lowercase();
        if OURS.contains(&key.as_str()) || RESERVED.contains(&lower.as_str()) {
            continue;
        }
        // WorkOS has a parameter of the name that is ours.
        let key = if key == "workos_provider" { "provider" } else { key };
        if !passed.iter().any(|(known, _)| known == key) {
            passed.push((key.to_owned(), value.clone()));
        }
    }
    passed
}

async fn check_invitation(auth: &Auth, invite_token: &str) -> Outcome<()> {
    if invite_token.is_empty() {
        return Ok(());
    }
    if invite_token.len() > 255 {
        return Err(invalid("invite_token is too long"));
    }
    let found = auth.db.one(users::by_token_hash(invite_token, &["confirmation_token"])).await;
    let rows = found.map_err(database("Database error finding user"))?;
    let user: Option<User> = first(&rows).map_err(database("Database error finding user"))?;
    user.map(drop).ok_or_else(|| refuse(404, "user_not_found", "User identified by token not found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_is_not_passed_on_however_it_is_written() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let call = Call {
            path: String::new(),
            query: vec![
                pair("provider", "google"),
                pair("scopes", "a"),
                pair("Redirect_URI", "https://evil.dev"),
                pair("STATE", "x"),
                pair("request_uri", "https://evil.dev"),
                pair("invite_token", "t"),
                pair("nonce", "n"),
                pair("prompt", "consent"),
                pair("prompt", "again"),
                pair("workos_provider", "saml"),
            ],
            headers: http::HeaderMap::new(),
            signed_tokens: false,
            body: bytes::Bytes::new(),
            caller: None,
            ip: None,
            now: crate::moment::Moment::from_system(std::time::SystemTime::UNIX_EPOCH),
            message_id: std::sync::OnceLock::new(),
        };
        let expected = [pair("nonce", "n"), pair("prompt", "consent"), pair("provider", "saml")];
        assert_eq!(passed_on(&call), expected);
    }
}
