//! A request, read as far as its head goes; the body is read by whoever wants it.

use crate::caller::{Identity, Said};
use crate::db::Scope;
use crate::refusal::{self, Outcome, Refusal};
use crate::schema_check::Fields;
use crate::settings::Settings;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use model::{Bound, Caller, Room};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The largest JSON body.
const JSON_BYTES_MAX: usize = 1 << 20;
/// How much of a refused body is read and dropped, so that its client gets to read the answer.
const DRAIN_BYTES_MAX: usize = 64 << 20;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The head of a request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// As the client sent it, without the gateway's prefix.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    /// Set by the gateway when a key, not a token, says who is calling.
    pub(crate) caller: Option<Caller>,
    /// What the API key of the request is bound to.
    pub(crate) bound: Option<Arc<Bound>>,
    /// What the gateway took off the path.
    pub(crate) prefix: String,
    pub(crate) raw_query: String,
    pub(crate) now: SystemTime,
    /// Memory for what is held whole.
    pub(crate) room: Room,
}

impl Call {
    /// The head, and the body that follows it.
    pub(crate) fn split(request: Request<Body>, now: SystemTime) -> (Call, Incoming) {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        let room = parts.extensions.get::<Room>().cloned().unwrap_or_default();
        let call = Call {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            raw_query: query.to_owned(),
            caller: parts.extensions.get::<Caller>().cloned(),
            bound: parts.extensions.get::<Arc<Bound>>().cloned(),
            prefix: parts.extensions.get::<model::Prefix>().map(|p| p.0.to_string()).unwrap_or_default(),
            headers: parts.headers,
            now,
            room: room.clone(),
        };
        (
            call,
            Incoming {
                body: Some(body),
                room,
                idle: Duration::from_secs(60),
                pace: Pace::default(),
                usage: None,
            },
        )
    }

    /// A query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A header as text.
    pub(crate) fn header(&self, name: impl AsName) -> Option<&str> {
        name.of(&self.headers)
    }

    /// Whether a header says `true`.
    pub(crate) fn says_true(&self, name: &'static str) -> bool {
        self.header(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub(crate) fn unix_seconds(&self) -> u64 {
        self.now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    fn said(&self) -> Said<'_> {
        Said::of(&self.headers, self.caller.as_ref())
    }

    /// Whether nothing says who is asking.
    pub(crate) fn is_unsigned(&self) -> bool {
        matches!(self.said(), Said::Nothing)
    }

    /// The caller of a route that needs one.
    pub(crate) fn identity(&self, settings: &Settings) -> Outcome<Identity> {
        self.said().identity(settings, self.unix_seconds())
    }

    /// The caller of a route that serves everybody what is public.
    pub(crate) fn lenient(&self, settings: &Settings) -> Option<Identity> {
        self.said().lenient(settings, self.unix_seconds())
    }

    /// Under what the database runs this request.
    pub(crate) fn scope(&self, identity: Identity, operation: &'static str) -> Scope {
        let scope = Scope::new(identity, &self.method, &self.path, &self.headers, operation);
        match &self.bound {
            Some(bound) => scope.bound(bound),
            None => scope,
        }
    }

    /// The declared length of the body.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header(header::CONTENT_LENGTH)?.trim().parse().ok()
    }
}

/// What names a header.
pub(crate) trait AsName {
    fn of(self, headers: &HeaderMap) -> Option<&str>;
}

impl AsName for &'static str {
    fn of(self, headers: &HeaderMap) -> Option<&str> {
        headers.get(self).and_then(|value| value.to_str().ok())
    }
}

impl AsName for HeaderName {
    fn of(self, headers: &HeaderMap) -> Option<&str> {
        headers.get(self).and_then(|value| value.to_str().ok())
    }
}

/// A part of a path as the client meant it; nothing when it is no text.
pub(crate) fn decoded(raw: &str) -> Option<String> {
    percent_decode_str(raw).decode_utf8().ok().map(|text| text.into_owned())
}

/// The body of a request, piece by piece.
#[derive(Debug)]
pub(crate) struct Incoming {
    body: Option<Body>,
    room: Room,
    idle: Duration,
    pace: Pace,
    usage: Option<Arc<crate::Usage>>,
}

impl Incoming {
    /// No body.
    pub(crate) fn none() -> Incoming {
        Incoming {
            body: None,
            room: Room::default(),
            idle: Duration::ZERO,
            pace: Pace::default(),
            usage: None,
        }
    }

    /// The same, giving up on clients that send nothing for so long.
    #[must_use]
    pub(crate) fn patient(mut self, idle: Duration) -> Incoming {
        self.idle = idle;
        self
    }

    /// The same, counted.
    #[must_use]
    pub(crate) fn metered(mut self, usage: &Arc<crate::Usage>) -> Incoming {
        self.usage = Some(Arc::clone(usage));
        self
    }

