//! Tokens in signed URLs: the right to read or write one object for a while.

use crate::caller::check_times;
use crate::refusal::{self, Outcome, Refusal};
use crate::settings::Settings;
use serde::Serialize;
use serde_json::{Map, Value};
use token::TokenError;

/// What a download token says.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Download<'a> {
    /// `bucket/key`
    pub(crate) url: &'a str,
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transformations: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<&'a str>,
    iat: u64,
    exp: u64,
}

/// What an upload token says.
#[derive(Debug, Clone, Serialize)]
struct Upload<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    url: &'a str,
    upsert: bool,
    scope: &'static str,
    iat: u64,
    exp: u64,
}

const DOWNLOAD: &str = "download";
const UPLOAD: &str = "upload";

fn path_of(bucket: &str, key: &str) -> String {
    [bucket, "/", key].concat()
}

/// A token for reading an object. `transform` are options of a picture as text.
pub(crate) fn download(
    settings: &Settings,
    (bucket, key): (&str, &str),
    transform: Option<(&str, Option<&str>)>,
    now: u64,
    seconds: u64,
) -> Outcome<String> {
    let claims = Download {
        url: &path_of(bucket, key),
        scope: DOWNLOAD,
        transformations: transform.map(|(options, _)| options),
        format: transform.and_then(|(_, format)| format),
        iat: now,
        exp: now.saturating_add(seconds),
    };
    sign(settings, &claims)
}

/// A token for writing an object.
pub(crate) fn upload(
    settings: &Settings,
    (bucket, key): (&str, &str),
    owner: Option<&str>,
    upsert: bool,
    now: u64,
) -> Outcome<String> {
    let exp = now.saturating_add(settings.signed_upload_time.as_secs());
    sign(settings, &Upload { owner, url: &path_of(bucket, key), upsert, scope: UPLOAD, iat: now, exp })
}

fn sign(settings: &Settings, claims: &impl Serialize) -> Outcome<String> {
    settings
        .url_keys
        .sign(claims)
        .map_err(|error| refusal::internal("Internal server error").caused_by(error))
}

/// A read token's claims, for this object.
pub(crate) fn check_download(
    settings: &Settings,
    token: &str,
    bucket: &str,
    key: &str,
    now: u64,
) -> Outcome<Map<String, Value>> {
    let claims = checked(settings, token, now)?;
    if scope_of(&claims) != DOWNLOAD {
        return Err(refusal::invalid_signature("Token is not scoped for download"));
    }
    for_object(claims, bucket, key)
}

/// What an upload token grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) owner: Option<String>,
    pub(crate) upsert: bool,
    pub(crate) bucket: String,
    pub(crate) key: String,
}

/// What an upload token grants for this object.
pub(crate) fn check_upload(
    settings: &Settings,
    token: &str,
    bucket: &str,
    key: &str,
    now: u64,
) -> Outcome<Granted> {
    let granted = granted(settings, token, now)?;
    if (granted.bucket.as_str(), granted.key.as_str()) != (bucket, key) {
        return Err(refusal::invalid_signature("Invalid signature"));
    }
    Ok(granted)
}

/// What an upload token grants, for the object that it names.
pub(crate) fn granted(settings: &Settings, token: &str, now: u64) -> Outcome<Granted> {
    let claims = checked(settings, token, now)?;
    if scope_of(&claims) != UPLOAD {
        return Err(refusal::invalid_signature("Token is not scoped for upload"));
    }
    let url = claims.get("url").and_then(Value::as_str).unwrap_or_default();
    let (bucket, key) = url.split_once('/').ok_or_else(|| refusal::invalid_signature("Invalid signature"))?;
    Ok(Granted {
        owner: claims.get("owner").and_then(Value::as_str).map(str::to_owned),
        upsert: claims.get("upsert").and_then(Value::as_bool).unwrap_or_default(),
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    })
}

fn for_object(claims: Map<String, Value>, bucket: &str, key: &str) -> Outcome<Map<String, Value>> {
    if claims.get("url").and_then(Value::as_str) == Some(&path_of(bucket, key)) {
        Ok(claims)
    } else {
        Err(refusal::invalid_signature("Invalid signature"))
    }
}

/// Tokens of older versions have no scope: those for uploads are told by the claim `upsert`.
fn scope_of(claims: &Map<String, Value>) -> &str {
    match claims.get("scope") {
        Some(scope) => scope.as_str().unwrap_or_default(),
        None if claims.contains_key("upsert") => UPLOAD,
        None => DOWNLOAD,
    }
}

fn checked(settings: &Settings, token: &str, now: u64) -> Outcome<Map<String, Value>> {
    let verified = settings.url_keys.verify(token).map_err(|error| refused(&error))?;
    // A user's token is signed with the same key, and is no token for a URL.
    if !verified.claims.contains_key("url") {
        return Err(refusal::invalid_signature("Invalid signature"));
    }
    check_times(&verified.claims, now).map_err(refusal::invalid_jwt)?;
    Ok(verified.claims)
}

fn refused(error: &TokenError) -> Refusal {
    refusal::invalid_jwt(match error {
        TokenError::Empty | TokenError::Parts(_) | TokenError::Malformed | TokenError::Payload => {
            "Invalid Compact JWS"
        }
        _ => "signature verification failed",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let keys =
            std::sync::Arc::new(token::KeySet::from_secret(b"a secret that is long enough for a test"));
        Settings::new("abcdefghijklmnopqrst".parse().unwrap(), keys)
    }

    #[test]
    fn a_token_is_for_one_object_one_purpose_and_a_while() {
        let s = settings();
        let read = download(&s, ("b", "a/k"), None, 1000, 60).unwrap();
        assert!(check_download(&s, &read, "b", "a/k", 1059).is_ok());
        let refused = |outcome: Outcome<Map<String, Value>>| outcome.unwrap_err().fault.message;
        assert_eq!(
            refused(check_download(&s, &read, "b", "a/k", 1060)),
            r#""exp" claim timestamp check failed"#
        );
        assert_eq!(refused(check_download(&s, &read, "b", "k", 1000)), "Invalid signature");
        let write = upload(&s, ("b", "k"), Some("me"), false, 1000).unwrap();
        assert_eq!(refused(check_download(&s, &write, "b", "k", 1000)), "Token is not scoped for download");
        assert!(check_upload(&s, &read, "b", "a/k", 1000).is_err());
        let granted = check_upload(&s, &write, "b", "k", 1000).unwrap();
        assert_eq!((granted.owner.as_deref(), granted.upsert), (Some("me"), false));
        assert_eq!(refused(check_download(&s, "nonsense", "b", "k", 1000)), "Invalid Compact JWS");
    }

    #[test]
    fn a_users_token_opens_no_url() {
        let s = settings();
        let user = s.url_keys.sign(&serde_json::json!({ "sub": "x", "role": "authenticated" })).unwrap();
        assert!(check_download(&s, &user, "b", "k", 0).is_err());
    }
}
