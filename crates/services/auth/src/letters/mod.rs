//! What messages say: the project's own texts, or ours.
//!
//! Ours put the code first: programs that follow every link in a mail cannot use a code up.

use crate::settings::{LetterText, MailSettings};
use mail::{Letter, Mode, Template};
use serde_json::{Map, Value, json};

/// The frame around our own bodies.
const HEAD: &str = include_str!("texts/head.html");
const TAIL: &str = include_str!("texts/tail.html");

/// A text of ours.
struct Text {
    /// The template's name in settings, also of messages whose kind is called differently.
    name: &'static str,
    kind: &'static str,
    subject: &'static str,
    body: &'static str,
}

macro_rules! text {
    ($name:literal, $kind:literal, $subject:literal) => {
        Text {
            name: $name,
            kind: $kind,
            subject: $subject,
            body: include_str!(concat!("texts/", $name, ".html")),
        }
    };
}

const TEXTS: [Text; 13] = [
    text!("confirmation", "signup", "{{ .Token }} is your code to confirm your email address"),
    text!("invite", "invite", "You have been invited"),
    text!("recovery", "recovery", "{{ .Token }} is your code to reset your password"),
    text!("magic_link", "magiclink", "{{ .Token }} is your sign-in code"),
    text!("email_change", "email_change", "{{ .Token }} is your code to confirm your new email address"),
    text!("reauthentication", "reauthentication", "{{ .Token }} is your verification code"),
    text!("password_changed", "password_changed_notification", "Your password was changed"),
    text!("email_changed", "email_changed_notification", "Your email address was changed"),
    text!("phone_changed", "phone_changed_notification", "Your phone number was changed"),
    text!("identity_linked", "identity_linked_notification", "A sign-in method was added to your account"),
    text!(
        "identity_unlinked",
        "identity_unlinked_notification",
        "A sign-in method was removed from your account"
    ),
    text!(
        "mfa_factor_enrolled",
        "mfa_factor_enrolled_notification",
        "A verification method was added to your account"
    ),
    text!(
        "mfa_factor_unenrolled",
        "mfa_factor_unenrolled_notification",
        "A verification method was removed from your account"
    ),
];

/// A message as the outbox has it, with what is known of its user.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    pub(crate) kind: &'a str,
    pub(crate) to: &'a str,
    pub(crate) data: &'a Value,
    /// The user's address, number and metadata now.
    pub(crate) user: &'a Value,
}

/// The message; none when its kind is not known.
pub(crate) fn write(settings: &MailSettings, content: &Content<'_>, id: String) -> Option<Letter> {
    let text = TEXTS.iter().find(|text| text.kind == content.kind)?;
    let variables = variables(content);
    let own = settings.texts.get(text.name).map(|own| in_language(own, &variables));
    let (own_subject, own_body) = own.unwrap_or_default();
    let subject = own_subject
        .and_then(|source| made(source, Mode::Line, &variables, text.name))
        .or_else(|| made(text.subject, Mode::Line, &variables, text.name))?;
    let html = own_body
        .and_then(|source| made(source, Mode::Html, &variables, text.name))
        .or_else(|| made(&[HEAD, text.body, TAIL].concat(), Mode::Html, &variables, text.name))?;
    let headers = settings.headers.iter();
    let headers = headers.map(|(name, value)| (name.clone(), value.replace("$messageType", text.name)));
    Some(Letter {
        from: settings.sender.clone(),
        to: content.to.to_owned(),
        subject,
        html,
        id,
        headers: headers.collect(),
    })
}

/// What a template makes; nothing when it cannot be used.
fn made(source: &str, mode: Mode, variables: &Value, name: &str) -> Option<String> {
    let template = Template::parse(source, mode)
        .inspect_err(|error| tracing::warn!(template = name, %error, "a text of the project is not usable; ours is sent"))
        .ok()?;
    template
        .render(variables)
        .inspect_err(|error| tracing::warn!(template = name, %error, "a text of the project is not usable; ours is sent"))
        .ok()
}

fn variables(content: &Content<'_>) -> Value {
    let given = |name: &str| content.data.get(name).cloned().unwrap_or(Value::Null);
    let of_user = |name: &str| content.user.get(name).cloned().unwrap_or(Value::Null);
    let email = match given("email") {
        Value::Null => of_user("email"),
        email => email,
    };
    let metadata = match of_user("data") {
        Value::Object(data) => data,
        _ => Map::new(),
    };
    json!({
        "SiteURL": given("site_url"),
        "ConfirmationURL": given("confirmation_url"),
        "Email": email,
        "Token": given("token"),
        "TokenHash": given("token_hash"),
        "RedirectTo": given("redirect_to"),
        "NewEmail": given("new_email"),
        "SendingTo": content.to,
        "OldEmail": given("old_email"),
        "OldPhone": given("old_phone"),
        "Phone": of_user("phone"),
        "Provider": given("provider"),
        "FactorType": given("factor_type"),
        "Data": metadata,
    })
}

