//! Searching messages in Mailpit's words: `to:ann subject:"sign in" is:unread -from:x code`.

use crate::message::{Person, Summary};

/// The most words of a search; the rest is not looked at.
const WORDS_MAX: usize = 20;

/// A search.
#[derive(Debug, Default)]
pub(crate) struct Search(Vec<Word>);

#[derive(Debug)]
struct Word {
    not: bool,
    field: Field,
    /// In lower case.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    From,
    To,
    Cc,
    Bcc,
    ReplyTo,
    Addressed,
    Subject,
    MessageId,
    IsRead,
    IsUnread,
    HasAttachment,
    Anywhere,
}

impl Search {
    pub(crate) fn parse(query: &str) -> Search {
        let words = words(query).into_iter().take(WORDS_MAX);
        Search(words.filter_map(|word| Word::parse(&word)).collect())
    }

    /// Whether the message's own text has to be looked at.
    pub(crate) fn wants_text(&self) -> bool {
        self.0.iter().any(|word| word.field == Field::Anywhere)
    }

    /// `text` is the message's own, in lower case.
    pub(crate) fn fits(&self, summary: &Summary, read: bool, text: &str) -> bool {
        self.0.iter().all(|word| word.fits(summary, read, text) != word.not)
    }
}

impl Word {
    fn parse(word: &str) -> Option<Word> {
        let lower = word.to_lowercase();
        let (not, rest) = match lower.strip_prefix(['-', '!']) {
            Some(rest) => (true, rest),
            None => (false, lower.as_str()),
        };
        let (field, text) = match rest.split_once(':') {
            Some(("from", text)) => (Field::From, text),
            Some(("to", text)) => (Field::To, text),
            Some(("cc", text)) => (Field::Cc, text),
            Some(("bcc", text)) => (Field::Bcc, text),
            Some(("reply-to", text)) => (Field::ReplyTo, text),
            Some(("addressed", text)) => (Field::Addressed, text),
            Some(("subject", text)) => (Field::Subject, text),
            Some(("message-id", text)) => (Field::MessageId, text),
            Some(("is", "read")) => (Field::IsRead, ""),
            Some(("is", "unread")) => (Field::IsUnread, ""),
            Some(("has", "attachment" | "attachments")) => (Field::HasAttachment, ""),
            _ => (Field::Anywhere, rest),
        };
        let text = text.trim_matches('"').to_owned();
        let needs_text = !matches!(field, Field::IsRead | Field::IsUnread | Field::HasAttachment);
        (!needs_text || !text.is_empty()).then_some(Word { not, field, text })
    }

    fn fits(&self, summary: &Summary, read: bool, text: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(&self.text);
        let person = |person: &Person| has(&person.address) || has(&person.name);
        let among = |people: &[Person]| people.iter().any(person);
        let addressed = || {
            person(&summary.from)
                || among(&summary.to)
                || among(&summary.cc)
                || among(&summary.bcc)
                || among(&summary.reply_to)
        };
        match self.field {
            Field::From => person(&summary.from),
            Field::To => among(&summary.to),
            Field::Cc => among(&summary.cc),
            Field::Bcc => among(&summary.bcc),
            Field::ReplyTo => among(&summary.reply_to),
            Field::Addressed => addressed(),
            Field::Subject => has(&summary.subject),
            Field::MessageId => has(&summary.message_id),
            Field::IsRead => read,
            Field::IsUnread => !read,
            Field::HasAttachment => summary.attachments > 0,
            Field::Anywhere => addressed() || has(&summary.subject) || text.contains(&self.text),
        }
    }
}

/// What blanks separate; within quotes they do not.
fn words(query: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in query.chars() {
        quoted ^= c == '"';
        if c.is_whitespace() && !quoted {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(c);
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Envelope;
    use time::OffsetDateTime;

    #[test]
    fn words_narrow_a_search() {
        let envelope =
            Envelope { from: "a@b.c".into(), to: vec!["ann@x.dev".into()], at: OffsetDateTime::UNIX_EPOCH };
        let raw = b"From: Bob <a@b.c>\r\nTo: ann@x.dev\r\nSubject: Sign in now\r\n\r\nYour code is 1234";
        let summary = Summary::of(&envelope, raw);
        let fits = |query: &str| Search::parse(query).fits(&summary, false, "your code is 1234");
        for query in [
            "to:ann@x.dev",
            "TO:\"ann@x.dev\"",
            "subject:\"sign in\" from:bob",
            "is:unread",
            "code 1234",
            "-to:zoe",
            "\"code is\"",
            "addressed:ann",
            "",
        ] {
            assert!(fits(query), "{query}");
        }
        for query in ["to:zoe", "is:read", "-to:ann", "has:attachment", "subject:sign nowhere", "from:ann"] {
            assert!(!fits(query), "{query}");
        }
    }
}
