//! What a project can configure, with the reference server's defaults.

mod external;
mod hooks;
mod mail;
mod passkeys;
mod protection;
mod refresh;
mod sms;
mod sso;

pub use external::{CustomProviderSettings, ExternalSettings, ProviderSettings, SealingKey};
pub(crate) use hooks::HookTarget;
pub use hooks::{Hook, HookError, HookFunction, HookPace, HookSettings};
pub use mail::{Bell, LetterText, MailSettings, Notification};
pub use passkeys::WebAuthnSettings;
pub use protection::{CaptchaProvider, CaptchaSettings, ProtectionSettings, PwnedSettings};
pub use refresh::RefreshTokenSettings;
pub use sms::{SmsAccount, SmsGateway, SmsSettings};
pub use sso::{SamlSettings, WalletSettings, Web3Settings};

use std::sync::Arc;
use std::time::Duration;
use token::KeySet;

/// The settings of one project's auth service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the app lives; also the fallback of every redirect.
    pub site_url: String,
    /// Further URLs that links may lead back to; globs.
    pub uri_allow_list: Vec<String>,
    /// The public URL of this service, with its prefix (`…/auth/v1`), for links in mail.
    pub external_url: String,
    /// Hosts that may take the place of the external URL's in links.
    pub mailer_external_hosts: Vec<String>,

    /// Signs and verifies access tokens.
    pub keys: Arc<KeySet>,
    /// `iss` of access tokens; left out when empty.
    pub jwt_issuer: String,
    pub jwt_expiry: Duration,
    pub jwt_audience: String,
    /// The role of new users.
    pub jwt_default_role: String,
    /// Roles whose tokens may use the admin routes.
    pub jwt_admin_roles: Vec<String>,

    pub disable_signup: bool,
    pub email_enabled: bool,
    pub magic_link_enabled: bool,
    pub phone_enabled: bool,
    pub anonymous_enabled: bool,
    /// Sign-in by others.
    pub external: ExternalSettings,
    pub manual_linking_enabled: bool,

    pub mailer_autoconfirm: bool,
    pub mailer_secure_email_change: bool,
    pub mailer_otp_length: usize,
    pub mailer_otp_expiry: Duration,
    /// The least time between two messages of a kind to one user.
    pub mailer_max_frequency: Duration,
    pub mail: MailSettings,
    pub saml: SamlSettings,
    pub web3: Web3Settings,
    pub sms: SmsSettings,
    pub sms_autoconfirm: bool,
    /// The name that is shown. With one but no gateway, messages wait in the outbox for somebody else.
    pub sms_provider: String,
    pub sms_otp_length: usize,
    pub sms_otp_expiry: Duration,
    pub sms_max_frequency: Duration,
    /// Phone numbers with a fixed code, to which nothing is sent.
    pub sms_test_otp: Vec<(String, model::Secret)>,

    pub protection: ProtectionSettings,
    pub password_min_length: usize,
    /// Sets of characters of which a password needs one each.
    pub password_required_characters: Vec<String>,
    pub update_password_require_reauthentication: bool,
    pub update_password_require_current: bool,

    pub refresh_token_rotation: bool,
    pub refresh_token_reuse_interval: Duration,
    pub refresh_tokens: RefreshTokenSettings,
    pub sessions: SessionSettings,
    pub mfa: MfaSettings,
    pub webauthn: WebAuthnSettings,
    pub rate_limits: RateLimits,
    pub oauth_server: OAuthServerSettings,
    /// No functions for projects of a shard: they would be everybody's.
    pub hooks: HookSettings,

    /// How long a code of the PKCE flow is good for.
    pub flow_state_expiry: Duration,
    pub request_timeout: Duration,
    /// Trust `Sb-Forwarded-For`.
    pub sb_forwarded_for: bool,
    /// Write audit entries to the database.
    pub audit_log: bool,
    /// Of how many refreshes one also takes away rows that nobody needs any more; 0 is never.
    pub cleanup_every: u8,
    /// Calls what the owner of the project has configured: hooks, providers, senders.
    pub outbound: outbound::Client,
    /// Settings that hold in every transaction, such as `rowhouse.app_id`.
    pub extra_settings: Vec<(String, String)>,
}

/// How long sessions live.
#[derive(Debug, Clone, Default)]
pub struct SessionSettings {
    pub timebox: Option<Duration>,
    pub inactivity_timeout: Option<Duration>,
    /// How long a session without the second factor that its user has is good for.
    pub allow_low_aal: Option<Duration>,
    pub single_per_user: bool,
    pub tags: Vec<String>,
}

/// Second factors.
#[derive(Debug, Clone)]
pub struct MfaSettings {
    pub totp_enroll: bool,
    pub totp_verify: bool,
    pub phone_enroll: bool,
    pub phone_verify: bool,
    pub max_enrolled_factors: usize,
    pub max_verified_factors: usize,
    pub challenge_expiry: Duration,
}

