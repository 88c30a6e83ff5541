//! What is shown of a message.

use base64::{Engine, engine::general_purpose::STANDARD as B64};
use mail_parser::{Address, MessageParser, MessagePart, MimeHeaders};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Letters of a message's text that lists show.
const SNIPPET_MAX: usize = 250;

/// Who sent a message to whom, and when; whatever the message itself says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
}

/// A name with an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) address: String,
}

/// What lists show.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) envelope: Envelope,
    pub(crate) message_id: String,
    pub(crate) from: Person,
    pub(crate) to: Vec<Person>,
    pub(crate) cc: Vec<Person>,
    pub(crate) bcc: Vec<Person>,
    pub(crate) reply_to: Vec<Person>,
    pub(crate) subject: String,
    pub(crate) size: u64,
    pub(crate) attachments: usize,
    pub(crate) snippet: String,
}

impl Summary {
    pub(crate) fn of(envelope: &Envelope, raw: &[u8]) -> Summary {
        let size = u64::try_from(raw.len()).unwrap_or(u64::MAX);
        let Some(message) = MessageParser::default().parse(raw) else {
            return Summary::unknown(envelope, size);
        };
        let people = |address: Option<&Address<'_>>| -> Vec<Person> {
            let list = address.into_iter().flat_map(Address::iter);
            list.map(|one| Person {
                name: one.name().unwrap_or_default().to_owned(),
                address: one.address().unwrap_or_default().to_owned(),
            })
            .collect()
        };
        let (to, cc) = (people(message.to()), people(message.cc()));
        // Those who are named nowhere got a blind copy.
        let hidden = envelope
            .to
            .iter()
            .filter(|known| !to.iter().chain(&cc).any(|person| person.address.eq_ignore_ascii_case(known)));
        let bcc = hidden.map(|address| Person { name: String::new(), address: address.clone() }).collect();
        let text: String = text(&message).split_whitespace().collect::<Vec<_>>().join(" ");
        let sender = Person { name: String::new(), address: envelope.from.clone() };
        Summary {
            message_id: message.message_id().unwrap_or_default().to_owned(),
            from: people(message.from()).into_iter().next().unwrap_or(sender),
            to,
            cc,
            bcc,
            reply_to: people(message.reply_to()),
            subject: message.subject().unwrap_or_default().to_owned(),
            size,
            attachments: message.attachment_count(),
            snippet: text.chars().take(SNIPPET_MAX).collect(),
            envelope: envelope.clone(),
        }
    }

    fn unknown(envelope: &Envelope, size: u64) -> Summary {
        Summary {
            message_id: String::new(),
            from: Person { name: String::new(), address: envelope.from.clone() },
            to: Vec::new(),
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            subject: String::new(),
            size,
            attachments: 0,
            snippet: String::new(),
            envelope: envelope.clone(),
        }
    }

    /// The fields that the list and the message have in common.
    fn shared(&self, id: &str) -> Map<String, Value> {
        let mut map = Map::new();
        let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
        put("ID", json!(id));
        put("MessageID", json!(self.message_id));
        put("From", json!(self.from));
        put("To", json!(self.to));
        put("Cc", json!(self.cc));
        put("Bcc", json!(self.bcc));
        put("ReplyTo", json!(self.reply_to));
        put("Subject", json!(self.subject));
        put("Username", json!(""));
        put("Tags", json!([]));
        put("Size", json!(self.size));
        map
    }

    /// As an entry of a list.
    pub(crate) fn entry(&self, id: &str, read: bool) -> Value {
        let mut map = self.shared(id);
        map.insert("Read".to_owned(), json!(read));
        map.insert("Created".to_owned(), json!(self.envelope.at.format(&Rfc3339).unwrap_or_default()));
        map.insert("Attachments".to_owned(), json!(self.attachments));
        map.insert("Snippet".to_owned(), json!(self.snippet));
        Value::Object(map)
    }

    /// The whole message.
    pub(crate) fn whole(&self, id: &str, raw: &[u8]) -> Value {
        let mut map = self.shared(id);
        let message = MessageParser::default().parse(raw);
        let date = message.as_ref().and_then(|message| message.date()).map(|date| date.to_rfc3339());
        let received = || self.envelope.at.format(&Rfc3339).unwrap_or_default();
        map.insert("ReturnPath".to_owned(), json!(self.envelope.from));
        map.insert("Date".to_owned(), json!(date.unwrap_or_else(received)));
        let unsubscribe = json!({ "Header": "", "Links": [], "Errors": "", "HeaderPost": "" });
        map.insert("ListUnsubscribe".to_owned(), unsubscribe);
        map.insert("Text".to_owned(), json!(message.as_ref().map(text).unwrap_or_default()));
        map.insert("HTML".to_owned(), json!(message.as_ref().map(html).unwrap_or_default()));
        let (inline, attached): (Vec<_>, Vec<_>) = message
            .as_ref()
            .map(attachments)
            .unwrap_or_default()
            .into_iter()
            .partition(|part| !part.content_id.is_empty());
        map.insert("Inline".to_owned(), inline.iter().map(Attachment::shown).collect());
        map.insert("Attachments".to_owned(), attached.iter().map(Attachment::shown).collect());
        Value::Object(map)
    }
}

/// A file in a message.
pub(crate) struct Attachment {
    /// By which it is asked for.
    pub(crate) part: String,
    name: String,
    pub(crate) content_type: String,
    content_id: String,
    pub(crate) content: Vec<u8>,
}