/// Subject and body in the user's language as far as the project has them.
fn in_language<'a>(own: &'a LetterText, variables: &Value) -> (Option<&'a str>, Option<&'a str>) {
    let mut found = vec![own];
    let wanted = ["locale", "lang", "language"].iter();
    let wanted = { wanted }.find_map(|name| variables["Data"].get(*name)?.as_str());
    if let Some(language) = wanted.filter(|language| language.len() <= 35) {
        let language = language.replace('_', "-").to_ascii_lowercase();
        let short = language.split('-').next().unwrap_or_default().to_owned();
        // The nearest last, as it is asked first.
        found.extend([&short, &language].into_iter().filter_map(|name| own.languages.get(name)));
    }
    let subject = found.iter().rev().find_map(|text| text.subject.as_deref());
    (subject, found.iter().rev().find_map(|text| text.body.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(settings: &MailSettings, kind: &str, metadata: Value) -> Letter {
        let data = json!({
            "token": "123456", "token_hash": "abc", "site_url": "https://app.dev", "redirect_to": "https://app.dev/x",
            "confirmation_url": "https://api.dev/auth/v1/verify?token=abc&type=signup&redirect_to=https://app.dev",
            "old_email": "old@app.dev", "old_phone": "1", "provider": "github", "factor_type": "totp",
            "new_email": "new@app.dev",
        });
        let user = json!({ "email": "a@b.c", "phone": "123", "data": metadata });
        write(settings, &Content { kind, to: "a@b.c", data: &data, user: &user }, "1".to_owned()).unwrap()
    }

    #[test]
    fn all_of_ours_can_be_written_and_those_with_codes_show_them_first() {
        for text in &TEXTS {
            let letter = letter(&MailSettings::default(), text.kind, json!({}));
            assert!(letter.html.contains("</html>") && !letter.html.contains("{{"), "{}", text.name);
            assert!(!letter.subject.is_empty() && !letter.subject.contains("{{"));
            if !text.kind.ends_with("_notification") {
                let code = letter.html.find("123456").unwrap();
                let link = letter.html.find("/verify?token=abc&amp;type=signup");
                assert!(link.is_none_or(|link| code < link), "{}", text.name);
            }
        }
        assert!(
            write(
                &MailSettings::default(),
                &Content { kind: "odd", to: "", data: &json!({}), user: &json!({}) },
                String::new()
            )
            .is_none()
        );
    }

    #[test]
    fn own_texts_win_in_the_language_of_the_user() {
        let mut settings = MailSettings::default();
        let mut own = LetterText {
            subject: Some("Hi {{ .Data.name }}".into()),
            body: Some("<p>{{ .Token }}</p>".into()),
            ..LetterText::default()
        };
        own.languages.insert(
            "de".into(),
            LetterText { subject: Some("Hallo {{ .Data.name }}".into()), ..LetterText::default() },
        );
        settings.texts.insert("confirmation".into(), own);
        settings.headers.push(("X-Kind".into(), "$messageType!".into()));
        let english = letter(&settings, "signup", json!({ "name": "Ann", "locale": "fr" }));
        assert_eq!((english.subject.as_str(), english.html.as_str()), ("Hi Ann", "<p>123456</p>"));
        assert_eq!(english.headers, [("X-Kind".to_owned(), "confirmation!".to_owned())]);
        let german =
            letter(&settings, "signup", json!({ "name": "{{ .Token }}\r\nBcc: x", "locale": "de_AT" }));
        assert_eq!(
            (german.subject.as_str(), german.html.as_str()),
            ("Hallo {{ .Token }} Bcc: x", "<p>123456</p>")
        );
    }

    #[test]
    fn a_broken_text_is_replaced_by_ours() {
        let mut settings = MailSettings::default();
        let own = LetterText {
            subject: Some("{{ if }}".into()),
            body: Some("{{ .X".into()),
            ..LetterText::default()
        };
        settings.texts.insert("recovery".into(), own);
        let letter = letter(&settings, "recovery", json!({}));
        assert!(letter.subject.starts_with("123456") && letter.html.contains("123456"));
    }
}
