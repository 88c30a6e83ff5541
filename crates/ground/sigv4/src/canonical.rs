//! The form of a request in which both sides sign it.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

/// What stands for itself in what is signed: RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same in paths.
const RESERVED_IN_PATHS: &AsciiSet = &RESERVED.remove(b'/');

/// Percent-encodes a name or a value as AWS does.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Percent-encodes a path as S3 does: slashes stay, and nothing is removed or encoded twice.
pub fn encode_path(text: &str) -> String {
    utf8_percent_encode(text, RESERVED_IN_PATHS).to_string()
}

/// Names and values of headers, as received. Names in lower case.
pub type Headers<'a> = [(&'a str, &'a str)];

/// A request, as received: nothing decoded, nothing tidied.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`.
    pub method: &'a str,
    /// The path as on the request line, or the part of it that is left behind a proxy.
    pub path: &'a str,
    /// What follows the question mark, if anything.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a Headers<'a>,
}

impl<'a> Request<'a> {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    /// A parameter's decoded value, by its exact name.
    pub fn parameter(&self, name: &str) -> Option<String> {
        parameters(self.query).find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

/// Decodes one name or value of a query.
pub fn decode(text: &str) -> String {
    let spaced = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// Parameters in their order, decoded.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// The query as signed: encoded anew, sorted, without the signature.
pub(crate) fn query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = parameters(query)
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| (encode(&name), encode(&value)))
        .collect();
    pairs.sort();
    let mut text = String::with_capacity(query.len());
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&name);
        text.push('=');
        text.push_str(&value);
    }
    text
}

/// A header's value as signed: trimmed, and every run of blanks a single space.
fn tidy(value: &str) -> Cow<'_, str> {
    let trimmed = value.trim_matches([' ', '\t']);
    if !trimmed.contains("  ") && !trimmed.contains('\t') {
        return Cow::Borrowed(trimmed);
    }
    let mut text = String::with_capacity(trimmed.len());
    let mut blank = false;
    for c in trimmed.chars() {
        let now = matches!(c, ' ' | '\t');
        if !(now && blank) {
            text.push(if now { ' ' } else { c });
        }
        blank = now;
    }
    Cow::Owned(text)
}

/// The lines of the signed headers before the line of the host, and those behind it.
fn lines(headers: &Headers<'_>, signed: &[String]) -> [String; 2] {
    let [mut before, mut behind] = [String::new(), String::new()];
    let mut text = &mut before;
    for name in signed {
        if name == "host" {
            text = &mut behind;
            continue;
        }
        text.push_str(name);
        text.push(':');
        // Cloudflare rewrites this one and keeps what the client sent.
        let original = (name == "accept-encoding")
            .then(|| headers.iter().find(|(n, _)| *n == "x-original-accept-encoding"))
            .flatten()
            .map(|(_, value)| *value);
        let mut values = headers.iter().filter(|(n, _)| n == name).map(|(_, value)| *value);
        let first = original.or_else(|| values.next());
        text.push_str(&first.map(tidy).unwrap_or_default());
        if original.is_none() {
            for value in values {
                text.push(',');
                text.push_str(&tidy(value));
            }
        }
        text.push('\n');
    }
    [before, behind]
}

/// A canonical request but for its path and what the client called us: everything that is long is made once.
pub(crate) struct Canonical<'a> {
    method: &'a str,
    query: String,
    before_host: String,
    behind_host: String,
    signed: String,
    payload: &'a str,
}

impl<'a> Canonical<'a> {
    /// `signed` must name `host`, and each header once.
    pub(crate) fn new(request: Request<'a>, signed: &[String], payload: &'a str) -> Self {
        let [before_host, behind_host] = lines(request.headers, signed);
        let (query, signed) = (query(request.query), signed.join(";"));
        Canonical { method: request.method, query, before_host, behind_host, signed, payload }
    }

    /// The canonical request for a path and a host, piece by piece.
    fn pieces<'p>(&'p self, path: &'p str, host: &'p str) -> [&'p str; 15] {
        let path = if path.is_empty() { "/" } else { path };
        let Canonical { method, query, before_host, behind_host, signed, payload } = self;
        let (before, behind, end) = (before_host.as_str(), behind_host.as_str(), "\n");
        [method, end, path, end, query, end, before, "host:", host, end, behind, end, signed, end, payload]
    }

    /// How long it is for a path and a host.
    pub(crate) fn len(&self, path: &str, host: &str) -> usize {
        self.pieces(path, host).iter().map(|piece| piece.len()).sum()
    }

    /// Its SHA-256 in hexadecimal for a path and a host.
    pub(crate) fn hash(&self, path: &str, host: &str) -> String {
        let mut hash = Sha256::new();
        for piece in self.pieces(path, host) {
            hash.update(piece);
        }
        hex::encode(hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_sorted_by_what_is_signed() {
        assert_eq!(query("b=2&a=1&a=0&=x&flag&X-Amz-Signature=00"), "=x&a=0&a=1&b=2&flag=");
        assert_eq!(query("Param2=value2&Param1=value1"), "Param1=value1&Param2=value2");
        assert_eq!(query("k=a+b%2Fc~%7e*"), "k=a%20b%2Fc~~%2A");
        assert_eq!(query("%E1%88%B4=bar"), "%E1%88%B4=bar");
        assert_eq!(query(""), "");
    }

    #[test]
    fn values_of_headers_are_tidied() {
        let signed = ["host".to_owned(), "my-header1".to_owned(), "my-header2".to_owned()];
        let list = [("my-header1", " value1"), ("my-header2", "\"a   b \t c\""), ("my-header1", "value2 ")];
        let behind = "my-header1:value1,value2\nmy-header2:\"a b c\"\n";
        assert_eq!(lines(&list, &signed), ["", behind]);
        let request = Request { method: "PUT", path: "/p", query: "a", headers: &list };
        let canonical = Canonical::new(request, &signed, "hash");
        let text = ["PUT\n/p\na=\nhost:h:1\n", behind, "\nhost;my-header1;my-header2\nhash"].concat();
        assert_eq!(canonical.pieces("/p", "h:1").concat(), text);
        assert_eq!(canonical.len("/p", "h:1"), text.len());
        assert_eq!(canonical.hash("/p", "h:1"), crate::sha256(text.as_bytes()));
    }

    #[test]
    fn paths_keep_their_slashes() {
        assert_eq!(encode_path("/a b//c(1)é"), "/a%20b//c%281%29%C3%A9");
    }
}
