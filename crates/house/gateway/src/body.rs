//! Bodies on their way through: requests that may not grow without end, and answers that are accounted for when
//! they end.

use crate::memory::Reservation;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// How much of a refused body is read and dropped, so that its client gets to read the answer.
const DRAIN_BYTES_MAX: u64 = 64 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A request's body was longer than the limit.
#[derive(Debug, thiserror::Error)]
#[error("the request body is larger than the limit")]
pub(crate) struct TooLarge;

/// Bodies of other requests have taken the memory that there is.
#[derive(Debug, thiserror::Error)]
#[error("there is no memory for the request body")]
pub(crate) struct NoMemory;

/// What became of a body under the hands of the service: asked after the service has answered. The memory that the
/// body took counts as taken for as long as this lives.
#[derive(Debug, Clone)]
pub(crate) struct Fate(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    memory: Reservation,
    too_large: bool,
    no_memory: bool,
}

impl Fate {
    fn new(memory: Reservation) -> Fate {
        Fate(Arc::new(Mutex::new(State { memory, too_large: false, no_memory: false })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the body was longer than allowed.
    pub(crate) fn was_too_large(&self) -> bool {
        self.state().too_large
    }

    /// Whether there was no memory left for it.
    pub(crate) fn was_refused(&self) -> bool {
        self.state().no_memory
    }
}

/// A body that fails once it is longer than allowed, or than there is memory for.
struct Limited {
    inner: Body,
    left: u64,
    fate: Fate,
    ended: bool,
}

/// What a service has left unread is read and dropped behind its answer.
impl Drop for Limited {
    fn drop(&mut self) {
        if !self.ended
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(drain(std::mem::take(&mut self.inner)));
        }
    }
}

/// `body` with a limit. Bodies that end before they begin are passed on as they are.
pub(crate) fn limited(body: Body, bytes_max: u64, memory: Reservation) -> (Body, Fate) {
    let fate = Fate::new(memory);
    if body.is_end_stream() {
        return (Body::empty(), fate);
    }
    let limited = Limited { inner: body, left: bytes_max, fate: fate.clone(), ended: false };
    (Body::new(limited), fate)
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
            other => {
                this.ended = other.is_ready();
                return other.map_err(Into::into);
            }
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(left) = this.left.checked_sub(length) else {
            this.left = 0;
            this.fate.state().too_large = true;
            return Poll::Ready(Some(Err(TooLarge.into())));
        };
        this.left = left;
        let mut state = this.fate.state();
        if !state.memory.take(length) {
            state.no_memory = true;
            return Poll::Ready(Some(Err(NoMemory.into())));
        }
        Poll::Ready(Some(Ok(frame)))
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
struct Tracked<K: Send + Sync + 'static, F: FnOnce(u64) + Send + Unpin + 'static> {
    inner: Body,
    bytes: u64,
    kept: Arc<K>,
    done: Option<F>,
}

/// `body`, with `done` called once with the number of its bytes that were sent. `kept` lives until the last of them is
/// on its way: the server takes a piece and asks for the next, or drops the body, long before the piece is sent.
pub(crate) fn tracked<K: Send + Sync + 'static>(
    body: Body,
    kept: K,
    done: impl FnOnce(u64) + Send + Unpin + 'static,
) -> Body {
    Body::new(Tracked { inner: body, bytes: 0, kept: Arc::new(kept), done: Some(done) })
}

/// A piece of an answer with what is kept for it.
struct Piece<K> {
    data: Bytes,
    _kept: Arc<K>,
}

impl<K> AsRef<[u8]> for Piece<K> {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl<K: Send + Sync + 'static, F: FnOnce(u64) + Send + Unpin + 'static> http_body::Body for Tracked<K, F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Poll::Ready(polled) = Pin::new(&mut this.inner).poll_frame(context) else { return Poll::Pending };
        Poll::Ready(polled.map(|frame| {
            Ok(frame?.map_data(|data| {
                this.bytes += data.len() as u64;
                Bytes::from_owner(Piece { data, _kept: Arc::clone(&this.kept) })
            }))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<K: Send + Sync + 'static, F: FnOnce(u64) + Send + Unpin + 'static> Drop for Tracked<K, F> {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use futures_util::StreamExt;
    use http_body_util::BodyExt;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[tokio::test]
    async fn a_body_may_reach_the_limit_and_not_pass_it() {
        let memory = || Memory::new(1 << 20).share(1 << 20);
        let (body, fate) = limited(Body::from("12345"), 5, memory().reservation());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "12345");
        assert!(!fate.was_too_large() && !fate.was_refused());
        let (body, fate) = limited(Body::from("123456"), 5, memory().reservation());
        assert!(body.collect().await.is_err());
        assert!(fate.was_too_large() && !fate.was_refused());
    }

    #[tokio::test]
    async fn a_body_takes_no_more_memory_than_there_is() {
        let share = Memory::new(1 << 20).share(1 << 20);
        let long = || Body::from(vec![b'x'; 768 << 10]);
        let (first, kept) = limited(long(), u64::MAX, share.reservation());
        assert!(first.collect().await.is_ok());
        let (second, fate) = limited(long(), u64::MAX, share.reservation());
        assert!(second.collect().await.is_err());
        assert!(fate.was_refused() && !fate.was_too_large());
        drop((kept, fate));
        let (third, _fate) = limited(long(), u64::MAX, share.reservation());
        assert!(third.collect().await.is_ok(), "what a request took is free again when it is over");
    }

    #[tokio::test]
    async fn what_is_left_unread_is_read_behind_the_answer() {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let pieces = futures_util::stream::iter(0..100).map(move |n| {
            let _ = sender.send(n);
            Ok::<_, std::io::Error>(Bytes::from_static(b"12345"))
        });
        let (body, _fate) =
            limited(Body::from_stream(pieces), 12, Memory::new(1 << 20).share(1 << 20).reservation());
        assert!(body.collect().await.is_err());
        let mut last = 0;
        while let Some(n) = receiver.recv().await {
            last = n;
        }
        assert_eq!(last, 99, "the body was read to its end, though more than allowed");
    }

    #[tokio::test]
    async fn what_is_kept_is_kept_as_long_as_the_last_piece() {
        let kept = Arc::new(());
        let mut body = tracked(Body::from("12345"), Arc::clone(&kept), |_| ());
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        drop(body);
        assert_eq!(Arc::strong_count(&kept), 2);
        drop(piece);
        assert_eq!(Arc::strong_count(&kept), 1);
    }

    #[tokio::test]
    async fn bytes_are_counted_once_also_when_the_reader_leaves() {
        for read in [true, false] {
            let counted = Arc::new(AtomicU64::new(99));
            let to = Arc::clone(&counted);
            let body = tracked(Body::from("12345"), (), move |n| to.store(n, Ordering::Relaxed));
            if read {
                body.collect().await.unwrap();
            } else {
                drop(body);
            }
            assert_eq!(counted.load(Ordering::Relaxed), if read { 5 } else { 0 });
        }
    }
}
