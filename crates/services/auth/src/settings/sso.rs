//! Single sign-on by SAML 2.0, and sign-in by wallets.

use model::Secret;
use std::time::Duration;

/// Single sign-on by SAML 2.0.
#[derive(Debug, Clone)]
pub struct SamlSettings {
    pub enabled: bool,
    /// Base64 of an RSA key in PKCS#1, as [`saml::SigningKey::generate`] makes them.
    pub private_key: Secret,
    /// The key that will take its place: already published, and what is encrypted for it is opened.
    pub private_key_next: Secret,
    pub allow_encrypted_assertions: bool,
    /// How long a sign-in at an identity provider may take.
    pub relay_state_validity: Duration,
    /// Where identity providers find this service; its external URL when empty.
    pub external_url: String,
}

/// Sign-in by wallets.
#[derive(Debug, Clone, Default)]
pub struct Web3Settings {
    pub solana: WalletSettings,
    pub ethereum: WalletSettings,
}

/// Sign-in by the wallets of one chain.
#[derive(Debug, Clone)]
pub struct WalletSettings {
    pub enabled: bool,
    /// How far the time at which a message was issued may lie from now.
    pub maximum_validity: Duration,
}

impl Default for SamlSettings {
    fn default() -> Self {
        SamlSettings {
            enabled: false,
            private_key: Secret::default(),
            private_key_next: Secret::default(),
            allow_encrypted_assertions: false,
            relay_state_validity: Duration::from_secs(120),
            external_url: String::new(),
        }
    }
}

impl Default for WalletSettings {
    fn default() -> Self {
        WalletSettings { enabled: false, maximum_validity: Duration::from_secs(600) }
    }
}
