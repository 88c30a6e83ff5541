//! Mail: `[auth.email.smtp]`, `[auth.email.template.*]`, `[auth.email.notification.*]`, and the catcher.

use super::ConfigError;
use super::reader::Section;
use mail::{Mode, Template};
use model::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// The templates of messages with codes and links.
const TEMPLATES: [&str; 6] =
    ["invite", "confirmation", "recovery", "magic_link", "email_change", "reauthentication"];
/// The largest file of a text.
const CONTENT_MAX: u64 = mail::SOURCE_MAX as u64;

/// How mail leaves and what it says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MailSection {
    /// Nothing unless it is enabled.
    pub smtp: Option<SmtpSection>,
    pub template: BTreeMap<String, TextSection>,
    /// Those that are enabled.
    pub notification: BTreeMap<String, TextSection>,
    pub authorized_addresses: Vec<String>,
    pub confirm_page: bool,
}

/// `[auth.email.smtp]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SmtpSection {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub pass: Secret,
    pub admin_email: String,
    pub sender_name: String,
    /// `auto`, `tls`, `starttls` or `none`.
    pub security: String,
    /// A certificate authority, PEM.
    pub authority: Option<String>,
    pub headers: BTreeMap<String, String>,
}

/// A subject and a body; what is missing is ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TextSection {
    pub subject: Option<String>,
    pub content: Option<String>,
    pub languages: BTreeMap<String, TextSection>,
}

/// `[inbucket]`, by its newer name `[mailpit]`: the mail catcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatcherSection {
    pub enabled: bool,
    /// 54324, or another that is free, when the file says nothing.
    pub port: Option<u16>,
    /// Where programs under test may send to.
    pub smtp_port: Option<u16>,
    pub admin_email: String,
    pub sender_name: String,
}

impl Default for CatcherSection {
    fn default() -> Self {
        CatcherSection {
            enabled: true,
            port: None,
            smtp_port: None,
            admin_email: "admin@email.com".to_owned(),
            sender_name: "Admin".to_owned(),
        }
    }
}

/// What of `[auth.email]` is about mail.
pub(super) fn read(section: &mut Section<'_>) -> Result<MailSection, ConfigError> {
    let smtp = smtp(section.section("smtp")?)?;
    let mut template = BTreeMap::new();
    let mut templates = section.section("template")?;
    for name in TEMPLATES {
        let text = text(templates.section(name)?)?;
        if text != TextSection::default() {
            template.insert(name.to_owned(), text);
        }
    }
    templates.finish();
    let mut notification = BTreeMap::new();
    let mut notifications = section.section("notification")?;
    for name in auth::Notification::ALL.map(auth::Notification::as_str) {
        let mut one = notifications.section(name)?;
        let enabled = one.flag("enabled")?.unwrap_or(false);
        let text = text(one)?;
        if enabled {
            notification.insert(name.to_owned(), text);
        }
    }
    notifications.finish();
    Ok(MailSection {
        smtp,
        template,
        notification,
        authorized_addresses: section.texts("authorized_addresses")?.unwrap_or_default(),
        confirm_page: section.flag("confirm_page")?.unwrap_or(false),
    })
}

fn smtp(mut section: Section<'_>) -> Result<Option<SmtpSection>, ConfigError> {
    let given = !section.keys().is_empty();
    let enabled = section.flag("enabled")?.unwrap_or(given);
    let mut headers = BTreeMap::new();
    let mut table = section.section("headers")?;
    for name in table.keys() {
        headers.extend(table.text(&name)?.map(|value| (name.clone(), value)));
    }
    table.finish();
    let smtp = SmtpSection {
        host: section.text("host")?.unwrap_or_default(),
        port: section.port("port")?.unwrap_or(587),
        user: section.text("user")?.unwrap_or_default(),
        pass: Secret::new(section.text("pass")?.unwrap_or_default()),
        admin_email: section.text("admin_email")?.unwrap_or_default(),
        sender_name: section.text("sender_name")?.unwrap_or_default(),
        security: section.choice("security", &["auto", "tls", "starttls", "none"])?.unwrap_or_default(),
        authority: section.text("authority")?,
        headers,
    };
    if !enabled {
        section.finish();
        return Ok(None);
    }
    for (key, value) in [("host", &smtp.host), ("admin_email", &smtp.admin_email)] {
        if value.is_empty() {
            return Err(section.refuse(key, "a text, as SMTP is enabled", "nothing".to_owned()));
        }
    }
    section.finish();
    Ok(Some(smtp))
}

/// A text with its other languages. One that is no template is worth a word: ours is sent in its place.
fn text(mut section: Section<'_>) -> Result<TextSection, ConfigError> {
    let mut read = TextSection {
        subject: section.text("subject")?,
        content: section.text("content")?,
        languages: BTreeMap::new(),
    };
    for (key, source, mode) in
        [("subject", &read.subject, Mode::Line), ("content", &read.content, Mode::Html)]
    {
        if let Some(error) = source.as_deref().and_then(|source| Template::parse(source, mode).err()) {
            section.warn(key, &format!("it cannot be used as a template: {error}"));
        }
    }
    let mut languages = section.section("languages")?;
    for name in languages.keys() {
        let own = text(languages.section(&name)?)?;
        read.languages.insert(name.replace('_', "-").to_ascii_lowercase(), own);
    }
    languages.finish();
    section.finish();
    Ok(read)
}

