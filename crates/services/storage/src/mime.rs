//! Types of files: which a bucket takes, and which are what they say.

use crate::refusal::{self, Outcome};
use http::HeaderValue;

/// The type of what says none.
pub(crate) const DEFAULT: &str = "application/octet-stream";
/// The longest entry of a bucket's list.
const ENTRY_CHARS_MAX: usize = 1000;

/// A header that can be read as a type: `type/subtype`, perhaps with parameters.
pub(crate) fn check_header(text: &str) -> Outcome<()> {
    let essence = essence(text);
    let Some((kind, sub)) = essence.split_once('/') else { return Err(refusal::invalid_content_type()) };
    // What cannot be sent back would be served without a type, and be whatever a browser takes it for.
    let can_be_sent = text.is_ascii() && HeaderValue::from_str(text).is_ok();
    let fits = text.len() <= ENTRY_CHARS_MAX && can_be_sent;
    if is_token(kind) && is_token(sub) && fits { Ok(()) } else { Err(refusal::invalid_content_type()) }
}

/// The type under which a file is served: its own, if browsers can do something with that.
pub(crate) fn served(mime: &str) -> &str {
    let is_one = check_header(mime).is_ok() && essence(mime) != "*/*";
    if is_one { mime } else { DEFAULT }
}

/// Whether browsers that open a file of the type run nothing that is in it. Of a type that nobody knows they do not.
pub(crate) fn is_inert(mime: &str) -> bool {
    let essence = essence(mime).to_ascii_lowercase();
    let (kind, sub) = essence.split_once('/').unwrap_or_default();
    match kind {
        "image" | "audio" | "video" | "font" => !sub.contains("xml") && !sub.contains("svg"),
        "text" => matches!(sub, "plain" | "css" | "csv" | "javascript" | "markdown"),
        "application" => {
            matches!(sub, "octet-stream" | "pdf" | "json" | "javascript" | "wasm" | "zip" | "gzip")
        }
        _ => false,
    }
}

/// The type without its parameters.
pub(crate) fn essence(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim()
}

/// Whether a type is in a bucket's list; an empty list takes everything.
pub(crate) fn is_allowed(mime: &str, allowed: &[String]) -> bool {
    let wanted = essence(mime);
    let kind = wanted.split('/').next().unwrap_or_default();
    allowed.is_empty()
        || allowed.iter().any(|entry| {
            let entry = essence(entry);
            match entry.strip_suffix("/*") {
                Some(all_of) => all_of.eq_ignore_ascii_case(kind) || all_of == "*",
                None => entry == "*" || entry.eq_ignore_ascii_case(wanted),
            }
        })
}

/// An entry of a bucket's list: `type/subtype`, `type/*`, `*`, with a `charset` at most.
pub(crate) fn check_entry(entry: &str) -> Outcome<()> {
    let (essence, parameters) = entry.split_once(';').map_or((entry, None), |(e, p)| (e, Some(p)));
    let charset_only = parameters.is_none_or(|p| p.trim_start().starts_with("charset="));
    let fits = match essence.split_once('/') {
        Some((kind, sub)) => is_token(kind) && (sub == "*" || is_token(sub)),
        None => essence == "*",
    };
    if fits && charset_only && entry.len() <= ENTRY_CHARS_MAX {
        Ok(())
    } else {
        Err(refusal::invalid_mime(entry))
    }
}

/// The type that the end of a name stands for.
pub fn of_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit('/').next().unwrap_or_default().rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "txt" | "text" | "log" => "text/plain; charset=utf-8",
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "wasm" => "application/wasm",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "heic" => "image/heic",
        "svg" => "image/svg+xml",
        "ico" => "image/x-icon",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "m4a" => "audio/mp4",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => return None,
    })
}

/// The characters of a token, RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_take_types_with_parameters() {
        let list = |entries: &[&str]| entries.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>();
        assert!(is_allowed("text/plain; charset=utf-8", &list(&["text/plain"])));
        assert!(is_allowed("text/plain", &list(&["text/plain;charset=utf-8"])));
        assert!(is_allowed("image/png", &list(&["image/*"])));
        assert!(is_allowed("image/png", &list(&["*"])));
        assert!(is_allowed("x/y", &[]));
        assert!(!is_allowed("image/png", &list(&["image/jpeg", "text/*"])));
        assert!(!is_allowed("imagex/png", &list(&["image/*"])));
    }

    #[test]
    fn names_stand_for_types() {
        assert_eq!(of_name("a/b.PNG"), Some("image/png"));
        assert_eq!(
            (of_name("a.png/b"), of_name("b."), of_name("png"), of_name("")),
            (None, None, None, None)
        );
    }

    #[test]
    fn types_that_run_nothing() {
        for inert in ["image/png", "IMAGE/*", "video/mp4", "text/plain; charset=utf-8", "application/pdf"] {
            assert!(is_inert(inert), "{inert}");
        }
        for other in [
            "text/html",
            "image/svg+xml",
            "Image/SVG+XML; charset=utf-8",
            "application/xhtml+xml",
            "text/xml",
            "application/xml",
            "unknown/unknown",
            "multipart/x-mixed-replace",
            "",
        ] {
            assert!(!is_inert(other), "{other}");
        }
        assert_eq!(served("image/svg+xml"), "image/svg+xml");
        for unusable in ["", "x", "*/*", "*/*; q=1", "a/b\n"] {
            assert_eq!(served(unusable), DEFAULT, "{unusable}");
        }
    }

    #[test]
    fn headers_and_entries() {
        for good in ["text/plain", "image/svg+xml", "a/b; charset=x"] {
            assert!(check_header(good).is_ok(), "{good}");
        }
        for bad in ["", "nonsense", "a/", "/b", "a b/c", "a/b c", "image/png;\n", "image/png; a=\u{e9}"] {
            assert!(check_header(bad).is_err(), "{bad}");
        }
        assert!(check_entry("image/*").is_ok() && check_entry("*").is_ok());
        assert!(check_entry("thisisnotamimetype").is_err() && check_entry("a/b; q=1").is_err());
    }
}
