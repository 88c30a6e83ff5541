//! Users moving in and out: a line of JSON for each, with the hash of the password, so that nobody has to choose a
//! new one.
//!
//! Importing is repeatable: who is there already stays as they are, so an import that was cut off is simply done
//! again. A batch is one transaction.

use crate::flow::address;
use crate::hasher;
use pg::{Connection, param, text};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// How many users a batch has at most.
pub const BATCH_MAX: usize = 500;

/// What became of a batch.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Users who were made.
    pub created: usize,
    /// Users who were there already.
    pub present: usize,
    /// Which of the batch were not taken, counted from 0, and why.
    pub refused: Vec<(usize, String)>,
}

/// Adds users of a project. `settings` hold in the transaction, as they do for the service.
///
/// # Errors
/// When the database does not answer, or refuses a batch.
pub async fn import(
    c: &mut Connection,
    settings: &[(String, String)],
    users: &[Value],
) -> Result<Report, pg::Error> {
    let mut report = Report::default();
    let (mut rows, mut places) = (Vec::new(), Vec::new());
    for (place, user) in users.iter().take(BATCH_MAX).enumerate() {
        match row(user) {
            Ok(row) => {
                rows.push(row);
                places.push(place);
            }
            Err(reason) => report.refused.push((place, reason)),
        }
    }
    let mut tx = c.begin().await?;
    prepare(tx.connection(), settings).await?;
    let params = [text(Value::Array(rows.clone()).to_string())];
    let made = tx.connection().query(include_str!("transfer/import.sql"), &params).await?;
    report.created = made.len();
    let states = tx.connection().query(include_str!("transfer/present.sql"), &params).await?;
    let known: std::collections::HashSet<&str> = states.iter().filter_map(|row| row.text(0)).collect();
    for (row, place) in rows.iter().zip(places) {
        if !known.contains(row["id"].as_str().unwrap_or_default()) {
            let reason = "another user has this email address or phone number".to_owned();
            report.refused.push((place, reason));
        }
    }
    tx.commit().await?;
    report.present = known.len().saturating_sub(report.created);
    report.refused.sort_unstable();
    Ok(report)
}

/// The users after one, in the order of their ids, in the form that [`import`] reads.
///
/// # Errors
/// When the database does not answer.
pub async fn export(
    c: &mut Connection,
    settings: &[(String, String)],
    after: Option<Uuid>,
) -> Result<Vec<Value>, pg::Error> {
    let mut tx = c.begin().await?;
    prepare(tx.connection(), settings).await?;
    let params = [after.map_or_else(pg::null, param), param(BATCH_MAX)];
    let rows = tx.connection().query(include_str!("transfer/export.sql"), &params).await?;
    let users = rows.iter().map(|row| row.json(0)).collect();
    tx.commit().await?;
    users
}

async fn prepare(c: &mut Connection, settings: &[(String, String)]) -> Result<(), pg::Error> {
    let own = ("role".to_owned(), "supabase_auth_admin".to_owned());
    for (name, value) in settings.iter().chain([&own]) {
        c.query("select set_config($1, $2, true)", &[text(name), text(value)]).await?;
    }
    Ok(())
}

