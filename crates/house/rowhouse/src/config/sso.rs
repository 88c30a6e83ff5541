//! `[auth.web3]` and `[auth.saml]`: sign-in by wallets and by the identity providers of companies.

use super::ConfigError;
use super::reader::Section;
use model::Secret;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[auth.web3.ethereum]` and `[auth.web3.solana]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Web3Section {
    pub ethereum: bool,
    pub solana: bool,
}

/// `[auth.saml]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SamlSection {
    pub enabled: bool,
    /// Made up and kept with the project when it is empty.
    pub private_key: Secret,
    pub private_key_next: Secret,
    pub allow_encrypted_assertions: bool,
    pub relay_state_validity: Duration,
    pub external_url: String,
}

impl Default for SamlSection {
    fn default() -> Self {
        let default = auth::SamlSettings::default();
        SamlSection {
            enabled: default.enabled,
            private_key: Secret::default(),
            private_key_next: Secret::default(),
            allow_encrypted_assertions: default.allow_encrypted_assertions,
            relay_state_validity: default.relay_state_validity,
            external_url: String::new(),
        }
    }
}

impl Web3Section {
    /// The settings of auth.
    pub fn settings(&self) -> auth::Web3Settings {
        let mut to = auth::Web3Settings::default();
        to.ethereum.enabled = self.ethereum;
        to.solana.enabled = self.solana;
        to
    }
}

impl SamlSection {
    /// Whether a key has to be made up.
    pub fn wants_key(&self) -> bool {
        self.enabled && self.private_key.is_empty()
    }

    /// The settings of auth.
    pub fn settings(&self) -> auth::SamlSettings {
        auth::SamlSettings {
            enabled: self.enabled,
            private_key: self.private_key.clone(),
            private_key_next: self.private_key_next.clone(),
            allow_encrypted_assertions: self.allow_encrypted_assertions,
            relay_state_validity: self.relay_state_validity,
            external_url: self.external_url.clone(),
        }
    }
}

pub(super) fn web3(mut section: Section<'_>) -> Result<Web3Section, ConfigError> {
    let mut chain = |name: &str| -> Result<bool, ConfigError> {
        let mut chain = section.section(name)?;
        let enabled = chain.flag("enabled")?.unwrap_or_default();
        chain.finish();
        Ok(enabled)
    };
    let (ethereum, solana) = (chain("ethereum")?, chain("solana")?);
    section.finish();
    Ok(Web3Section { ethereum, solana })
}

pub(super) fn saml(mut section: Section<'_>) -> Result<SamlSection, ConfigError> {
    let default = SamlSection::default();
    let mut key = |name: &str| -> Result<Secret, ConfigError> {
        let text = section.text(name)?.unwrap_or_default();
        if let Some(why) = Some(&text).filter(|text| !text.is_empty()).and_then(|t| auth::saml_key_fault(t)) {
            return Err(section.refuse(name, "base64 of an RSA key in PKCS#1", why));
        }
        Ok(Secret::new(text))
    };
    let saml = SamlSection {
        private_key: key("private_key")?,
        private_key_next: key("private_key_next")?,
        enabled: section.flag("enabled")?.unwrap_or_default(),
        allow_encrypted_assertions: section.flag("allow_encrypted_assertions")?.unwrap_or_default(),
        relay_state_validity: section
            .duration("relay_state_validity_period")?
            .filter(|validity| !validity.is_zero())
            .unwrap_or(default.relay_state_validity),
        external_url: section.text("external_url")?.unwrap_or_default(),
    };
    section.finish();
    Ok(saml)
}
