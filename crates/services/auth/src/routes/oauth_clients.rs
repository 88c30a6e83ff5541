//! `/admin/oauth/clients` and `/oauth/clients/register`: the applications that sign people in here.

use crate::Auth;
use crate::call::Call;
use crate::flow::oauth_client::{Fields, new_secret};
use crate::guard;
use crate::limits::Bucket;
use crate::refusal::{Outcome, database, invalid, refuse};
use crate::reply;
use crate::store::db::{all, first};
use crate::store::oauth_clients::{self, Client};
use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

const FAILED: &str = "Database error accessing OAuth clients";

type Answer = Outcome<Response<Body>>;

/// Refuses where there is no OAuth server.
pub(super) fn check_enabled(auth: &Auth) -> Outcome<()> {
    if !auth.settings.oauth_server.enabled {
        return Err(refuse(404, "feature_disabled", "OAuth server is disabled"));
    }
    Ok(())
}

async fn enter(auth: &Auth, call: &Call) -> Outcome<()> {
    guard::admin(auth, call).await?;
    check_enabled(auth)
}

/// The client with an id, unless it was deleted.
pub(super) async fn find(auth: &Auth, id: Uuid) -> Outcome<Option<Client>> {
    let rows = auth.db.one(oauth_clients::by_id(id)).await.map_err(database(FAILED))?;
    first(&rows).map_err(database(FAILED))
}

fn not_found() -> crate::refusal::Refusal {
    refuse(404, "oauth_client_not_found", "OAuth client not found")
}

/// The client of the path.
async fn load(auth: &Auth, call: &Call) -> Outcome<Client> {
    let id = call.path.split('/').nth(4).unwrap_or_default();
    let id = Uuid::parse_str(id).map_err(|_| invalid("invalid client_id format"))?;
    find(auth, id).await?.ok_or_else(not_found)
}

pub(super) async fn list(auth: &Auth, call: &Call) -> Answer {
    enter(auth, call).await?;
    let rows = auth.db.one(oauth_clients::list()).await.map_err(database(FAILED))?;
    let clients: Vec<Client> = all(&rows).map_err(database(FAILED))?;
    let shown: Vec<Value> = clients.iter().map(|client| client.shown(None)).collect();
    Ok(reply::ok(&json!({ "clients": shown })))
}

pub(super) async fn get(auth: &Auth, call: &Call) -> Answer {
    enter(auth, call).await?;
    Ok(reply::ok(&load(auth, call).await?.shown(None)))
}

pub(super) async fn create(auth: &Auth, call: &Call) -> Answer {
    enter(auth, call).await?;
    insert(auth, call, "manual").await
}

/// `POST /oauth/clients/register`: by the application itself.
pub(super) async fn register(auth: &Auth, call: &Call) -> Answer {
    check_enabled(auth)?;
    auth.limits.count(Bucket::ClientRegistration, &auth.settings, call)?;
    if !auth.settings.oauth_server.allow_dynamic_registration {
        let message = "Dynamic client registration is not enabled";
        return Err(refuse(403, "oauth_dynamic_client_registration_disabled", message));
    }
    insert(auth, call, "dynamic").await
}

async fn insert(auth: &Auth, call: &Call, registration: &str) -> Answer {
    let fields: Fields = call.json()?;
    let kind = fields.kind()?;
    let redirects = fields.redirect_uris.clone().unwrap_or_default();
    if redirects.is_empty() {
        return Err(invalid("redirect_uris is required"));
    }
    fields.check()?;
    let secret = (kind.client_type == "confidential").then(new_secret);
    let client = Client {
        id: Uuid::new_v4(),
        client_secret_hash: secret.as_ref().map(|(_, hash)| hash.clone()),
        registration_type: registration.to_owned(),
        redirect_uris: redirects.join(","),
        grant_types: fields.grant_types().join(","),
        client_name: fields.client_name,
        client_uri: fields.client_uri,
        logo_uri: fields.logo_uri,
        client_type: kind.client_type.to_owned(),
        token_endpoint_auth_method: kind.method.to_owned(),
        created_at: call.now,
        updated_at: call.now,
    };
    auth.db.one(oauth_clients::insert(&client)).await.map_err(database(FAILED))?;
    let secret = secret.as_ref().map(|(secret, _)| secret.as_str());
    Ok(reply::json(StatusCode::CREATED, &client.shown(secret)))
}

pub(super) async fn update(auth: &Auth, call: &Call) -> Answer {
    enter(auth, call).await?;
    let mut client = load(auth, call).await?;
    let fields: Fields = call.json()?;
    if fields.is_empty() {
        return Err(invalid("No fields provided for update"));
    }
    fields.check()?;
    if let Some(method) = fields.method()? {
        if (method == "none") == client.is_confidential() {
            return Err(invalid(format!(
                "token_endpoint_auth_method '{method}' is not valid for client_type '{}'",
                client.client_type
            )));
        }
        method.clone_into(&mut client.token_endpoint_auth_method);
    }
    if let Some(types) = &fields.grant_types {
        if types.is_empty() {
            return Err(invalid("grant_types cannot be empty"));
        }
        client.grant_types = types.join(",");
    }
    if let Some(redirects) = &fields.redirect_uris {
        client.redirect_uris = redirects.join(",");
    }
    client.client_name = fields.client_name.or(client.client_name);
    client.client_uri = fields.client_uri.or(client.client_uri);
    client.logo_uri = fields.logo_uri.or(client.logo_uri);
    let rows = auth.db.one(oauth_clients::update(&client, call.now)).await.map_err(database(FAILED))?;
    let client: Option<Client> = first(&rows).map_err(database(FAILED))?;
    Ok(reply::ok(&client.ok_or_else(not_found)?.shown(None)))
}

pub(super) async fn delete(auth: &Auth, call: &Call) -> Answer {
    enter(auth, call).await?;
    let client = load(auth, call).await?;
    auth.db.one(oauth_clients::delete(client.id, call.now)).await.map_err(database(FAILED))?;
    Ok(reply::no_content())
}

pub(super) async fn regenerate_secret(auth: &Auth, call: &Call) -> Answer {
    enter(auth, call).await?;
    let client = load(auth, call).await?;
    if !client.is_confidential() {
        return Err(invalid("Cannot regenerate secret for public client"));
    }
    let (secret, hash) = new_secret();
    let step = oauth_clients::set_secret(client.id, &hash, call.now);
    let rows = auth.db.one(step).await.map_err(database(FAILED))?;
    let client: Option<Client> = first(&rows).map_err(database(FAILED))?;
    Ok(reply::ok(&client.ok_or_else(not_found)?.shown(Some(&secret))))
}
