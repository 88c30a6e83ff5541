//! The limits of the front door, and the places that one project's requests share.

use crate::ServiceKind;
use crate::memory::{Memory, Reservation, Share};
use fault::Fault;
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Limits that hold for every connection and request.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections that may be open at once; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Bytes of a request line with its headers; more is answered with 431 (or 414).
    pub header_bytes_max: usize,
    /// How long a client may take for a request's headers, and may idle between two requests.
    pub header_timeout: Duration,
    /// How long a client may take no bytes of an answer.
    pub write_stall: Duration,
    /// Bytes of a request's body; more is answered with 413.
    pub body_bytes_max: u64,
    /// From the headers of a request to the headers of its answer; longer is answered with 504.
    pub request_timeout: Duration,
    /// How long requests at work may take to finish when the program stops.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_max: 10_000,
            header_bytes_max: 128 * 1024,
            header_timeout: Duration::from_secs(60),
            write_stall: Duration::from_secs(30),
            body_bytes_max: 20 * 1024 * 1024,
            request_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Limits of one project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectLimits {
    /// Requests at work at once.
    pub concurrent_max: usize,
    /// Requests at work at once of services that send and receive files. They have places of their own: a client
    /// that takes its time over a file keeps no query waiting.
    pub streams_max: usize,
    /// Requests that may wait for a place.
    pub queue_max: usize,
    /// How long each of them waits.
    pub queue_timeout: Duration,
    /// Bytes that the bodies of the requests at work may take together.
    pub body_memory: u64,
}

impl Default for ProjectLimits {
    fn default() -> Self {
        ProjectLimits {
            concurrent_max: 128,
            streams_max: 1024,
            queue_max: 512,
            queue_timeout: Duration::from_secs(10),
            body_memory: 128 << 20,
        }
    }
}

/// The places for one project's requests, and the memory for their bodies. No place is shared between projects, so a
/// project that fills its places and its queue slows down nobody else.
#[derive(Debug, Clone)]
pub struct Slots {
    memory: Share,
    requests: Places,
    streams: Places,
}

/// Places of one kind, and who waits for one.
#[derive(Debug, Clone)]
struct Places {
    queue_max: usize,
    queue_timeout: Duration,
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// A place; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// Counts one waiting request for as long as it lives, also when its client goes away.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Slots {
    /// `memory` is that of all projects.
    pub fn new(limits: ProjectLimits, memory: &Memory) -> Self {
        let memory = memory.share(limits.body_memory);
        let places = |max: usize| Places {
            queue_max: limits.queue_max,
            queue_timeout: limits.queue_timeout,
            free: Arc::new(Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS))),
            waiting: Arc::default(),
        };
        Slots { memory, requests: places(limits.concurrent_max), streams: places(limits.streams_max) }
    }

    /// What one request may take of the memory for bodies.
    pub(crate) fn memory(&self) -> Reservation {
        self.memory.reservation()
    }

    /// A place for a request at once, or after a bounded wait in a bounded queue.
    pub(crate) async fn take(&self, service: ServiceKind) -> Result<Slot, Fault> {
        if service.takes_streams() { self.streams.take().await } else { self.requests.take().await }
    }
}

impl Places {
    async fn take(&self) -> Result<Slot, Fault> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(Slot { _permit: permit });
        }
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if ahead >= self.queue_max {
            return Err(too_many());
        }
        match tokio::time::timeout(self.queue_timeout, Arc::clone(&self.free).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Slot { _permit: permit }),
            Ok(Err(_)) | Err(_) => Err(too_many()),
        }
    }
}

fn too_many() -> Fault {
    Fault::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_requests",
        "Too many requests at once for this project",
    )
    .with_hint("Send fewer requests in parallel, or try again after the time in Retry-After.")
    .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_refused_and_a_freed_place_is_given_on() {
        let slots = Slots::new(
            ProjectLimits {
                concurrent_max: 1,
                queue_max: 1,
                queue_timeout: Duration::from_secs(60),
                ..ProjectLimits::default()
            },
            &Memory::new(1 << 20),
        );
        let first = slots.take(ServiceKind::Rest).await.unwrap();
        let waiter = tokio::spawn({
            let slots = slots.clone();
            async move { slots.take(ServiceKind::Rest).await.map(drop) }
        });
        while slots.requests.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let refused = slots.take(ServiceKind::Rest).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(refused.headers.iter().any(|(name, _)| name == header::RETRY_AFTER));
        assert!(slots.take(ServiceKind::Storage).await.is_ok(), "files have places of their own");
        drop(first);
        assert!(waiter.await.unwrap().is_ok());
        assert_eq!(slots.requests.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn waiting_ends() {
        let slots = Slots::new(
            ProjectLimits {
                concurrent_max: 1,
                queue_max: 5,
                queue_timeout: Duration::from_millis(10),
                ..ProjectLimits::default()
            },
            &Memory::new(1 << 20),
        );
        let _first = slots.take(ServiceKind::Rest).await.unwrap();
        assert_eq!(slots.take(ServiceKind::Rest).await.unwrap_err().status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(slots.requests.waiting.load(Ordering::Relaxed), 0);
    }
}
