//! What projects use, counted in memory and written to the catalog every minute: what the last minute before a
//! crash used is lost, nothing else.

use super::Wire;
use catalog::usage::{self, StorageUsage};
use model::ProjectRef;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use storage::{Counted, Usage};
use tokio_util::sync::CancellationToken;

/// How often it is written.
const PAUSE: Duration = Duration::from_secs(60);
/// How many projects are written by one statement.
const AT_ONCE: usize = 500;
/// How long the last writing may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// The counters of all projects that are in use.
#[derive(Debug, Default)]
pub(super) struct Usages {
    of: Mutex<HashMap<ProjectRef, Arc<Usage>>>,
}

impl Usages {
    /// The counters of a project: the same until nobody counts with them and they are written.
    pub(super) fn of(&self, project: &ProjectRef) -> Arc<Usage> {
        Arc::clone(self.map().entry(project.clone()).or_default())
    }

    /// Takes what was counted, and forgets the counters that nobody uses any more.
    fn take(&self) -> Vec<(ProjectRef, Arc<Usage>, Counted)> {
        let mut taken = Vec::new();
        self.map().retain(|project, usage| {
            let counted = usage.take();
            if counted != Counted::default() {
                taken.push((project.clone(), Arc::clone(usage), counted));
                return true;
            }
            Arc::strong_count(usage) > 1
        });
        taken
    }

    fn map(&self) -> MutexGuard<'_, HashMap<ProjectRef, Arc<Usage>>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    /// Writes down what projects use, until `stop` is cancelled and once after that.
    pub async fn write_usage(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(PAUSE);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.flush_usage().await,
            }
        }
        if tokio::time::timeout(GOODBYE, self.flush_usage()).await.is_err() {
            tracing::warn!("the usage of the last minute could not be written");
        }
    }

    /// Writes down what was counted so far.
    pub(crate) async fn flush_usage(&self) {
        let taken = self.inner.usages.take();
        for some in taken.chunks(AT_ONCE) {
            let used: Vec<_> = some
                .iter()
                .map(|(project, _, counted)| {
                    let used = StorageUsage {
                        storage_ingress_bytes: counted.ingress,
                        storage_egress_bytes: counted.egress,
                        storage_requests: counted.requests,
                    };
                    (project.clone(), used)
                })
                .collect();
            let written = async {
                let mut connection = self.inner.platform.catalog().connection().await?;
                usage::usage_add(&mut connection, &used).await
            };
            if let Err(error) = written.await {
                tracing::warn!(%error, "what projects use cannot be written now");
                some.iter().for_each(|(_, usage, counted)| usage.give_back(*counted));
            }
        }
    }
}
