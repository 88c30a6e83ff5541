//! A message, from its texts to its bytes.

use crate::template::one_line;
use crate::{SendError, plain};
use lettre::message::header::{HeaderName, HeaderValue, MessageId};
use lettre::message::{MultiPart, SinglePart};
use lettre::{Address, Message};

/// The most headers that settings may add.
const HEADERS_MAX: usize = 20;
/// Headers that say what a message is: settings cannot replace them.
const OWN_HEADERS: [&str; 12] = [
    "from",
    "to",
    "cc",
    "bcc",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "sender",
];

/// An address with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    pub name: String,
    pub address: String,
}

/// A message to one person.
#[derive(Debug, Clone)]
pub struct Letter {
    pub from: Mailbox,
    pub to: String,
    pub subject: String,
    pub html: String,
    /// The left part of the `Message-ID`: the same at every attempt, so that who gets it twice can tell.
    pub id: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
}

impl Letter {
    /// The message with a text made of its HTML for those who read no HTML.
    ///
    /// # Errors
    /// When an address is not one.
    pub(crate) fn message(&self) -> Result<Message, SendError> {
        let from =
            address(&self.from.address).map_err(|why| SendError::refused(format!("the sender: {why}")))?;
        let to = address(&self.to).map_err(|why| SendError::refused(format!("the recipient: {why}")))?;
        let name = Some(one_line(&self.from.name)).filter(|name| !name.is_empty());
        let id = format!("<{}@{}>", self.id, from.domain());
        let mut message = Message::builder()
            .from(lettre::message::Mailbox::new(name, from))
            .to(lettre::message::Mailbox::new(None, to))
            .subject(one_line(&self.subject))
            .header(MessageId::from(id))
            .date_now()
            .multipart(
                MultiPart::alternative()
                    .singlepart(SinglePart::plain(plain(&self.html)))
                    .singlepart(SinglePart::html(self.html.clone())),
            )
            .map_err(|error| SendError::refused(error.to_string()))?;
        for (name, value) in self.headers.iter().take(HEADERS_MAX) {
            let known = OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own));
            // The library looks for ASCII only.
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
            match HeaderName::new_from_ascii(name.clone()) {
                Ok(header) if is_name && !known && !value.is_empty() => {
                    message.headers_mut().insert_raw(HeaderValue::new(header, one_line(value)));
                }
                _ => tracing::debug!(header = %name, "a header of the settings is left out"),
            }
        }
        Ok(message)
    }
}

fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|_| "not an address that mail can be sent with".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            from: Mailbox { name: "Ann & Co".to_owned(), address: "hello@app.dev".to_owned() },
            to: "bob+x@example.com".to_owned(),
            subject: "Grüße".to_owned(),
            html: "<p>Hällo <b>Bob</b></p><p><a href=\"https://app.dev/?a=1&amp;b=2\">here</a></p>"
                .to_owned(),
            id: "abc".to_owned(),
            headers: vec![("X-Kind".to_owned(), "recovery".to_owned())],
        }
    }

    fn bytes(letter: &Letter) -> String {
        String::from_utf8(letter.message().unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_message_has_a_text_and_its_html() {
        let text = bytes(&letter());
        assert!(text.contains("To: bob+x@example.com\r\n") && text.contains("<hello@app.dev>"), "{text}");
        assert!(
            text.contains("Message-ID: <abc@app.dev>\r\n") && text.contains("X-Kind: recovery\r\n"),
            "{text}"
        );
        assert!(text.contains("multipart/alternative") && text.contains("text/plain"), "{text}");
        assert!(text.contains("Subject: =?utf-8?b?"), "{text}");
    }

    #[test]
    fn no_value_makes_a_header_of_its_own() {
        let mut evil = letter();
        evil.subject = "Hi\r\nBcc: x@example.com".to_owned();
        evil.from.name = "Ann\r\nBcc: y@example.com".to_owned();
        evil.headers.push(("X-A".to_owned(), "1\r\nBcc: z@example.com".to_owned()));
        evil.headers.push(("Bcc".to_owned(), "q@example.com".to_owned()));
        evil.headers.push(("X-B\r\nBcc".to_owned(), "q@example.com".to_owned()));
        let text = bytes(&evil);
        assert!(!text.to_lowercase().contains("\r\nbcc:"), "{text}");
        for to in ["a@b.c\r\nBcc: x@y.z", "a@b.c, d@e.f", "<a@b.c>", "nobody", ""] {
            evil.to = to.to_owned();
            assert!(evil.message().is_err(), "{to}");
        }
    }
}
