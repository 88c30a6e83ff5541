//! How much a project may hold in all, where that is limited.
//!
//! What it holds is read from the database now and then; what came in since is counted, whatever became of it. Only
//! when the sum is over the limit is it read again.

use crate::Storage;
use crate::caller::Identity;
use crate::db::{As, Scope, Step, Work};
use crate::refusal::{Outcome, Refusal};
use http::{HeaderMap, Method};
use std::time::Duration;
use tokio::time::Instant;

/// How long what was read holds, and how soon it is read again if it says that there is no room.
const HOLDS: Duration = Duration::from_secs(10 * 60);
const HOLDS_FULL: Duration = Duration::from_secs(10);
/// Bodies of unfinished uploads that are looked at.
const GROWING_MAX: usize = 10_000;

/// What a project held at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    bytes: u64,
    /// What had come in ever by then.
    added: u64,
    at: Instant,
}

impl Held {
    fn fits(self, added: u64, more: u64, quota: u64) -> bool {
        let since = added.saturating_sub(self.added);
        self.bytes.saturating_add(since).saturating_add(more) <= quota
    }
}

impl Storage {
    /// Refuses an upload for which the project has no room: so many bytes that are still to come, after so many of it
    /// that have been received.
    pub(crate) async fn make_room(&self, more: u64, received: u64) -> Outcome<()> {
        let Some(quota) = self.settings.quota_bytes else { return Ok(()) };
        let usage = &self.settings.usage;
        let mut held = usage.held.lock().await;
        let is_due = held.is_none_or(|held| {
            let age = held.at.elapsed();
            age >= HOLDS || (age >= HOLDS_FULL && !held.fits(usage.added(), more, quota))
        });
        if is_due {
            // What was received of this upload is not among what is held.
            let added = usage.added().saturating_sub(received);
            *held = Some(Held { bytes: self.held_now().await?, added, at: Instant::now() });
        }
        if held.is_some_and(|held| held.fits(usage.added(), more, quota)) {
            return Ok(());
        }
        // It does not stay.
        usage.not_kept(received);
        let message = "The project has used up what it may store";
        Err(Refusal::new(507, "QuotaExceeded", message).openly())
    }

    /// Bytes of objects, of parts and of what has come of unfinished uploads.
    async fn held_now(&self) -> Outcome<u64> {
        let scope = Scope::new(Identity::service(), &Method::GET, "/", &HeaderMap::new(), "storage.quota");
        let mut work = Work::new(&scope, As::Service);
        let sql = "
select (select coalesce(sum((metadata ->> 'size')::numeric), 0) from storage.objects)
  + (select coalesce(sum(size), 0) from storage.s3_multipart_uploads_parts)";
        let rows = work.service(Step::new(sql, []));
        let results = self.db.run(&scope, work).await?;
        let stored: f64 = results.of(rows)?.first().and_then(|row| row.get(0).ok()).unwrap_or_default();
        let growing = self.machinery.blobs.list_growing(&self.settings.project, None, GROWING_MAX).await?;
        Ok(stored.max(0.0) as u64 + growing.iter().map(|found| found.size).sum::<u64>())
    }
}
