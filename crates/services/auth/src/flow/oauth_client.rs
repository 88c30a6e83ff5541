//! Applications of the OAuth server: what they may register, and how they prove who they are.

use super::redirect::{Parts, is_loopback};
use crate::call::Call;
use crate::refusal::{Outcome, invalid, refuse};
use crate::store::oauth_clients::Client;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;

const REDIRECTS_MAX: usize = 10;
const URI_BYTES_MAX: usize = 2048;
const NAME_CHARS_MAX: usize = 1024;
const GRANT_TYPES: [&str; 2] = ["authorization_code", "refresh_token"];
const METHODS: [&str; 3] = ["none", "client_secret_basic", "client_secret_post"];

/// The fields by which a client is registered or changed.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Fields {
    #[serde(default)]
    pub(crate) redirect_uris: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) client_type: Option<String>,
    #[serde(default)]
    pub(crate) token_endpoint_auth_method: Option<String>,
    #[serde(default)]
    pub(crate) grant_types: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) client_name: Option<String>,
    #[serde(default)]
    pub(crate) client_uri: Option<String>,
    #[serde(default)]
    pub(crate) logo_uri: Option<String>,
}

/// Whether a client can keep a secret, and how it shows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) client_type: &'static str,
    pub(crate) method: &'static str,
}

impl Fields {
    /// Whether a change names nothing to be changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.redirect_uris.is_none()
            && self.grant_types.is_none()
            && self.token_endpoint_auth_method.is_none()
            && [&self.client_name, &self.client_uri, &self.logo_uri].iter().all(|field| field.is_none())
    }

    /// Checks what is given.
    pub(crate) fn check(&self) -> Outcome<()> {
        if let Some(uris) = &self.redirect_uris {
            check_redirects(uris)?;
        }
        if let Some(types) = self.grant_types.as_ref().filter(|types| !types.is_empty())
            && !types.iter().all(|name| GRANT_TYPES.contains(&name.as_str()))
        {
            let message = "grant_types must only contain 'authorization_code' and/or 'refresh_token'";
            return Err(invalid(message));
        }
        if self.client_name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS_MAX) {
            return Err(invalid("client_name cannot exceed 1024 characters"));
        }
        check_page("client_uri", self.client_uri.as_deref())?;
        check_page("logo_uri", self.logo_uri.as_deref())
    }

    /// The kind of a new client: confidential, unless its fields say otherwise.
    pub(crate) fn kind(&self) -> Outcome<Kind> {
        let method = self.method()?;
        let implied = if method == Some("none") { "public" } else { "confidential" };
        let client_type = match self.client_type.as_deref().unwrap_or_default() {
            "" => implied,
            "public" => "public",
            "confidential" => "confidential",
            _ => return Err(invalid("client_type must be 'public' or 'confidential'")),
        };
        match method {
            Some(method) if client_type != implied => Err(invalid(format!(
                "client_type '{client_type}' is inconsistent with token_endpoint_auth_method '{method}' (expected client_type '{implied}')"
            ))),
            Some(method) => Ok(Kind { client_type, method }),
            None if client_type == "public" => Ok(Kind { client_type, method: "none" }),
            None => Ok(Kind { client_type, method: "client_secret_basic" }),
        }
    }

    /// The way to show the secret, when one is given.
    pub(crate) fn method(&self) -> Outcome<Option<&'static str>> {
        let given = self.token_endpoint_auth_method.as_deref().unwrap_or_default();
        if given.is_empty() {
            return Ok(None);
        }
        let known = METHODS.into_iter().find(|method| *method == given);
        let message =
            "token_endpoint_auth_method must be one of: [none client_secret_basic client_secret_post]";
        known.map(Some).ok_or_else(|| invalid(message))
    }

    /// The kinds of grant; all of them when none is named.
    pub(crate) fn grant_types(&self) -> Vec<String> {
        match &self.grant_types {
            Some(types) if !types.is_empty() => types.clone(),
            _ => GRANT_TYPES.map(str::to_owned).to_vec(),
        }
    }
}

fn check_redirects(uris: &[String]) -> Outcome<()> {
    if uris.is_empty() {
        return Err(invalid("redirect_uris cannot be empty"));
    }
    if uris.len() > REDIRECTS_MAX {
        return Err(invalid("redirect_uris cannot exceed 10 items"));
    }
    for uri in uris {
        check_redirect(uri).map_err(|why| invalid(format!("invalid redirect_uri '{uri}': {why}")))?;
    }
    Ok(())
}

/// An absolute URI without a fragment, over TLS or to the own machine or an app.
fn check_redirect(uri: &str) -> Result<(), String> {
    if uri.is_empty() {
        return Err("redirect URI cannot be empty".to_owned());
    }
    if uri.len() > URI_BYTES_MAX {
        return Err("redirect URI cannot exceed 2048 characters".to_owned());
    }
    // It goes into a header.
    let parts = Parts::read(uri).filter(|_| uri.is_ascii()).ok_or("invalid URL format")?;
    if parts.host.is_empty() {
        return Err("must have scheme and host".to_owned());
    }
    if ["javascript", "data", "file", "vbscript", "about", "blob"].contains(&parts.scheme.as_str()) {
        return Err(format!("scheme '{}' is not allowed for security reasons", parts.scheme));
    }
    if parts.scheme == "http" && !is_loopback(parts.host) {
        return Err("HTTP scheme only allowed for localhost".to_owned());
    }
    if uri.contains('#') {
        return Err("fragment not allowed in redirect URI".to_owned());
    }
    // The table keeps the list with commas between.
    if uri.contains(',') {
        return Err("comma not allowed in redirect URI".to_owned());
    }
    Ok(())
}

