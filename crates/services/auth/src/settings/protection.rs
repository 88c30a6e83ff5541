//! What keeps programs and well-known passwords out.

use model::Secret;

/// What keeps programs and well-known passwords out.
#[derive(Debug, Clone, Default)]
pub struct ProtectionSettings {
    pub captcha: Option<CaptchaSettings>,
    pub pwned: Option<PwnedSettings>,
}

/// A captcha that whoever signs up or in must have solved.
#[derive(Debug, Clone)]
pub struct CaptchaSettings {
    pub provider: CaptchaProvider,
    pub secret: Secret,
    /// In place of the provider's own address.
    pub endpoint: Option<String>,
}

/// Who knows whether a captcha was solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptchaProvider {
    Hcaptcha,
    Turnstile,
}

/// The check of new passwords against those that were stolen somewhere, by the first letters of their hash.
#[derive(Debug, Clone, Default)]
pub struct PwnedSettings {
    /// Refuse passwords while the check cannot be made.
    pub fail_closed: bool,
    /// In place of HaveIBeenPwned's own address.
    pub endpoint: Option<String>,
}