/// `[mailpit]` is the newer name of `[inbucket]`.
pub(super) fn catcher(mut old: Section<'_>, mut new: Section<'_>) -> Result<CatcherSection, ConfigError> {
    let default = CatcherSection::default();
    let catcher = CatcherSection {
        enabled: new.flag("enabled")?.or(old.flag("enabled")?).unwrap_or(default.enabled),
        port: new.port("port")?.or(old.port("port")?),
        smtp_port: new.port("smtp_port")?.or(old.port("smtp_port")?),
        admin_email: new.text("admin_email")?.or(old.text("admin_email")?).unwrap_or(default.admin_email),
        sender_name: new.text("sender_name")?.or(old.text("sender_name")?).unwrap_or(default.sender_name),
    };
    old.finish();
    new.finish();
    Ok(catcher)
}

/// Puts the files that `content_path` names in their place, so that the settings stand for themselves. As with the
/// official CLI, paths of templates begin at the folder of the app and those of notifications beside the file.
pub(super) fn inline(table: &mut Table, workdir: &Path, folder: &Path) -> Result<(), ConfigError> {
    let Some(email) = table.get_mut("auth").and_then(|auth| auth.get_mut("email")) else { return Ok(()) };
    for (kind, base) in [("template", workdir), ("notification", folder)] {
        let Some(Value::Table(texts)) = email.get_mut(kind) else { continue };
        for (name, text) in texts.iter_mut() {
            let field = format!("auth.email.{kind}.{name}");
            inline_text(text, &field, base)?;
            if let Some(Value::Table(languages)) = text.get_mut("languages") {
                for (language, text) in languages.iter_mut() {
                    inline_text(text, &format!("{field}.languages.{language}"), base)?;
                }
            }
        }
    }
    Ok(())
}

fn inline_text(text: &mut Value, field: &str, base: &Path) -> Result<(), ConfigError> {
    let Value::Table(text) = text else { return Ok(()) };
    let Some(Value::String(path)) = text.get("content_path") else { return Ok(()) };
    let path = base.join(path);
    let unusable = |why: String| ConfigError::Value {
        field: format!("{field}.content_path"),
        expected: format!("a file of at most {CONTENT_MAX} bytes"),
        found: format!("{} ({why})", path.display()),
    };
    let size = std::fs::metadata(&path).map_err(|error| unusable(error.to_string()))?.len();
    if size > CONTENT_MAX {
        return Err(unusable(format!("{size} bytes")));
    }
    let content = std::fs::read_to_string(&path).map_err(|error| unusable(error.to_string()))?;
    text.remove("content_path");
    text.insert("content".to_owned(), Value::String(content));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    #[test]
    fn mail_is_configured() {
        let text = r#"
            [auth.email.smtp]
            host = "smtp.example.com"
            port = 465
            user = "u"
            pass = "env(SMTP_PASS)"
            admin_email = "hello@example.com"
            sender_name = "App"
            headers = { X-Kind = "$messageType" }
            [auth.email.template.confirmation]
            subject = "Hi {{ .Data.name }}"
            content = "<p>{{ .Token }}</p>"
            [auth.email.template.confirmation.languages.pt_BR]
            subject = "Oi"
            [auth.email.notification.password_changed]
            enabled = true
            [auth.email.notification.email_changed]
            enabled = false
            subject = "x"
            [auth.rate_limit]
            email_sent = "10/1m"
            [inbucket]
            smtp_port = 54325
        "#;
        let (config, warnings) =
            parse(text, &|name| (name == "SMTP_PASS").then(|| "hunter2".to_owned())).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        let mail = &config.auth.email.mail;
        let smtp = mail.smtp.as_ref().unwrap();
        assert_eq!(
            (smtp.port, smtp.pass.expose(), smtp.headers["X-Kind"].as_str()),
            (465, "hunter2", "$messageType")
        );
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(mail.template["confirmation"].languages["pt-br"].subject.as_deref(), Some("Oi"));
        assert_eq!(mail.notification.keys().collect::<Vec<_>>(), ["password_changed"]);
        assert_eq!(config.catcher.smtp_port, Some(54325));
        let limits = &config.auth.rate_limit;
        assert_eq!(
            (limits.email_sent, limits.email_sent_refill),
            (10, Some(std::time::Duration::from_secs(60)))
        );
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let none = |_: &str| None;
        let error = parse("[auth.email.smtp]\nenabled = true\nport = 25", &none).unwrap_err().to_string();
        assert_eq!(error, "auth.email.smtp.host: expected a text, as SMTP is enabled, found nothing");
        let (_, warnings) = parse("[auth.email.template.invite]\ncontent = \"a\\n{{ if }}\"", &none).unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0]
                .starts_with("auth.email.template.invite.content: it cannot be used as a template: line 2"),
            "{warnings:?}"
        );
        assert!(parse("[auth.rate_limit]\nemail_sent = \"10/never\"", &none).is_err());
    }
}
