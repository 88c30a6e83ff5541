//! Providers that administrators define: rows of `auth.custom_oauth_providers`.

use super::oidc::{Document, Issuer};
use super::{Failure, claims, id_token};
use crate::Auth;
use crate::external::Profile;
use crate::moment::Moment;
use crate::settings::SealingKey;
use crate::store::custom_providers;
use crate::store::db::first;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use model::Secret;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A provider as the table has it, and, but for the secret, as administrators see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) provider_type: String,
    pub(crate) identifier: String,
    pub(crate) name: String,
    pub(crate) client_id: String,
    #[serde(skip_serializing)]
    pub(crate) client_secret: Secret,
    pub(crate) acceptable_client_ids: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) pkce_enabled: bool,
    pub(crate) attribute_mapping: Map<String, Value>,
    #[serde(default)]
    pub(crate) custom_claims_allowlist: Vec<String>,
    pub(crate) authorization_params: Map<String, Value>,
    pub(crate) enabled: bool,
    pub(crate) email_optional: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) discovery_url: Option<String>,
    pub(crate) skip_nonce_check: bool,
    #[serde(rename(serialize = "discovery_document"), skip_serializing_if = "Option::is_none")]
    pub(crate) cached_discovery: Option<Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authorization_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) userinfo_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jwks_uri: Option<String>,
    pub(crate) created_at: Moment,
    pub(crate) updated_at: Moment,
}

/// The provider with this identifier.
pub(crate) async fn find(auth: &Auth, identifier: &str) -> Result<Option<Row>, pg::Error> {
    first(&auth.db.one(custom_providers::by_identifier(identifier)).await?)
}

impl Row {
    pub(crate) fn is_oidc(&self) -> bool {
        self.provider_type == "oidc"
    }

    pub(crate) fn issuer(&self) -> Issuer<'_> {
        Issuer {
            name: self.issuer.as_deref().unwrap_or_default(),
            discovery_url: self.discovery_url.as_deref(),
        }
    }

    /// The secret as the provider knows it.
    pub(super) fn secret(&self, key: Option<&SealingKey>) -> Result<Secret, Failure> {
        let stored = self.client_secret.expose();
        match serde_json::from_str::<Sealed>(stored) {
            // Written by a project that had no key.
            Err(_) => Ok(self.client_secret.clone()),
            Ok(sealed) => key
                .and_then(|key| sealed.open(key, self.id))
                .map(Secret::new)
                .ok_or_else(|| Failure::new("the client secret cannot be opened")),
        }
    }

    /// Who a token is of.
    pub(super) fn of_token(&self, token: &Map<String, Value>) -> Profile {
        let profile = match id_token::dialect(self.issuer.as_deref().unwrap_or_default()) {
            Some(dialect) => claims::read(dialect, token).unwrap_or_else(|| claims::generic(token)),
            None => claims::generic(token),
        };
        self.shaped(profile, token)
    }

    /// Who a page is of.
    pub(super) fn of_page(&self, page: &Map<String, Value>) -> Profile {
        self.shaped(claims::generic(page), page)
    }

    /// What the administrator wants to be kept, and under which name.
    fn shaped(&self, mut profile: Profile, raw: &Map<String, Value>) -> Profile {
        for key in &self.custom_claims_allowlist {
            if let Some(value) = raw.get(key) {
                profile = profile.claim(key, value.clone());
            }
        }
        for (target, source) in &self.attribute_mapping {
            let value = match source {
                Value::String(name) => profile.get(name).or_else(|| raw.get(name)).cloned(),
                literal => Some(literal.clone()),
            };
            if let Some(value) = value.filter(|_| claims::is_kept(target)) {
                profile = profile.map(target, value);
            }
        }
        profile
    }
}

/// What takes a secret's place in the table.
pub(crate) fn sealed(key: Option<&SealingKey>, row: Uuid, secret: &Secret) -> Option<Secret> {
    match key {
        None => Some(secret.clone()),
        Some(key) => Sealed::text(key, row, secret.expose()).map(Secret::new),
    }
}

/// A secret under a key that is made from the project's and the row's id, so that it opens in its row only.
#[derive(Deserialize)]
struct Sealed {
    alg: String,
    data: String,
    nonce: String,
}

const ALGORITHM: &str = "aes-gcm-hkdf";

impl Sealed {
    fn text(key: &SealingKey, row: Uuid, text: &str) -> Option<String> {
        let nonce = token::random_bytes::<NONCE_LEN>();
        let mut data = text.as_bytes().to_vec();
        row_key(key, row)?
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut data)
            .ok()?;
        let sealed = json!({
            "key_id": "project", "alg": ALGORITHM, "data": B64.encode(data), "nonce": B64.encode(nonce),
        });
        Some(sealed.to_string())
    }

    fn open(&self, key: &SealingKey, row: Uuid) -> Option<String> {
        if self.alg != ALGORITHM {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(&B64.decode(&self.nonce).ok()?).ok()?;
        let mut data = B64.decode(&self.data).ok()?;
        let open = row_key(key, row)?.open_in_place(nonce, Aad::empty(), &mut data).ok()?.to_vec();
        String::from_utf8(open).ok()
    }
}

fn row_key(key: &SealingKey, row: Uuid) -> Option<LessSafeKey> {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&key.0);
    let info = row.to_string();
    let info = [info.as_bytes()];
    let expanded = extracted.expand(&info, &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(expanded)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(more: Value) -> Row {
        let mut row = json!({
            "id": Uuid::new_v4(), "provider_type": "oauth2", "identifier": "custom:x", "name": "X",
            "client_id": "c", "client_secret": "hunter2", "acceptable_client_ids": [], "scopes": [],
            "pkce_enabled": true, "attribute_mapping": {}, "authorization_params": {}, "enabled": true,
            "email_optional": false, "skip_nonce_check": false, "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn the_secret_is_not_shown_and_opens_in_its_row_only() {
        let key = SealingKey([7; 32]);
        let mut row = row(json!({}));
        row.client_secret = sealed(Some(&key), row.id, &Secret::new("hunter2")).unwrap();
        assert!(!row.client_secret.expose().contains("hunter2"));
        assert_eq!(row.secret(Some(&key)).unwrap().expose(), "hunter2");
        assert!(row.secret(None).is_err() && row.secret(Some(&SealingKey([8; 32]))).is_err());
        assert!(!serde_json::to_string(&row).unwrap().contains("secret"));
        row.id = Uuid::new_v4();
        assert!(row.secret(Some(&key)).is_err());
    }

    #[test]
    fn pages_are_read_as_the_administrator_wants() {
        let row = row(json!({
            "attribute_mapping": { "sub": "id", "name": "login", "gender": "missing", "locale": 7, "role": "login", "email": "mail" },
            "custom_claims_allowlist": ["team", "none"],
        }));
        let Value::Object(page) = json!({
            "id": 42, "login": "ann", "team": ["a"], "email": "ann@x.dev", "mail": "A@y.dev", "email_verified": true,
        }) else {
            unreachable!()
        };
        let ann = Value::Object(row.of_page(&page).identity_data());
        assert_eq!(
            ann,
            json!({ "sub": "42", "name": "ann", "email": "a@y.dev", "email_verified": false, "phone_verified": false,
                "custom_claims": { "team": ["a"] } })
        );
    }
}
