//! Hooks: functions of the project's database, or servers of its owner, that take part in decisions.

use base64::{Engine, engine::general_purpose::STANDARD as B64};
use model::Secret;
use percent_encoding::percent_decode_str;
use std::time::Duration;

/// Which hooks a project has.
#[derive(Debug, Clone, Default)]
pub struct HookSettings {
    /// Changes the claims of access tokens.
    pub custom_access_token: Option<Hook>,
    pub password_verification_attempt: Option<Hook>,
    pub mfa_verification_attempt: Option<Hook>,
    /// May refuse somebody who signs up.
    pub before_user_created: Option<Hook>,
    /// Is told of a new user.
    pub after_user_created: Option<Hook>,
    /// Sends mail in place of SMTP.
    pub send_email: Option<Hook>,
    /// Sends text messages in place of a provider.
    pub send_sms: Option<Hook>,
    pub pace: HookPace,
}

impl HookSettings {
    /// Every hook with its name in `config.toml`.
    pub(crate) fn all(&self) -> [(&'static str, Option<&Hook>); 7] {
        [
            ("custom_access_token", self.custom_access_token.as_ref()),
            ("password_verification_attempt", self.password_verification_attempt.as_ref()),
            ("mfa_verification_attempt", self.mfa_verification_attempt.as_ref()),
            ("before_user_created", self.before_user_created.as_ref()),
            ("after_user_created", self.after_user_created.as_ref()),
            ("send_email", self.send_email.as_ref()),
            ("send_sms", self.send_sms.as_ref()),
        ]
    }
}

/// How long hooks may take.
#[derive(Debug, Clone, Copy)]
pub struct HookPace {
    /// A server, all tries together.
    pub timeout: Duration,
    /// Between two tries.
    pub pause: Duration,
}

impl Default for HookPace {
    fn default() -> Self {
        HookPace { timeout: Duration::from_secs(5), pause: Duration::from_secs(2) }
    }
}

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    pub(crate) target: HookTarget,
    /// The keys that sign requests, in base64.
    pub(crate) keys: Vec<Secret>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HookTarget {
    Function(HookFunction),
    Url(http::Uri),
}

/// A function that takes and returns `jsonb`, written `pg-functions://<database>/<schema>/<function>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookFunction {
    pub(crate) schema: String,
    pub(crate) name: String,
}

/// Why an address or its secrets make no hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookError {
    /// It is neither a function of the database nor an address of the web.
    Scheme,
    /// It does not name schema and function.
    Path,
    /// It is an address that cannot be called.
    Url,
    /// Without TLS only this machine is called.
    Plain,
    /// A secret is not in the form that signs.
    Secret,
    /// A server could not know that we are asking.
    Unsigned,
}

impl HookError {
    /// Whether the secrets are at fault, not the address.
    pub fn is_about_secrets(self) -> bool {
        matches!(self, HookError::Secret | HookError::Unsigned)
    }
}

impl std::fmt::Display for HookError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            HookError::Scheme => "https://… or pg-functions://<database>/<schema>/<function>",
            HookError::Path => "pg-functions://<database>/<schema>/<function>",
            HookError::Url => "an address with a host, https://…",
            HookError::Plain => "https:// (http:// works for localhost only)",
            HookError::Secret => "v1,whsec_<key in base64>, several with | between them",
            HookError::Unsigned => "v1,whsec_<key in base64>: requests to a server are signed",
        })
    }
}

impl std::error::Error for HookError {}

impl Hook {
    /// The hook at an address; `secrets` are written `v1,whsec_<base64>`, with `|` between several.
    ///
    /// # Errors
    /// When the address or a secret is not in its form, or a server has no secret.
    pub fn new(uri: &str, secrets: &Secret) -> Result<Hook, HookError> {
        if uri.starts_with("pg-functions:") {
            return Ok(Hook { target: HookTarget::Function(uri.parse()?), keys: Vec::new() });
        }
        let url: http::Uri = uri.parse().map_err(|_| HookError::Scheme)?;
        let host = url.host().unwrap_or_default();
        match url.scheme_str() {
            Some("https") => {}
            Some("http") if is_this_machine(host) => {}
            Some("http") => return Err(HookError::Plain),
            _ => return Err(HookError::Scheme),
        }
        if host.is_empty() {
            return Err(HookError::Url);
        }
        let keys = secrets.expose().split('|').filter(|secret| !secret.is_empty()).map(key);
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(HookError::Unsigned);
        }
        Ok(Hook { target: HookTarget::Url(url), keys })
    }

    /// Whether it is a function of the database.
    pub fn is_function(&self) -> bool {
        matches!(self.target, HookTarget::Function(_))
    }
}

