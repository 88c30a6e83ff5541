//! Bodies on their way through: requests that may not grow without end, and answers that are accounted for when
//! they end.

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// How much of a refused body is read and dropped, so that its client gets to read the answer.
const DRAIN_BYTES_MAX: u64 = 64 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A request's body was longer than the limit.
#[derive(Debug, thiserror::Error)]
#[error("the request body is larger than the limit")]
pub(crate) struct TooLarge;

/// Tells, after the service has answered, whether the body broke the limit under its hands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overflow(Arc<AtomicBool>);

impl Overflow {
    pub(crate) fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A body that fails once it is longer than allowed.
struct Limited {
    inner: Body,
    left: u64,
    overflow: Overflow,
}

/// `body` with a limit. Bodies that end before they begin are passed on as they are.
pub(crate) fn limited(body: Body, bytes_max: u64) -> (Body, Overflow) {
    let overflow = Overflow::default();
    if body.is_end_stream() {
        return (Body::empty(), overflow);
    }
    let limited = Limited { inner: body, left: bytes_max, overflow: overflow.clone() };
    (Body::new(limited), overflow)
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        let frame = match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => frame,
            other => return other.map_err(Into::into),
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match this.left.checked_sub(length) {
            Some(left) => {
                this.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                this.left = 0;
                this.overflow.0.store(true, Ordering::Relaxed);
                Poll::Ready(Some(Err(TooLarge.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Reads and drops what is left of a refused body, within limits. Closing the connection at once would make the
/// client's kernel throw away the answer that says why.
pub(crate) async fn drain(mut body: Body) {
    let read = async {
        let mut seen = 0;
        while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            seen += frame.data_ref().map_or(0, |data| data.len() as u64);
            if seen > DRAIN_BYTES_MAX {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, read).await;
}

/// An answer's body that hands its byte count to `done` when it has ended or its client has gone.
struct Tracked<F: FnOnce(u64) + Send + Unpin + 'static> {
    inner: Body,
    bytes: u64,
    done: Option<F>,
}

/// `body`, with `done` called once with the number of its bytes that were sent.
pub(crate) fn tracked(body: Body, done: impl FnOnce(u64) + Send + Unpin + 'static) -> Body {
    Body::new(Tracked { inner: body, bytes: 0, done: Some(done) })
}

impl<F: FnOnce(u64) + Send + Unpin + 'static> http_body::Body for Tracked<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<F: FnOnce(u64) + Send + Unpin + 'static> Drop for Tracked<F> {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::sync::atomic::AtomicU64;

    #[tokio::test]
    async fn a_body_may_reach_the_limit_and_not_pass_it() {
        let (body, overflow) = limited(Body::from("12345"), 5);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "12345");
        assert!(!overflow.happened());
        let (body, overflow) = limited(Body::from("123456"), 5);
        assert!(body.collect().await.is_err());
        assert!(overflow.happened());
    }

    #[tokio::test]
    async fn bytes_are_counted_once_also_when_the_reader_leaves() {
        for read in [true, false] {
            let counted = Arc::new(AtomicU64::new(99));
            let to = Arc::clone(&counted);
            let body = tracked(Body::from("12345"), move |n| to.store(n, Ordering::Relaxed));
            if read {
                body.collect().await.unwrap();
            } else {
                drop(body);
            }
            assert_eq!(counted.load(Ordering::Relaxed), if read { 5 } else { 0 });
        }
    }
}
