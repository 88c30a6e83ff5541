//! `POST /oauth/token`: an application gets the tokens of a user who has consented, and refreshes them.

use super::{oauth_clients, refresh_grant};
use crate::Auth;
use crate::call::Call;
use crate::flow::oauth_client::Credentials;
use crate::flow::{pkce, scope};
use crate::issue::{Grant, NewSession};
use crate::refusal::{Outcome, Refusal, Shape, database, internal, oauth, refuse};
use crate::store::audit::Actor;
use crate::store::db::{first, last};
use crate::store::oauth_authorizations::{self, Authorization};
use crate::store::oauth_clients::Client;
use crate::store::records::User;
use crate::store::{sessions, users};
use axum::body::Body;
use http::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;
use uuid::Uuid;

const FAILED: &str = "Error exchanging authorization code";
const ID_TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Params {
    grant_type: String,
    code: String,
    refresh_token: String,
    redirect_uri: String,
    code_verifier: String,
    resource: String,
}

impl Params {
    fn read(call: &Call) -> Outcome<Params> {
        if call.header("content-type").contains("application/json") {
            return serde_json::from_slice(&call.body)
                .map_err(|_| oauth("invalid_request", "Invalid JSON body"));
        }
        Ok(Params {
            grant_type: call.form("grant_type"),
            code: call.form("code"),
            refresh_token: call.form("refresh_token"),
            redirect_uri: call.form("redirect_uri"),
            code_verifier: call.form("code_verifier"),
            resource: call.form("resource"),
        })
    }
}

pub(super) async fn run(auth: &Auth, call: &Call) -> Outcome<Response<Body>> {
    oauth_clients::check_enabled(auth)?;
    let client = authenticate(auth, call).await?;
    let params = Params::read(call)?;
    if params.grant_type.is_empty() {
        return Err(oauth("invalid_request", "grant_type is required"));
    }
    if !client.may_use(&params.grant_type) {
        let message = format!("Client is not allowed to use grant type: {}", params.grant_type);
        return Err(oauth("unsupported_grant_type", message));
    }
    if params.grant_type == "refresh_token" {
        return refresh(auth, call, &client, params.refresh_token).await;
    }
    if params.code.is_empty() {
        return Err(oauth("invalid_request", "code is required for authorization_code grant"));
    }
    exchange(auth, call, &client, &params).await
}

async fn authenticate(auth: &Auth, call: &Call) -> Outcome<Client> {
    let credentials = Credentials::read(call)?;
    let unknown = |message| refuse(400, "invalid_credentials", message);
    let id = Uuid::parse_str(&credentials.id).map_err(|_| unknown("Invalid client_id format"))?;
    let client = oauth_clients::find(auth, id).await?.ok_or_else(|| unknown("Invalid client credentials"))?;
    credentials.check(&client)?;
    Ok(client)
}

async fn refresh(auth: &Auth, call: &Call, client: &Client, token: String) -> Outcome<Response<Body>> {
    if token.is_empty() {
        return Err(oauth("invalid_request", "refresh_token is required for refresh_token grant"));
    }
    let refreshed = refresh_grant::grant(auth, call, token, Some(client.id)).await.map_err(in_oauth_shape)?;
    let mut response = refreshed.grant.respond_to_client(None);
    refreshed.mark(&mut response);
    Ok(response)
}

/// What is wrong with a refresh token, as OAuth clients understand it.
fn in_oauth_shape(refusal: Refusal) -> Refusal {
    if refusal.shape != Shape::Coded || refusal.fault.status.as_u16() != 400 {
        return refusal;
    }
    let Refusal { mut fault, .. } = refusal;
    fault.code = "invalid_grant".into();
    Refusal { fault, shape: Shape::OAuth }
}

