//! How the claims of ID tokens describe people, by provider.

use super::social::{full_name, text};
use crate::external::{PROFILE_CLAIMS, Profile};
use serde_json::{Map, Value};

/// What is kept as it is beside [`PROFILE_CLAIMS`], of issuers that nothing more is known of.
const KEPT_TOO: [&str; 4] = ["aud", "iat", "exp", "custom_claims"];

/// What Azure says of the token rather than of the person.
const AZURE_OWN: [&str; 16] = [
    "aud",
    "iss",
    "iat",
    "nbf",
    "exp",
    "c_hash",
    "at_hash",
    "aio",
    "nonce",
    "rh",
    "uti",
    "jti",
    "ver",
    "sub",
    "name",
    "preferred_username",
];

/// Who a token of this provider is of.
pub(super) fn read(provider: &str, claims: &Map<String, Value>) -> Option<Profile> {
    let value = Value::Object(claims.clone());
    let say = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let (issuer, subject, email) = (say("iss"), say("sub"), say("email"));
    Some(match provider {
        "google" => {
            let verified = is_true(claims.get("email_verified")) || is_true(claims.get("verified_email"));
            let mut profile = Profile::new(issuer, subject).name(say("name")).picture(say("picture"));
            if !say("hd").is_empty() {
                profile = profile.claim("hd", Value::from(say("hd")));
            }
            profile.email(email, verified, true)
        }
        "apple" => apple(&value, Profile::new(issuer, subject)).email(email, true, true),
        "azure" => azure(claims, Profile::new(issuer, subject)).email(email, azure_verified(claims), true),
        "facebook" => {
            let profile = Profile::new(issuer, subject).text("name", say("name"));
            profile.text("picture", say("picture")).email(email, true, true)
        }
        "kakao" => {
            let name = say("nickname");
            let profile = Profile::new(issuer, subject).text("name", name).text("preferred_username", name);
            profile.text("picture", say("picture")).email(email, true, true)
        }
        "linkedin_oidc" => {
            let (first, last) = (say("given_name"), say("family_name"));
            let mut profile = Profile::new(issuer, subject).text("name", &full_name(first, last));
            for key in ["given_name", "family_name", "locale", "picture"] {
                profile = profile.text(key, say(key));
            }
            profile.email(email, is_true(claims.get("email_verified")), true)
        }
        "vercel_marketplace" => {
            let subject = match say("global_user_id") {
                "" => subject.to_owned(),
                id => format!("global_user_id:{id}"),
            };
            let profile = Profile::new(issuer, &subject).text("name", say("user_name"));
            profile.text("picture", say("user_avatar_url")).email(say("user_email"), true, true)
        }
        "snapchat" => common(claims).email(email, true, true),
        _ => generic(claims),
    })
}

/// Somebody as the standard claims describe them.
pub(super) fn generic(claims: &Map<String, Value>) -> Profile {
    let email = claims.get("email").and_then(Value::as_str).unwrap_or_default();
    common(claims).email(email, is_true(claims.get("email_verified")), true)
}

/// Whether this is a claim that is kept.
pub(super) fn is_kept(name: &str) -> bool {
    name == "email" || PROFILE_CLAIMS.contains(&name) || KEPT_TOO.contains(&name)
}

fn common(claims: &Map<String, Value>) -> Profile {
    let mut kept = Map::new();
    for name in PROFILE_CLAIMS.iter().chain(&KEPT_TOO) {
        match (*name, claims.get(*name)) {
            (_, None | Some(Value::Null)) => {}
            (_, Some(Value::String(text))) if text.is_empty() => {}
            ("aud", Some(Value::String(one))) => {
                drop(kept.insert("aud".to_owned(), Value::from(vec![one.clone()])))
            }
            ("sub", Some(Value::Number(id))) => {
                drop(kept.insert("sub".to_owned(), Value::from(id.to_string())))
            }
            ("custom_claims", Some(value)) if !value.is_object() => {}
            (name, Some(value)) => drop(kept.insert(name.to_owned(), value.clone())),
        }
    }
    if is_true(claims.get("phone_verified")) {
        kept.insert("phone_verified".to_owned(), Value::Bool(true));
    }
    Profile::of_claims(kept)
}

