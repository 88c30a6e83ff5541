//! What the row of an object says of its body.

use serde::{Deserialize, Serialize};
use std::time::SystemTime;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

/// Milliseconds and `Z`, as JavaScript writes times.
const ISO: &[FormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
/// The date of HTTP headers.
const HTTP: &[FormatItem<'static>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// The column `metadata`. Rows may have been written by hand, so everything can be missing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Metadata {
    /// In quotes.
    #[serde(rename = "eTag")]
    pub(crate) etag: String,
    pub(crate) size: u64,
    pub(crate) mimetype: String,
    pub(crate) cache_control: String,
    /// [`iso`]
    pub(crate) last_modified: String,
    pub(crate) content_length: u64,
    pub(crate) http_status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) x_robots_tag: Option<String>,
}

impl Metadata {
    /// Reads the column; what makes no sense in it is as if it were not there.
    pub(crate) fn of(text: Option<&str>) -> Metadata {
        let value: serde_json::Value = text.and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default();
        let word = |name: &str| value.get(name).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
        let number = |name: &str| {
            let found = value.get(name);
            found.and_then(|v| v.as_u64().or_else(|| v.as_f64().map(|f| f as u64))).unwrap_or_default()
        };
        Metadata {
            etag: word("eTag"),
            size: number("size"),
            mimetype: word("mimetype"),
            cache_control: word("cacheControl"),
            last_modified: word("lastModified"),
            content_length: number("contentLength"),
            http_status_code: 200,
            x_robots_tag: value.get("xRobotsTag").and_then(|v| v.as_str()).map(str::to_owned),
        }
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts are JSON")
    }
}

/// A time as rows and answers have it.
pub(crate) fn iso(at: SystemTime) -> String {
    OffsetDateTime::from(at).format(ISO).unwrap_or_default()
}

/// The time in an ISO text.
pub(crate) fn parse_iso(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()
}

/// A time as HTTP headers have it.
pub(crate) fn http_date(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(HTTP).unwrap_or_default()
}

/// The time in an HTTP header.
pub(crate) fn parse_http_date(text: &str) -> Option<OffsetDateTime> {
    time::PrimitiveDateTime::parse(text.trim(), HTTP).ok().map(time::PrimitiveDateTime::assume_utc)
}

/// The header `x-robots-tag` of an upload, if it may be stored and served.
pub(crate) fn is_robots_tag(value: &str) -> bool {
    value.len() <= 1000 && !value.trim().is_empty() && {
        // `agent: rule, rule`; `unavailable_after` takes a date, which may have commas in it.
        let mut rest = value;
        while !rest.is_empty() {
            let Some(left) = robots_rule(rest.trim_start()) else { return false };
            rest = left;
        }
        true
    }
}

/// Takes one rule, and an agent before it; what is left of the list.
fn robots_rule(text: &str) -> Option<&str> {
    const PLAIN: [&str; 8] =
        ["all", "noindex", "nofollow", "none", "nosnippet", "indexifembedded", "notranslate", "noimageindex"];
    let (rule, rest) = text.split_once(',').unwrap_or((text, ""));
    let rule = rule.trim();
    if PLAIN.iter().any(|plain| plain.eq_ignore_ascii_case(rule)) {
        return Some(rest);
    }
    let (name, value) = rule.split_once(':')?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    let number = || value.parse::<i64>().is_ok_and(|n| n >= -1);
    let fits = match name.as_str() {
        "max-snippet" | "max-video-preview" => number(),
        "max-image-preview" => ["none", "standard", "large"].contains(&value),
        // The date goes on behind its comma.
        "unavailable_after" => return unavailable_after(text),
        agent => {
            let is_agent = !agent.is_empty()
                && agent.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            let begins = text.find(':').map_or(text.len(), |at| at + 1);
            return if is_agent && !value.is_empty() {
                robots_rule(text.get(begins..)?.trim_start())
            } else {
                None
            };
        }
    };
    fits.then_some(rest)
}

fn unavailable_after(text: &str) -> Option<&str> {
    let (_, value) = text.split_once(':')?;
    let parts: Vec<&str> = value.splitn(3, ',').collect();
    let is_date = |date: &str| {
        let date = date.trim();
        date.bytes().any(|b| b.is_ascii_digit())
            && date.len() >= 8
            && date.bytes().all(|b| b.is_ascii_alphanumeric() || b" :-+.,".contains(&b))
    };
    match parts.as_slice() {
        // RFC 1123 and RFC 850 dates have one comma.
        [day, date, ..] if day.trim().bytes().all(|b| b.is_ascii_alphabetic()) && is_date(date) => {
            Some(parts.get(2).copied().unwrap_or_default())
        }
        [date, ..] if is_date(date) => Some(value.split_once(',').map_or("", |(_, rest)| rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_by_hand_are_read_as_far_as_they_go() {
        assert_eq!(Metadata::of(None).size, 0);
        assert_eq!(Metadata::of(Some("[]")).mimetype, "");
        let read = Metadata::of(Some(r#"{"size":12.0,"mimetype":"a/b","eTag":null}"#));
        assert_eq!((read.size, read.mimetype.as_str(), read.etag.as_str()), (12, "a/b", ""));
    }

    #[test]
    fn times() {
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_123);
        assert_eq!(iso(at), "2023-11-14T22:13:20.123Z");
        let date = http_date(parse_iso(&iso(at)).unwrap());
        assert_eq!(date, "Tue, 14 Nov 2023 22:13:20 GMT");
        assert_eq!(parse_http_date(&date).unwrap().unix_timestamp(), 1_700_000_000);
    }

    #[test]
    fn robots() {
        for good in [
            "none",
            "noindex, nofollow",
            "googlebot: noindex, nofollow",
            "max-snippet:-1, max-image-preview: large",
            "unavailable_after: 25 Jun 2010 15:00:00 PST, noindex",
            "unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT",
        ] {
            assert!(is_robots_tag(good), "{good}");
        }
        for bad in [
            "",
            "nonsense",
            "max-snippet:-2",
            "max-image-preview:huge",
            "noindex, what",
            "bot: ",
            "a b: none",
        ] {
            assert!(!is_robots_tag(bad), "{bad}");
        }
    }
}
