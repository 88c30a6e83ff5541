//! From what an identity provider says of somebody to what the account knows of them.

use crate::external::{PROFILE_CLAIMS, Profile};
use saml::Assertion;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Which attribute becomes which claim.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AttributeMapping {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keys: Option<BTreeMap<String, Rule>>,
}

/// Where a claim is from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rule {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<Vec<String>>,
    /// What it is when no attribute has a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<Value>,
    /// Whether it is the list of all values rather than the first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    array: bool,
}

/// Said by us alone.
const OURS: [&str; 4] = ["iss", "sub", "email", "email_verified"];

impl AttributeMapping {
    /// The form in the table.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }

    /// The claims that an assertion makes.
    pub(crate) fn claims(&self, assertion: &Assertion) -> Map<String, Value> {
        let rules = self.keys.iter().flatten();
        rules.filter_map(|(key, rule)| Some((key.clone(), rule.value(assertion)?))).collect()
    }
}

impl Rule {
    fn value(&self, assertion: &Assertion) -> Option<Value> {
        let named = Some(&self.name).filter(|name| !name.is_empty());
        let mut names = named.into_iter().chain(self.names.iter().flatten());
        let found = names.find_map(|name| {
            let values: Vec<&str> = assertion.values(name).filter(|value| !value.is_empty()).collect();
            (!values.is_empty()).then_some(values)
        });
        match found {
            Some(values) if self.array => Some(Value::from(values)),
            Some(values) => values.first().map(|value| Value::from(*value)),
            None => self.default.clone().filter(|value| !value.is_null()),
        }
    }
}

/// Somebody as their identity provider describes them.
pub(crate) fn profile(issuer: &str, subject: &str, email: &str, claims: Map<String, Value>) -> Profile {
    let (mut data, mut custom) = (Map::new(), Map::new());
    for (key, value) in claims.into_iter().filter(|(key, _)| !OURS.contains(&key.as_str())) {
        let fits = PROFILE_CLAIMS.contains(&key.as_str()) && value.is_string();
        let fits = fits || (key == "phone_verified" && value.is_boolean());
        let target = if fits { &mut data } else { &mut custom };
        target.insert(key, value);
    }
    data.insert("iss".to_owned(), Value::from(issuer));
    data.insert("sub".to_owned(), Value::from(subject));
    data.insert("custom_claims".to_owned(), Value::Object(custom));
    Profile::of_claims(data).email(email, true, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use saml::Attribute;
    use serde_json::json;

    fn assertion() -> Assertion {
        let attribute = |name: &str, friendly: &str, values: &[&str]| Attribute {
            name: name.to_owned(),
            friendly_name: friendly.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        Assertion {
            id: "a".to_owned(),
            issuer: "https://idp".to_owned(),
            name_id: None,
            attributes: vec![
                attribute("urn:oid:2.5.4.42", "givenName", &["Ann"]),
                attribute("groups", "", &["", "a", "b"]),
                attribute("GROUPS", "", &["c"]),
                attribute("empty", "", &[""]),
            ],
            spent_until: time::OffsetDateTime::UNIX_EPOCH,
            session_not_on_or_after: None,
        }
    }

    #[test]
    fn attributes_become_claims_by_name_or_friendly_name() {
        let mapping: AttributeMapping = serde_json::from_value(json!({ "keys": {
            "given_name": { "name": "GIVENNAME" },
            "groups": { "name": "groups", "array": true },
            "first_group": { "names": ["none", "empty", "groups"] },
            "role": { "name": "none", "default": 7 },
            "nothing": { "name": "none" },
            "no_default": { "name": "none", "default": null },
        } }))
        .unwrap();
        assert_eq!(
            Value::Object(mapping.claims(&assertion())),
            json!({ "given_name": "Ann", "groups": ["a", "b", "c"], "first_group": "a", "role": 7 })
        );
        assert!(AttributeMapping::default().claims(&assertion()).is_empty());
    }

    #[test]
    fn who_somebody_is_is_not_mapped() {
        let claims = json!({
            "sub": "evil", "iss": "evil", "email": "evil@x.dev", "email_verified": false, "name": "Ann",
            "picture": ["no text"], "team": "t",
        });
        let profile = profile("https://idp", "7", "Ann@x.dev", claims.as_object().unwrap().clone());
        assert_eq!(
            Value::Object(profile.identity_data()),
            json!({
                "iss": "https://idp", "sub": "7", "name": "Ann", "email": "ann@x.dev", "email_verified": true,
                "phone_verified": false, "custom_claims": { "picture": ["no text"], "team": "t" },
            })
        );
    }

    #[test]
    fn a_mapping_is_kept_as_it_was_given() {
        for text in ["{}", r#"{"keys":{"a":{"name":"b"},"c":{"names":["d"],"default":"e","array":true}}}"#] {
            let mapping: AttributeMapping = serde_json::from_str(text).unwrap();
            assert_eq!(mapping.to_json(), text);
        }
    }
}
