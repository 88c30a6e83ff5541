//! Who sends a project's text messages.

use model::Secret;
use std::time::{Duration, SystemTime};

/// How text messages are sent.
#[derive(Debug, Clone)]
pub struct SmsSettings {
    /// Who sends them. Without one, only numbers with a test code work.
    pub gateway: Option<SmsGateway>,
    /// The text; `{{ .Code }}` stands for the code.
    pub template: String,
    /// The text of codes for a second factor.
    pub factor_template: String,
    /// Until when test codes are good; for ever when absent.
    pub test_otp_until: Option<SystemTime>,
    pub factor_max_frequency: Duration,
    pub factor_otp_length: usize,
    /// After how long there may be one message more; without it the limit is for each hour.
    pub sent_refill: Option<Duration>,
}

impl Default for SmsSettings {
    fn default() -> Self {
        SmsSettings {
            gateway: None,
            template: "Your code is {{ .Code }}".to_owned(),
            factor_template: "Your code is {{ .Code }}".to_owned(),
            test_otp_until: None,
            factor_max_frequency: Duration::from_secs(60),
            factor_otp_length: 6,
            sent_refill: None,
        }
    }
}

/// A company that sends text messages, with the project's account there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsGateway {
    pub account: SmsAccount,
    /// In place of the company's own address; for tests and for proxies.
    pub endpoint: Option<String>,
}

/// An account at one of the companies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SmsAccount {
    Twilio {
        account_sid: String,
        auth_token: Secret,
        message_service_sid: String,
        content_sid: String,
    },
    /// Makes up and checks the codes itself.
    TwilioVerify {
        account_sid: String,
        auth_token: Secret,
        message_service_sid: String,
    },
    Messagebird {
        access_key: Secret,
        originator: String,
    },
    Textlocal {
        api_key: Secret,
        sender: String,
    },
    Vonage {
        api_key: Secret,
        api_secret: Secret,
        from: String,
    },
}
