//! Reading a table key by key, knowing at every moment the path of the field, and telling in the end which keys
//! nobody asked for.

use super::{duration, known};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::{Table, Value};

/// What can be wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("it is not TOML: {0}")]
    Syntax(toml::de::Error),
    #[error("{field}: expected {expected}, found {found}")]
    Value { field: String, expected: String, found: String },
    #[error("{}: {error}", path.display())]
    InFile { path: PathBuf, error: Box<ConfigError> },
}

impl ConfigError {
    pub(super) fn in_file(self, path: &Path) -> Self {
        match self {
            ConfigError::Unreadable { .. } => self,
            error => ConfigError::InFile { path: path.to_owned(), error: Box::new(error) },
        }
    }
}

/// The whole file.
pub(super) struct Reader<'a> {
    table: Table,
    environment: &'a dyn Fn(&str) -> Option<String>,
    warnings: RefCell<Vec<String>>,
}

/// One table of it; asking for a key takes it out.
pub(super) struct Section<'a> {
    path: String,
    table: Table,
    reader: &'a Reader<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(table: Table, environment: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Reader { table, environment, warnings: RefCell::default() }
    }

    pub(super) fn root(&self) -> Section<'_> {
        Section { path: String::new(), table: self.table.clone(), reader: self }
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }

    fn warn(&self, text: String) {
        self.warnings.borrow_mut().push(text);
    }
}

impl<'a> Section<'a> {
    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Takes a value out. `env(NAME)` becomes the variable's value; when it is not set, the key counts as absent.
    fn take(&mut self, key: &str) -> Option<Value> {
        let value = self.table.remove(key)?;
        let Some(name) = value.as_str().and_then(env_name) else { return Some(value) };
        let found = (self.reader.environment)(name);
        if found.is_none() {
            self.reader.warn(format!("{}: the environment has no variable {name}", self.path_of(key)));
        }
        found.map(Value::String)
    }

    /// What is left to ask for.
    pub(super) fn keys(&self) -> Vec<String> {
        self.table.keys().cloned().collect()
    }

    /// Tells the reader of the file something about a key that does not stop them.
    pub(super) fn warn(&self, key: &str, text: &str) {
        self.reader.warn(format!("{}: {text}", self.path_of(key)));
    }

    /// The error for a value that its own reader does not take.
    pub(super) fn refuse(&self, key: &str, expected: impl Into<String>, found: String) -> ConfigError {
        ConfigError::Value { field: self.path_of(key), expected: expected.into(), found }
    }

    fn wrong(&self, key: &str, expected: impl Into<String>, found: &Value) -> ConfigError {
        ConfigError::Value { field: self.path_of(key), expected: expected.into(), found: shown(found) }
    }

