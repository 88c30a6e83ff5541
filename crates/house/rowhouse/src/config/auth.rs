//! The section `[auth]`.

use super::ConfigError;
use super::decisions::{self, MfaSection, OAuthServerSection};
use super::external::{self, ExternalSection};
use super::hooks::{self, HookSection};
use super::mail::{self, MailSection};
use super::reader::Section;
use super::sessions::{PasskeySection, SessionsSection};
use super::sms::{self as companies, GatewaySection, ProtectionSection};
use super::sso::{self, SamlSection, Web3Section};
use model::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const PASSWORD_REQUIREMENTS: [&str; 4] =
    ["", "letters_digits", "lower_upper_letters_digits", "lower_upper_letters_digits_symbols"];

/// `[auth]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthSection {
    pub enabled: bool,
    pub site_url: String,
    /// Where auth is reached; the project's own address with `/auth/v1` when empty.
    pub external_url: String,
    /// `iss` of access tokens; where auth is reached when empty.
    pub jwt_issuer: String,
    pub additional_redirect_urls: Vec<String>,
    pub jwt_expiry_s: u64,
    /// The demo secret when absent. Kept apart from the other settings, sealed.
    #[serde(skip)]
    pub jwt_secret: Option<String>,
    /// A file with the keys that sign tokens, as a path below the folder. They are kept sealed as well.
    #[serde(skip)]
    pub signing_keys_path: Option<String>,
    pub enable_signup: bool,
    pub enable_anonymous_sign_ins: bool,
    pub enable_manual_linking: bool,
    pub enable_refresh_token_rotation: bool,
    pub refresh_token_reuse_interval_s: u64,
    pub minimum_password_length: u64,
    pub password_requirements: String,
    pub session_timebox: Option<Duration>,
    pub session_inactivity_timeout: Option<Duration>,
    pub sessions: SessionsSection,
    pub passkeys: PasskeySection,
    pub email: EmailSection,
    pub sms: SmsSection,
    pub protection: ProtectionSection,
    pub rate_limit: RateLimitSection,
    pub mfa: MfaSection,
    pub oauth_server: OAuthServerSection,
    pub hook: HookSection,
    pub external: ExternalSection,
    pub web3: Web3Section,
    pub saml: SamlSection,
}

/// `[auth.email]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EmailSection {
    pub enable_signup: bool,
    pub enable_confirmations: bool,
    pub double_confirm_changes: bool,
    pub secure_password_change: bool,
    pub max_frequency: Duration,
    pub otp_length: u64,
    pub otp_expiry_s: u64,
    /// How mail leaves and what it says.
    pub mail: MailSection,
}

/// `[auth.sms]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SmsSection {
    pub enable_signup: bool,
    pub enable_confirmations: bool,
    pub max_frequency: Duration,
    pub otp_length: u64,
    pub otp_expiry_s: u64,
    /// Phone numbers, digits alone, with the fixed code of each.
    pub test_otp: BTreeMap<String, Secret>,
    /// Until when these are good, in seconds since 1970; for ever when absent.
    pub test_otp_valid_until_s: Option<u64>,
    pub template: String,
    pub gateway: Option<GatewaySection>,
}

/// `[auth.rate_limit]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RateLimitSection {
    pub email_sent: u64,
    /// `30/1h`: how long it takes until another may be sent. Without it the number is for each hour.
    pub email_sent_refill: Option<Duration>,
    pub sms_sent: u64,
    /// As for mail.
    pub sms_sent_refill: Option<Duration>,
    pub anonymous_users: u64,
    pub token_refresh: u64,
    pub sign_in_sign_ups: u64,
    pub token_verifications: u64,
    pub web3: u64,
    /// Sign-ins that go to an identity provider, and those that come back.
    pub sso: u64,
    pub saml_assertion: u64,
    /// Challenges and answers of second factors.
    pub mfa: u64,
    /// Applications that register themselves.
    pub oauth_register: u64,
    /// Sign-ins by passkeys that are begun.
    pub passkey: u64,
}

impl Default for AuthSection {
    fn default() -> Self {
        AuthSection {
            enabled: true,
            site_url: "http://127.0.0.1:3000".to_owned(),
            external_url: String::new(),
            jwt_issuer: String::new(),
            additional_redirect_urls: vec!["https://127.0.0.1:3000".to_owned()],
            jwt_expiry_s: 3600,
            jwt_secret: None,
            signing_keys_path: None,
            enable_signup: true,
            enable_anonymous_sign_ins: false,
            enable_manual_linking: false,
            enable_refresh_token_rotation: true,
            refresh_token_reuse_interval_s: 10,
            minimum_password_length: 6,
            password_requirements: String::new(),
            session_timebox: None,
            session_inactivity_timeout: None,
            sessions: SessionsSection::default(),
            passkeys: PasskeySection::default(),
            email: EmailSection::default(),
            sms: SmsSection::default(),
            protection: ProtectionSection::default(),
            rate_limit: RateLimitSection::default(),
            mfa: MfaSection::default(),
            oauth_server: OAuthServerSection::default(),
            hook: HookSection::default(),
            external: ExternalSection::default(),
            web3: Web3Section::default(),
            saml: SamlSection::default(),
        }
    }
}

