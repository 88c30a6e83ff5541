//! `auth.oauth_clients`: the applications that sign people in with this project.

use super::db::Step;
use crate::moment::Moment;
use pg::{Param, null, param, text};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// A row. Its secret is kept as a hash.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Client {
    pub(crate) id: Uuid,
    pub(crate) client_secret_hash: Option<String>,
    pub(crate) registration_type: String,
    pub(crate) redirect_uris: String,
    pub(crate) grant_types: String,
    pub(crate) client_name: Option<String>,
    pub(crate) client_uri: Option<String>,
    pub(crate) logo_uri: Option<String>,
    pub(crate) client_type: String,
    pub(crate) token_endpoint_auth_method: String,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
}

impl Client {
    pub(crate) fn is_confidential(&self) -> bool {
        self.client_type == "confidential"
    }

    /// Whether the client was registered with exactly this URI.
    pub(crate) fn may_redirect_to(&self, uri: &str) -> bool {
        self.redirect_uris.split(',').any(|known| known == uri)
    }

    pub(crate) fn may_use(&self, grant_type: &str) -> bool {
        self.grant_types.split(',').any(|known| known == grant_type)
    }

    /// The form in which administrators and the client itself get it. The secret is shown once.
    pub(crate) fn shown(&self, secret: Option<&str>) -> Value {
        let mut shown = json!({
            "client_id": self.id,
            "client_type": self.client_type,
            "redirect_uris": self.redirect_uris.split(',').collect::<Vec<_>>(),
            "token_endpoint_auth_method": self.token_endpoint_auth_method,
            "grant_types": self.grant_types.split(',').collect::<Vec<_>>(),
            "response_types": ["code"],
            "registration_type": self.registration_type,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        });
        let optional = [
            ("client_secret", secret),
            ("client_name", self.client_name.as_deref()),
            ("client_uri", self.client_uri.as_deref()),
            ("logo_uri", self.logo_uri.as_deref()),
        ];
        for (name, value) in optional {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                shown[name] = Value::from(value);
            }
        }
        shown
    }

    /// The form in which people see it who are asked for consent.
    pub(crate) fn introduced(&self) -> Value {
        let mut shown = json!({ "id": self.id });
        let optional = [("name", &self.client_name), ("uri", &self.client_uri), ("logo_uri", &self.logo_uri)];
        for (name, value) in optional {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                shown[name] = Value::from(value);
            }
        }
        shown
    }
}

/// The client with this id, unless it was deleted.
pub(crate) fn by_id(id: Uuid) -> Step {
    Step::new(include_str!("sql/oauth_client.sql"), [param(id)])
}

/// All clients, the newest first.
pub(crate) fn list() -> Step {
    Step::new(include_str!("sql/oauth_client_list.sql"), [])
}

fn optional(value: Option<&str>) -> Param {
    value.filter(|value| !value.is_empty()).map_or_else(null, text)
}

fn values(client: &Client) -> [Param; 6] {
    [
        text(&client.redirect_uris),
        text(&client.grant_types),
        optional(client.client_name.as_deref()),
        optional(client.client_uri.as_deref()),
        optional(client.logo_uri.as_deref()),
        text(&client.token_endpoint_auth_method),
    ]
}

pub(crate) fn insert(client: &Client) -> Step {
    let mut params = vec![param(client.id), param(client.created_at)];
    params.extend(values(client));
    params.push(text(&client.client_type));
    params.push(text(&client.registration_type));
    params.push(optional(client.client_secret_hash.as_deref()));
    Step::new(include_str!("sql/oauth_client_insert.sql"), params)
}

/// Writes what can be changed of a client, and returns it.
pub(crate) fn update(client: &Client, now: Moment) -> Step {
    let mut params = vec![param(client.id), param(now)];
    params.extend(values(client));
    Step::new(include_str!("sql/oauth_client_update.sql"), params)
}

/// Gives a client another secret, and returns it.
pub(crate) fn set_secret(id: Uuid, hash: &str, now: Moment) -> Step {
    Step::new(include_str!("sql/oauth_client_secret.sql"), [param(id), text(hash), param(now)])
}

/// Deletes a client; its row stays for the sessions that name it.
pub(crate) fn delete(id: Uuid, now: Moment) -> Step {
    Step::new(include_str!("sql/oauth_client_delete.sql"), [param(id), param(now)])
}
