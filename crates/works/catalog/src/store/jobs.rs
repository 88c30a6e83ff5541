//! Jobs: sequences of repeatable steps that survive a crash.

use crate::Error;
use model::ProjectRef;
use pg::{Connection, param, text};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    CreateProject,
    DeleteProject,
}

impl JobKind {
    fn as_str(self) -> &'static str {
        match self {
            JobKind::CreateProject => "create_project",
            JobKind::DeleteProject => "delete_project",
        }
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Its steps are being done, upwards.
    Running,
    /// A step failed for good: those done are being undone, downwards.
    Undoing,
    Done,
    Failed,
}

impl JobState {
    /// Whether somebody has to go on with the job.
    pub fn is_unfinished(self) -> bool {
        matches!(self, JobState::Running | JobState::Undoing)
    }

    fn as_str(self) -> &'static str {
        match self {
            JobState::Running => "running",
            JobState::Undoing => "undoing",
            JobState::Done => "done",
            JobState::Failed => "failed",
        }
    }
}

/// A job.
#[derive(Debug, Clone, Deserialize)]
pub struct Job {
    pub id: i64,
    pub kind: JobKind,
    pub project_ref: ProjectRef,
    /// The first step not known to be done; while undoing, the number of steps still to be undone.
    pub step: usize,
    pub state: JobState,
    pub input: Value,
    pub error: Option<String>,
}

/// Records a job. `input` must not hold secrets.
///
/// # Errors
/// [`Error::Busy`] when the project has an unfinished one.
pub async fn job_insert(
    c: &mut Connection,
    kind: JobKind,
    project: &ProjectRef,
    input: &Value,
) -> Result<Job, Error> {
    let sql =
        "insert into catalog.jobs as j (kind, project_ref, input) values ($1, $2, $3) returning to_jsonb(j)";
    match c.query(sql, &[text(kind.as_str()), text(project.as_str()), text(input.to_string())]).await {
        Ok(rows) => Ok(rows.one()?.json(0)?),
        Err(e) if Error::violates(&e, "jobs_unfinished") => Err(Error::Busy { project: project.to_string() }),
        Err(e) => Err(e.into()),
    }
}

/// Records how far a job is.
///
/// # Errors
/// When the database does not answer.
pub async fn job_update(
    c: &mut Connection,
    id: i64,
    step: usize,
    state: JobState,
    error: Option<&str>,
) -> Result<(), Error> {
    let sql = "update catalog.jobs set step = $2, state = $3, error = coalesce($4, error), updated_at = now()
        where id = $1";
    c.query(sql, &[param(id), param(step), text(state.as_str()), error.and_then(text)]).await?;
    Ok(())
}

/// The jobs that are neither done nor failed, oldest first.
///
/// # Errors
/// When the database does not answer.
pub async fn job_unfinished(c: &mut Connection) -> Result<Vec<Job>, Error> {
    let sql = "select to_jsonb(j) from catalog.jobs as j where state in ('running', 'undoing') order by id";
    let rows = c.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.json(0)).collect::<Result<_, _>>()?)
}

/// The newest job of a project.
///
/// # Errors
/// When the database does not answer.
pub async fn job_latest(c: &mut Connection, project: &ProjectRef) -> Result<Option<Job>, Error> {
    let sql = "select to_jsonb(j) from catalog.jobs as j where project_ref = $1 order by id desc limit 1";
    let rows = c.query(sql, &[text(project.as_str())]).await?;
    Ok(rows.first().map(|row| row.json(0)).transpose()?)
}
