//! Texts that only their reader may see.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use std::cell::Cell;

/// The only key of the object that stands for a secret while [`marked`].
pub const MARK: &str = "$secret";

thread_local! {
    static MARKING: Cell<bool> = const { Cell::new(false) };
}

/// A password, key or token. Neither logs nor errors show it; serialising it does, so what is serialised is either
/// sealed or goes to nobody else.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !MARKING.get() {
            return serializer.serialize_str(&self.0);
        }
        let mut object = serializer.serialize_map(Some(1))?;
        object.serialize_entry(MARK, &self.0)?;
        object.end()
    }
}

/// Serialises a value in which every secret, however deep, is an object with the one key [`MARK`], so that whoever
/// stores or shows it finds them all without knowing its type.
pub fn marked(value: &impl Serialize) -> Result<serde_json::Value, serde_json::Error> {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            MARKING.set(self.0);
        }
    }
    let _before = Before(MARKING.replace(true));
    serde_json::to_value(value)
}

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(secret)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_shows_nothing() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "(secret) (secret) Some((secret))");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"hunter2\"");
    }

    #[test]
    fn marking_finds_secrets_of_any_depth() {
        let value = || std::collections::BTreeMap::from([("a", Some(vec![Secret::new("x")])), ("b", None)]);
        let shown = marked(&value()).unwrap();
        assert_eq!(shown, serde_json::json!({ "a": [{ "$secret": "x" }], "b": null }));
        let plain = serde_json::to_value(value()).unwrap();
        assert_eq!(plain, serde_json::json!({ "a": ["x"], "b": null }));
        assert_eq!(serde_json::from_value::<Secret>(plain["a"][0].clone()).unwrap(), Secret::new("x"));
    }
}