    /// The next piece; nothing at the end.
    pub(crate) async fn next(&mut self) -> Outcome<Option<Bytes>> {
        loop {
            let Some(body) = self.body.as_mut() else { return Ok(None) };
            let frame = tokio::time::timeout(self.idle.min(self.pace.left()), body.frame());
            match frame.await.map_err(|_| stalled())? {
                None => {
                    self.body = None;
                    return Ok(None);
                }
                Some(Err(error)) => {
                    self.body = None;
                    return Err(refusal::aborted().caused_by(error));
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.pace.moved(data.len());
                        if let Some(usage) = &self.usage {
                            usage.received(data.len());
                        }
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Memory for so many bytes more of the body.
    pub(crate) fn hold(&self, bytes: usize) -> Outcome<()> {
        if self.room.take(bytes as u64) { Ok(()) } else { Err(refusal::no_room()) }
    }

    /// The whole body, if it is no longer than so many bytes.
    pub(crate) async fn whole(&mut self, bytes_max: usize, too_large: fn() -> Refusal) -> Outcome<Bytes> {
        let mut all = BytesMut::new();
        let mut first = None;
        while let Some(piece) = self.next().await? {
            if all.len() + piece.len() + first.as_ref().map_or(0, Bytes::len) > bytes_max {
                return Err(too_large());
            }
            self.hold(piece.len())?;
            match first.take() {
                None if all.is_empty() => first = Some(piece),
                None => all.extend_from_slice(&piece),
                Some(before) => {
                    all.extend_from_slice(&before);
                    all.extend_from_slice(&piece);
                }
            }
        }
        Ok(first.unwrap_or_else(|| all.freeze()))
    }

    /// The body as JSON; nothing when it is not said to be JSON.
    pub(crate) async fn json(&mut self, headers: &HeaderMap) -> Outcome<Option<Value>> {
        let bytes = self.whole(JSON_BYTES_MAX, json_too_large).await?;
        if !header::CONTENT_TYPE.of(headers).is_some_and(|t| t.starts_with("application/json")) {
            return Ok(None);
        }
        if bytes.is_empty() {
            let message = "Body cannot be empty when content-type is set to 'application/json'";
            return Err(refusal::invalid_request(message).called("FastifyError"));
        }
        let message = "Body is not valid JSON but content-type is set to 'application/json'";
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|_| refusal::invalid_request(message).called("FastifyError"))
    }

    /// The members of a JSON body that must be an object.
    pub(crate) async fn fields(&mut self, headers: &HeaderMap) -> Outcome<Fields> {
        match self.json(headers).await? {
            Some(Value::Object(members)) => Ok(Fields::new("body", members)),
            _ => Err(refusal::schema("body must be object")),
        }
    }
}

/// How fast a body moves. One that hardly does keeps a place for little.
#[derive(Debug, Default)]
struct Pace {
    begun: Option<Instant>,
    seen: u64,
}

/// How long a body may take to get going, and the bytes a second that it needs on average from then on.
const GRACE: Duration = Duration::from_secs(60);
const BYTES_A_SECOND: u64 = 4 << 10;

impl Pace {
    /// How long the next bytes may take.
    fn left(&mut self) -> Duration {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        Pace::allowed(self.seen).saturating_sub(begun.elapsed())
    }

    /// The time within which more than so many bytes have to come.
    fn allowed(seen: u64) -> Duration {
        GRACE + Duration::from_secs(seen / BYTES_A_SECOND)
    }

    fn moved(&mut self, bytes: usize) {
        self.seen = self.seen.saturating_add(bytes as u64);
    }
}

/// What is left of a body is read and dropped behind the answer: closing the connection at once would make the
/// client's kernel throw the answer away.
impl Drop for Incoming {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take() else { return };
        if http_body::Body::is_end_stream(&body) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(DRAIN_TIMEOUT, async move {
            let mut seen = 0;
            while let Some(Ok(frame)) = body.frame().await {
                seen += frame.data_ref().map_or(0, Bytes::len);
                if seen > DRAIN_BYTES_MAX {
                    break;
                }
            }
        }));
    }
}

fn stalled() -> Refusal {
    Refusal::new(408, "RequestTimeout", "The body of the request did not arrive in time").openly()
}

fn json_too_large() -> Refusal {
    Refusal::new(413, "EntityTooLarge", "Request body is too large")
        .called("FastifyError")
        .with_line(StatusCode::PAYLOAD_TOO_LARGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_drips_is_given_up_and_a_slow_one_is_not() {
        assert_eq!(Pace::allowed(0), Duration::from_secs(60));
        assert_eq!(Pace::allowed(100), Duration::from_secs(60), "a byte now and then buys no time");
        assert_eq!(Pace::allowed(6 << 20), Duration::from_secs(60 + 1536));
        let long_ago = Instant::now().checked_sub(Duration::from_secs(120));
        let mut dripping = Pace { begun: long_ago, seen: 100 };
        let mut slow = Pace { begun: long_ago, seen: 1 << 20 };
        assert!(long_ago.is_none() || dripping.left().is_zero() && !slow.left().is_zero());
    }

    #[tokio::test]
    async fn a_whole_body_is_taken_out_of_the_room() {
        for (room, fits) in [(8 << 10, true), ((8 << 10) - 1, false)] {
            let left = std::sync::atomic::AtomicU64::new(room);
            let take = move |bytes| {
                use std::sync::atomic::Ordering::Relaxed;
                left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes)).is_ok()
            };
            let mut request = Request::new(Body::from(vec![b'x'; 8 << 10]));
            request.extensions_mut().insert(Room::new(take));
            let (_call, mut incoming) = Call::split(request, SystemTime::UNIX_EPOCH);
            let whole = incoming.whole(1 << 20, json_too_large).await;
            assert_eq!(whole.is_ok(), fits);
            assert!(fits || whole.is_err_and(|refused| refused.is("SlowDown")));
        }
    }
}
