//! What an API key binds the requests made with it to: settings of the database and claims.
//!
//! The names are few and checked, because a setting here wins over everything that a client sends: it must never be
//! one by which the platform or PostgreSQL itself decides something.

use serde_json::{Map, Value};

/// The member of a key's stored settings that holds its claims. It has no dot, so that it is no setting's name.
const CLAIMS: &str = "claims";
/// Parts of the form `first.second`; the first ones here are not the owner's to set.
const RESERVED_PREFIXES: [&str; 18] = [
    "request",
    "response",
    "rowhouse",
    "storage",
    "pgrst",
    "supabase",
    "plpgsql",
    "plpython",
    "plperl",
    "plperlu",
    "pltcl",
    "pltclu",
    "plv8",
    "plan_filter",
    "auto_explain",
    "pg_stat_statements",
    "pgaudit",
    "supautils",
];
/// Claims that say who the user is and how long the token is good for. They are the token's alone.
const RESERVED_CLAIMS: [&str; 15] = [
    "role",
    "sub",
    "iss",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "ref",
    "session_id",
    "aal",
    "amr",
    "is_anonymous",
    "email",
    "phone",
];

/// The most settings of a key.
pub const SETTINGS_MAX: usize = 16;
/// The longest name of a setting or claim, in bytes.
pub const NAME_BYTES_MAX: usize = 63;
/// The longest value of a setting, in bytes.
pub const VALUE_BYTES_MAX: usize = 1024;
/// The longest claims, in bytes of JSON.
pub const CLAIMS_BYTES_MAX: usize = 4096;

/// What a key is bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bound {
    settings: Vec<(Box<str>, Box<str>)>,
    claims: Map<String, Value>,
    missing: Vec<Box<str>>,
}

/// Why settings or claims cannot be a key's. Names the setting, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBound {
    #[error(
        "'{0}' is not the name of a setting: it takes two or more words of letters, digits and _ joined by dots, \
         such as app.tenant_id"
    )]
    Name(String),
    #[error("the setting '{0}' is reserved")]
    Reserved(String),
    #[error("the value of '{0}' must be a text without NUL, not empty, of at most {VALUE_BYTES_MAX} bytes")]
    Value(String),
    #[error("a key has at most {SETTINGS_MAX} settings")]
    TooMany,
    #[error("claims must be a JSON object of at most {CLAIMS_BYTES_MAX} bytes")]
    Claims,
    #[error("the claim '{0}' is reserved: only a token says it")]
    ReservedClaim(String),
}

impl Bound {
    /// Checks settings and claims.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn new(
        settings: impl IntoIterator<Item = (String, String)>,
        claims: Map<String, Value>,
    ) -> Result<Self, InvalidBound> {
        let mut checked: Vec<(Box<str>, Box<str>)> = Vec::new();
        for (name, value) in settings {
            check_setting_name(&name)?;
            if value.is_empty() || value.len() > VALUE_BYTES_MAX || value.contains('\0') {
                return Err(InvalidBound::Value(name));
            }
            // PostgreSQL's names of settings do not know upper and lower case.
            if checked.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
                return Err(InvalidBound::Reserved(name));
            }
            checked.push((name.into(), value.into()));
        }
        if checked.len() > SETTINGS_MAX {
            return Err(InvalidBound::TooMany);
        }
        check_claims(&claims)?;
        Ok(Bound { settings: checked, claims, missing: Vec::new() })
    }

    /// What a stored key says.
    ///
    /// # Errors
    /// As [`Bound::new`]: also what is stored is checked, since what makes no sense must deny.
    pub fn from_stored(stored: &Map<String, Value>) -> Result<Self, InvalidBound> {
        let mut settings = Vec::new();
        let mut claims = Map::new();
        for (name, value) in stored {
            match value {
                Value::Object(object) if name == CLAIMS => claims = object.clone(),
                _ if name == CLAIMS => return Err(InvalidBound::Claims),
                Value::String(text) => settings.push((name.clone(), text.clone())),
                _ => return Err(InvalidBound::Value(name.clone())),
            }
        }
        Bound::new(settings, claims)
    }

    /// The form in which it is stored.
    pub fn to_stored(&self) -> Map<String, Value> {
        let mut stored: Map<String, Value> =
            self.settings.iter().map(|(name, value)| (name.to_string(), Value::from(&**value))).collect();
        if !self.claims.is_empty() {
            stored.insert(CLAIMS.to_owned(), Value::Object(self.claims.clone()));
        }
        stored
    }

    /// The same, with the names that other keys of the project set and this one does not.
    #[must_use]
    pub fn knowing<'a>(mut self, declared: impl IntoIterator<Item = &'a str>) -> Self {
        let mut missing: Vec<Box<str>> =
            declared.into_iter().filter(|name| self.value(name).is_none()).map(Box::from).collect();
        missing.sort_unstable();
        missing.dedup();
        self.missing = missing;
        self
    }

    /// Names and values, in the order in which they were given.
    pub fn settings(&self) -> &[(Box<str>, Box<str>)] {
        &self.settings
    }

    /// Claims that win over those of the token.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Settings of the project's other keys. They are empty in a request with this key, whatever the session held.
    pub fn missing(&self) -> &[Box<str>] {
        &self.missing
    }

    /// The value of a setting.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// Whether requests are as free as without it.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.claims.is_empty() && self.missing.is_empty()
    }
}

