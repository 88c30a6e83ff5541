//! API keys that bind their requests: claims that win over the token's, and readable words where a policy wanted a
//! setting that the key does not carry, or cannot read the one that it does.

use crate::execute::NEVER_SET;
use fault::Fault;
use model::{Bound, Caller};
use serde_json::{Map, Value};

/// The caller, with the key's claims over the token's. The role stays the token's: a key's claims never hold one.
pub fn claimed(caller: Caller, bound: Option<&Bound>) -> Caller {
    let Some(bound) = bound.filter(|bound| !bound.claims().is_empty()) else { return caller };
    let mut claims: Map<String, Value> = serde_json::from_str(&caller.claims).unwrap_or_default();
    claims.extend(bound.claims().iter().map(|(name, value)| (name.clone(), value.clone())));
    Caller { claims: Value::Object(claims).to_string().into(), ..caller }
}

/// Adds a hint to a fault that the key's settings explain.
pub fn explain(fault: &mut Fault, bound: Option<&Bound>) {
    let Some(bound) = bound else { return };
    fault.message = fault.message.replace(NEVER_SET, "");
    if fault.hint.is_none() {
        fault.hint = hint(&fault.code, &fault.message, bound);
    }
}

fn hint(code: &str, message: &str, bound: &Bound) -> Option<String> {
    // What stands in quotes at the end of "invalid input syntax for type uuid: …".
    let unreadable = || message.split_once(": \"").and_then(|(_, rest)| rest.strip_suffix('"'));
    match code {
        "42704" => {
            let name = bound.missing().iter().find(|name| message.contains(&format!("\"{name}\"")))?;
            Some(missing(&[name]))
        }
        "42501" if message.contains("row-level security") => all_missing(bound),
        "22P02" | "22003" | "22007" | "22008" | "22023" => match unreadable()? {
            "" => all_missing(bound),
            text => {
                let (name, _) = bound.settings().iter().find(|(_, value)| &**value == text)?;
                Some(format!(
                    "This is the value of the setting '{name}' of the API key: it is malformed. Make a new key with a value that the database can read."
                ))
            }
        },
        _ => None,
    }
}

fn all_missing(bound: &Bound) -> Option<String> {
    let names: Vec<&str> = bound.missing().iter().map(|name| &**name).collect();
    (!names.is_empty()).then(|| missing(&names))
}

fn missing(names: &[&str]) -> String {
    let (word, list) = (if names.len() == 1 { "setting" } else { "settings" }, names.join("', '"));
    format!(
        "The API key of this request does not carry the {word} '{list}', which other keys of the project do. Use a key that carries it."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bound() -> Bound {
        let claims = json!({ "tenant": 7, "plan": "free" });
        Bound::new([("app.app_id".to_owned(), "nonsense".to_owned())], claims.as_object().cloned().unwrap())
            .unwrap()
            .knowing(["app.tenant_id"])
    }

    #[test]
    fn claims_of_the_key_win() {
        let token = r#"{"role":"authenticated","sub":"u","tenant":8}"#;
        let caller = Caller { role: "authenticated".into(), claims: token.into() };
        let told = claimed(caller.clone(), Some(&bound()));
        assert_eq!(&*told.claims, r#"{"role":"authenticated","sub":"u","tenant":7,"plan":"free"}"#);
        assert_eq!((&*told.role, claimed(caller.clone(), None)), ("authenticated", caller));
    }

    #[test]
    fn faults_that_a_setting_explains_say_so() {
        let bound = bound();
        let hint = |code, message| hint(code, message, &bound);
        let missing = |text: Option<String>| {
            text.is_some_and(|text| text.contains("does not carry the setting 'app.tenant_id'"))
        };
        assert!(missing(hint("42704", "unrecognized configuration parameter \"app.tenant_id\"")));
        assert!(missing(hint("22P02", "invalid input syntax for type uuid: \"\"")));
        assert!(missing(hint("42501", "new row violates row-level security policy for table \"t\"")));
        let malformed = hint("22P02", "invalid input syntax for type uuid: \"nonsense\"").unwrap();
        assert!(malformed.contains("'app.app_id'"), "{malformed}");
        for (code, message) in [
            ("42704", "unrecognized configuration parameter \"app.other\""),
            ("22P02", "invalid input syntax for type uuid: \"other\""),
            ("42501", "permission denied for table t"),
            ("23505", ""),
        ] {
            assert_eq!(hint(code, message), None, "{message}");
        }
    }
}