/// A user as somebody wrote them: our own export, the reference's rows, or the fields of the admin API.
#[derive(Debug, Deserialize)]
struct Given {
    id: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    #[serde(alias = "encrypted_password")]
    password_hash: Option<String>,
    #[serde(alias = "raw_user_meta_data")]
    user_metadata: Option<Map<String, Value>>,
    #[serde(alias = "raw_app_meta_data")]
    app_metadata: Option<Map<String, Value>>,
    email_confirm: Option<bool>,
    phone_confirm: Option<bool>,
    identities: Option<Vec<GivenIdentity>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct GivenIdentity {
    provider: String,
    #[serde(alias = "id")]
    provider_id: String,
    #[serde(default)]
    identity_data: Map<String, Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Columns that are taken over as they are.
const COLUMNS: [&str; 11] = [
    "aud",
    "role",
    "email_confirmed_at",
    "phone_confirmed_at",
    "invited_at",
    "last_sign_in_at",
    "created_at",
    "updated_at",
    "banned_until",
    "is_sso_user",
    "is_anonymous",
];
const IDENTITIES_MAX: usize = 32;

/// The row for a user, or what is wrong with them.
fn row(user: &Value) -> Result<Value, String> {
    let given: Given = serde_json::from_value(user.clone()).map_err(|e| e.to_string())?;
    let told = |refusal: crate::refusal::Refusal| refusal.fault.message.to_string();
    let present = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
    let email = present(&given.email).map(|email| address::email(&email).map_err(told)).transpose()?;
    let phone = present(&given.phone).map(|phone| address::phone(&phone).map_err(told)).transpose()?;
    let hash = present(&given.password_hash);
    if hash.as_deref().is_some_and(|hash| !hasher::is_hash(hash)) {
        return Err("the password hash is of an unknown kind or costs too much to check".to_owned());
    }
    let id = match present(&given.id) {
        Some(id) => Uuid::parse_str(&id).ok().filter(|id| !id.is_nil()).ok_or("the id is not a UUID")?,
        None => stable_id(email.as_deref().or(phone.as_deref()).ok_or("neither id, email nor phone")?),
    };
    let identities = given.identities.unwrap_or_default();
    if identities.len() > IDENTITIES_MAX {
        return Err("too many identities".to_owned());
    }
    let identities = match identities.is_empty() {
        true => own_identities(id, email.as_deref(), phone.as_deref()),
        false => identities.into_iter().map(|identity| identity_row(id, identity)).collect(),
    };
    let providers: Vec<Value> = identities.iter().map(|identity| identity["provider"].clone()).collect();
    let mut app_metadata = given.app_metadata.unwrap_or_default();
    if let Some(first) = providers.first() {
        app_metadata.entry("provider").or_insert_with(|| first.clone());
        app_metadata.entry("providers").or_insert_with(|| Value::Array(providers.clone()));
    }
    let mut row = json!({
        "id": id, "email": email, "phone": phone, "encrypted_password": hash, "identities": identities,
        "raw_app_meta_data": app_metadata, "raw_user_meta_data": given.user_metadata.unwrap_or_default(),
        "confirms_email": given.email_confirm == Some(true) && email.is_some(),
        "confirms_phone": given.phone_confirm == Some(true) && phone.is_some(),
    });
    for (column, value) in COLUMNS.iter().filter_map(|name| Some((*name, given.rest.get(*name)?))) {
        check_column(column, value)?;
        row[column] = value.clone();
    }
    Ok(row)
}

/// The same id whenever the same address is imported.
fn stable_id(address: &str) -> Uuid {
    let hash = token::sha256(format!("rowhouse user {address}").as_bytes());
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::from_bytes(bytes)
}

fn own_identities(id: Uuid, email: Option<&str>, phone: Option<&str>) -> Vec<Value> {
    let identity = |provider: &str, address: &str| {
        json!({
            "provider": provider, "provider_id": id,
            "identity_data": { "sub": id, provider: address, "email_verified": false, "phone_verified": false },
        })
    };
    let given = [("email", email), ("phone", phone)];
    given.into_iter().filter_map(|(provider, address)| Some(identity(provider, address?))).collect()
}

fn identity_row(user: Uuid, given: GivenIdentity) -> Value {
    let mut data = given.identity_data;
    data.entry("sub").or_insert_with(|| given.provider_id.clone().into());
    // A user who gets a new id has their own identity under it.
    let own = matches!(given.provider.as_str(), "email" | "phone");
    let provider_id = if own { user.to_string() } else { given.provider_id };
    if own {
        data.insert("sub".to_owned(), provider_id.clone().into());
    }
    let mut row = json!({ "provider": given.provider, "provider_id": provider_id, "identity_data": data });
    for column in ["created_at", "updated_at", "last_sign_in_at"] {
        if let Some(value) = given.rest.get(column).filter(|value| check_column(column, value).is_ok()) {
            row[column] = value.clone();
        }
    }
    row
}

fn check_column(column: &str, value: &Value) -> Result<(), String> {
    let fits = match column {
        "is_sso_user" | "is_anonymous" => value.is_boolean(),
        "aud" | "role" => value.is_null() || value.as_str().is_some_and(|text| text.len() <= 255),
        _ => value.is_null() || serde_json::from_value::<crate::moment::Moment>(value.clone()).is_ok(),
    };
    if fits { Ok(()) } else { Err(format!("{column} is not what it should be")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_in_every_usual_form() {
        let plain = row(&json!({ "email": "Ann@Example.com", "email_confirm": true })).unwrap();
        assert_eq!((&plain["email"], &plain["confirms_email"]), (&json!("ann@example.com"), &json!(true)));
        assert_eq!(plain["identities"][0]["provider_id"], plain["id"]);
        assert_eq!(plain["raw_app_meta_data"], json!({ "provider": "email", "providers": ["email"] }));
        let again = row(&json!({ "email": "ann@example.com" })).unwrap();
        assert_eq!(again["id"], plain["id"], "an import that is repeated finds its users");
        let id = Uuid::from_u128(5);
        let full = row(&json!({
            "id": id, "phone": "+4917012", "raw_user_meta_data": { "a": 1 }, "banned_until": "2030-01-01T00:00:00Z",
            "identities": [{ "provider": "google", "id": "7", "identity_data": { "email": "x@y.z" } }],
            "something": "else",
        }))
        .unwrap();
        assert_eq!((&full["phone"], &full["raw_user_meta_data"]), (&json!("4917012"), &json!({ "a": 1 })));
        assert_eq!(full["identities"][0]["identity_data"], json!({ "email": "x@y.z", "sub": "7" }));
        assert_eq!(full["banned_until"], "2030-01-01T00:00:00Z");
        assert!(full.get("something").is_none());
    }

    #[test]
    fn bad_users_are_told_apart() {
        for (user, reason) in [
            (json!({}), "neither id, email nor phone"),
            (json!({ "id": "x" }), "not a UUID"),
            (json!({ "email": "nope" }), "invalid format"),
            (json!({ "email": "a@b.cd", "password_hash": "$2a$31$x" }), "password hash"),
            (json!({ "email": "a@b.cd", "created_at": "yesterday" }), "created_at"),
            (json!({ "email": "a@b.cd", "is_anonymous": "no" }), "is_anonymous"),
            (json!({ "email": 5 }), "invalid type"),
            (json!("text"), "invalid type"),
        ] {
            let error = row(&user).unwrap_err();
            assert!(error.contains(reason), "{user}: {error}");
        }
    }
}