/// Whether a key may set a setting of this name.
///
/// # Errors
/// Why not.
pub fn check_setting_name(name: &str) -> Result<(), InvalidBound> {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if name.len() > NAME_BYTES_MAX || !name.contains('.') || !name.split('.').all(word) {
        return Err(InvalidBound::Name(name.chars().take(NAME_BYTES_MAX).collect()));
    }
    let first = name.split('.').next().unwrap_or_default();
    if RESERVED_PREFIXES.iter().any(|reserved| reserved.eq_ignore_ascii_case(first)) {
        return Err(InvalidBound::Reserved(name.to_owned()));
    }
    Ok(())
}

fn check_claims(claims: &Map<String, Value>) -> Result<(), InvalidBound> {
    if claims.is_empty() {
        return Ok(());
    }
    // PostgreSQL cannot keep a NUL in a text, however it is written.
    let text = Value::Object(claims.clone()).to_string();
    if text.len() > CLAIMS_BYTES_MAX || text.contains("\\u0000") {
        return Err(InvalidBound::Claims);
    }
    match claims.keys().find(|name| RESERVED_CLAIMS.contains(&name.as_str())) {
        Some(name) => Err(InvalidBound::ReservedClaim(name.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(name: &str, value: &str) -> Result<Bound, InvalidBound> {
        Bound::new([(name.to_owned(), value.to_owned())], Map::new())
    }

    fn claims(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn names_have_a_dot_and_are_nobody_elses() {
        for name in ["app.current_app_id", "app.tenant_id", "app.settings.plan", "Shop.x", "_a._b2"] {
            assert!(with(name, "v").is_ok(), "{name}");
        }
        for name in [
            "role",
            "search_path",
            "statement_timeout",
            "session_authorization",
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a.b c",
            "a.b'",
            "1a.b",
            "a.1b",
            "a-b.c",
            "ä.b",
            "a.b;",
            &format!("a.{}", "b".repeat(62)),
        ] {
            assert!(matches!(with(name, "v"), Err(InvalidBound::Name(_))), "{name}");
        }
        for name in [
            "request.jwt.claims",
            "REQUEST.method",
            "rowhouse.app_id",
            "Rowhouse.App_Id",
            "response.status",
            "storage.operation",
            "Storage.events",
            "pgrst.db_schemas",
            "plpgsql.variable_conflict",
        ] {
            assert!(matches!(with(name, "v"), Err(InvalidBound::Reserved(_))), "{name}");
        }
    }

    #[test]
    fn values_are_texts_of_some_length() {
        for value in ["", "a\0b", &"x".repeat(VALUE_BYTES_MAX + 1)] {
            assert!(matches!(with("app.x", value), Err(InvalidBound::Value(_))));
        }
        let many = (0..=SETTINGS_MAX).map(|i| (format!("app.s{i}"), "v".to_owned()));
        assert_eq!(Bound::new(many, Map::new()), Err(InvalidBound::TooMany));
        let twice = ["app.x", "APP.X"].map(|name| (name.to_owned(), "v".to_owned()));
        assert!(Bound::new(twice, Map::new()).is_err(), "one setting, for PostgreSQL");
    }

    #[test]
    fn claims_do_not_say_who_the_user_is() {
        for reserved in ["role", "sub", "exp", "aal"] {
            let refused = Bound::new([], claims(json!({ reserved: "x" })));
            assert_eq!(refused, Err(InvalidBound::ReservedClaim(reserved.to_owned())));
        }
        assert!(Bound::new([], claims(json!({ "tenant": { "id": 7 } }))).is_ok());
        assert_eq!(Bound::new([], claims(json!({ "x": "a\0b" }))), Err(InvalidBound::Claims));
        let long = json!({ "x": "y".repeat(CLAIMS_BYTES_MAX) });
        assert_eq!(Bound::new([], claims(long)), Err(InvalidBound::Claims));
    }

    #[test]
    fn what_is_stored_comes_back_and_damage_does_not_pass() {
        let bound =
            Bound::new([("app.x".to_owned(), "1".to_owned())], claims(json!({ "plan": "free" }))).unwrap();
        assert_eq!(Bound::from_stored(&bound.to_stored()), Ok(bound));
        for damaged in [
            json!({ "app.x": 1 }),
            json!({ "app.x": null }),
            json!({ "role": "postgres" }),
            json!({ "claims": "x" }),
            json!({ "claims": { "role": "x" } }),
            json!({ "app.x": "" }),
        ] {
            assert!(Bound::from_stored(&claims(damaged.clone())).is_err(), "{damaged}");
        }
    }

    #[test]
    fn what_others_set_is_missing_here() {
        let bound = with("app.x", "1").unwrap().knowing(["app.y", "APP.X", "app.y"]);
        assert_eq!(bound.missing(), [Box::from("app.y")]);
        assert!(!Bound::default().knowing(["a.b"]).is_empty() && Bound::default().is_empty());
    }
}
