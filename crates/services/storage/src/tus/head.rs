//! The headers of the protocol.

use crate::call::Call;
use crate::refusal::{Outcome, Refusal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method};

pub(super) const VERSION: &str = "1.0.0";
pub(super) const OFFSET_STREAM: &str = "application/offset+octet-stream";
/// The most entries of `Upload-Metadata`.
const METADATA_MAX: usize = 64;

fn bad(status: u16, message: impl Into<String>) -> Refusal {
    Refusal::new(status, "TusError", message)
}

/// The method that is meant: some clients cannot send all of them.
pub(super) fn method(call: &Call) -> Method {
    let named = call.header("x-http-method-override").map(str::to_ascii_uppercase);
    match (&call.method, named.and_then(|name| name.parse().ok())) {
        (&Method::POST, Some(method)) => method,
        (method, _) => method.clone(),
    }
}

/// Checks the form of all headers of the protocol.
pub(super) fn check(headers: &HeaderMap, method: &Method) -> Outcome<()> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("\u{fffd}"));
    let mut wrong = Vec::new();
    match text("tus-resumable") {
        None => return Err(bad(412, "Tus-Resumable Required\n")),
        Some(VERSION) => {}
        Some(_) => wrong.push("tus-resumable"),
    }
    for (name, fits) in [
        ("upload-offset", text("upload-offset").is_none_or(|value| number(value).is_some())),
        ("upload-length", text("upload-length").is_none_or(|value| number(value).is_some())),
        ("upload-defer-length", text("upload-defer-length").is_none_or(|value| value == "1")),
        ("upload-metadata", text("upload-metadata").is_none_or(|value| Metadata::parse(value).is_some())),
        (
            "content-type",
            method != Method::PATCH || text("content-type").is_none_or(|value| value == OFFSET_STREAM),
        ),
    ] {
        if !fits {
            wrong.push(name);
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(bad(400, format!("Invalid {}\n", wrong.join(" ")))) }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More than the database's numbers hold is as wrong as a word.
    text.parse().ok().filter(|number| digits && *number <= i64::MAX as u64)
}

/// `Upload-Offset`.
pub(super) fn offset(call: &Call) -> Outcome<u64> {
    call.header("upload-offset").and_then(number).ok_or_else(|| bad(403, "Upload-Offset header required\n"))
}

/// `Upload-Length`, if it is there.
pub(super) fn length(call: &Call) -> Option<u64> {
    call.header("upload-length").and_then(number)
}

/// The length of a new upload; nothing: it is said later.
pub(super) fn new_length(call: &Call) -> Outcome<Option<u64>> {
    match (length(call), call.header("upload-defer-length").is_some()) {
        (Some(length), false) => Ok(Some(length)),
        (None, true) => Ok(None),
        _ => Err(bad(400, "Upload-Length or Upload-Defer-Length header required\n")),
    }
}

/// Whether the body is bytes of the upload.
pub(super) fn has_bytes(call: &Call) -> bool {
    call.header("content-type") == Some(OFFSET_STREAM)
}

/// What a client says of its file. In the order in which it was said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Metadata(Vec<(String, Option<String>)>);

impl Metadata {
    /// Reads the header. Nothing: it is malformed.
    pub(super) fn parse(header: &str) -> Option<Metadata> {
        let mut entries: Vec<(String, Option<String>)> = Vec::new();
        for entry in header.split(',') {
            let mut words = entry.split(' ').filter(|word| !word.is_empty());
            let (name, value) = (words.next()?, words.next());
            let value = match value {
                Some(value) => Some(String::from_utf8(STANDARD.decode(value).ok()?).ok()?),
                None => None,
            };
            let again = entries.iter().any(|(known, _)| known == name);
            if words.next().is_some() || again || !name.is_ascii() || entries.len() >= METADATA_MAX {
                return None;
            }
            entries.push((name.to_owned(), value));
        }
        Some(Metadata(entries))
    }

    /// What is said under a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_deref())
    }

    /// What caches are told.
    pub(super) fn cache_control(&self) -> String {
        let text = self.get("cacheControl").unwrap_or_default();
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { format!("max-age={text}") } else { "no-cache".to_owned() }
    }

    /// The same, with the word for caches in its final form.
    pub(super) fn settled(mut self) -> Metadata {
        let value = Some(self.cache_control());
        match self.0.iter_mut().find(|(name, _)| name == "cacheControl") {
            Some(entry) => entry.1 = value,
            None => self.0.push(("cacheControl".to_owned(), value)),
        }
        self
    }

    /// The header.
    pub(super) fn header(&self) -> String {
        let entry = |(name, value): &(String, Option<String>)| match value {
            Some(value) => format!("{name} {}", STANDARD.encode(value)),
            None => name.clone(),
        };
        self.0.iter().map(entry).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn metadata_goes_round() {
        let metadata =
            Metadata::parse("bucketName YQ==,objectName Yi9j, cacheControl MzYwMA==,empty").unwrap();
        assert_eq!(metadata.get("bucketName"), Some("a"));
        assert_eq!(metadata.get("objectName"), Some("b/c"));
        assert_eq!(metadata.get("empty"), None);
        let settled = metadata.settled();
        assert_eq!(settled.get("cacheControl"), Some("max-age=3600"));
        assert_eq!(Metadata::parse(&settled.header()), Some(settled));
        let none = Metadata::parse("a YQ==").unwrap().settled();
        assert_eq!(none.get("cacheControl"), Some("no-cache"));
        for bad in ["", "a YQ==,a YQ==", "a !", "a YQ== YQ==", ",", "a /w=="] {
            assert_eq!(Metadata::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn headers_are_checked_together() {
        let said = |pairs: &[(&'static str, &'static str)], method: &Method| {
            check(&headers(pairs), method).map_err(|refused| (refused.inner, refused.fault.message))
        };
        assert_eq!(said(&[], &Method::HEAD), Err((412, "Tus-Resumable Required\n".to_owned())));
        let old = [("tus-resumable", "0.2.2")];
        assert_eq!(said(&old, &Method::HEAD), Err((400, "Invalid tus-resumable\n".to_owned())));
        let typed = [("tus-resumable", "1.0.0"), ("content-type", "text/plain")];
        assert_eq!(said(&typed, &Method::PATCH), Err((400, "Invalid content-type\n".to_owned())));
        assert_eq!(said(&typed, &Method::POST), Ok(()));
        for value in ["-1", "1.5", "x", "", "+1", "99999999999999999999"] {
            let offset = [("tus-resumable", "1.0.0"), ("upload-offset", value)];
            assert_eq!(said(&offset, &Method::PATCH), Err((400, "Invalid upload-offset\n".to_owned())));
        }
    }
}
