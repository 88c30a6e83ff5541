//! The sections of `[auth]` about sessions and their refresh tokens, and about passkeys and security keys.
//!
//! The official CLI knows fewer keys of `[auth.sessions]`; the others are settings of hosted projects.

use super::ConfigError;
use super::reader::Section;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[auth.sessions]`, beside time box and inactivity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionsSection {
    pub single_per_user: bool,
    pub tags: Vec<String>,
    pub allow_low_aal: Option<Duration>,
    /// 1 stores refresh tokens, 2 signs them.
    pub refresh_token_algorithm_version: u8,
    pub refresh_token_upgrade_percentage: u8,
    pub refresh_token_allow_reuse: bool,
}

/// `[auth.passkey]` and `[auth.webauthn]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PasskeySection {
    pub enabled: bool,
    pub rp_id: String,
    pub rp_display_name: String,
    pub rp_origins: Vec<String>,
    pub user_verification_required: bool,
}

/// The time box and the inactivity of sessions, and the rest.
pub(super) type Sessions = (Option<Duration>, Option<Duration>, SessionsSection);

pub(super) fn sessions(mut section: Section<'_>) -> Result<Sessions, ConfigError> {
    let small = |number: Option<u64>| number.and_then(|number| u8::try_from(number).ok()).unwrap_or(0);
    let (timebox, inactivity) = (section.duration("timebox")?, section.duration("inactivity_timeout")?);
    let sessions = SessionsSection {
        single_per_user: section.flag("single_per_user")?.unwrap_or(false),
        tags: section.texts("tags")?.unwrap_or_default(),
        allow_low_aal: section.duration("allow_low_aal")?,
        refresh_token_algorithm_version: small(section.number("refresh_token_algorithm_version", 0, 2)?),
        refresh_token_upgrade_percentage: small(section.number(
            "refresh_token_upgrade_percentage",
            0,
            100,
        )?),
        refresh_token_allow_reuse: section.flag("refresh_token_allow_reuse")?.unwrap_or(false),
    };
    section.finish();
    Ok((timebox, inactivity, sessions))
}

/// Of both sections: the official CLI keeps the switch apart from the names.
pub(super) fn passkeys(mut switch: Section<'_>) -> Result<bool, ConfigError> {
    let enabled = switch.flag("enabled")?.unwrap_or(false);
    switch.finish();
    Ok(enabled)
}

pub(super) fn webauthn(mut section: Section<'_>, enabled: bool) -> Result<PasskeySection, ConfigError> {
    let passkeys = PasskeySection {
        enabled,
        rp_id: section.text("rp_id")?.unwrap_or_default(),
        rp_display_name: section.text("rp_display_name")?.unwrap_or_default(),
        rp_origins: section.texts("rp_origins")?.unwrap_or_default(),
        user_verification_required: section.flag("user_verification_required")?.unwrap_or(false),
    };
    section.finish();
    Ok(passkeys)
}
