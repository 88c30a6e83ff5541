//! The sections of `[auth]` about second factors, applications that sign people in, and functions that have a say.

use super::ConfigError;
use super::reader::Section;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[auth.mfa]`
///
/// The default is that of a project without a file; a file that says nothing switches the factors off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MfaSection {
    pub totp: FactorSection,
    pub phone: FactorSection,
    pub web_authn: FactorSection,
    pub phone_messages: PhoneMessages,
    pub max_enrolled_factors: u64,
}

/// `[auth.mfa.totp]`, `[auth.mfa.phone]`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FactorSection {
    pub enroll_enabled: bool,
    pub verify_enabled: bool,
}

/// How codes of `[auth.mfa.phone]` are sent; as other codes are, where it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PhoneMessages {
    pub otp_length: Option<u64>,
    pub template: Option<String>,
    pub max_frequency: Option<Duration>,
}

/// `[auth.oauth_server]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OAuthServerSection {
    pub enabled: bool,
    pub allow_dynamic_registration: bool,
    pub authorization_url_path: String,
}

impl Default for MfaSection {
    fn default() -> Self {
        MfaSection {
            totp: FactorSection { enroll_enabled: true, verify_enabled: true },
            phone: FactorSection::default(),
            web_authn: FactorSection::default(),
            phone_messages: PhoneMessages::default(),
            max_enrolled_factors: 10,
        }
    }
}

impl Default for OAuthServerSection {
    fn default() -> Self {
        OAuthServerSection {
            enabled: false,
            allow_dynamic_registration: false,
            authorization_url_path: "/oauth/consent".to_owned(),
        }
    }
}

pub(super) fn mfa(mut section: Section<'_>) -> Result<MfaSection, ConfigError> {
    let mut phone = section.section("phone")?;
    let phone_messages = PhoneMessages {
        otp_length: phone.number("otp_length", 6, 10)?,
        template: phone.text("template")?,
        max_frequency: phone.duration("max_frequency")?,
    };
    let mfa = MfaSection {
        totp: factor(section.section("totp")?)?,
        phone: factor(phone)?,
        phone_messages,
        web_authn: factor(section.section("web_authn")?)?,
        max_enrolled_factors: section.number("max_enrolled_factors", 0, 1000)?.unwrap_or(10),
    };
    section.finish();
    Ok(mfa)
}

fn factor(mut section: Section<'_>) -> Result<FactorSection, ConfigError> {
    let factor = FactorSection {
        enroll_enabled: section.flag("enroll_enabled")?.unwrap_or(false),
        verify_enabled: section.flag("verify_enabled")?.unwrap_or(false),
    };
    // Whoever enrolled such a factor could never use it.
    if factor.enroll_enabled && !factor.verify_enabled {
        let found = "verify_enabled = false".to_owned();
        return Err(section.refuse("enroll_enabled", "verify_enabled = true with it", found));
    }
    section.finish();
    Ok(factor)
}

pub(super) fn oauth_server(mut section: Section<'_>) -> Result<OAuthServerSection, ConfigError> {
    let default = OAuthServerSection::default();
    let server = OAuthServerSection {
        enabled: section.flag("enabled")?.unwrap_or(default.enabled),
        allow_dynamic_registration: section
            .flag("allow_dynamic_registration")?
            .unwrap_or(default.allow_dynamic_registration),
        authorization_url_path: section
            .text("authorization_url_path")?
            .unwrap_or(default.authorization_url_path),
    };
    section.finish();
    Ok(server)
}