async fn exchange(auth: &Auth, call: &Call, client: &Client, params: &Params) -> Outcome<Response<Body>> {
    let rows = auth.db.one(oauth_authorizations::by_code(&params.code)).await.map_err(database(FAILED))?;
    let found: Option<Authorization> = first(&rows).map_err(database(FAILED))?;
    let unknown = || oauth("invalid_grant", "Invalid authorization code");
    let found = found.ok_or_else(unknown)?;
    check(call, client, params, &found)?;
    let user_id = found.user_id.ok_or_else(unknown)?;
    // The user first, as whoever deletes them does. Of several exchanges one takes the row.
    let steps = vec![users::by_id(user_id).locking("u"), oauth_authorizations::take(&params.code, client.id)];
    let (unit, results) = auth.db.begin(steps).await.map_err(database(FAILED))?;
    let user: Option<User> = results.first().map(first).transpose().map_err(database(FAILED))?.flatten();
    let taken = results.get(1).is_some_and(|rows| rows.affected() == 1);
    let refusal = match &user {
        _ if !taken => Some(unknown()),
        None => Some(oauth("invalid_grant", "User not found for authorization code")),
        Some(user) if user.is_banned(call.now) => Some(oauth("access_denied", "User is banned")),
        Some(_) => None,
    };
    let (Some(user), None) = (user, refusal.as_ref()) else {
        unit.rollback().await.map_err(database(FAILED))?;
        return Err(refusal.unwrap_or_else(unknown));
    };
    let of = sessions::Client { id: client.id, scopes: found.scope.clone() };
    let session = NewSession::of_client(user.id, "oauth_provider/authorization_code", of);
    let traits = json!({ "provider_type": "oauth_provider_authorization_code", "client_id": client.id });
    let mut steps = auth.audit(&Actor::user(&user), "login", Some(traits), call);
    steps.extend(session.steps(call));
    let results = unit.commit(steps).await.map_err(database(FAILED))?;
    let grant = session.grant(auth, call, last(&results).map_err(database(FAILED))?).await?;
    let id_token = id_token(auth, call, &grant, &found)?;
    Ok(grant.respond_to_client(id_token))
}

/// Whether the code is this client's, still good, and shown by whoever asked for it.
fn check(call: &Call, client: &Client, params: &Params, found: &Authorization) -> Outcome<()> {
    let bad = |why: &str| Err(oauth("invalid_grant", why));
    if call.now > found.expires_at {
        return bad("Authorization code has expired");
    }
    if found.client_id != client.id {
        return bad("Authorization code was not issued for this client");
    }
    let resource = found.resource.as_deref().unwrap_or_default();
    if !params.resource.is_empty() && params.resource != resource {
        return bad("Authorization code resource does not match the resource parameter");
    }
    if !params.redirect_uri.is_empty() && params.redirect_uri != found.redirect_uri {
        return bad("Invalid redirect_uri");
    }
    if params.code_verifier.is_empty() {
        return bad("PKCE verification failed: code_verifier is required when PKCE challenge is present");
    }
    let challenge = found.code_challenge.as_deref().unwrap_or_default();
    let method = found.code_challenge_method.as_deref().unwrap_or_default();
    pkce::verify(method, challenge, &params.code_verifier).map_err(|refusal| {
        oauth("invalid_grant", format!("PKCE verification failed: {}", refusal.fault.message))
    })
}

/// The token by which OpenID clients know who it is. Only with a key that they can verify with.
fn id_token(auth: &Auth, call: &Call, grant: &Grant, found: &Authorization) -> Outcome<Option<String>> {
    let keys = &auth.settings.keys;
    let is_public = keys.signing_key().is_some_and(|key| key.algorithm() != token::Algorithm::Hs256);
    if !scope::has(&found.scope, "openid") || !is_public {
        return Ok(None);
    }
    let user = &grant.user;
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    put("iss", json!(auth.settings.jwt_issuer));
    put("sub", json!(user.id));
    put("aud", json!(found.client_id));
    put("exp", json!(call.now.plus(ID_TOKEN_LIFETIME).unix()));
    put("iat", json!(call.now.unix()));
    put("auth_time", json!(user.last_sign_in_at.unwrap_or(call.now).unix()));
    put("client_id", json!(found.client_id));
    if let Some(nonce) = found.nonce.as_deref().filter(|nonce| !nonce.is_empty()) {
        put("nonce", json!(nonce));
    }
    if scope::has(&found.scope, "email") {
        put("email", json!(user.email()));
        put("email_verified", json!(user.email_confirmed_at.is_some()));
    }
    if scope::has(&found.scope, "phone") {
        put("phone_number", json!(user.phone()));
        put("phone_number_verified", json!(user.phone_confirmed_at.is_some()));
    }
    if scope::has(&found.scope, "profile") {
        claims.extend(profile(user));
    }
    keys.sign(&claims).map(Some).map_err(|e| internal("Error generating ID token", e))
}

/// Who the user says they are.
pub(super) fn profile(user: &User) -> Map<String, Value> {
    let metadata = user.user_metadata();
    let given = |names: &[&str]| {
        let texts = names.iter().filter_map(|name| metadata.get(*name)?.as_str());
        texts.into_iter().find(|text| !text.is_empty()).map(str::to_owned)
    };
    let name = given(&["name"]).or_else(|| Some(user.email().to_owned()).filter(|email| !email.is_empty()));
    let claims = [
        ("name", name.map(Value::from)),
        ("picture", given(&["picture", "avatar_url"]).map(Value::from)),
        ("preferred_username", given(&["preferred_username", "username"]).map(Value::from)),
        ("updated_at", user.updated_at.map(|time| json!(time.unix()))),
    ];
    claims.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
