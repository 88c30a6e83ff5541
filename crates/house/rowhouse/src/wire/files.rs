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

/// How often it is looked for projects that are due, and how long a project is left alone after a sweep.
const LOOK: Duration = Duration::from_secs(60);
const REST: Duration = Duration::from_secs(6 * 60 * 60);
/// The pause after each page of a sweep.
const PAGE_PAUSE: Duration = Duration::from_millis(500);

impl Wire {
    /// Sweeps the files of all projects that are used, until `stop` is cancelled.
    pub async fn sweep_files(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        let mut swept: LruCache<ProjectRef, Instant> = LruCache::new(super::TENANTS_MAX);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            for (project, running) in self.at_work() {
                if swept.get(&project).is_some_and(|at| at.elapsed() < REST) {
                    continue;
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sweep(&project, &running) => {}
                }
                swept.put(project, Instant::now());
            }
        }
    }

    fn at_work(&self) -> Vec<(ProjectRef, Arc<Running>)> {
        let tenants = self.tenants();
        let at_work = |(project, known): (&ProjectRef, &super::Known)| {
            known.home.at_work().map(|running| (project.clone(), running))
        };
        tenants.iter().filter_map(at_work).collect()
    }
}

async fn sweep(project: &ProjectRef, running: &Running) {
    match running.storage.sweep(PAGE_PAUSE).await {
        Ok(swept) if swept == storage::Swept::default() => {}
        Ok(swept) => {
            tracing::info!(%project, uploads = swept.uploads, bodies = swept.bodies, "files were swept");
        }
        Err(error) => tracing::warn!(%project, error, "files cannot be swept now"),
    }
}