/// A hook that needs no secret: a function of the database.
impl std::str::FromStr for Hook {
    type Err = HookError;

    fn from_str(uri: &str) -> Result<Self, HookError> {
        Hook::new(uri, &Secret::default())
    }
}

/// The address as messages show it: without what may be secret in it.
impl std::fmt::Display for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.target {
            HookTarget::Function(function) => function.fmt(f),
            HookTarget::Url(url) => {
                let scheme = url.scheme_str().unwrap_or_default();
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "{scheme}://{}{port}{}", url.host().unwrap_or_default(), url.path())
            }
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]" | "host.docker.internal")
}

fn key(secret: &str) -> Result<Secret, HookError> {
    let key = secret.trim().strip_prefix("v1,whsec_").ok_or(HookError::Secret)?;
    match B64.decode(key) {
        Ok(bytes) if bytes.len() >= 16 => Ok(Secret::new(key)),
        _ => Err(HookError::Secret),
    }
}

impl std::str::FromStr for HookFunction {
    type Err = HookError;

    fn from_str(uri: &str) -> Result<Self, HookError> {
        let path = uri.strip_prefix("pg-functions://").ok_or(HookError::Scheme)?;
        let name = |text: &str| {
            let name = percent_decode_str(text).decode_utf8().map_err(|_| HookError::Path)?;
            let fits = (1..=63).contains(&name.len()) && !name.chars().any(char::is_control);
            if fits { Ok(name.into_owned()) } else { Err(HookError::Path) }
        };
        match path.split('/').collect::<Vec<_>>()[..] {
            [_, schema, function] => Ok(HookFunction { schema: name(schema)?, name: name(function)? }),
            _ => Err(HookError::Path),
        }
    }
}

impl std::fmt::Display for HookFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pg-functions://postgres/{}/{}", self.schema, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "v1,whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    #[test]
    fn hooks_name_a_function() {
        let hook: HookFunction = "pg-functions://postgres/public/my_hook".parse().unwrap();
        assert_eq!(hook.to_string(), "pg-functions://postgres/public/my_hook");
        let odd: HookFunction = "pg-functions://postgres/my-schema/a%22b".parse().unwrap();
        assert_eq!((odd.schema.as_str(), odd.name.as_str()), ("my-schema", "a\"b"));
        assert_eq!("https://hooks.dev/x".parse::<HookFunction>(), Err(HookError::Scheme));
        let long = format!("/public/{}", "f".repeat(64));
        for uri in ["", "/public", "/public/", "/public/f/x", "/public/%00", &long] {
            let uri = format!("pg-functions://postgres{uri}");
            assert_eq!(uri.parse::<HookFunction>(), Err(HookError::Path), "{uri}");
        }
    }

    #[test]
    fn servers_are_called_with_tls_or_at_home_and_with_a_signature() {
        let new = |uri: &str, secrets: &str| Hook::new(uri, &Secret::new(secrets));
        assert_eq!(new("https://hooks.dev/x", &format!("{SECRET}|{SECRET}")).unwrap().keys.len(), 2);
        for home in ["http://localhost:3000/x", "http://127.0.0.1/x", "http://[::1]:1/x"] {
            assert!(new(home, SECRET).is_ok(), "{home}");
        }
        assert_eq!(new("http://hooks.dev/x", SECRET), Err(HookError::Plain));
        assert_eq!(new("ftp://hooks.dev/x", SECRET), Err(HookError::Scheme));
        assert_eq!(new("https://hooks.dev/x", ""), Err(HookError::Unsigned));
        for secret in ["whsec_x", "v1,whsec_???", "v1,whsec_c2hvcnQ=", "v1a,whpk_x"] {
            assert_eq!(new("https://hooks.dev/x", secret), Err(HookError::Secret), "{secret}");
        }
        let shown = format!("{:?}", new("https://hooks.dev/x?key=1", SECRET).unwrap());
        assert!(!shown.contains("MDEyMz"), "{shown}");
        assert_eq!(new("https://u:p@hooks.dev/x?key=1", SECRET).unwrap().to_string(), "https://hooks.dev/x");
    }
}
