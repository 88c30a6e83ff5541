//! The id by which a request is found in logs: the client's own, if it is sane, or a new one.

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// Read from requests, put on every answer and on the request that services see.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Supabase's name of the same.
pub(crate) const SB_REQUEST_ID: HeaderName = HeaderName::from_static("sb-request-id");

const LENGTH_MAX: usize = 128;

/// A request's id. Also in the extensions of the requests that services get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The client's id, if it is short and harmless in a log; a new UUID otherwise.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        [X_REQUEST_ID, SB_REQUEST_ID]
            .iter()
            .find_map(|name| headers.get(name).filter(|value| is_sane(value)))
            .map_or_else(Self::random, |value| RequestId(value.clone()))
    }

    fn random() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let text = Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
        RequestId(HeaderValue::from_str(text).expect("a UUID is a header value"))
    }

    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

fn is_sane(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (1..=LENGTH_MAX).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept_and_another_replaced() {
        let mut headers = HeaderMap::new();
        assert_eq!(RequestId::of(&headers).as_str().len(), 36);
        headers.insert("sb-request-id", HeaderValue::from_static("abc-1.2"));
        assert_eq!(RequestId::of(&headers).as_str(), "abc-1.2");
        headers.insert("x-request-id", HeaderValue::from_static("two words"));
        assert_eq!(RequestId::of(&headers).as_str(), "abc-1.2");
        headers.remove("sb-request-id");
        assert_eq!(RequestId::of(&headers).as_str().len(), 36);
    }
}
