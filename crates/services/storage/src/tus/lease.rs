//! Only one request appends to an upload at a time. A request that finds another at it asks that one to stop: it is
//! mostly what is left of a connection that its client has given up already.

use super::Ask;
use super::id::{UploadId, not_found};
use crate::Storage;
use crate::db::{As, Scope, Work};
use crate::refusal::{Outcome, Refusal};
use crate::store::resumable::{self, Upload};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// How long a request waits for another to stop, and how often it looks.
const WAIT: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(250);
/// How often a lease is renewed: several times while it lasts.
const RENEW: Duration = Duration::from_secs(1);

/// Who in this process appends to what, and how they are told to stop.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<Uuid, (Uuid, CancellationToken)>>);

impl Leases {
    fn enter(&self, version: Uuid, holder: Uuid) -> CancellationToken {
        let stop = CancellationToken::new();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(version, (holder, stop.clone()));
        stop
    }

    fn leave(&self, version: Uuid, holder: Uuid) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.get(&version).is_some_and(|(by, _)| *by == holder) {
            held.remove(&version);
        }
    }

    fn ask(&self, version: Uuid) {
        if let Some((_, stop)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&version) {
            stop.cancel();
        }
    }
}

/// The right to append to an upload.
pub(super) struct Lease {
    storage: Storage,
    scope: Scope,
    version: Uuid,
    holder: Uuid,
    stop: CancellationToken,
    renewing: Option<DropGuard>,
}

/// The upload, and the right to append to it.
pub(super) async fn hold(ask: &Ask, id: &UploadId) -> Outcome<(Lease, Upload)> {
    let (holder, scope) = (Uuid::new_v4(), ask.scope());
    let deadline = Instant::now() + WAIT;
    loop {
        let mut work = Work::new(&scope, As::Service);
        let held = work.service(resumable::hold(id.version, &id.bucket, &id.key, holder));
        let results = ask.storage.db.run(&scope, work).await?;
        let row = results.of(held)?.first().ok_or_else(not_found)?;
        if row.get(6)? {
            let upload = Upload::of(id.version, row)?;
            return Ok((Lease::begin(ask, scope, id.version, holder), upload));
        }
        if Instant::now() >= deadline {
            return Err(lost());
        }
        ask.storage.leases.ask(id.version);
        tokio::time::sleep(LOOK).await;
    }
}

/// Somebody else has the upload.
pub(crate) fn lost() -> Refusal {
    Refusal::new(503, "LockTimeout", "failed to acquire lock before timeout")
}

impl Lease {
    pub(super) fn holder(&self) -> Uuid {
        self.holder
    }

    /// What a holder does whose lease is in the row.
    pub(super) fn begin(ask: &Ask, scope: Scope, version: Uuid, holder: Uuid) -> Lease {
        let storage = ask.storage.clone();
        let stop = storage.leases.enter(version, holder);
        let ended = CancellationToken::new();
        let renewal = renewed(storage.clone(), scope.clone(), (version, holder), stop.clone());
        let until = ended.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = until.cancelled() => {}
                () = renewal => {}
            }
        });
        Lease { storage, scope, version, holder, stop, renewing: Some(ended.drop_guard()) }
    }

    /// Waits until the lease has to be given up.
    pub(super) async fn asked(&self) {
        self.stop.cancelled().await;
    }

    /// Gives the lease up before the answer is sent, so that the next request finds the upload free.
    pub(super) async fn release(mut self) {
        self.give_up().await;
    }

    async fn give_up(&mut self) {
        self.renewing = None;
        self.storage.leases.leave(self.version, self.holder);
        let mut work = Work::new(&self.scope, As::Service);
        work.service(resumable::release(self.version, self.holder));
        // One that cannot be given up ends by itself.
        if let Err(error) = self.storage.db.run(&self.scope, work).await {
            tracing::debug!(%error, "a lease of an upload was not given up");
        }
    }
}

/// Renews a lease until it is given up or lost. Whoever asks for it stops the bytes, and then gets it when what has to be
/// done with them is done.
async fn renewed(storage: Storage, scope: Scope, (version, holder): (Uuid, Uuid), stop: CancellationToken) {
    loop {
        tokio::time::sleep(RENEW).await;
        let mut work = Work::new(&scope, As::Service);
        let renewed = work.service(resumable::renew(version, holder));
        let asked = match storage.db.run(&scope, work).await {
            Ok(results) => match results.of(renewed).ok().and_then(|rows| rows.first()?.get(0).ok()) {
                Some(asked) => asked,
                None => {
                    stop.cancel();
                    return;
                }
            },
            // Perhaps it is still ours next time, perhaps it is lost by then.
            Err(_) => true,
        };
        if asked {
            stop.cancel();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.storage.leases.leave(self.version, self.holder);
    }
}
