//! Secrets inside the settings of a project: sealed where they stand.
//!
//! The settings are JSON that nobody here knows the shape of. Whoever writes them marks the secrets (see
//! [`model::secret::marked`]); each becomes an object with one key, [`SEALED`], so that a copy of the catalog
//! shows none of them.

use crate::{MasterKey, Place, SealError};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use model::ProjectRef;
use serde_json::{Map, Value};

/// The key of the object that stands for a sealed text.
pub const SEALED: &str = "$sealed";

/// Seals the marked secrets of a project's settings.
///
/// # Errors
/// Only when the system has no random numbers.
pub fn seal(master: &MasterKey, project: &ProjectRef, settings: Value) -> Result<Value, SealError> {
    if let Some(secret) = only(&settings, model::secret::MARK) {
        let sealed = B64.encode(master.seal(secret.as_bytes(), place(project))?);
        return Ok(Value::Object(Map::from_iter([(SEALED.to_owned(), Value::String(sealed))])));
    }
    Ok(match settings {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(name, value)| Ok((name, seal(master, project, value)?)))
                .collect::<Result<_, SealError>>()?,
        ),
        Value::Array(items) => Value::Array(
            items.into_iter().map(|item| seal(master, project, item)).collect::<Result<_, SealError>>()?,
        ),
        plain => plain,
    })
}

/// The settings with their secrets opened. One that does not open is left out, with a word in the log: it takes
/// only what needs it down.
pub fn open(master: &MasterKey, project: &ProjectRef, settings: &Value) -> Value {
    opened(master, project, settings).unwrap_or(Value::Null)
}

fn opened(master: &MasterKey, project: &ProjectRef, settings: &Value) -> Option<Value> {
    if let Some(sealed) = only(settings, SEALED) {
        let text = B64.decode(sealed).ok().and_then(|bytes| master.open_text(&bytes, place(project)).ok());
        if text.is_none() {
            tracing::error!(%project, "a secret of the project's settings does not open");
        }
        return text.map(Value::String);
    }
    Some(match settings {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter_map(|(name, value)| Some((name.clone(), opened(master, project, value)?)))
                .collect(),
        ),
        Value::Array(items) => {
            Value::Array(items.iter().filter_map(|item| opened(master, project, item)).collect())
        }
        plain => plain.clone(),
    })
}

/// The text under this key, when the value is an object that has nothing else.
fn only<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.as_object().filter(|map| map.len() == 1)?.get(key)?.as_str()
}

fn place(project: &ProjectRef) -> Place<'_> {
    Place { table: "projects", column: "settings", row: project.as_str() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_of_settings_are_sealed_for_their_project() {
        let key = MasterKey::from_bytes([7; 32]);
        let (a, b): (ProjectRef, ProjectRef) =
            ("aaaaaaaaaaaaaaaaaaaa".parse().unwrap(), "bbbbbbbbbbbbbbbbbbbb".parse().unwrap());
        let marked = json!({ "smtp": { "pass": { "$secret": "hunter2" }, "port": 25 }, "codes": [{ "$secret": "x" }, 1] });
        let sealed = seal(&key, &a, marked).unwrap();
        assert!(!sealed.to_string().contains("hunter2"));
        assert!(sealed["codes"][0]["$sealed"].is_string());
        assert_eq!(
            open(&key, &a, &sealed),
            json!({ "smtp": { "pass": "hunter2", "port": 25 }, "codes": ["x", 1] })
        );
        // Elsewhere it is worth nothing.
        assert_eq!(open(&key, &b, &sealed), json!({ "smtp": { "port": 25 }, "codes": [1] }));
        assert_eq!(open(&key, &a, &json!({ "old": ["plain"] })), json!({ "old": ["plain"] }));
    }
}
