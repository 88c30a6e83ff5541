//! The sections `[auth.sms.<provider>]`, `[auth.captcha]` and `[auth.password_hibp]`.

use super::ConfigError;
use super::reader::Section;
use ::auth::{CaptchaProvider, CaptchaSettings, ProtectionSettings, PwnedSettings, SmsAccount, SmsGateway};
use model::Secret;
use serde::{Deserialize, Serialize};

/// The company that sends text messages: the first that is switched on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewaySection {
    pub provider: String,
    /// The fields that are no secret, by their names in the file.
    #[serde(default)]
    pub account: String,
    #[serde(default)]
    pub sender: String,
    #[serde(default)]
    pub content: String,
    #[serde(default)]
    pub key: Secret,
    #[serde(default)]
    pub secret: Secret,
    #[serde(default)]
    pub endpoint: Option<String>,
}

/// `[auth.captcha]` and `[auth.password_hibp]`, when they are switched on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProtectionSection {
    pub captcha: Option<CaptchaSection>,
    pub hibp: Option<HibpSection>,
}

/// `[auth.captcha]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaptchaSection {
    pub provider: String,
    pub secret: Secret,
    pub endpoint: Option<String>,
}

/// `[auth.password_hibp]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HibpSection {
    pub fail_closed: bool,
    pub endpoint: Option<String>,
}

impl GatewaySection {
    /// The account for auth; nothing for a company that this version does not know.
    pub fn settings(&self) -> Option<SmsGateway> {
        let (account_sid, auth_token) = (self.account.clone(), self.secret.clone());
        let message_service_sid = self.sender.clone();
        let account = match self.provider.as_str() {
            "twilio" => {
                let content_sid = self.content.clone();
                SmsAccount::Twilio { account_sid, auth_token, message_service_sid, content_sid }
            }
            "twilio_verify" => SmsAccount::TwilioVerify { account_sid, auth_token, message_service_sid },
            "messagebird" => {
                SmsAccount::Messagebird { access_key: self.secret.clone(), originator: self.sender.clone() }
            }
            "textlocal" => {
                SmsAccount::Textlocal { api_key: self.secret.clone(), sender: self.sender.clone() }
            }
            "vonage" => SmsAccount::Vonage {
                api_key: self.key.clone(),
                api_secret: self.secret.clone(),
                from: self.sender.clone(),
            },
            _ => return None,
        };
        Some(SmsGateway { account, endpoint: self.endpoint.clone() })
    }
}

impl ProtectionSection {
    /// The same for auth.
    pub fn settings(&self) -> ProtectionSettings {
        let captcha = self.captcha.as_ref().map(|from| CaptchaSettings {
            provider: match from.provider.as_str() {
                "turnstile" => CaptchaProvider::Turnstile,
                _ => CaptchaProvider::Hcaptcha,
            },
            secret: from.secret.clone(),
            endpoint: from.endpoint.clone(),
        });
        let pwned = self
            .hibp
            .as_ref()
            .map(|from| PwnedSettings { fail_closed: from.fail_closed, endpoint: from.endpoint.clone() });
        ProtectionSettings { captcha, pwned }
    }
}

/// Which fields a company's section has: account, sender, key, secret.
const COMPANIES: [(&str, [&str; 4]); 5] = [
    ("twilio", ["account_sid", "message_service_sid", "", "auth_token"]),
    ("twilio_verify", ["account_sid", "message_service_sid", "", "auth_token"]),
    ("messagebird", ["", "originator", "", "access_key"]),
    ("textlocal", ["", "sender", "", "api_key"]),
    ("vonage", ["", "from", "api_key", "api_secret"]),
];

/// The company in `[auth.sms]`, of which there can be one.
pub(super) fn gateway(sms: &mut Section<'_>) -> Result<Option<GatewaySection>, ConfigError> {
    let mut found = None;
    for (name, fields) in COMPANIES {
        let section = sms.section(name)?;
        let Some(gateway) = company(section, name, fields)? else { continue };
        if found.is_some() {
            return Err(sms.refuse(name, "one company only", "a second one".to_owned()));
        }
        found = Some(gateway);
    }
    Ok(found)
}

fn company(
    mut section: Section<'_>,
    name: &str,
    [account, sender, key, secret]: [&str; 4],
) -> Result<Option<GatewaySection>, ConfigError> {
    let is_enabled = section.flag("enabled")?.unwrap_or(false);
    let text = |section: &mut Section<'_>, field: &str| match field {
        "" => Ok(Secret::default()),
        field => {
            let text = section.secret(field)?.unwrap_or_default();
            if is_enabled && text.is_empty() {
                return Err(section.refuse(field, "a text", "nothing".to_owned()));
            }
            Ok(text)
        }
    };
    let gateway = GatewaySection {
        provider: name.to_owned(),
        account: text(&mut section, account)?.expose().to_owned(),
        sender: text(&mut section, sender)?.expose().to_owned(),
        content: section.text("content_sid")?.unwrap_or_default(),
        key: text(&mut section, key)?,
        secret: text(&mut section, secret)?,
        endpoint: section.text("endpoint")?,
    };
    section.finish();
    Ok(is_enabled.then_some(gateway))
}

pub(super) fn protection(auth: &mut Section<'_>) -> Result<ProtectionSection, ConfigError> {
    let mut section = auth.section("captcha")?;
    let is_enabled = section.flag("enabled")?.unwrap_or(false);
    let captcha = CaptchaSection {
        provider: section.choice("provider", &["hcaptcha", "turnstile"])?.unwrap_or_default(),
        secret: section.secret("secret")?.unwrap_or_default(),
        endpoint: section.text("endpoint")?,
    };
    if is_enabled && captcha.provider.is_empty() {
        return Err(section.refuse("provider", "hcaptcha or turnstile", "nothing".to_owned()));
    }
    if is_enabled && captcha.secret.is_empty() {
        return Err(section.refuse("secret", "a text", "nothing".to_owned()));
    }
    section.finish();
    let mut section = auth.section("password_hibp")?;
    let checks = section.flag("enabled")?.unwrap_or(false);
    let hibp = HibpSection {
        fail_closed: section.flag("fail_closed")?.unwrap_or(false),
        endpoint: section.text("endpoint")?,
    };
    section.finish();
    Ok(ProtectionSection { captcha: is_enabled.then_some(captcha), hibp: checks.then_some(hibp) })
}
