//! Jobs: the steps that make a project usable, or make it go away.
//!
//! Every step may be repeated, and every step of a creation can be undone, also when it was never done. So a
//! job that was interrupted anywhere is continued from the last step that is known to be done; a creation whose
//! step fails for good is undone from there downwards, until nothing of the project is left.

mod dedicated;
mod mend;
mod pooled;
mod running;

pub(crate) use mend::{mend, resume};
pub(crate) use running::{Running, RunningJobs};

use crate::{Error, Platform};
use catalog::{Job, JobKind, JobState, Project, ProjectStatus};
use model::{ProjectRef, Tenancy};
use pg::{Pipeline, param};

/// A step of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A place in a shard.
    Place,
    /// The app's schema in its shard.
    Schema,
    /// The project's own server.
    Server,
    /// Password and settings on the project's own server.
    Configure,
    /// The app's tables and users.
    EraseApp,
    /// The place in the shard.
    GiveBack,
    /// The project's own server with all data.
    EraseServer,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Place => "place",
            Step::Schema => "schema",
            Step::Server => "server",
            Step::Configure => "configure",
            Step::EraseApp => "erase_app",
            Step::GiveBack => "give_back",
            Step::EraseServer => "erase_server",
        }
    }
}

fn steps(kind: JobKind, tenancy: Tenancy) -> &'static [Step] {
    match (kind, tenancy) {
        (JobKind::CreateProject, Tenancy::Pooled) => &[Step::Place, Step::Schema],
        (JobKind::CreateProject, Tenancy::Dedicated) => &[Step::Server, Step::Configure],
        (JobKind::DeleteProject, Tenancy::Pooled) => &[Step::EraseApp, Step::GiveBack],
        (JobKind::DeleteProject, Tenancy::Dedicated) => &[Step::EraseServer],
    }
}

/// Does a job from where it stands. The caller has the project to itself: see [`Running`].
pub(crate) async fn run(platform: &Platform, job: Job) -> Result<(), Error> {
    let Some(project) = find(platform, &job.project_ref).await? else {
        // The last step of a deletion is recorded together with the end of the job; only an operator's hand on
        // the catalog leads here.
        return finish(platform, &job, Ending::Gone).await;
    };
    let result = match (job.kind, job.state) {
        (JobKind::CreateProject, JobState::Undoing) => undo(platform, &job, job.step).await,
        (JobKind::CreateProject, _) => create(platform, &job, project.tenancy).await,
        (JobKind::DeleteProject, _) => delete(platform, &job, project.tenancy).await,
    };
    platform.catalog().forget(&job.project_ref);
    result
}

async fn create(platform: &Platform, job: &Job, tenancy: Tenancy) -> Result<(), Error> {
    let steps = steps(JobKind::CreateProject, tenancy);
    for (number, step) in steps.iter().enumerate().skip(job.step) {
        let Err(error) = forward(platform, job, *step, number).await else { continue };
        if let Error::Killed { .. } = error {
            return Err(error);
        }
        tracing::warn!(project = %job.project_ref, step = step.name(), %error, "creation failed, undoing it");
        let text = error.to_string();
        record(platform, job, number + 1, JobState::Undoing, Some(&text)).await?;
        undo(platform, job, number + 1).await?;
        return Err(error);
    }
    finish(platform, job, Ending::Active).await
}

async fn delete(platform: &Platform, job: &Job, tenancy: Tenancy) -> Result<(), Error> {
    for (number, step) in steps(JobKind::DeleteProject, tenancy).iter().enumerate().skip(job.step) {
        forward(platform, job, *step, number).await?;
    }
    finish(platform, job, Ending::Gone).await
}

async fn forward(platform: &Platform, job: &Job, step: Step, number: usize) -> Result<(), Error> {
    let failpoint = |when: &str| format!("{}.{}.{when}", prefix(job.kind), step.name());
    platform.inner.failpoints.hit(&failpoint("before"))?;
    let project = find(platform, &job.project_ref).await?;
    let project = project.ok_or_else(|| Error::NoProject(job.project_ref.to_string()))?;
    perform(platform, &project, step).await?;
    platform.inner.failpoints.hit(&failpoint("done"))?;
    record(platform, job, number + 1, JobState::Running, None).await?;
    platform.inner.failpoints.hit(&failpoint("recorded"))
}

