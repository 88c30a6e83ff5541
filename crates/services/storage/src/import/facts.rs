//! What a body and the notes beside it say, for the row.

use crate::mime;
use crate::upload::{CACHE_CONTROL_BYTES_MAX, stamp};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::time::SystemTime;

/// What is known of a body.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
    pub(super) first: Bytes,
    /// As noted with it.
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) modified: Option<SystemTime>,
    /// The tag that the place has for it.
    pub(super) etag: Option<String>,
}

impl Facts {
    fn tag(&self) -> String {
        hex::encode(self.md5)
    }

    /// The noted type, or what the name stands for, or what the bytes look like.
    fn mime(&self, key: &str) -> String {
        let noted = self.content_type.as_deref().filter(|text| mime::check_header(text).is_ok());
        let guessed = || infer::get(&self.first).map(|found| found.mime_type());
        noted.or_else(|| mime::of_name(key)).or_else(guessed).unwrap_or(mime::DEFAULT).to_owned()
    }

    fn cache_control(&self) -> String {
        match self.cache_control.as_deref().map(str::trim) {
            Some(seconds) if !seconds.is_empty() && seconds.bytes().all(|b| b.is_ascii_digit()) => {
                format!("max-age={seconds}")
            }
            Some(text) if is_header(text) => text.to_owned(),
            _ => "no-cache".to_owned(),
        }
    }

    /// The metadata of a row that says nothing yet of its body.
    pub(super) fn metadata(&self, key: &str) -> Value {
        json!({
            "eTag": format!("\"{}\"", self.tag()),
            "size": self.size,
            "mimetype": self.mime(key),
            "cacheControl": self.cache_control(),
            "lastModified": self.modified.map(stamp).unwrap_or_default(),
            "contentLength": self.size,
            "httpStatusCode": 200,
        })
    }

    /// Whether the body is another than a row says, and how. Only a plain MD5 can be compared: stores have other tags
    /// for large files, and what the place itself has noted counts, too.
    pub(super) fn contradiction(&self, said: &Said) -> Option<String> {
        if let Some(size) = said.size.filter(|size| *size != self.size) {
            return Some(other_size(size, self.size));
        }
        let tag = said.tag.as_deref().filter(|tag| is_md5(tag))?;
        let fits = tag.eq_ignore_ascii_case(&self.tag()) || self.etag.as_deref() == Some(tag);
        (!fits).then(|| "its MD5 is not the ETag of the row".to_owned())
    }
}

