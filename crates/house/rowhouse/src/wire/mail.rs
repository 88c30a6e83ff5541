//! From what the catalog says of a project's mail to the settings by which auth sends it.

use crate::config::{AuthSection, SmtpSection, TextSection};
use auth::{LetterText, Notification};
use mail::{Carrier, Inbox, Mailbox, Security, Smtp};
use outbound::Reach;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who takes the mail of projects that have no server for it: the catcher of a local stack.
#[derive(Debug, Clone)]
pub struct LocalMail {
    pub inbox: Arc<dyn Inbox>,
    pub sender: Mailbox,
}

/// Sets how a project's mail is sent.
pub(super) fn apply(to: &mut auth::Settings, from: &AuthSection, local: Option<&LocalMail>, reach: Reach) {
    let section = &from.email.mail;
    let mail = &mut to.mail;
    mail.texts = section.template.iter().chain(&section.notification).map(named).collect();
    mail.notifications = Notification::ALL
        .into_iter()
        .filter(|notification| section.notification.contains_key(notification.as_str()))
        .collect();
    mail.authorized_addresses.clone_from(&section.authorized_addresses);
    mail.confirm_page = section.confirm_page;
    mail.sent_refill = from.rate_limit.email_sent_refill;
    match (&section.smtp, local) {
        (Some(smtp), _) => {
            mail.carrier = Carrier::Smtp(Arc::new(server(smtp, reach, &to.external_url)));
            mail.sender = Mailbox { name: smtp.sender_name.clone(), address: smtp.admin_email.clone() };
            mail.headers = smtp.headers.clone().into_iter().collect();
        }
        (None, Some(local)) => {
            mail.carrier = Carrier::Inbox(Arc::clone(&local.inbox));
            mail.sender = local.sender.clone();
            // As with the official CLI: what goes to the catcher bothers nobody.
            to.rate_limits.email_sent = u32::MAX;
        }
        (None, None) => mail.carrier = Carrier::Nobody,
    }
}

fn server(smtp: &SmtpSection, reach: Reach, external_url: &str) -> Smtp {
    let host = external_url.split_once("://").map_or(external_url, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    Smtp {
        host: smtp.host.clone(),
        port: smtp.port,
        user: smtp.user.clone(),
        password: smtp.pass.clone(),
        security: match smtp.security.as_str() {
            "tls" => Security::Tls,
            "starttls" => Security::StartTls,
            "none" => Security::Plain,
            _ => Security::Auto,
        },
        client_name: host.to_owned(),
        authority: smtp.authority.clone(),
        reach,
    }
}

fn named((name, section): (&String, &TextSection)) -> (String, LetterText) {
    (name.clone(), text(section))
}

fn text(section: &TextSection) -> LetterText {
    let languages: BTreeMap<_, _> = section.languages.iter().map(named).collect();
    LetterText { subject: section.subject.clone(), body: section.content.clone(), languages }
}
