//! Deleting a project: data, users, keys, everything but the audit log.

use crate::provision::{self, Running};
use crate::{Error, Platform};
use catalog::{Job, JobKind, JobState, ProjectStatus};
use model::ProjectRef;
use serde_json::{Map, json};

/// Deletes a project and waits until nothing of it is left. A deletion that was interrupted, or failed, is
/// continued by calling this again.
///
/// # Errors
/// [`Error::NoProject`] when there is none; [`catalog::Error::Busy`] while it is being created.
pub async fn delete(platform: &Platform, reference: &ProjectRef, actor: &str) -> Result<(), Error> {
    let (owned, reference, actor) = (platform.clone(), reference.clone(), actor.to_owned());
    platform.detached(async move { delete_now(&owned, &reference, &actor).await }).await
}

async fn delete_now(platform: &Platform, reference: &ProjectRef, actor: &str) -> Result<(), Error> {
    let _permit = platform.inner.jobs.acquire().await.map_err(|_| Error::Interrupted)?;
    let _running = Running::begin(platform, reference)?;
    let job = record(platform, reference, actor).await?;
    platform.catalog().forget(reference);
    platform.inner.failpoints.hit("delete.recorded")?;
    provision::run(platform, job).await
}

async fn record(platform: &Platform, reference: &ProjectRef, actor: &str) -> Result<Job, Error> {
    let mut c = platform.catalog().connection().await?;
    if let Some(job) = catalog::jobs::job_latest(&mut c, reference).await?
        && job.kind == JobKind::DeleteProject
        && job.state == JobState::Running
    {
        return Ok(job);
    }
    let mut tx = c.begin().await?;
    let c = tx.connection();
    if catalog::projects::project_find(c, reference).await?.is_none() {
        return Err(Error::NoProject(reference.to_string()));
    }
    catalog::projects::project_set_status(c, reference, ProjectStatus::GoingDown).await?;
    catalog::audit::audit_write(c, actor, "project.delete", reference, &Map::new()).await?;
    let job =
        catalog::jobs::job_insert(c, JobKind::DeleteProject, reference, &json!({ "actor": actor })).await?;
    tx.commit().await?;
    Ok(job)
}