/// The address of a page or picture, which sites put into theirs: nothing but the web's own schemes.
fn check_page(field: &str, uri: Option<&str>) -> Outcome<()> {
    let uri = uri.unwrap_or_default();
    if uri.is_empty() {
        return Ok(());
    }
    if uri.len() > URI_BYTES_MAX {
        return Err(invalid(format!("{field} cannot exceed 2048 characters")));
    }
    let web = Parts::read(uri)
        .is_some_and(|parts| matches!(parts.scheme.as_str(), "http" | "https") && !parts.host.is_empty());
    if web { Ok(()) } else { Err(invalid(format!("{field} must be a valid URL"))) }
}

/// A new secret and its hash.
pub(crate) fn new_secret() -> (String, String) {
    let secret = URL_SAFE_NO_PAD.encode(token::random_bytes::<32>());
    let hash = hash_secret(&secret);
    (secret, hash)
}

fn hash_secret(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(token::sha256(secret.as_bytes()))
}

/// What a client shows of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) id: String,
    secret: String,
    method: &'static str,
}

#[derive(Debug, Default, Deserialize)]
struct BodyCredentials {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
}

fn refused(why: impl Into<String>) -> crate::refusal::Refusal {
    refuse(400, "invalid_credentials", why)
}

impl Credentials {
    /// Those of the `Authorization` header, else those of the body.
    pub(crate) fn read(call: &Call) -> Outcome<Credentials> {
        let bad = |why: &str| refused(format!("Invalid client credentials: {why}"));
        if let Some(encoded) = call.header("authorization").strip_prefix("Basic ") {
            let decoded =
                STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let decoded = decoded.ok_or_else(|| bad("invalid basic auth encoding"))?;
            let (id, secret) = decoded.split_once(':').ok_or_else(|| bad("invalid basic auth format"))?;
            let (id, secret) = (id.to_owned(), secret.to_owned());
            return Ok(Credentials { id, secret, method: "client_secret_basic" });
        }
        let body = if call.header("content-type").contains("application/json") {
            serde_json::from_slice(&call.body).map_err(|_| bad("failed to parse JSON body"))?
        } else {
            BodyCredentials { client_id: call.form("client_id"), client_secret: call.form("client_secret") }
        };
        if body.client_id.is_empty() {
            return Err(bad("client_id is required"));
        }
        let method = if body.client_secret.is_empty() { "none" } else { "client_secret_post" };
        Ok(Credentials { id: body.client_id, secret: body.client_secret, method })
    }

    /// Whether they are the client's, shown in the way that it is registered for.
    pub(crate) fn check(&self, client: &Client) -> Outcome<()> {
        let registered = client.token_endpoint_auth_method.as_str();
        if registered != self.method {
            return Err(refused(format!(
                "invalid authentication method: client is registered for '{registered}' but '{}' was used",
                self.method
            )));
        }
        if !client.is_confidential() {
            return Ok(());
        }
        let hash = client.client_secret_hash.as_deref().unwrap_or_default();
        if !hash.is_empty() && token::same_secret(hash_secret(&self.secret).as_bytes(), hash.as_bytes()) {
            return Ok(());
        }
        Err(refused("invalid client credentials"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_absolute_and_safe() {
        for uri in
            ["https://app.dev/cb?x=1", "http://localhost:3000/cb", "http://[::1]/cb", "myapp://callback"]
        {
            assert_eq!(check_redirect(uri), Ok(()), "{uri}");
        }
        for uri in [
            "",
            "/cb",
            "app.dev/cb",
            "https:///cb",
            "http://app.dev/cb",
            "http://localhost.evil.dev/cb",
            "https://app.dev/cb#x",
            "https://app.dev/cb#",
            "https://app.dev/a,b",
            "https://app.dev/a b",
            "myapp://ü",
            "javascript://app.dev/%0aalert(1)",
            "JavaScript://x/",
            "data://x/",
        ] {
            assert!(check_redirect(uri).is_err(), "{uri}");
        }
        assert!(check_redirects(&vec!["https://a.dev/".to_owned(); 11]).is_err());
        assert!(check_redirects(&[]).is_err());
    }

    #[test]
    fn pages_are_of_the_web() {
        assert!(check_page("client_uri", Some("https://app.dev")).is_ok());
        assert!(check_page("client_uri", Some("")).is_ok());
        assert!(check_page("client_uri", Some("javascript:alert(1)")).is_err());
        assert!(check_page("logo_uri", Some("data:image/png;base64,AA")).is_err());
    }

    #[test]
    fn the_kind_follows_from_what_is_given() {
        let kind = |client_type: &str, method: &str| {
            let fields = Fields {
                client_type: Some(client_type.to_owned()),
                token_endpoint_auth_method: Some(method.to_owned()),
                ..Fields::default()
            };
            fields.kind().map(|kind| (kind.client_type, kind.method)).ok()
        };
        assert_eq!(kind("", ""), Some(("confidential", "client_secret_basic")));
        assert_eq!(kind("public", ""), Some(("public", "none")));
        assert_eq!(kind("", "none"), Some(("public", "none")));
        assert_eq!(kind("", "client_secret_post"), Some(("confidential", "client_secret_post")));
        for (client_type, method) in
            [("public", "client_secret_post"), ("confidential", "none"), ("x", ""), ("", "x")]
        {
            assert_eq!(kind(client_type, method), None, "{client_type} {method}");
        }
    }
}
