//! The section `[auth.hook]`: functions of the database and servers of the owner that have a say.

use super::ConfigError;
use super::reader::Section;
use ::auth::{Hook, HookSettings};
use model::Secret;
use serde::{Deserialize, Serialize};

/// `[auth.hook]`: the hooks that are switched on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HookSection {
    pub custom_access_token: Option<HookEntry>,
    pub password_verification_attempt: Option<HookEntry>,
    pub mfa_verification_attempt: Option<HookEntry>,
    pub before_user_created: Option<HookEntry>,
    pub after_user_created: Option<HookEntry>,
    pub send_email: Option<HookEntry>,
    pub send_sms: Option<HookEntry>,
}

/// One hook: where it is, and what signs the requests to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct HookEntry {
    pub uri: Secret,
    pub secrets: Secret,
}

/// Earlier versions kept the address alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Address(Secret),
    Whole {
        uri: Secret,
        #[serde(default)]
        secrets: Secret,
    },
}

impl From<Stored> for HookEntry {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Address(uri) => HookEntry { uri, secrets: Secret::default() },
            Stored::Whole { uri, secrets } => HookEntry { uri, secrets },
        }
    }
}

impl HookSection {
    fn all(&self) -> [(&'static str, &Option<HookEntry>); 7] {
        [
            ("custom_access_token", &self.custom_access_token),
            ("password_verification_attempt", &self.password_verification_attempt),
            ("mfa_verification_attempt", &self.mfa_verification_attempt),
            ("before_user_created", &self.before_user_created),
            ("after_user_created", &self.after_user_created),
            ("send_email", &self.send_email),
            ("send_sms", &self.send_sms),
        ]
    }

    /// The names of the hooks that are functions of the database.
    pub fn functions(&self) -> Vec<&'static str> {
        let is_function = |entry: &HookEntry| entry.uri.expose().starts_with("pg-functions:");
        let functions = self.all().into_iter().filter(|(_, entry)| entry.as_ref().is_some_and(is_function));
        functions.map(|(name, _)| name).collect()
    }

    /// The hooks for auth. In a shard functions would be everybody's: they are left out there.
    pub fn settings(&self, is_pooled: bool) -> HookSettings {
        let hook = |name: &str, entry: &Option<HookEntry>| {
            let entry = entry.as_ref()?;
            let hook = Hook::new(entry.uri.expose(), &entry.secrets)
                .inspect_err(|error| tracing::error!(hook = name, %error, "a stored hook is not usable"))
                .ok()?;
            (!(is_pooled && hook.is_function())).then_some(hook)
        };
        HookSettings {
            custom_access_token: hook("custom_access_token", &self.custom_access_token),
            password_verification_attempt: hook(
                "password_verification_attempt",
                &self.password_verification_attempt,
            ),
            mfa_verification_attempt: hook("mfa_verification_attempt", &self.mfa_verification_attempt),
            before_user_created: hook("before_user_created", &self.before_user_created),
            after_user_created: hook("after_user_created", &self.after_user_created),
            send_email: hook("send_email", &self.send_email),
            send_sms: hook("send_sms", &self.send_sms),
            ..HookSettings::default()
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Result<HookSection, ConfigError> {
    let mut entry = |name: &str| entry(section.section(name)?);
    let hooks = HookSection {
        custom_access_token: entry("custom_access_token")?,
        password_verification_attempt: entry("password_verification_attempt")?,
        mfa_verification_attempt: entry("mfa_verification_attempt")?,
        before_user_created: entry("before_user_created")?,
        after_user_created: entry("after_user_created")?,
        send_email: entry("send_email")?,
        send_sms: entry("send_sms")?,
    };
    section.finish();
    Ok(hooks)
}

/// One hook, when it is switched on.
fn entry(mut section: Section<'_>) -> Result<Option<HookEntry>, ConfigError> {
    let is_enabled = section.flag("enabled")?.unwrap_or(false);
    let uri = Secret::from(section.text("uri")?.unwrap_or_default());
    let secrets = section.secret("secrets")?.unwrap_or_default();
    if !is_enabled {
        section.finish();
        return Ok(None);
    }
    match Hook::new(uri.expose(), &secrets) {
        Err(error) if error.is_about_secrets() => {
            let found = if secrets.is_empty() { "nothing" } else { "something else" };
            Err(section.refuse("secrets", error.to_string(), found.to_owned()))
        }
        // The address may hold a key: it is not repeated.
        Err(error) => Err(section.refuse("uri", error.to_string(), "something else".to_owned())),
        Ok(hook) if hook.is_function() && !secrets.is_empty() => {
            let expected = "no secrets for a function of the database".to_owned();
            Err(section.refuse("secrets", expected, "some".to_owned()))
        }
        Ok(_) => {
            section.finish();
            Ok(Some(HookEntry { uri, secrets }))
        }
    }
}
