//! How much goes in and out of a project's storage.

use crate::Storage;
use crate::caller::Identity;
use crate::db::{As, Scope, Step, Work};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// Counters of one project, read and set back by whoever writes them down.
#[derive(Debug, Default)]
pub struct Usage {
    ingress: AtomicU64,
    egress: AtomicU64,
    requests: AtomicU64,
    /// Bytes that came in or were copied, ever, but for what was refused: never set back.
    added: AtomicU64,
    /// What the project held when it was looked at last.
    pub(crate) held: tokio::sync::Mutex<Option<crate::quota::Held>>,
}

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Bytes of bodies that came in.
    pub ingress: u64,
    /// Bytes of bodies that went out.
    pub egress: u64,
    pub requests: u64,
}

impl Usage {
    pub(crate) fn received(&self, bytes: usize) {
        self.ingress.fetch_add(bytes as u64, Ordering::Relaxed);
        self.copied(bytes as u64);
    }

    /// More is held that did not come in.
    pub(crate) fn copied(&self, bytes: u64) {
        self.added.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What came in was refused.
    pub(crate) fn not_kept(&self, bytes: u64) {
        self.added.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn added(&self) -> u64 {
        self.added.load(Ordering::Relaxed)
    }

    /// What was counted since the last call.
    pub fn take(&self) -> Counted {
        let take = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        Counted { ingress: take(&self.ingress), egress: take(&self.egress), requests: take(&self.requests) }
    }

    /// Gives back what could not be written down.
    pub fn give_back(&self, counted: Counted) {
        self.ingress.fetch_add(counted.ingress, Ordering::Relaxed);
        self.egress.fetch_add(counted.egress, Ordering::Relaxed);
        self.requests.fetch_add(counted.requests, Ordering::Relaxed);
    }
}

/// What a project's storage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    pub objects: u64,
    pub bytes: u64,
}

impl Storage {
    /// What is stored now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn holdings(&self) -> Result<Holdings, pg::Error> {
        let scope = Scope::new(Identity::service(), &Method::GET, "/", &HeaderMap::new(), "storage.usage");
        let mut work = Work::new(&scope, As::Service);
        let sql =
            "select count(*), coalesce(sum((metadata ->> 'size')::numeric), 0)::bigint from storage.objects";
        work.service(Step::new(sql, []));
        let rows = self.db.run(&scope, work).await?.last();
        let row = rows.one()?;
        Ok(Holdings { objects: row.get(0)?, bytes: row.get(1)? })
    }
}

/// An answer whose bytes are counted as they leave.
pub(crate) fn metered(response: Response<Body>, usage: &Arc<Usage>) -> Response<Body> {
    usage.requests.fetch_add(1, Ordering::Relaxed);
    if response.body().is_end_stream() {
        return response;
    }
    let usage = Arc::clone(usage);
    response.map(|body| Body::new(Metered { body, usage }))
}

struct Metered {
    body: Body,
    usage: Arc<Usage>,
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.usage.egress.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn bytes_are_counted_as_they_leave_and_taken_once() {
        let usage = Arc::new(Usage::default());
        let response = metered(Response::new(Body::from("12345")), &usage);
        assert_eq!(usage.take(), Counted { requests: 1, ..Counted::default() });
        response.into_body().collect().await.unwrap();
        let counted = usage.take();
        assert_eq!(counted.egress, 5);
        usage.give_back(counted);
        assert_eq!(usage.take().egress, 5);
        assert_eq!(usage.take(), Counted::default());
    }
}
