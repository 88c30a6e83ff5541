//! How providers that people know from their private life describe them.

use crate::external::Profile;
use serde_json::{Value, json};

/// A text of an answer; empty when it is missing.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A text or a number of an answer, as text.
pub(super) fn id(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Whether a flag of an answer is set.
pub(super) fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

/// First and last name.
pub(super) fn full_name(first: &str, last: &str) -> String {
    format!("{first} {last}").trim().to_owned()
}

pub(super) const FACEBOOK_PAGE: &str = "/me?fields=email,first_name,last_name,name,picture";

pub(super) fn discord(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?;
    let (subject, avatar, discriminator) =
        (text(user, "/id"), text(user, "/avatar"), text(user, "/discriminator"));
    let avatar = match (avatar, discriminator.parse::<u64>()) {
        ("", Ok(number)) => format!("https://cdn.discordapp.com/embed/avatars/{}.png", number % 5),
        ("", Err(_)) => String::new(),
        (avatar, _) => {
            let extension = if avatar.starts_with("a_") { "gif" } else { "png" };
            format!("https://cdn.discordapp.com/avatars/{subject}/{avatar}.{extension}")
        }
    };
    let name = text(user, "/username");
    let profile = Profile::new(api, subject)
        .text("name", &format!("{name}#{discriminator}"))
        .text("full_name", name)
        .picture(&avatar)
        .claim("global_name", json!(text(user, "/global_name")));
    Some(profile.email(text(user, "/email"), flag(user, "/verified"), true))
}

pub(super) fn facebook(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?;
    let alias = text(user, "/name");
    let profile = Profile::new(&format!("{api}{FACEBOOK_PAGE}"), text(user, "/id"))
        .name(&full_name(text(user, "/first_name"), text(user, "/last_name")))
        .picture(text(user, "/picture/data/url"))
        .text("nickname", alias)
        .text("slug", alias);
    Some(profile.email(text(user, "/email"), true, true))
}

/// Google's page of people, for when it gave no ID token.
pub(super) fn google(page: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?;
    let verified = flag(user, "/verified_email") || flag(user, "/email_verified");
    let profile =
        Profile::new(page, text(user, "/id")).name(text(user, "/name")).picture(text(user, "/picture"));
    Some(profile.email(text(user, "/email"), verified, true))
}

pub(super) fn kakao(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?;
    let account = user.get("kakao_account").unwrap_or(&Value::Null);
    let name = text(account, "/profile/nickname");
    let verified = flag(account, "/is_email_verified") && flag(account, "/is_email_valid");
    let profile = Profile::new(api, &id(user, "/id"))
        .name(name)
        .text("preferred_username", name)
        .text("user_name", name)
        .text("avatar_url", text(account, "/profile/profile_image_url"));
    Some(profile.email(text(account, "/email"), verified, true))
}

pub(super) fn snapchat(_: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?.pointer("/data/me")?;
    let name = text(user, "/displayName");
    let profile = Profile::new(super::id_token::SNAPCHAT, text(user, "/externalId"))
        .name(name)
        .text("slug", name)
        .picture(text(user, "/bitmoji/avatar"));
    Some(profile.email(text(user, "/email"), true, true))
}

pub(super) fn spotify(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?;
    let size = |image: &&Value| {
        let side = |name: &str| image.get(name).and_then(Value::as_u64).unwrap_or_default();
        side("height").saturating_mul(side("width"))
    };
    // Of equally large ones the first.
    let largest =
        user.get("images").and_then(Value::as_array).and_then(|list| list.iter().rev().max_by_key(size));
    let profile = Profile::new(api, text(user, "/id"))
        .name(text(user, "/display_name"))
        .picture(largest.map_or("", |image| text(image, "/url")));
    // The address is what the person typed there.
    Some(profile.email(text(user, "/email"), false, true))
}

pub(super) fn twitch(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?.pointer("/data/0")?;
    let (login, shown) = (text(user, "/login"), text(user, "/display_name"));
    let mut profile = Profile::new(api, text(user, "/id"))
        .name(login)
        .text("nickname", shown)
        .text("slug", shown)
        .picture(text(user, "/profile_image_url"));
    for key in ["broadcaster_type", "description", "type", "offline_image_url"] {
        profile = profile.claim(key, json!(text(user, &format!("/{key}"))));
    }
    let views = user.get("view_count").and_then(Value::as_i64).unwrap_or_default();
    Some(profile.claim("view_count", json!(views)).email(text(user, "/email"), true, true))
}

pub(super) fn twitter(page: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?;
    let login = text(user, "/screen_name");
    let profile = Profile::new(page, text(user, "/id_str"))
        .name(text(user, "/name"))
        .picture(text(user, "/profile_image_url_https"))
        .text("preferred_username", login)
        .text("user_name", login);
    Some(profile.email(text(user, "/email"), true, true))
}

pub(super) fn x(api: &str, pages: &[Value]) -> Option<Profile> {
    let user = pages.first()?.get("data")?;
    let login = text(user, "/username");
    let profile = Profile::new(api, text(user, "/id"))
        .name(text(user, "/name"))
        .picture(text(user, "/profile_image_url"))
        .text("preferred_username", login)
        .text("user_name", login)
        .text("profile", &format!("https://x.com/{login}"))
        .text("website", text(user, "/url"))
        .claim("created_at", json!(text(user, "/created_at")));
    // Only an address that was confirmed is told.
    Some(profile.email(text(user, "/confirmed_email"), true, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(profile: Option<Profile>) -> Value {
        Value::Object(profile.unwrap().identity_data())
    }

    #[test]
    fn discord_shows_pictures_that_move() {
        let user = json!({ "id": "7", "username": "ann", "discriminator": "0", "email": "A@x.dev",
            "verified": true, "avatar": "a_1", "global_name": "Ann" });
        let ann = data(discord("https://discord.com/api", std::slice::from_ref(&user)));
        assert_eq!(ann["avatar_url"], "https://cdn.discordapp.com/avatars/7/a_1.gif");
        assert_eq!((&ann["name"], &ann["full_name"]), (&json!("ann#0"), &json!("ann")));
        assert_eq!((&ann["email"], &ann["email_verified"]), (&json!("a@x.dev"), &json!(true)));
        assert_eq!(ann["custom_claims"], json!({ "global_name": "Ann" }));
        let plain = json!({ "id": "7", "discriminator": "1337", "verified": false });
        let plain = data(discord("https://discord.com/api", &[plain]));
        assert_eq!(plain["picture"], "https://cdn.discordapp.com/embed/avatars/2.png");
    }

    #[test]
    fn kakao_wants_an_address_that_is_valid_too() {
        let user = |valid: bool| {
            json!({ "id": 42, "kakao_account": { "email": "a@x.dev", "is_email_verified": true,
                "is_email_valid": valid, "profile": { "nickname": "ann" } } })
        };
        assert_eq!(data(kakao("k", &[user(true)]))["email_verified"], true);
        let invalid = data(kakao("k", &[user(false)]));
        assert_eq!((&invalid["email_verified"], &invalid["sub"]), (&json!(false), &json!("42")));
    }

    #[test]
    fn spotify_shows_the_largest_picture_and_verifies_nothing() {
        let user = json!({ "id": "7", "email": "a@x.dev", "images": [
            { "url": "s", "height": 1, "width": 1 }, { "url": "l", "height": 9, "width": 9 },
            { "url": "l2", "height": 9, "width": 9 }] });
        let ann = data(spotify("s", &[user]));
        assert_eq!((&ann["picture"], &ann["email_verified"]), (&json!("l"), &json!(false)));
    }

    #[test]
    fn the_rest_of_them() {
        let page =
            json!({ "data": [{ "id": "1", "login": "ann", "display_name": "Ann", "email": "a@x.dev" }] });
        let ann = data(twitch("t", &[page]));
        assert_eq!((&ann["slug"], &ann["custom_claims"]["view_count"]), (&json!("Ann"), &json!(0)));
        let ann = data(x(
            "x",
            &[json!({ "data": { "id": "1", "username": "ann", "confirmed_email": "a@x.dev" } })],
        ));
        assert_eq!(ann["profile"], "https://x.com/ann");
        let page = json!({ "data": { "me": { "externalId": "1", "displayName": "Ann" } } });
        let ann = data(snapchat("", &[page]));
        assert_eq!(ann["sub"], "1");
        assert!(ann.get("email").is_none());
        let page = json!({ "id_str": "1", "screen_name": "ann", "email": "a@x.dev" });
        assert_eq!(data(twitter("t", &[page]))["user_name"], "ann");
        let page = json!({ "id": "1", "name": "a", "first_name": "A", "last_name": "B", "email": "a@x.dev" });
        let ann = data(facebook("https://graph.facebook.com", &[page]));
        assert_eq!((&ann["name"], &ann["nickname"]), (&json!("A B"), &json!("a")));
        assert!(twitch("t", &[json!({ "data": [] })]).is_none());
    }
}