/// Whether a note can stand where every answer and every list repeats it.
fn is_header(text: &str) -> bool {
    let fits = !text.is_empty() && text.len() <= CACHE_CONTROL_BYTES_MAX;
    fits && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// How a body differs from its row.
pub(super) fn other_size(said: u64, is: u64) -> String {
    format!("{is} bytes, and {said} in the row")
}

fn is_md5(tag: &str) -> bool {
    tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a row says of its body.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    all: Map<String, Value>,
    pub(super) size: Option<u64>,
    /// Without quotes.
    pub(super) tag: Option<String>,
}

impl Said {
    /// Reads the column `metadata`; what is no object says nothing.
    pub(super) fn of(column: Option<&str>) -> Said {
        let all: Map<String, Value> =
            column.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let size = all.get("size").and_then(|size| {
            size.as_u64().or_else(|| size.as_f64().filter(|size| *size >= 0.0).map(|size| size as u64))
        });
        let tag = all.get("eTag").and_then(Value::as_str);
        let tag = tag.map(|tag| tag.trim_matches('"').to_owned()).filter(|tag| !tag.is_empty());
        Said { all, size, tag }
    }

    /// Whether there is nothing to add.
    pub(super) fn is_complete(&self) -> bool {
        ["eTag", "size", "mimetype", "cacheControl", "lastModified", "contentLength", "httpStatusCode"]
            .iter()
            .all(|name| self.has(name))
    }

    fn has(&self, name: &str) -> bool {
        match self.all.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(_) => true,
        }
    }

    /// The same with what is missing. `anew` is whether the body is another than the row said: size and tag are its
    /// own then.
    pub(super) fn filled(&self, from: Value, anew: bool) -> String {
        let mut all = self.all.clone();
        let Value::Object(from) = from else { return Value::Object(all).to_string() };
        for (name, value) in from {
            let is_of_body = matches!(name.as_str(), "eTag" | "size" | "contentLength");
            if !self.has(&name) || (anew && is_of_body) {
                all.insert(name, value);
            }
        }
        Value::Object(all).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            size: 3,
            md5: [0xab; 16],
            first: Bytes::from_static(b"\x89PNG\r\n\x1a\n"),
            ..Facts::default()
        }
    }

    #[test]
    fn types_are_noted_or_named_or_seen() {
        assert_eq!(facts().mime("a/b.TXT"), "text/plain; charset=utf-8");
        assert_eq!(facts().mime("a.png/b"), "image/png");
        let noted = Facts { content_type: Some("x/y; z=1".to_owned()), ..facts() };
        assert_eq!(noted.mime("b.txt"), "x/y; z=1");
        let wrong = Facts { content_type: Some("no type".to_owned()), first: Bytes::new(), ..facts() };
        assert_eq!(wrong.mime("b"), "application/octet-stream");
    }

    #[test]
    fn words_for_caches() {
        let of = |text: &str| Facts { cache_control: Some(text.to_owned()), ..facts() }.cache_control();
        assert_eq!(of("3600"), "max-age=3600");
        assert_eq!(of("public, max-age=1"), "public, max-age=1");
        assert_eq!((of(""), of("a\nb")), ("no-cache".to_owned(), "no-cache".to_owned()));
    }

    #[test]
    fn rows_are_filled_and_not_overwritten() {
        let said = Said::of(Some(r#"{"size":3,"mimetype":"a/b","mine":1,"eTag":""}"#));
        assert!(!said.is_complete());
        let filled: Value = serde_json::from_str(&said.filled(facts().metadata("x.txt"), false)).unwrap();
        assert_eq!(filled["mimetype"], "a/b");
        assert_eq!(filled["mine"], 1);
        assert_eq!(filled["eTag"], format!("\"{}\"", "ab".repeat(16)));
        assert!(Said::of(Some(&filled.to_string())).is_complete() || filled["lastModified"] == "");
        let anew = Said::of(Some(r#"{"size":4,"contentLength":4,"eTag":"\"x\"","mimetype":"a/b"}"#));
        let filled: Value = serde_json::from_str(&anew.filled(facts().metadata("x"), true)).unwrap();
        assert_eq!(
            (&filled["size"], &filled["contentLength"], &filled["mimetype"]),
            (&json!(3), &json!(3), &json!("a/b"))
        );
        assert!(!Said::of(None).is_complete() && Said::of(Some("[]")).size.is_none());
    }

    #[test]
    fn bodies_are_held_against_their_rows() {
        let says = |text: String| facts().contradiction(&Said::of(Some(&text)));
        assert!(says(json!({ "size": 3, "eTag": format!("\"{}\"", "AB".repeat(16)) }).to_string()).is_none());
        assert!(says(json!({ "size": 3, "eTag": "\"0123-2\"" }).to_string()).is_none());
        assert!(says("{}".to_owned()).is_none());
        assert!(says(json!({ "size": 4 }).to_string()).unwrap().contains("3 bytes, and 4"));
        assert!(says(json!({ "eTag": "cd".repeat(16) }).to_string()).unwrap().contains("MD5"));
        let known = Facts { etag: Some("cd".repeat(16)), ..facts() };
        assert!(
            known.contradiction(&Said::of(Some(&json!({ "eTag": "cd".repeat(16) }).to_string()))).is_none()
        );
    }
}
