//! Answers with the bytes of an object: whole, in part, or not at all because the client has them.

use crate::Storage;
use crate::call::Call;
use crate::find::Found;
use crate::metadata::{http_date, parse_http_date};
use crate::mime;
use crate::refusal::{self, Outcome};
use axum::body::Body;
use blob::Reading;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::ops::Range;

const X_ROBOTS_TAG: HeaderName = HeaderName::from_static("x-robots-tag");
/// What `encodeURIComponent` leaves as it is.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// How an object is served.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    /// When the right to read ends, in Unix seconds; caches are told that instead of the object's own word.
    pub(crate) expires: Option<u64>,
}

/// What of a body is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    Range(Range<u64>),
    Unsatisfiable,
}

/// The part that a `Range` header names, RFC 9110 §14.2; several at once are refused, as the reference does.
pub(crate) fn part(header: Option<&str>, size: u64) -> Part {
    let Some(text) = header else { return Part::Whole };
    let range = || {
        let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
        if first.is_empty() {
            let count: u64 = last.parse().ok()?;
            return (count > 0 && size > 0).then(|| size.saturating_sub(count)..size);
        }
        let first: u64 = first.parse().ok()?;
        let end = if last.is_empty() { size } else { last.parse::<u64>().ok()?.saturating_add(1).min(size) };
        (first < end).then_some(first..end)
    };
    range().map_or(Part::Unsatisfiable, Part::Range)
}

/// The part of an object that is wanted. One of another version than there is now counts as all of it, RFC 9110 §13.1.5.
pub(crate) fn range_of<'a>(headers: &'a HeaderMap, found: &Found) -> Option<&'a str> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_same = text(header::IF_RANGE).is_none_or(|version| match parse_http_date(version) {
        Some(at) => found.modified().is_some_and(|since| since.unix_timestamp() == at.unix_timestamp()),
        None => version.trim() == found.etag(),
    });
    text(header::RANGE).filter(|_| is_same)
}

/// Whether the client has the object already, RFC 9110 §13.
pub(crate) fn is_known(headers: &HeaderMap, found: &Found) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let etag = found.etag();
    let named = text(header::IF_NONE_MATCH).map(|list| matches(list, &etag));
    let modified = || {
        let since = parse_http_date(text(header::IF_MODIFIED_SINCE)?)?;
        Some(found.modified()?.unix_timestamp() <= since.unix_timestamp())
    };
    named.or_else(modified).unwrap_or(false)
}

/// Whether a list of ETags names this one.
pub(crate) fn matches(list: &str, etag: &str) -> bool {
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    list.trim() == "*" || list.split(',').any(|tag| plain(tag) == plain(etag))
}

impl Storage {
    /// The bytes of an object, as the request wants them.
    pub(crate) async fn serve(&self, call: &Call, found: &Found, manner: Manner) -> Outcome<Response<Body>> {
        let mut headers = self.object_headers(call, found, manner);
        if is_known(&call.headers, found) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
            return Ok(answer(StatusCode::NOT_MODIFIED, headers, Body::empty()));
        }
        let size = found.metadata.size;
        let (status, range) = match part(range_of(&call.headers, found), size) {
            Part::Whole => (StatusCode::OK, None),
            Part::Unsatisfiable => return Err(refusal::invalid_range()),
            Part::Range(range) => {
                let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                set(&mut headers, header::CONTENT_RANGE, &text);
                (StatusCode::PARTIAL_CONTENT, Some(range))
            }
        };
        let reading = self.read(found, range).await?;
        Ok(answer_with(status, headers, reading))
    }

    /// The body of an object, or a part of it. Owners of a project may write into its rows: of a body that is longer
    /// or shorter than its row says no part is given out, because nobody could be told of how much it is one.
    pub(crate) async fn read(&self, found: &Found, range: Option<Range<u64>>) -> Outcome<Reading> {
        let key = self.body_key(&found.version).ok_or_else(refusal::no_body)?;
        let is_part = range.is_some();
        let reading = self.machinery.blobs.read(&key, range).await?;
        if is_part && reading.size() != found.metadata.size {
            tracing::warn!(
                size = reading.size(),
                row = found.metadata.size,
                "a row does not say how long its body is"
            );
            return Err(refusal::internal("Internal server error"));
        }
        Ok(reading)
    }

    /// An object's headers without its bytes.
    pub(crate) fn head(&self, call: &Call, found: &Found) -> Response<Body> {
        let mut headers = self.object_headers(call, found, Manner::default());
        headers.insert(X_ROBOTS_TAG, HeaderValue::from_static("none"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(found.metadata.size));
        if let Some(list) = call.header(header::IF_NONE_MATCH)
            && !matches(list, &found.etag())
        {
            let text = own_word(call, found);
            set(&mut headers, header::CACHE_CONTROL, &format!("{text}, must-revalidate"));
        }
        answer(StatusCode::OK, headers, Body::empty())
    }

    pub(crate) fn object_headers(&self, call: &Call, found: &Found, manner: Manner) -> HeaderMap {
        let metadata = &found.metadata;
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        // A page of a user's would run its scripts in the name of this host.
        let is_page = metadata.mimetype.to_ascii_lowercase().contains("text/html");
        set(&mut headers, header::CONTENT_TYPE, if is_page { "text/plain" } else { &metadata.mimetype });
        disarm(&mut headers);
        set(&mut headers, header::ETAG, &found.etag());
        if let Some(at) = found.modified() {
            set(&mut headers, header::LAST_MODIFIED, &http_date(at));
        }
        set(&mut headers, X_ROBOTS_TAG, metadata.x_robots_tag.as_deref().unwrap_or("none"));
        match manner.expires.and_then(|at| time::OffsetDateTime::from_unix_timestamp(at as i64).ok()) {
            Some(at) => set(&mut headers, header::EXPIRES, &http_date(at)),
            None => set(&mut headers, header::CACHE_CONTROL, &self.cache_control(call, found)),
        }
        if !found.is_public && manner.expires.is_none() {
            headers.insert(header::VARY, HeaderValue::from_static("authorization, apikey"));
        }
        if let Some(name) = call.query("download") {
            set(&mut headers, header::CONTENT_DISPOSITION, &disposition(name));
        }
        headers
    }

    /// The object's own word for caches, with what those are told that ask whether it still holds.
    fn cache_control(&self, call: &Call, found: &Found) -> String {
        let mut text = own_word(call, found);
        if let Some(list) = call.header(header::IF_NONE_MATCH).filter(|_| call.method != Method::HEAD) {
            if let Some(seconds) = self.settings.s_maxage.filter(|seconds| *seconds > 0) {
                text.push_str(&format!(", s-maxage={seconds}"));
            }
            if !matches(list, &found.etag()) {
                text.push_str(", stale-while-revalidate=30");
            }
        }
        text
    }

    /// The name of the body of a version; nothing when it can be none of ours.
    pub(crate) fn body_key(&self, version: &str) -> Option<blob::Key> {
        Some(blob::Key::new(&self.settings.project, version.parse().ok()?))
    }
}