/// The OAuth 2.1 server: other applications sign people in with this project.
#[derive(Debug, Clone)]
pub struct OAuthServerSettings {
    pub enabled: bool,
    /// Whether applications may register themselves.
    pub allow_dynamic_registration: bool,
    /// The page of the site that asks for consent; it gets `?authorization_id=`.
    pub authorization_path: String,
    /// The scope of requests that name none.
    pub default_scope: String,
    /// How long people may take to consent, and the application to use its code.
    pub authorization_expiry: Duration,
}

/// Limits on requests and messages.
#[derive(Debug, Clone)]
pub struct RateLimits {
    /// The header whose first value names the client. Without it there is no limit per client.
    pub header: Option<String>,
    pub otp: u32,
    pub anonymous: u32,
    pub token_refresh: u32,
    pub verify: u32,
    pub mfa: u32,
    /// Registrations of OAuth clients.
    pub oauth_register: u32,
    /// Sign-ins by wallets.
    pub web3: u32,
    /// Sign-ins that go to an identity provider, and those that come back.
    pub sso: u32,
    pub saml_assertion: u32,
    /// Sign-ins by passkeys that are begun.
    pub passkey: u32,
    /// Messages an hour, of all users together.
    pub email_sent: u32,
    pub sms_sent: u32,
}

impl Settings {
    /// The defaults for a project with these keys and addresses.
    pub fn new(keys: Arc<KeySet>, site_url: impl Into<String>, external_url: impl Into<String>) -> Settings {
        let external_url = external_url.into();
        Settings {
            site_url: site_url.into(),
            uri_allow_list: Vec::new(),
            jwt_issuer: external_url.clone(),
            external_url,
            mailer_external_hosts: Vec::new(),
            keys,
            jwt_expiry: Duration::from_secs(3600),
            jwt_audience: "authenticated".to_owned(),
            jwt_default_role: "authenticated".to_owned(),
            jwt_admin_roles: vec!["service_role".to_owned(), "supabase_admin".to_owned()],
            disable_signup: false,
            email_enabled: true,
            magic_link_enabled: true,
            phone_enabled: false,
            anonymous_enabled: false,
            external: ExternalSettings::default(),
            manual_linking_enabled: false,
            mailer_autoconfirm: false,
            mailer_secure_email_change: true,
            mailer_otp_length: 6,
            mailer_otp_expiry: Duration::from_secs(86_400),
            mailer_max_frequency: Duration::from_secs(60),
            mail: MailSettings::default(),
            saml: SamlSettings::default(),
            web3: Web3Settings::default(),
            sms: SmsSettings::default(),
            sms_autoconfirm: false,
            sms_provider: String::new(),
            sms_otp_length: 6,
            sms_otp_expiry: Duration::from_secs(60),
            sms_max_frequency: Duration::from_secs(60),
            sms_test_otp: Vec::new(),
            protection: ProtectionSettings::default(),
            password_min_length: 6,
            password_required_characters: Vec::new(),
            update_password_require_reauthentication: false,
            update_password_require_current: false,
            refresh_token_rotation: true,
            // The reference defaults to 0; hosted projects have 10, and 0 signs people out who use two tabs.
            refresh_token_reuse_interval: Duration::from_secs(10),
            refresh_tokens: RefreshTokenSettings::default(),
            sessions: SessionSettings::default(),
            mfa: MfaSettings::default(),
            webauthn: WebAuthnSettings::default(),
            rate_limits: RateLimits::default(),
            oauth_server: OAuthServerSettings::default(),
            hooks: HookSettings::default(),
            flow_state_expiry: Duration::from_secs(300),
            request_timeout: Duration::from_secs(10),
            sb_forwarded_for: false,
            audit_log: true,
            cleanup_every: 64,
            outbound: outbound::Client::default(),
            extra_settings: Vec::new(),
        }
    }
}

impl Default for MfaSettings {
    fn default() -> Self {
        MfaSettings {
            totp_enroll: true,
            totp_verify: true,
            phone_enroll: false,
            phone_verify: false,
            max_enrolled_factors: 10,
            max_verified_factors: 10,
            challenge_expiry: Duration::from_secs(300),
        }
    }
}

impl Default for OAuthServerSettings {
    fn default() -> Self {
        OAuthServerSettings {
            enabled: false,
            allow_dynamic_registration: false,
            authorization_path: String::new(),
            default_scope: "email".to_owned(),
            authorization_expiry: Duration::from_secs(600),
        }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        RateLimits {
            header: None,
            otp: 30,
            anonymous: 30,
            token_refresh: 150,
            verify: 30,
            mfa: 15,
            oauth_register: 10,
            web3: 30,
            sso: 30,
            saml_assertion: 15,
            passkey: 30,
            email_sent: 30,
            sms_sent: 30,
        }
    }
}
