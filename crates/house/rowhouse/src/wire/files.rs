//! Files that nobody needs any more: swept one project after the other, slowly, and only where a project is at work
//! anyway. One that sleeps is not woken for it; it waits until somebody uses it.

use super::Wire;
use super::home::Running;
use lru::LruCache;
use model::ProjectRef;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often it is looked for projects that are due, and how long a project is left alone after a sweep.
const LOOK: Duration = Duration::from_secs(60);
const REST: Duration = Duration::from_secs(6 * 60 * 60);
/// The pause after each page of a sweep.
const PAGE_PAUSE: Duration = Duration::from_millis(500);
/// How long one project is swept at a time, and when the sweep is given up because nothing comes back any more.
const TURN: Duration = Duration::from_secs(5 * 60);
const GIVEN_UP: Duration = Duration::from_secs(15 * 60);
/// How long a project waits whose sweep is to go on, while the others have their turns.
const SHORT_REST: Duration = Duration::from_secs(10 * 60);
/// How often it is looked for files of deleted projects.
const REMOVE: Duration = Duration::from_secs(60 * 60);

impl Wire {
    /// Sweeps the files of all projects that are used, until `stop` is cancelled.
    pub async fn sweep_files(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        let mut rests: LruCache<ProjectRef, Rest> = LruCache::new(super::TENANTS_MAX);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            for (project, running) in self.at_work() {
                let rest = rests.get(&project).copied();
                if rest.is_some_and(|rest| Instant::now() < rest.until) {
                    continue;
                }
                let after = tokio::select! {
                    () = stop.cancelled() => return,
                    after = sweep(&project, &running, rest.and_then(|rest| rest.after)) => after,
                };
                let pause = if after.is_some() { SHORT_REST } else { REST };
                rests.put(project, Rest { until: Instant::now() + pause, after });
            }
        }
    }

    /// Removes the files of deleted projects that are still there, now and every hour until `stop` is cancelled.
    pub async fn remove_left_files(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(REMOVE);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                removed = self.remove_left() => {
                    if let Err(error) = removed {
                        tracing::warn!(%error, "files of deleted projects cannot be removed now");
                    }
                }
            }
        }
    }

    /// Removes the files of deleted projects that are still there.
    pub(crate) async fn remove_left(&self) -> Result<(), catalog::Error> {
        let catalog = self.inner.platform.catalog();
        let left = catalog::removals::removal_list(&mut *catalog.connection().await?).await?;
        for project in left {
            if self.remove_files(&project).await {
                catalog::removals::removal_done(&mut *catalog.connection().await?, &project).await?;
            }
        }
        Ok(())
    }

    fn at_work(&self) -> Vec<(ProjectRef, Arc<Running>)> {
        let tenants = self.tenants();
        let at_work = |(project, known): (&ProjectRef, &super::Known)| {
            known.home.at_work().map(|running| (project.clone(), running))
        };
        tenants.iter().filter_map(at_work).collect()
    }
}

/// When a project is swept again, and from where on.
#[derive(Clone, Copy)]
struct Rest {
    until: Instant,
    after: Option<Uuid>,
}

/// Sweeps a project for a while; returns how far it got if there is more.
async fn sweep(project: &ProjectRef, running: &Running, after: Option<Uuid>) -> Option<Uuid> {
    let mut sweep = storage::Sweep { pause: PAGE_PAUSE, until: Some(Instant::now() + TURN), after };
    match tokio::time::timeout(GIVEN_UP, running.storage.sweep(&mut sweep)).await {
        Ok(Ok(swept)) if swept == storage::Swept::default() => {}
        Ok(Ok(swept)) => {
            tracing::info!(%project, uploads = swept.uploads, bodies = swept.bodies, "files were swept");
        }
        Ok(Err(error)) => tracing::warn!(%project, error, "files cannot be swept now"),
        Err(_) => tracing::warn!(%project, "files cannot be swept: it takes too long"),
    }
    sweep.after
}
