//! How providers that people know from work describe them.

use super::social::{flag, full_name, id, text};
use crate::external::Profile;
use serde_json::{Value, json};

pub(super) fn bitbucket(api: &str, pages: &[Value]) -> Option<Profile> {
    let [user, emails] = pages else { return None };
    let mut profile = Profile::new(api, text(user, "/uuid"))
        .name(text(user, "/display_name"))
        .picture(text(user, "/avatar/href"));
    for email in emails.get("values").and_then(Value::as_array)? {
        profile =
            profile.email(text(email, "/email"), flag(email, "/is_confirmed"), flag(email, "/is_primary"));
    }
    Some(profile)
}

pub(super) fn figma(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?;
    let profile = Profile::new(api, text(user, "/id"))
        .name(text(user, "/handle"))
        .text("avatar_url", text(user, "/img_url"));
    Some(profile.email(text(user, "/email"), true, true))
}

pub(super) fn fly(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?;
    let mut profile = Profile::new(api, text(user, "/user_id")).text("full_name", text(user, "/user_name"));
    for key in ["resource_owner_id", "organizations", "application", "scope", "created_at"] {
        profile = profile.claim(key, user.get(key).cloned().unwrap_or_default());
    }
    Some(profile.email(text(user, "/email"), true, true))
}

pub(super) fn github(api: &str, pages: &[Value]) -> Option<Profile> {
    let [user, emails] = pages else { return None };
    let login = text(user, "/login");
    let mut profile = Profile::new(api, &id(user, "/id"))
        .name(text(user, "/name"))
        .text("preferred_username", login)
        .text("user_name", login)
        .text("avatar_url", text(user, "/avatar_url"));
    for email in emails.as_array()? {
        profile = profile.email(text(email, "/email"), flag(email, "/verified"), flag(email, "/primary"));
    }
    Some(profile)
}

pub(super) fn gitlab(api: &str, pages: &[Value]) -> Option<Profile> {
    let [user, emails] = pages else { return None };
    let mut profile =
        Profile::new(api, &id(user, "/id")).name(text(user, "/name")).picture(text(user, "/avatar_url"));
    for email in emails.as_array()? {
        profile = profile.email(text(email, "/email"), false, false);
    }
    Some(profile.email(text(user, "/email"), !text(user, "/confirmed_at").is_empty(), true))
}

pub(super) fn keycloak(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?.as_object()?;
    let say = |key: &str| user.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut profile = Profile::new(api, say("sub")).name(say("name"));
    for (key, value) in user {
        if !matches!(key.as_str(), "name" | "sub" | "email" | "email_verified") {
            profile = profile.claim(key, value.clone());
        }
    }
    Some(profile.email(say("email"), user.get("email_verified") == Some(&Value::Bool(true)), true))
}

pub(super) fn linkedin(api: &str, pages: &[Value]) -> Option<Profile> {
    let [user, emails] = pages else { return None };
    let part = |which: &str| {
        let name = user.get(which)?;
        let locale = name.get("preferredLocale")?;
        let key = format!("{}_{}", text(locale, "/language"), text(locale, "/country"));
        Some(name.get("localized")?.get(key)?.as_str()?.to_owned())
    };
    let name = full_name(&part("firstName").unwrap_or_default(), &part("lastName").unwrap_or_default());
    let picture = text(user, "/profilePicture/displayImage~0/elements/0/identifiers/0/identifier");
    let profile = Profile::new(api, text(user, "/id")).name(&name).picture(picture);
    Some(profile.email(text(emails, "/elements/0/handle~0/emailAddress"), true, true))
}

pub(super) fn notion(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?.pointer("/bot/owner/user")?;
    let profile =
        Profile::new(api, text(user, "/id")).name(text(user, "/name")).picture(text(user, "/avatar_url"));
    Some(profile.email(text(user, "/person/email"), true, true))
}

const SLACK_USER: &str = "https://slack.com/user_id";
const SLACK_TEAM: &str = "https://slack.com/team_id";

pub(super) fn slack(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?;
    // It does not say whether the address is verified.
    Some(slack_person(api, user)?.email(text(user, "/email"), true, true))
}

pub(super) fn slack_oidc(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?;
    Some(slack_person(api, user)?.email(text(user, "/email"), flag(user, "/email_verified"), true))
}

fn slack_person(api: &str, user: &Value) -> Option<Profile> {
    let say = |key: &str| user.get(key).and_then(Value::as_str).unwrap_or_default();
    let profile = Profile::new(api, say(SLACK_USER)).name(say("name")).picture(say("picture"));
    Some(profile.claim(SLACK_TEAM, json!(say(SLACK_TEAM))))
}

pub(super) fn workos(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?.get("profile")?;
    let profile = Profile::new(api, text(user, "/id"))
        .name(&full_name(text(user, "/first_name"), text(user, "/last_name")))
        .claim("connection_id", json!(text(user, "/connection_id")))
        .claim("organization_id", json!(text(user, "/organization_id")));
    Some(profile.email(text(user, "/email"), true, true))
}

