//! Jobs that nobody works on any more: after a crash of ours, or of the server in the middle of a job.

use super::{Running, run};
use crate::{Error, Inner, Platform};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Finishes all jobs that are neither done nor failed, those apart that are at work. How many there were.
pub(crate) async fn resume(platform: &Platform) -> Result<usize, Error> {
    let mut c = platform.catalog().connection().await?;
    let jobs = catalog::jobs::job_unfinished(&mut c).await?;
    drop(c);
    let mut found = 0;
    for job in jobs {
        let _permit = platform.inner.jobs.acquire().await.map_err(|_| Error::Interrupted)?;
        let Ok(_running) = Running::begin(platform, &job.project_ref) else { continue };
        // It may have ended since the list was made.
        let mut c = platform.catalog().connection().await?;
        let now = catalog::jobs::job_latest(&mut c, &job.project_ref).await?;
        drop(c);
        let Some(job) = now.filter(|now| now.id == job.id && now.state.is_unfinished()) else { continue };
        found += 1;
        let (project, kind) = (job.project_ref.clone(), job.kind);
        match run(platform, job).await {
            Ok(()) => tracing::info!(%project, ?kind, "finished an interrupted job"),
            Err(error) => tracing::error!(%project, ?kind, %error, "an interrupted job failed"),
        }
    }
    Ok(found)
}

/// Looks for such jobs again and again, as long as the platform is open.
pub(crate) async fn mend(inner: Weak<Inner>, period: Duration) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick is at once, when whoever opened the platform resumes by themselves.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        let platform = Platform { inner: Arc::clone(&inner) };
        drop(inner);
        if let Err(error) = resume(&platform).await {
            tracing::debug!(%error, "cannot look for interrupted jobs");
        }
    }
}