/// Some providers write their flags as text.
fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

fn apple(claims: &Value, mut profile: Profile) -> Profile {
    match claims.get("is_private_email") {
        None | Some(Value::Null) => {}
        flag => profile = profile.claim("is_private_email", Value::Bool(is_true(flag))),
    }
    if let Some(time @ Value::Number(_)) = claims.get("auth_time") {
        profile = profile.claim("auth_time", time.clone());
    }
    match text(claims, "/transfer_sub") {
        "" => profile,
        subject => profile.claim("transfer_sub", Value::from(subject)),
    }
}

fn azure(claims: &Map<String, Value>, profile: Profile) -> Profile {
    let say = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut profile =
        profile.text("preferred_username", say("preferred_username")).text("full_name", say("name"));
    for (key, value) in claims.iter().filter(|(key, _)| !AZURE_OWN.contains(&key.as_str())) {
        profile = profile.claim(key, value.clone());
    }
    profile
}

/// Only tenants that were told to say whether the owner of the domain vouches for an address; the others give out
/// addresses that they vouch for, or none.
fn azure_verified(claims: &Map<String, Value>) -> bool {
    match claims.get("xms_edov") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => matches!(text.as_str(), "1" | "true"),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn data(provider: &str, claims: Value) -> Value {
        let Value::Object(claims) = claims else { unreachable!() };
        Value::Object(read(provider, &claims).unwrap().identity_data())
    }

    #[test]
    fn azure_addresses_are_verified_unless_it_says_otherwise() {
        let verified = |edov: Value| {
            let mut claims = json!({ "iss": "i", "sub": "7", "email": "a@x.dev", "oid": "o", "nonce": "n" });
            if edov != "absent" {
                claims["xms_edov"] = edov;
            }
            data("azure", claims)["email_verified"].clone()
        };
        for (edov, wanted) in [
            (json!("absent"), true),
            (json!(null), true),
            (json!(true), true),
            (json!("1"), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("0"), false),
            (json!(1), false),
        ] {
            assert_eq!(verified(edov.clone()), wanted, "{edov}");
        }
        let ann = data("azure", json!({ "iss": "i", "sub": "7", "oid": "o", "nonce": "n", "name": "Ann" }));
        assert_eq!((&ann["custom_claims"], &ann["full_name"]), (&json!({ "oid": "o" }), &json!("Ann")));
    }

    #[test]
    fn apple_hides_addresses() {
        let ann =
            data("apple", json!({ "iss": "i", "sub": "7", "email": "a@x.dev", "is_private_email": "true" }));
        assert_eq!(ann["custom_claims"], json!({ "is_private_email": true }));
        assert!(data("apple", json!({ "sub": "7" })).get("custom_claims").is_none());
    }

    #[test]
    fn others_keep_the_standard_claims() {
        let ann = data(
            "custom:x",
            json!({ "iss": "i", "sub": 7, "aud": "c", "email": "A@x.dev", "email_verified": "true", "role": "admin",
                "app_metadata": { "x": 1 }, "nickname": "" }),
        );
        assert_eq!(
            ann,
            json!({ "iss": "i", "sub": "7", "aud": ["c"], "email": "a@x.dev", "email_verified": true, "phone_verified": false })
        );
        let ann = data(
            "google",
            json!({ "iss": "i", "sub": "7", "email": "a@x.dev", "email_verified": false, "hd": "x.dev" }),
        );
        assert_eq!((&ann["email_verified"], &ann["custom_claims"]["hd"]), (&json!(false), &json!("x.dev")));
        let ann =
            data("vercel_marketplace", json!({ "sub": "7", "global_user_id": "9", "user_email": "a@x.dev" }));
        assert_eq!((&ann["sub"], &ann["email"]), (&json!("global_user_id:9"), &json!("a@x.dev")));
        let ann = data(
            "linkedin_oidc",
            json!({ "sub": "7", "email": "a@x.dev", "email_verified": "false", "given_name": "A" }),
        );
        assert_eq!((&ann["email_verified"], &ann["name"]), (&json!(false), &json!("A")));
    }
}