pub(super) fn zoom(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?;
    // Only people who signed up with an address there (100) may not have proven it.
    let is_proven = user.get("verified").and_then(Value::as_i64).unwrap_or_default() != 0;
    let verified = id(user, "/login_type") != "100" || is_proven;
    let profile = Profile::new(api, text(user, "/id"))
        .name(&full_name(text(user, "/first_name"), text(user, "/last_name")))
        .picture(text(user, "/pic_url"));
    Some(profile.email(text(user, "/email"), verified, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(profile: Option<Profile>) -> Value {
        Value::Object(profile.unwrap().identity_data())
    }

    #[test]
    fn github_tells_of_all_addresses() {
        let user =
            json!({ "id": 7, "login": "ann", "name": "Ann", "avatar_url": "p", "email": "public@x.dev" });
        let emails = json!([
            { "email": "old@x.dev", "primary": false, "verified": true },
            { "email": "ann@x.dev", "primary": true, "verified": false },
        ]);
        let profile = github("https://api.github.com", &[user, emails]).unwrap();
        assert_eq!(profile.emails().len(), 2);
        let ann = Value::Object(profile.identity_data());
        assert_eq!(
            (&ann["sub"], &ann["email"], &ann["email_verified"]),
            (&json!("7"), &json!("ann@x.dev"), &json!(false))
        );
        assert_eq!((&ann["iss"], &ann["user_name"]), (&json!("https://api.github.com"), &json!("ann")));
        assert!(ann.get("picture").is_none());
        assert!(github("g", &[json!({}), json!({ "message": "Bad credentials" })]).is_none());
    }

    #[test]
    fn gitlab_verifies_only_what_was_confirmed() {
        let user = |at: Value| json!({ "id": 7, "email": "ann@x.dev", "confirmed_at": at });
        let emails = json!([{ "id": 1, "email": "other@x.dev" }]);
        let confirmed = gitlab("g", &[user(json!("2024-01-01")), emails.clone()]).unwrap();
        assert_eq!(confirmed.emails().iter().map(|e| e.verified).collect::<Vec<_>>(), [false, true]);
        assert!(!gitlab("g", &[user(Value::Null), emails]).unwrap().emails()[1].verified);
    }

    #[test]
    fn zoom_verifies_addresses_typed_there_only_when_it_says_so() {
        let user = |kind: Value, verified: i64| json!({ "id": "7", "email": "a@x.dev", "login_type": kind, "verified": verified });
        for (kind, verified, wanted) in [("100", 0, false), ("100", 1, true), ("1", 0, true)] {
            assert_eq!(data(zoom("z", &[user(json!(kind), verified)]))["email_verified"], wanted);
        }
        assert_eq!(data(zoom("z", &[user(json!(100), 0)]))["email_verified"], false);
    }

    #[test]
    fn the_rest_of_them() {
        let user = json!({ "uuid": "{7}", "display_name": "Ann" });
        let emails = json!({ "values": [{ "email": "a@x.dev", "is_primary": true, "is_confirmed": true }] });
        assert_eq!(data(bitbucket("b", &[user, emails]))["email_verified"], true);
        let realm =
            json!({ "sub": "7", "name": "Ann", "email": "a@x.dev", "email_verified": true, "groups": ["g"] });
        assert_eq!(data(keycloak("k", &[realm]))["custom_claims"], json!({ "groups": ["g"] }));
        let me = json!({ "id": "7",
            "firstName": { "localized": { "en_US": "A" }, "preferredLocale": { "language": "en", "country": "US" } },
            "lastName": { "localized": { "en_US": "B" }, "preferredLocale": { "language": "en", "country": "US" } },
            "profilePicture": { "displayImage~": { "elements": [{ "identifiers": [{ "identifier": "p" }] }] } } });
        let mail = json!({ "elements": [{ "handle~": { "emailAddress": "a@x.dev" } }] });
        let ann = data(linkedin("l", &[me, mail]));
        assert_eq!(
            (&ann["name"], &ann["picture"], &ann["email"]),
            (&json!("A B"), &json!("p"), &json!("a@x.dev"))
        );
        let bot = json!({ "bot": { "owner": { "user": { "id": "7", "person": { "email": "a@x.dev" } } } } });
        assert_eq!(data(notion("n", &[bot]))["email"], "a@x.dev");
        let user = json!({ SLACK_USER: "7", SLACK_TEAM: "T", "email": "a@x.dev", "email_verified": false });
        assert_eq!(data(slack("s", std::slice::from_ref(&user)))["email_verified"], true);
        let ann = data(slack_oidc("s", &[user]));
        assert_eq!((&ann["email_verified"], &ann["custom_claims"][SLACK_TEAM]), (&json!(false), &json!("T")));
        let beside =
            json!({ "profile": { "id": "7", "first_name": "A", "email": "a@x.dev", "connection_id": "c" } });
        assert_eq!(data(workos("w", &[beside]))["custom_claims"]["connection_id"], "c");
        assert_eq!(data(figma("f", &[json!({ "id": "7", "handle": "ann" })]))["name"], "ann");
        assert_eq!(data(fly("f", &[json!({ "user_id": "7", "user_name": "ann" })]))["full_name"], "ann");
    }
}
