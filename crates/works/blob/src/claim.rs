//! Who appends to a body now: one at a time.

use crate::{Error, Key};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often, and how long apart, another tries to append whose predecessor is about to end.
pub(crate) const TRIES: u32 = 20;
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// Bodies that this process is appending to.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<HashSet<Key>>);

/// The right to append to a body.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Arc<Claims>,
    key: Key,
}

impl Claim {
    pub(crate) fn new(claims: &Arc<Claims>, key: &Key) -> Result<Claim, Error> {
        let mut claimed = claims.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !claimed.insert(key.clone()) {
            return Err(Error::Busy);
        }
        Ok(Claim { claims: Arc::clone(claims), key: key.clone() })
    }

    pub(crate) async fn patiently(claims: &Arc<Claims>, key: &Key) -> Result<Claim, Error> {
        for _ in 0..TRIES {
            if let Ok(claim) = Claim::new(claims, key) {
                return Ok(claim);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::Busy)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