/// The object's own word for caches. Those that others share keep nothing that was sent for an `Authorization`; who
/// comes with a key alone sends none, so that it has to be said.
pub(crate) fn own_word(call: &Call, found: &Found) -> String {
    let text = &found.metadata.cache_control;
    if !found.is_public && call.caller.is_some() {
        return ["private, ", text].concat().trim_end_matches(", ").to_owned();
    }
    text.clone()
}

/// Has browsers that open a file take it for what it says it is, and run nothing in it in the name of this host.
pub(crate) fn disarm(headers: &mut HeaderMap) {
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (is_usable, is_inert) = (mime::served(named) == named, mime::is_inert(mime::served(named)));
    if !is_usable {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(mime::DEFAULT));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !is_inert {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    }
}

/// `Content-Disposition` of a download under a name; without one the client decides.
pub(crate) fn disposition(name: &str) -> String {
    if name.is_empty() {
        return "attachment;".to_owned();
    }
    let name = utf8_percent_encode(name, COMPONENT);
    format!("attachment; filename={name}; filename*=UTF-8''{name}")
}

pub(crate) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // What cannot stand in a header came from a row; the header is left out then.
    if let Ok(value) = HeaderValue::from_str(value)
        && !value.is_empty()
    {
        headers.insert(name, value);
    }
}

/// On an answer whose body comes piece by piece from where files are.
#[derive(Clone, Copy)]
pub(crate) struct Flows;

pub(crate) fn answer(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.extensions_mut().insert(Flows);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// An answer with bytes of a body. How many follow is the body's word and never the row's: with another number, bytes of
/// the object would be read as the next answer of the connection.
pub(crate) fn answer_with(status: StatusCode, mut headers: HeaderMap, reading: Reading) -> Response<Body> {
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(reading.left()));
    answer(status, headers, Body::new(reading))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let of = |text: &str| part(Some(text), 10);
        assert_eq!(part(None, 10), Part::Whole);
        for (text, range) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-", 2..10),
            ("bytes=-3", 7..10),
            ("bytes=5-99", 5..10),
            ("bytes=-99", 0..10),
        ] {
            assert_eq!(of(text), Part::Range(range), "{text}");
        }
        for bad in [
            "bytes=10-",
            "bytes=3-2",
            "bytes=-0",
            "bytes=0-1,3-4",
            "bytes=",
            "chars=0-1",
            "bytes=a-b",
            "bytes=-",
        ] {
            assert_eq!(of(bad), Part::Unsatisfiable, "{bad}");
        }
        assert_eq!(part(Some("bytes=0-"), 0), Part::Unsatisfiable);
        assert_eq!(part(Some("bytes=-1"), 0), Part::Unsatisfiable);
    }

    #[test]
    fn lists_of_tags() {
        assert!(matches("*", "\"a\"") && matches("\"b\", W/\"a\"", "\"a\"") && matches("a", "\"a\""));
        assert!(!matches("\"b\"", "\"a\"") && !matches("", "\"a\""));
    }

    #[test]
    fn names_of_downloads_are_escaped() {
        assert_eq!(disposition(""), "attachment;");
        assert_eq!(disposition("a b.txt"), "attachment; filename=a%20b.txt; filename*=UTF-8''a%20b.txt");
        assert!(!disposition("a\r\nb\"").contains(['\r', '\n', '"']));
    }
}
