//! `auth.identities`.

use super::db::Step;
use crate::moment::Moment;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use pg::{param, text};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What only we say of an identity. The reference copies an `email` that somebody claims while signing up by phone,
/// and with it takes the address from its owner.
const OURS: [&str; 5] = ["sub", "email", "phone", "email_verified", "phone_verified"];

/// The identity by which a user signs in with an address of their own. `more` never replaces what we say.
pub(crate) fn own_data(
    user: Uuid,
    email: &str,
    phone: &str,
    verified: bool,
    more: &Map<String, Value>,
) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("sub".into(), json!(user));
    if !email.is_empty() {
        data.insert("email".into(), json!(email));
    }
    if !phone.is_empty() {
        data.insert("phone".into(), json!(phone));
    }
    data.insert("email_verified".into(), json!(verified && !email.is_empty()));
    data.insert("phone_verified".into(), json!(verified && !phone.is_empty()));
    for (key, value) in more.iter().filter(|(key, _)| !OURS.contains(&key.as_str())) {
        data.insert(key.clone(), value.clone());
    }
    data
}

/// Adds an identity whose subject is the user itself.
pub(crate) fn insert_own(user: Uuid, provider: &str, data: Map<String, Value>, now: Moment) -> Step {
    let params = [
        param(Uuid::new_v4()),
        param(user),
        param(user),
        text(Value::Object(data).to_string()),
        text(provider),
        param(now),
    ];
    Step::new(include_str!("sql/identity_insert.sql"), params)
}

/// Adds an identity of a provider. One that somebody has is an error.
pub(crate) fn insert(
    id: Uuid,
    subject: &str,
    user: Uuid,
    data: &Map<String, Value>,
    provider: &str,
    now: Moment,
) -> Step {
    let params = [
        param(id),
        text(subject),
        param(user),
        text(serde_json::to_string(data).unwrap_or_else(|_| "{}".to_owned())),
        text(provider),
        param(now),
    ];
    Step::new(include_str!("sql/identity_add.sql"), params)
}

/// Which of several subjects is known at a provider.
pub(crate) fn known(provider: &str, subjects: &[String]) -> Step {
    let params = [text(provider), text(Value::from(subjects).to_string())];
    Step::new(include_str!("sql/identity_known.sql"), params)
}

/// What the provider says of an identity by now.
pub(crate) fn renew(id: Uuid, data: &Map<String, Value>, now: Moment) -> Step {
    let data = serde_json::to_string(data).unwrap_or_else(|_| "{}".to_owned());
    Step::new(include_str!("sql/identity_renew.sql"), [param(id), text(data), param(now)])
}

/// Takes all identities of a user away but one.
pub(crate) fn delete_others(user: Uuid, kept: Uuid) -> Step {
    Step::new(include_str!("sql/identity_delete_others.sql"), [param(user), param(kept)])
}

/// Takes all identities of a user away but their address's own.
pub(crate) fn delete_foreign(user: Uuid) -> Step {
    Step::new("delete from auth.identities where user_id = $1 and provider <> 'email'", [param(user)])
}

/// Merges into the user's own identity at a provider.
pub(crate) fn merge_own(user: Uuid, provider: &str, data: Value, now: Moment) -> Step {
    let params = [param(user), text(provider), text(data.to_string()), param(now)];
    Step::new(include_str!("sql/identity_merge.sql"), params)
}

/// Marks the identities that carry the account's address as verified.
pub(crate) fn verify_email(user: Uuid, now: Moment) -> Step {
    Step::new(include_str!("sql/identity_verify_email.sql"), [param(user), param(now)])
}

pub(crate) fn delete(id: Uuid, user: Uuid) -> Step {
    Step::new(include_str!("sql/identity_delete.sql"), [param(id), param(user)])
}

/// Forgets who an identity was of.
pub(crate) fn obscure(id: Uuid, user: Uuid, provider: &str, subject: &str, now: Moment) -> Step {
    let obscured = obscured(user, &format!("{provider}:{subject}"));
    Step::new(include_str!("sql/identity_obscure.sql"), [param(id), text(obscured), param(now)])
}

/// What takes the place of a value of a deleted user: always the same for the same user and value.
pub(crate) fn obscured(user: Uuid, value: &str) -> String {
    B64.encode(token::sha256(format!("{user}{value}").as_bytes()))
}
