//! Where a setting's value comes from: the database beats the environment, which beats the file.

use super::file::Value;
use std::collections::BTreeMap;

/// The prefix of the environment's variables.
const ENV_PREFIX: &str = "PGRST_";
/// The prefix of variables that become `app.settings.*`.
const ENV_APP_PREFIX: &str = "PGRST_APP_SETTINGS_";

/// A setting that cannot be. The text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Error in config {0}")]
pub struct ConfigError(pub String);

/// All values, unread.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The configuration file's.
    pub file: BTreeMap<String, Value>,
    /// The environment's `PGRST_*`.
    env: BTreeMap<String, String>,
    /// The database's `pgrst.*`, without that prefix: `db_schemas`.
    pub database: BTreeMap<String, String>,
}

impl Sources {
    /// Values of a file and of an environment. Of the latter only `PGRST_*` is kept.
    pub fn new(file: BTreeMap<String, Value>, env: impl IntoIterator<Item = (String, String)>) -> Self {
        let env = env.into_iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
        Sources { file, env, database: BTreeMap::new() }
    }

    fn value(&self, key: &str) -> Option<Value> {
        let underscored = key.replace('-', "_");
        if let Some(value) = self.database.get(&underscored) {
            return Some(Value::Text(value.clone()));
        }
        let variable = format!("{ENV_PREFIX}{}", underscored.to_uppercase());
        match self.env.get(&variable) {
            Some(value) => Some(Value::Text(value.clone())),
            None => self.file.get(key).cloned(),
        }
    }

    /// A text, empty or not.
    pub fn any_text(&self, key: &str) -> Option<String> {
        self.value(key).map(|value| value.as_text())
    }

    /// A text; an empty one counts as not set.
    pub fn text(&self, key: &str) -> Option<String> {
        self.any_text(key).filter(|text| !text.is_empty())
    }

    /// A text under the first name that is set.
    pub fn text_of(&self, keys: [&str; 2]) -> Option<String> {
        self.text(keys[0]).or_else(|| self.text(keys[1]))
    }

    /// A whole number; anything else counts as not set, as in the reference.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.text(key)?.trim().parse().ok()
    }

    /// True or false in any spelling; a number is true when above zero.
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.value(key)? {
            Value::Bool(value) => Some(value),
            Value::Text(text) => {
                let letters: String = text.chars().filter(|c| c.is_alphabetic()).collect();
                match letters.to_lowercase().as_str() {
                    "true" => Some(true),
                    "false" => Some(false),
                    _ => text.trim().parse::<i64>().ok().map(|number| number > 0),
                }
            }
            Value::Number(_) | Value::List(_) => None,
        }
    }

    /// A list written with commas.
    pub fn list(&self, key: &str) -> Option<Vec<String>> {
        self.text(key).map(|text| split(&text))
    }

    /// `app.settings.*` of file and environment, by full name.
    pub fn app_settings(&self) -> Vec<(String, String)> {
        let of_file = self.file.iter().filter(|(key, _)| key.starts_with("app.settings."));
        let mut all: BTreeMap<String, String> =
            of_file.map(|(key, value)| (key.clone(), value.as_text())).collect();
        for (name, value) in &self.env {
            if let Some(rest) = name.strip_prefix(ENV_APP_PREFIX) {
                all.insert(format!("app.settings.{rest}"), value.clone());
            }
        }
        all.into_iter().collect()
    }
}

/// The parts between commas, trimmed.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_owned()).collect()
}