impl Attachment {
    pub(crate) fn name(&self) -> &str {
        if self.name.is_empty() { &self.content_id } else { &self.name }
    }

    fn shown(&self) -> Value {
        use sha2::{Digest, Sha256};
        let sum: String = Sha256::digest(&self.content).iter().map(|byte| format!("{byte:02x}")).collect();
        json!({
            "PartID": self.part, "FileName": self.name, "ContentType": self.content_type,
            "ContentID": self.content_id, "Size": self.content.len(), "Checksums": { "SHA256": sum },
        })
    }
}

fn attachments(message: &mail_parser::Message<'_>) -> Vec<Attachment> {
    let parts = message.attachments().enumerate();
    parts.map(|(n, part)| attachment(n, part)).collect()
}

fn attachment(n: usize, part: &MessagePart<'_>) -> Attachment {
    let kind = part.content_type().map(|kind| match kind.subtype() {
        Some(subtype) => format!("{}/{subtype}", kind.ctype()),
        None => kind.ctype().to_owned(),
    });
    Attachment {
        part: (n + 1).to_string(),
        name: part.attachment_name().unwrap_or_default().to_owned(),
        content_type: kind.unwrap_or_else(|| "application/octet-stream".to_owned()),
        content_id: part.content_id().unwrap_or_default().to_owned(),
        content: part.contents().to_vec(),
    }
}

/// The file of a message with this number.
pub(crate) fn file(raw: &[u8], part: &str) -> Option<Attachment> {
    attachments(&MessageParser::default().parse(raw)?).into_iter().find(|found| found.part == part)
}

/// The text of a message: its own, or what its HTML says.
pub(crate) fn text(message: &mail_parser::Message<'_>) -> String {
    let own = message.text_bodies().filter(|part| part.is_text() && !part.is_text_html());
    let own: Vec<&str> = own.filter_map(MessagePart::text_contents).collect();
    if own.is_empty() { mail::plain(&html(message)) } else { own.join("\n") }
}

fn html(message: &mail_parser::Message<'_>) -> String {
    let parts = message.html_bodies().filter(|part| part.is_text_html());
    parts.filter_map(MessagePart::text_contents).collect::<Vec<_>>().join("\n")
}

/// The HTML of a message with the pictures that it brings along, and its text.
pub(crate) fn bodies(raw: &[u8]) -> (String, String) {
    let Some(message) = MessageParser::default().parse(raw) else { return Default::default() };
    let mut html = html(&message);
    for part in attachments(&message) {
        let is_picture = part.content_type.starts_with("image/") && !part.content_type.contains("svg");
        if is_picture && !part.content_id.is_empty() {
            let url = format!("data:{};base64,{}", part.content_type, B64.encode(&part.content));
            html = html.replace(&format!("cid:{}", part.content_id), &url);
        }
    }
    (html, text(&message))
}

/// The headers by name, each with all its values.
pub(crate) fn headers(raw: &[u8]) -> Value {
    let mut map = Map::new();
    if let Some(message) = MessageParser::default().parse(raw) {
        for (name, value) in message.headers_raw() {
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            if let Value::Array(values) = map.entry(name.to_owned()).or_insert_with(|| json!([])) {
                values.push(Value::String(value));
            }
        }
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str = "From: =?utf-8?q?J=C3=B6rg?= <j@b.c>\r\nTo: Ann <ann@e.f>\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\r\n\
        X-A: 1\r\nX-A: 2\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hi <b>Ann</b></p><img src=\"cid:pic\">\r\n\
        --x\r\nContent-Type: image/png\r\nContent-ID: <pic>\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n\
        --x\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=a.csv\r\n\r\n1,2\r\n--x--\r\n";

    #[test]
    fn a_message_is_taken_apart() {
        let envelope = Envelope {
            from: "j@b.c".to_owned(),
            to: vec!["ann@e.f".to_owned(), "hidden@e.f".to_owned()],
            at: OffsetDateTime::UNIX_EPOCH,
        };
        let summary = Summary::of(&envelope, RAW.as_bytes());
        assert_eq!((summary.from.name.as_str(), summary.subject.as_str()), ("Jörg", "Grüße"));
        assert_eq!((summary.snippet.as_str(), summary.bcc[0].address.as_str()), ("Hi Ann", "hidden@e.f"));
        let whole = summary.whole("1", RAW.as_bytes());
        assert_eq!(whole["Text"], "Hi Ann\n");
        assert_eq!(whole["Inline"][0]["ContentID"], "pic");
        assert_eq!(whole["Attachments"][0]["FileName"], "a.csv");
        assert!(bodies(RAW.as_bytes()).0.contains("src=\"data:image/png;base64,aGk=\""));
        assert_eq!(headers(RAW.as_bytes())["X-A"], json!(["1", "2"]));
        let part = whole["Attachments"][0]["PartID"].as_str().unwrap();
        assert_eq!(file(RAW.as_bytes(), part).unwrap().content, b"1,2");
    }

    #[test]
    fn anything_can_be_a_message() {
        let envelope = Envelope { from: String::new(), to: Vec::new(), at: OffsetDateTime::UNIX_EPOCH };
        for raw in [&b""[..], b"\0\xff", b"Subject", b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x"]
        {
            Summary::of(&envelope, raw).whole("1", raw);
            bodies(raw);
            headers(raw);
        }
    }
}