    pub(super) fn section(&mut self, key: &str) -> Result<Section<'a>, ConfigError> {
        self.table_of(key).map(|table| Section { path: self.path_of(key), table, reader: self.reader })
    }

    fn table_of(&mut self, key: &str) -> Result<Table, ConfigError> {
        match self.table.remove(key) {
            None => Ok(Table::new()),
            Some(Value::Table(table)) => Ok(table),
            Some(other) => Err(self.wrong(key, "a table", &other)),
        }
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, ConfigError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, "a text", &other)),
        }
    }

    /// A text, or a whole number as one.
    pub(super) fn text_or_number(&mut self, key: &str) -> Result<Option<String>, ConfigError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Integer(number)) => Ok(Some(number.to_string())),
            Some(other) => Err(self.wrong(key, "a text", &other)),
        }
    }

    /// A text that no message repeats.
    pub(super) fn secret(&mut self, key: &str) -> Result<Option<model::Secret>, ConfigError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(model::Secret::new(text))),
            Some(_) => Err(self.refuse(key, "a text", "something else".to_owned())),
        }
    }

    /// Digits, which may be written without quotes.
    pub(super) fn code(&mut self, key: &str) -> Result<Option<String>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let code = match &value {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            _ => String::new(),
        };
        if !code.is_empty() && code.len() <= 10 && code.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Some(code));
        }
        // A code signs people in: it is not repeated.
        Err(self.refuse(key, "a code of 1 to 10 digits", "something else".to_owned()))
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, ConfigError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Boolean(flag)) => Ok(Some(flag)),
            Some(Value::String(text)) if text == "true" || text == "1" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" || text == "0" => Ok(Some(false)),
            Some(other) => Err(self.wrong(key, "true or false", &other)),
        }
    }

    /// A whole number between two others, both included.
    pub(super) fn number(&mut self, key: &str, min: u64, max: u64) -> Result<Option<u64>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let number = match &value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        match number.filter(|number| (min..=max).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(key, format!("a whole number from {min} to {max}"), &value)),
        }
    }

    /// A number, or `30/1h`: a number and how long it takes until there is one more.
    pub(super) fn rate(&mut self, key: &str) -> Result<Option<(u64, Option<Duration>)>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let rate = match &value {
            Value::Integer(number) => u64::try_from(*number).ok().map(|number| (number, None)),
            Value::String(text) => match text.split_once('/') {
                None => text.parse().ok().map(|number| (number, None)),
                Some((number, per)) => {
                    let per = duration::parse(per).filter(|per| !per.is_zero());
                    number.parse().ok().zip(per).map(|(number, per)| (number, Some(per)))
                }
            },
            _ => None,
        };
        let rate = rate.filter(|(number, _)| *number <= 1_000_000_000);
        rate.map(Some)
            .ok_or_else(|| self.wrong(key, "a whole number, or one with a time such as \"30/1h\"", &value))
    }

    pub(super) fn port(&mut self, key: &str) -> Result<Option<u16>, ConfigError> {
        Ok(self.number(key, 1, u64::from(u16::MAX))?.and_then(|port| u16::try_from(port).ok()))
    }

    /// A duration as Go writes it: `1s`, `1h30m`.
    pub(super) fn duration(&mut self, key: &str) -> Result<Option<Duration>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match value.as_str().and_then(duration::parse) {
            Some(duration) => Ok(Some(duration)),
            None => Err(self.wrong(key, "a duration such as \"1s\" or \"24h\"", &value)),
        }
    }

    /// A point in time, in seconds since 1970.
    pub(super) fn time(&mut self, key: &str) -> Result<Option<u64>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let text = match &value {
            Value::String(text) => text.clone(),
            Value::Datetime(time) => time.to_string(),
            _ => String::new(),
        };
        let time = OffsetDateTime::parse(&text, &Rfc3339).ok();
        match time.and_then(|time| u64::try_from(time.unix_timestamp()).ok()) {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(self.wrong(key, "a time such as 2027-01-31T12:00:00Z", &value)),
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let list = match &value {
            Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            // An environment variable holds the list with commas.
            Value::String(text) => Some(text.split(',').map(|item| item.trim().to_owned()).collect()),
            _ => None,
        };
        list.map(Some).ok_or_else(|| self.wrong(key, "a list of texts", &value))
    }

    /// One of these texts.
    pub(super) fn choice(&mut self, key: &str, choices: &[&str]) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        if choices.contains(&text.as_str()) {
            return Ok(Some(text));
        }
        let listed: Vec<_> = choices.iter().map(|choice| format!("{choice:?}")).collect();
        Err(self.wrong(key, format!("one of {}", listed.join(", ")), &Value::String(text)))
    }

    /// Reports the keys that are left over: nobody asked for them.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let path = self.path_of(key);
            if !known::is_known(&path) {
                self.reader.warn(format!("{path}: unknown, ignored"));
            }
        }
    }
}

/// A value as an error message names it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the text {text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}

/// The name in `env(NAME)`.
fn env_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix("env(")?.strip_suffix(')')?;
    (!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).then_some(name)
}
