//! The right to find an instance awake.

use crate::server::Endpoint;
use crate::slot::Slot;
use std::sync::Arc;

/// Keeps an instance from going to sleep for as long as it lives. A server that crashes is not started again by a
/// lease, only by the next call of `wake`.
#[derive(Debug)]
pub struct Lease {
    slot: Arc<Slot>,
    endpoint: Option<Endpoint>,
}

impl Lease {
    /// Counts a user even before the server runs, so that it cannot fall asleep in between.
    pub(crate) fn begin(slot: Arc<Slot>) -> Lease {
        slot.lease();
        Lease { slot, endpoint: None }
    }

    pub(crate) fn with_endpoint(mut self, endpoint: Endpoint) -> Lease {
        self.endpoint = Some(endpoint);
        self
    }

    /// Where the server listens.
    pub fn endpoint(&self) -> &Endpoint {
        self.endpoint.as_ref().expect("a lease is handed out with its endpoint")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.slot.release();
    }
}
