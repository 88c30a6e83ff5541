//! A form on its way in. Its reader keeps what it cannot cut yet; how much that may be is bounded here.

use crate::call::{Call, Incoming};
use crate::refusal::{self, Outcome, Refusal};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::header;
use multer::{Constraints, Field, Multipart, SizeLimit};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that the reader may be given before it gives something out: the longest headers of a part.
const HELD_BYTES_MAX: usize = 256 << 10;

/// The parts of a form.
pub(crate) struct Form {
    parts: Multipart<'static>,
    held: Held,
}

/// One part of a form.
pub(crate) struct Part {
    field: Field<'static>,
    held: Held,
}

/// The bytes that the reader of a form was given since it last gave something out.
#[derive(Debug, Clone, Default)]
struct Held(Arc<AtomicUsize>);

impl Form {
    /// The form in the body of a request; `broken` says that it is none.
    pub(crate) fn of(call: &Call, incoming: Incoming, broken: fn() -> Refusal) -> Outcome<Form> {
        let content_type = call.header(header::CONTENT_TYPE).unwrap_or_default();
        let boundary = multer::parse_boundary(content_type).map_err(|_| broken())?;
        // The sizes of parts are bounded by who reads them.
        let constraints = Constraints::new().size_limit(SizeLimit::new().whole_stream(u64::MAX));
        let held = Held::default();
        let parts = Multipart::with_constraints(pieces(incoming, held.clone()), boundary, constraints);
        Ok(Form { parts, held })
    }

    /// The next part; nothing at the end. What is left of the one before is skipped, if it is short.
    pub(crate) async fn next(&mut self) -> Outcome<Option<Part>> {
        let field = self.parts.next_field().await.map_err(broken_form)?;
        self.held.nothing();
        Ok(field.map(|field| Part { field, held: self.held.clone() }))
    }
}

impl Part {
    pub(crate) fn name(&self) -> &str {
        self.field.name().unwrap_or_default()
    }

    pub(crate) fn file_name(&self) -> Option<&str> {
        self.field.file_name()
    }

    /// The type that the part itself names.
    pub(crate) fn content_type(&self) -> Option<String> {
        self.field.content_type().map(ToString::to_string)
    }

    /// The next bytes; nothing at the end.
    pub(crate) async fn next(&mut self) -> Outcome<Option<Bytes>> {
        let piece = self.field.chunk().await.map_err(broken_form)?;
        self.held.nothing();
        Ok(piece)
    }

    /// All of the part, if `left` more bytes may come.
    pub(crate) async fn whole(&mut self, left: &mut usize, too_long: fn() -> Refusal) -> Outcome<Vec<u8>> {
        let mut value = Vec::new();
        while let Some(piece) = self.next().await? {
            *left = left.checked_sub(piece.len()).ok_or_else(too_long)?;
            value.extend_from_slice(&piece);
        }
        Ok(value)
    }
}

impl Held {
    fn is_nothing(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn nothing(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Adds so many bytes; whether that is too much.
    fn add(&self, bytes: usize) -> bool {
        self.0.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > HELD_BYTES_MAX
    }
}

/// The pieces of a body for the reader: one at a time, so that it looks at what it has before it takes more.
fn pieces(incoming: Incoming, held: Held) -> impl Stream<Item = Result<Bytes, Lost>> + Send + 'static {
    stream::try_unfold((incoming, held), |(mut incoming, held)| async move {
        if !held.is_nothing() {
            tokio::task::yield_now().await;
        }
        let next = incoming.next().await.map_err(|refused| Lost(Box::new(refused)))?;
        let Some(piece) = next else { return Ok(None) };
        if held.add(piece.len()) {
            return Err(Lost(Box::new(refusal::invalid_request("Multipart: A part has no end of its head"))));
        }
        Ok(Some((piece, (incoming, held))))
    })
}

/// A refusal on its way through the form's reader.
#[derive(Debug, thiserror::Error)]
#[error("the body could not be read")]
struct Lost(Box<Refusal>);

/// What is wrong with a form, or with the body that it came in.
fn broken_form(error: multer::Error) -> Refusal {
    match error {
        multer::Error::StreamReadFailed(inner) => match inner.downcast::<Lost>() {
            Ok(lost) => *lost.0,
            Err(other) => refusal::aborted().caused_by(other),
        },
        other => refusal::invalid_request("No content provided").caused_by(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http::Request;
    use std::sync::atomic::AtomicU64;
    use std::time::SystemTime;

    /// A form that begins so and goes on with the letter for ever; how much of it was read.
    async fn endless(head: &'static str) -> (Outcome<usize>, u64) {
        let read = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&read);
        let pieces = stream::unfold(0u64, move |n| {
            let piece =
                if n == 0 { Bytes::from_static(head.as_bytes()) } else { Bytes::from(vec![b'a'; 64 << 10]) };
            count.fetch_add(piece.len() as u64, Ordering::Relaxed);
            async move { Some((Ok::<_, std::io::Error>(piece), n + 1)) }
        });
        let request = Request::post("/").header("content-type", "multipart/form-data; boundary=x");
        let request = request.body(Body::from_stream(pieces)).unwrap();
        let (call, incoming) = Call::split(request, SystemTime::UNIX_EPOCH);
        let outcome = async {
            let mut form = Form::of(&call, incoming, || refusal::invalid_request("broken"))?;
            let mut taken = 0;
            while let Some(mut part) = form.next().await? {
                while let Some(piece) = part.next().await? {
                    taken += piece.len();
                    if taken > 8 << 20 {
                        return Ok(taken);
                    }
                }
            }
            Ok(taken)
        };
        let outcome = outcome.await;
        (outcome, read.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn what_cannot_be_cut_is_not_kept_without_end() {
        for head in
            ["", "--x\r\nA: ", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x\r\nA: "]
        {
            let (outcome, read) = endless(head).await;
            assert!(outcome.is_err_and(|refused| refused.is("InvalidRequest")), "{head}");
            assert!(read < 1 << 20, "{read} bytes were read");
        }
    }

    #[tokio::test]
    async fn a_long_file_goes_through() {
        let (outcome, _) = endless("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n").await;
        assert!(outcome.unwrap() > 8 << 20);
    }
}
