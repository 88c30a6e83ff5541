//! Entity tags: a client that has an answer already is told so instead of getting it again.
//!
//! The tag is strong: a SHA-256 over everything that makes the representation, so that equal tags mean equal bytes. It
//! says nothing about rows; the statement runs either way. An answer that is streamed has none, because it would have
//! to be there before its headers are sent.
//!
//! `Cache-Control: private, no-cache` goes with it: an answer depends on who asks, so caches may keep it for their own
//! user only, and ask before each use. Then it does no harm that `Vary`, which the protocol fixes, does not name the
//! headers that say who asks: another user's tag does not match.

use super::{CONTENT_PROFILE, Draft};
use crate::execute::Content;
use crate::plan::{Rows, Work};
use crate::request::{Calling, MediaType};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, PRAGMA};
use http::{HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

/// The bytes of a hash that a tag shows.
const TAG_BYTES: usize = 18;

/// Whether answers to a plan are marked: those to GET that are rows.
pub fn suits(plan: &Rows) -> bool {
    let got = matches!(plan.work, Work::Read { head: false } | Work::Call { how: Calling::Get, .. });
    got && !matches!(plan.media, MediaType::Plan(_))
}

/// Adds the tag, and turns the answer into 304 when `none_match` has it. A tag that the database set is kept.
pub fn mark(draft: &mut Draft, none_match: Option<&str>) {
    if !matches!(draft.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
        return;
    }
    let tag = match (draft.headers.get(ETAG), &draft.body) {
        (Some(tag), _) => tag.clone(),
        (None, Content::Streamed(_) | Content::Collected(_)) => return,
        (None, Content::Whole(body)) => {
            let Ok(tag) = HeaderValue::try_from(tag(draft, body)) else { return };
            draft.headers.insert(ETAG, tag.clone());
            tag
        }
    };
    if !draft.headers.contains_key(PRAGMA) {
        draft.headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    }
    if none_match.is_some_and(|listed| lists(listed, tag.as_bytes())) {
        draft.status = StatusCode::NOT_MODIFIED;
        draft.body = Content::default();
        for name in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_RANGE] {
            draft.headers.remove(name);
        }
    }
}

fn tag(draft: &Draft, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(draft.status.as_u16().to_be_bytes());
    for name in [CONTENT_TYPE, CONTENT_RANGE, CONTENT_PROFILE] {
        let value = draft.headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
        hash.update((value.len() as u64).to_be_bytes());
        hash.update(value);
    }
    hash.update(body);
    format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&hash.finalize()[..TAG_BYTES]))
}

/// Whether `If-None-Match` lists a tag. The comparison is the weak one, as RFC 9110 wants it here.
fn lists(header: &str, tag: &[u8]) -> bool {
    let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    let tag = opaque(tag);
    header.split(',').map(str::trim).any(|listed| listed == "*" || opaque(listed.as_bytes()) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn marked(status: StatusCode, range: &str, body: &'static [u8], none_match: Option<&str>) -> Draft {
        let mut draft = Draft::new(status);
        draft.header(CONTENT_RANGE, range);
        draft.body = Bytes::from_static(body).into();
        mark(&mut draft, none_match);
        draft
    }

    fn tag_of(status: StatusCode, range: &str, body: &'static [u8]) -> String {
        let draft = marked(status, range, body, None);
        draft.headers.get(ETAG).map_or("", |tag| tag.to_str().unwrap()).to_owned()
    }

    #[test]
    fn equal_answers_have_equal_tags_and_others_have_not() {
        let tag = tag_of(StatusCode::OK, "0-1/*", b"[]");
        assert_eq!(tag, tag_of(StatusCode::OK, "0-1/*", b"[]"));
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 26);
        for other in [
            tag_of(StatusCode::OK, "0-1/*", b"[] "),
            tag_of(StatusCode::OK, "0-1/2", b"[]"),
            tag_of(StatusCode::PARTIAL_CONTENT, "0-1/*", b"[]"),
        ] {
            assert_ne!(tag, other);
        }
        assert_eq!(tag_of(StatusCode::NOT_FOUND, "", b"[]"), "");
    }

    #[test]
    fn a_client_that_has_it_gets_no_body() {
        let tag = tag_of(StatusCode::OK, "*/*", b"[]");
        for listed in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let draft = marked(StatusCode::OK, "*/*", b"[]", Some(&listed));
            assert_eq!(draft.status, StatusCode::NOT_MODIFIED, "{listed}");
            assert_eq!(draft.body.length(), Some(0));
            assert!(!draft.headers.contains_key(CONTENT_RANGE) && draft.headers.contains_key(ETAG));
        }
        let draft = marked(StatusCode::OK, "*/*", b"[]", Some("\"x\""));
        assert_eq!((draft.status, draft.body.length()), (StatusCode::OK, Some(2)));
    }
}