fn prefix(kind: JobKind) -> &'static str {
    match kind {
        JobKind::CreateProject => "create",
        JobKind::DeleteProject => "delete",
    }
}

async fn undo(platform: &Platform, job: &Job, done: usize) -> Result<(), Error> {
    let Some(project) = find(platform, &job.project_ref).await? else { return Ok(()) };
    let steps = steps(JobKind::CreateProject, project.tenancy);
    for (number, step) in steps.iter().enumerate().take(done).rev() {
        platform.inner.failpoints.hit(&format!("undo.{}.before", step.name()))?;
        // The row changes as steps are undone.
        let Some(project) = find(platform, &job.project_ref).await? else { return Ok(()) };
        revert(platform, &project, *step).await?;
        record(platform, job, number, JobState::Undoing, None).await?;
    }
    finish(platform, job, Ending::Undone).await
}

async fn perform(platform: &Platform, project: &Project, step: Step) -> Result<(), Error> {
    match step {
        Step::Place => platform.assign_shard(&project.reference).await.map(drop),
        Step::Schema => pooled::make_schema(platform, project).await,
        Step::Server => dedicated::make_server(platform, project).await,
        Step::Configure => dedicated::configure(platform, project).await,
        Step::EraseApp => pooled::erase(platform, project).await,
        Step::GiveBack => pooled::give_back(platform, project).await,
        Step::EraseServer => dedicated::erase(platform, project).await,
    }
}

async fn revert(platform: &Platform, project: &Project, step: Step) -> Result<(), Error> {
    match step {
        Step::Place => pooled::give_back(platform, project).await,
        Step::Schema => pooled::erase(platform, project).await,
        Step::Server => dedicated::erase(platform, project).await,
        // Goes with the server, or with the place.
        Step::Configure | Step::EraseApp | Step::GiveBack | Step::EraseServer => Ok(()),
    }
}

async fn find(platform: &Platform, reference: &ProjectRef) -> Result<Option<Project>, Error> {
    let mut c = platform.catalog().connection().await?;
    Ok(catalog::projects::project_find(&mut c, reference).await?)
}

/// Records how far a job is. Losing this record in a crash of the server only means repeating a step, so its
/// commit does not wait for the disk.
async fn record(
    platform: &Platform,
    job: &Job,
    step: usize,
    state: JobState,
    error: Option<&str>,
) -> Result<(), Error> {
    let mut c = platform.catalog().connection().await?;
    if state == JobState::Undoing || error.is_some() {
        catalog::jobs::job_update(&mut c, job.id, step, state, error).await?;
        return Ok(());
    }
    let mut pipeline = Pipeline::new();
    pipeline.step("select set_config('synchronous_commit', 'off', true)", Vec::new());
    pipeline.step(
        "update catalog.jobs set step = $2, updated_at = now() where id = $1",
        vec![param(job.id), param(step)],
    );
    c.run(&pipeline).await?;
    Ok(())
}

/// How a job ends.
#[derive(Clone, Copy)]
enum Ending {
    /// The project can be used.
    Active,
    /// The project is deleted.
    Gone,
    /// The creation failed and nothing is left of it.
    Undone,
}

/// The last step of every job: the project's final state and the job's end, in one transaction.
async fn finish(platform: &Platform, job: &Job, ending: Ending) -> Result<(), Error> {
    platform.inner.failpoints.hit(&format!("{}.finish", prefix(job.kind)))?;
    let mut c = platform.catalog().connection().await?;
    let mut tx = c.begin().await?;
    let c = tx.connection();
    let state = match ending {
        Ending::Active => {
            catalog::projects::project_set_status(c, &job.project_ref, ProjectStatus::ActiveHealthy).await?;
            JobState::Done
        }
        Ending::Gone => {
            catalog::projects::project_delete(c, &job.project_ref).await?;
            JobState::Done
        }
        Ending::Undone => {
            catalog::projects::project_delete(c, &job.project_ref).await?;
            JobState::Failed
        }
    };
    let steps = usize::from(matches!(ending, Ending::Active)) * job.step;
    catalog::jobs::job_update(c, job.id, steps, state, None).await?;
    tx.commit().await?;
    platform.catalog().forget(&job.project_ref);
    Ok(())
}