impl Default for EmailSection {
    fn default() -> Self {
        EmailSection {
            enable_signup: true,
            enable_confirmations: false,
            double_confirm_changes: true,
            secure_password_change: false,
            max_frequency: Duration::from_secs(1),
            otp_length: 6,
            otp_expiry_s: 3600,
            mail: MailSection::default(),
        }
    }
}

impl Default for SmsSection {
    fn default() -> Self {
        SmsSection {
            enable_signup: false,
            enable_confirmations: false,
            max_frequency: Duration::from_secs(5),
            otp_length: 6,
            otp_expiry_s: 60,
            test_otp: BTreeMap::new(),
            test_otp_valid_until_s: None,
            template: "Your code is {{ .Code }}".to_owned(),
            gateway: None,
        }
    }
}

impl Default for RateLimitSection {
    fn default() -> Self {
        RateLimitSection {
            email_sent: 30,
            email_sent_refill: None,
            sms_sent: 30,
            sms_sent_refill: None,
            anonymous_users: 30,
            token_refresh: 150,
            sign_in_sign_ups: 30,
            token_verifications: 30,
            web3: 30,
            sso: 30,
            saml_assertion: 15,
            mfa: 15,
            oauth_register: 10,
            passkey: 30,
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Result<AuthSection, ConfigError> {
    let email = email(section.section("email")?)?;
    let sms = sms(section.section("sms")?)?;
    let protection = companies::protection(&mut section)?;
    let rate_limit = rate_limit(section.section("rate_limit")?)?;
    let (session_timebox, session_inactivity_timeout, sessions) =
        super::sessions::sessions(section.section("sessions")?)?;
    let has_passkeys = super::sessions::passkeys(section.section("passkey")?)?;
    let passkeys = super::sessions::webauthn(section.section("webauthn")?, has_passkeys)?;
    let mfa = decisions::mfa(section.section("mfa")?)?;
    let oauth_server = decisions::oauth_server(section.section("oauth_server")?)?;
    let hook = hooks::read(section.section("hook")?)?;
    let external = external::read(&mut section)?;
    let web3 = sso::web3(section.section("web3")?)?;
    let saml = sso::saml(section.section("saml")?)?;
    unsupported(&mut section)?;
    let default = AuthSection::default();
    let auth = AuthSection {
        enabled: section.flag("enabled")?.unwrap_or(default.enabled),
        site_url: section.text("site_url")?.unwrap_or(default.site_url),
        external_url: url(&mut section, "external_url")?,
        jwt_issuer: section.text("jwt_issuer")?.unwrap_or_default(),
        additional_redirect_urls: section
            .texts("additional_redirect_urls")?
            .unwrap_or(default.additional_redirect_urls),
        jwt_expiry_s: section.number("jwt_expiry", 1, 604_800)?.unwrap_or(default.jwt_expiry_s),
        jwt_secret: jwt_secret(&mut section)?,
        signing_keys_path: section.text("signing_keys_path")?.filter(|path| !path.is_empty()),
        enable_signup: section.flag("enable_signup")?.unwrap_or(default.enable_signup),
        enable_anonymous_sign_ins: section
            .flag("enable_anonymous_sign_ins")?
            .unwrap_or(default.enable_anonymous_sign_ins),
        enable_manual_linking: section
            .flag("enable_manual_linking")?
            .unwrap_or(default.enable_manual_linking),
        enable_refresh_token_rotation: section
            .flag("enable_refresh_token_rotation")?
            .unwrap_or(default.enable_refresh_token_rotation),
        refresh_token_reuse_interval_s: section
            .number("refresh_token_reuse_interval", 0, 86_400)?
            .unwrap_or(default.refresh_token_reuse_interval_s),
        minimum_password_length: section
            .number("minimum_password_length", 6, 72)?
            .unwrap_or(default.minimum_password_length),
        password_requirements: section
            .choice("password_requirements", &PASSWORD_REQUIREMENTS)?
            .unwrap_or_default(),
        session_timebox,
        session_inactivity_timeout,
        sessions,
        passkeys,
        email,
        sms,
        protection,
        rate_limit,
        mfa,
        oauth_server,
        hook,
        external,
        web3,
        saml,
    };
    section.finish();
    Ok(auth)
}

/// What the official CLI knows and this version does not have is told, where a file makes use of it.
fn unsupported(section: &mut Section<'_>) -> Result<(), ConfigError> {
    let mut others = section.section("third_party")?;
    for name in others.keys() {
        let mut other = others.section(&name)?;
        if other.flag("enabled")?.unwrap_or(false) {
            others.warn(&name, "tokens of other services are not taken by this version, ignored");
        }
    }
    for key in ["publishable_key", "secret_key", "anon_key", "service_role_key"] {
        if section.secret(key)?.is_some_and(|value| !value.is_empty()) {
            section.warn(key, "the keys that `rowhouse status` names are used instead");
        }
    }
    Ok(())
}

/// An address without a slash at its end, or nothing.
pub(super) fn url(section: &mut Section<'_>, key: &str) -> Result<String, ConfigError> {
    let url = section.text(key)?.unwrap_or_default();
    if !url.is_empty() && !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(section.refuse(key, "an address that begins with https://", format!("the text {url:?}")));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// The secret must not be guessable; HS256 wants 32 characters.
fn jwt_secret(section: &mut Section<'_>) -> Result<Option<String>, ConfigError> {
    let secret = section.text("jwt_secret")?.filter(|secret| !secret.is_empty());
    match secret {
        Some(secret) if secret.len() < 32 => Err(ConfigError::Value {
            field: "auth.jwt_secret".to_owned(),
            expected: "at least 32 characters".to_owned(),
            found: format!("{} characters", secret.len()),
        }),
        secret => Ok(secret),
    }
}

fn email(mut section: Section<'_>) -> Result<EmailSection, ConfigError> {
    let default = EmailSection::default();
    let mail = mail::read(&mut section)?;
    let email = EmailSection {
        enable_signup: section.flag("enable_signup")?.unwrap_or(default.enable_signup),
        enable_confirmations: section.flag("enable_confirmations")?.unwrap_or(default.enable_confirmations),
        double_confirm_changes: section
            .flag("double_confirm_changes")?
            .unwrap_or(default.double_confirm_changes),
        secure_password_change: section
            .flag("secure_password_change")?
            .unwrap_or(default.secure_password_change),
        max_frequency: section.duration("max_frequency")?.unwrap_or(default.max_frequency),
        otp_length: section.number("otp_length", 6, 10)?.unwrap_or(default.otp_length),
        otp_expiry_s: section.number("otp_expiry", 1, 86_400)?.unwrap_or(default.otp_expiry_s),
        mail,
    };
    section.finish();
    Ok(email)
}

fn sms(mut section: Section<'_>) -> Result<SmsSection, ConfigError> {
    let default = SmsSection::default();
    let test_otp = test_otp(section.section("test_otp")?)?;
    let gateway = companies::gateway(&mut section)?;
    let sms = SmsSection {
        enable_signup: section.flag("enable_signup")?.unwrap_or(default.enable_signup),
        enable_confirmations: section.flag("enable_confirmations")?.unwrap_or(default.enable_confirmations),
        max_frequency: section.duration("max_frequency")?.unwrap_or(default.max_frequency),
        otp_length: section.number("otp_length", 6, 10)?.unwrap_or(default.otp_length),
        otp_expiry_s: section.number("otp_expiry", 1, 86_400)?.unwrap_or(default.otp_expiry_s),
        test_otp,
        test_otp_valid_until_s: section.time("test_otp_valid_until")?,
        template: section.text("template")?.unwrap_or(default.template),
        gateway,
    };
    section.finish();
    Ok(sms)
}

/// Numbers are kept as auth keeps those of people: without the plus.
fn test_otp(mut section: Section<'_>) -> Result<BTreeMap<String, Secret>, ConfigError> {
    let mut codes = BTreeMap::new();
    for key in section.keys() {
        let number = key.strip_prefix('+').unwrap_or(&key);
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(section.refuse(&key, "a phone number as the key", format!("{key:?}")));
        }
        let Some(code) = section.code(&key)? else { continue };
        codes.insert(number.to_owned(), Secret::new(code));
    }
    section.finish();
    Ok(codes)
}

fn rate_limit(mut section: Section<'_>) -> Result<RateLimitSection, ConfigError> {
    let default = RateLimitSection::default();
    let (email_sent, email_sent_refill) = section.rate("email_sent")?.unwrap_or((default.email_sent, None));
    let (sms_sent, sms_sent_refill) = section.rate("sms_sent")?.unwrap_or((default.sms_sent, None));
    let mut limit =
        |key: &str, usual| section.number(key, 0, 1_000_000_000).map(|number| number.unwrap_or(usual));
    let limits = RateLimitSection {
        email_sent,
        email_sent_refill,
        sms_sent,
        sms_sent_refill,
        anonymous_users: limit("anonymous_users", default.anonymous_users)?,
        token_refresh: limit("token_refresh", default.token_refresh)?,
        sign_in_sign_ups: limit("sign_in_sign_ups", default.sign_in_sign_ups)?,
        token_verifications: limit("token_verifications", default.token_verifications)?,
        web3: limit("web3", default.web3)?,
        sso: limit("sso", default.sso)?,
        saml_assertion: limit("saml_assertion", default.saml_assertion)?,
        mfa: limit("mfa", default.mfa)?,
        oauth_register: limit("oauth_register", default.oauth_register)?,
        passkey: limit("passkey", default.passkey)?,
    };
    section.finish();
    Ok(limits)
}
