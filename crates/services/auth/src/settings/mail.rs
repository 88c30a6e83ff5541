//! How a project's mail is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Told when a project's outbox has something to send. It must not block.
pub trait Bell: std::fmt::Debug + Send + Sync {
    /// There will be something to send after so long; zero is now.
    fn ring(&self, after: Duration);
}

/// How a project's mail is sent.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// Who is told of new messages and has [`crate::Auth::deliver`] called then. Without one messages wait.
    pub bell: Option<Arc<dyn Bell>>,
    /// Who takes the messages.
    pub carrier: mail::Carrier,
    /// Whom they are from.
    pub sender: mail::Mailbox,
    /// Headers of every message; `$messageType` stands for its kind.
    pub headers: Vec<(String, String)>,
    /// The project's own texts, by the name of the template: `confirmation`, `recovery` …
    pub texts: BTreeMap<String, LetterText>,
    /// Changes of an account of which its owner is told.
    pub notifications: BTreeSet<Notification>,
    /// When there are any, mail goes to these addresses only; a `+label` before the `@` does not count.
    pub authorized_addresses: Vec<String>,
    /// `30/1h`: how long it takes until another mail may be sent, when [`crate::RateLimits::email_sent`] is used up.
    /// Without it that number holds for every hour.
    pub sent_refill: Option<Duration>,
    /// Whether a link shows a page with a button, so that only people use it up and not programs that look at mail.
    pub confirm_page: bool,
}

impl Default for MailSettings {
    fn default() -> Self {
        MailSettings {
            bell: None,
            carrier: mail::Carrier::Nobody,
            sender: mail::Mailbox { name: String::new(), address: "noreply@localhost".to_owned() },
            headers: Vec::new(),
            texts: BTreeMap::new(),
            notifications: BTreeSet::new(),
            authorized_addresses: Vec::new(),
            sent_refill: None,
            confirm_page: false,
        }
    }
}

/// A text of the project's own; what is missing is ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterText {
    pub subject: Option<String>,
    pub body: Option<String>,
    /// The same in other languages, for users whose metadata name theirs: `de`, `pt-br`.
    pub languages: BTreeMap<String, LetterText>,
}

/// Changes of an account of which its owner can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notification {
    PasswordChanged,
    EmailChanged,
    PhoneChanged,
    IdentityLinked,
    IdentityUnlinked,
    MfaFactorEnrolled,
    MfaFactorUnenrolled,
}

impl Notification {
    /// All of them.
    pub const ALL: [Notification; 7] = [
        Notification::PasswordChanged,
        Notification::EmailChanged,
        Notification::PhoneChanged,
        Notification::IdentityLinked,
        Notification::IdentityUnlinked,
        Notification::MfaFactorEnrolled,
        Notification::MfaFactorUnenrolled,
    ];

    /// The name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Notification::PasswordChanged => "password_changed",
            Notification::EmailChanged => "email_changed",
            Notification::PhoneChanged => "phone_changed",
            Notification::IdentityLinked => "identity_linked",
            Notification::IdentityUnlinked => "identity_unlinked",
            Notification::MfaFactorEnrolled => "mfa_factor_enrolled",
            Notification::MfaFactorUnenrolled => "mfa_factor_unenrolled",
        }
    }

    /// The kind of the message.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Notification::PasswordChanged => "password_changed_notification",
            Notification::EmailChanged => "email_changed_notification",
            Notification::PhoneChanged => "phone_changed_notification",
            Notification::IdentityLinked => "identity_linked_notification",
            Notification::IdentityUnlinked => "identity_unlinked_notification",
            Notification::MfaFactorEnrolled => "mfa_factor_enrolled_notification",
            Notification::MfaFactorUnenrolled => "mfa_factor_unenrolled_notification",
        }
    }
}
