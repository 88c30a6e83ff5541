//! Sign-in by others: which providers a project uses, and which account an identity belongs to.

use model::Secret;
use std::collections::BTreeMap;

/// Providers and the rules of linking.
#[derive(Debug, Clone)]
pub struct ExternalSettings {
    /// By name, as in `GET /settings`.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Where every sign-in ends, whatever the client asked for.
    pub redirect_url: String,
    /// A further audience of Apple's ID tokens: that of an app.
    pub ios_bundle_id: String,
    /// Issuers beside the providers of the list, whose ID tokens are taken when they are for one of these clients.
    pub id_token_issuers: BTreeMap<String, Vec<String>>,
    /// Providers whose accounts are kept apart from all others', by the name of their domain.
    pub linking_domains: BTreeMap<String, String>,
    /// Whether a verified address of an existing account is enough to sign in to it.
    pub automatic_linking: bool,
    /// Whether people may sign in whose address nobody has verified.
    pub allow_unverified_email: bool,
    pub custom: CustomProviderSettings,
}

/// One provider of the list.
#[derive(Debug, Clone, Default)]
pub struct ProviderSettings {
    pub enabled: bool,
    /// The first is used for signing in, all are accepted as the audience of ID tokens.
    pub client_ids: Vec<String>,
    pub secret: Secret,
    /// Where the provider sends people back to; this service's callback when empty.
    pub redirect_uri: String,
    /// The provider's own address, for those that people host themselves.
    pub url: String,
    pub skip_nonce_check: bool,
    pub email_optional: bool,
}

/// Providers that administrators define.
#[derive(Debug, Clone)]
pub struct CustomProviderSettings {
    pub enabled: bool,
    /// How many there may be; 0 is any number.
    pub max: u32,
    /// Whether a provider may live on this machine: for development and tests.
    pub local: bool,
    /// Seals the secrets in the table; without it they stand there as they are.
    pub key: Option<SealingKey>,
}

/// A key of 256 bits.
#[derive(Clone)]
pub struct SealingKey(pub [u8; 32]);

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

impl Default for ExternalSettings {
    fn default() -> Self {
        ExternalSettings {
            providers: BTreeMap::new(),
            redirect_url: String::new(),
            ios_bundle_id: String::new(),
            id_token_issuers: BTreeMap::new(),
            linking_domains: BTreeMap::new(),
            automatic_linking: true,
            allow_unverified_email: false,
            custom: CustomProviderSettings { enabled: true, max: 0, local: false, key: None },
        }
    }
}

impl ExternalSettings {
    /// Whether there is a provider of this name in the list.
    pub fn is_known(provider: &str) -> bool {
        crate::provider::is_listed(provider)
    }

    /// Whether a provider of the list is switched on.
    pub fn is_enabled(&self, provider: &str) -> bool {
        self.providers.get(provider).is_some_and(|settings| settings.enabled)
    }
}
