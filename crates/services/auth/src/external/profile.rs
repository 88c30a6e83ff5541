//! What a provider says of somebody.

use serde_json::{Map, Value};

/// Claims that profiles have under names of their own; all others are custom.
pub(crate) const PROFILE_CLAIMS: [&str; 22] = [
    "iss",
    "sub",
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
    "phone",
    "full_name",
    "avatar_url",
    "slug",
    "provider_id",
    "user_name",
];

/// An address, and whether the provider knows that it is theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email {
    /// In lower case.
    pub(crate) address: String,
    pub(crate) verified: bool,
    pub(crate) primary: bool,
}

/// Somebody as a provider describes them. Empty texts are left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Profile {
    emails: Vec<Email>,
    data: Map<String, Value>,
}

impl Profile {
    /// Somebody known by `subject` at `issuer`.
    pub(crate) fn new(issuer: &str, subject: &str) -> Profile {
        let profile = Profile::default().text("iss", issuer).text("sub", subject);
        profile.text("provider_id", subject)
    }

    /// Somebody as a set of claims describes them, each under its own name.
    pub(crate) fn of_claims(data: Map<String, Value>) -> Profile {
        Profile { emails: Vec::new(), data }
    }

    #[must_use]
    pub(crate) fn text(mut self, key: &str, value: &str) -> Profile {
        if !value.is_empty() {
            self.data.insert(key.to_owned(), Value::from(value));
        }
        self
    }

    /// The name under which clients of every age find it.
    #[must_use]
    pub(crate) fn name(self, name: &str) -> Profile {
        self.text("name", name).text("full_name", name)
    }

    /// The picture under which clients of every age find it.
    #[must_use]
    pub(crate) fn picture(self, url: &str) -> Profile {
        self.text("picture", url).text("avatar_url", url)
    }

    /// Something that only this provider says.
    #[must_use]
    pub(crate) fn claim(mut self, key: &str, value: Value) -> Profile {
        let claims = self.data.entry("custom_claims").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(claims) = claims {
            claims.insert(key.to_owned(), value);
        }
        self
    }

    #[must_use]
    pub(crate) fn email(mut self, address: &str, verified: bool, primary: bool) -> Profile {
        if !address.is_empty() {
            self.emails.push(Email { address: address.to_lowercase(), verified, primary });
        }
        self
    }

    /// What it says under a name.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.data.get(key)
    }

    /// Puts a value under another name. Names have texts, but for the provider's own claims.
    #[must_use]
    pub(crate) fn map(mut self, key: &str, value: Value) -> Profile {
        let text = match &value {
            Value::String(text) => text.clone(),
            Value::Number(number) if key == "sub" => number.to_string(),
            Value::Object(_) if key == "custom_claims" => {
                self.data.insert(key.to_owned(), value);
                return self;
            }
            _ => return self,
        };
        if key != "email" {
            return self.text(key, &text);
        }
        // What the provider verified is the address that it calls so, not what another claim holds.
        let address = text.to_lowercase();
        let verified = self.emails.iter().any(|email| email.verified && email.address == address);
        self.emails.clear();
        self.email(&text, verified, true)
    }

    /// Who it is at the provider; empty when it did not say.
    pub(crate) fn subject(&self) -> &str {
        self.data.get("sub").and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn emails(&self) -> &[Email] {
        &self.emails
    }

    /// The address that an account would get.
    pub(crate) fn primary(&self) -> Option<&Email> {
        self.emails.iter().find(|email| email.primary)
    }

    /// What identity and account keep. The address is the primary one, else the last of the others.
    pub(crate) fn identity_data(&self) -> Map<String, Value> {
        let mut data = self.data.clone();
        let email = self.primary().or_else(|| self.emails.last());
        match email {
            Some(email) => data.insert("email".to_owned(), Value::from(email.address.as_str())),
            None => data.remove("email"),
        };
        data.insert("email_verified".to_owned(), Value::Bool(email.is_some_and(|email| email.verified)));
        data.entry("phone_verified").or_insert(Value::Bool(false));
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_primary_address_comes_first_and_empty_texts_are_left_out() {
        let profile = Profile::new("https://x.dev", "7").name("Ann").picture("").text("nickname", "");
        let profile =
            profile.email("B@x.dev", true, false).email("A@x.dev", false, true).email("", true, true);
        assert_eq!(profile.subject(), "7");
        assert_eq!(
            Value::Object(profile.claim("team", json!("t")).identity_data()),
            json!({
                "iss": "https://x.dev", "sub": "7", "provider_id": "7", "name": "Ann", "full_name": "Ann",
                "email": "a@x.dev", "email_verified": false, "phone_verified": false,
                "custom_claims": { "team": "t" },
            })
        );
        let without = Profile::new("i", "8").identity_data();
        assert!(!without.contains_key("email") && without["email_verified"] == json!(false));
    }
}
