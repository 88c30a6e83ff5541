//! Projects.

use crate::Error;
use model::{AppId, InstanceId, OrgId, ProjectRef, SchemaName, ShardId, Tenancy};
use pg::{Connection, param, text};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where a project is in its life: the management API's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ProjectStatus {
    /// Being created.
    ComingUp,
    ActiveHealthy,
    ActiveUnhealthy,
    /// Being deleted.
    GoingDown,
    InitFailed,
    Removed,
    Inactive,
    Unknown,
    Restoring,
    Upgrading,
    Pausing,
    RestoreFailed,
    Restarting,
    PauseFailed,
    Resizing,
    Promoting,
}

impl ProjectStatus {
    /// The word in the catalog and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ProjectStatus::ComingUp => "COMING_UP",
            ProjectStatus::ActiveHealthy => "ACTIVE_HEALTHY",
            ProjectStatus::ActiveUnhealthy => "ACTIVE_UNHEALTHY",
            ProjectStatus::GoingDown => "GOING_DOWN",
            ProjectStatus::InitFailed => "INIT_FAILED",
            ProjectStatus::Removed => "REMOVED",
            ProjectStatus::Inactive => "INACTIVE",
            ProjectStatus::Unknown => "UNKNOWN",
            ProjectStatus::Restoring => "RESTORING",
            ProjectStatus::Upgrading => "UPGRADING",
            ProjectStatus::Pausing => "PAUSING",
            ProjectStatus::RestoreFailed => "RESTORE_FAILED",
            ProjectStatus::Restarting => "RESTARTING",
            ProjectStatus::PauseFailed => "PAUSE_FAILED",
            ProjectStatus::Resizing => "RESIZING",
            ProjectStatus::Promoting => "PROMOTING",
        }
    }
}

/// A project.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Project {
    #[serde(rename = "ref")]
    pub reference: ProjectRef,
    pub slug: String,
    pub name: String,
    pub organization_id: OrgId,
    pub tenancy: Tenancy,
    pub app_id: Option<AppId>,
    pub shard: Option<ShardId>,
    pub instance_id: Option<InstanceId>,
    pub status: ProjectStatus,
    pub settings: Map<String, Value>,
    pub created_at: String,
    pub updated_at: String,
}

impl Project {
    /// The schema of a pooled project that has its place.
    pub fn schema(&self) -> Option<SchemaName> {
        self.app_id.map(SchemaName::of_app)
    }
}

/// What a project starts from.
#[derive(Debug, Clone)]
pub struct NewProject {
    pub reference: ProjectRef,
    pub slug: String,
    pub name: String,
    pub organization: OrgId,
    pub tenancy: Tenancy,
    pub settings: Map<String, Value>,
}

/// Records a project in state `COMING_UP`.
///
/// # Errors
/// [`Error::Taken`] for the ref or the slug.
pub async fn project_insert(c: &mut Connection, new: &NewProject) -> Result<Project, Error> {
    let sql = "insert into catalog.projects as p (ref, slug, name, organization_id, tenancy, settings)
        values ($1, $2, $3, $4, $5, $6) returning to_jsonb(p)";
    let params = [
        text(new.reference.as_str()),
        text(&new.slug),
        text(&new.name),
        param(new.organization),
        text(new.tenancy.as_str()),
        text(Value::Object(new.settings.clone()).to_string()),
    ];
    let taken = |what, value: &str| Error::Taken { what, value: value.to_owned() };
    match c.query(sql, &params).await {
        Ok(rows) => Ok(rows.one()?.json(0)?),
        Err(e) if Error::violates(&e, "projects_pkey") => {
            Err(taken("the project ref", new.reference.as_str()))
        }
        Err(e) if Error::violates(&e, "projects_slug_key") => Err(taken("the slug", &new.slug)),
        Err(e) => Err(e.into()),
    }
}

/// The project with this ref.
///
/// # Errors
/// When the database does not answer.
pub async fn project_find(c: &mut Connection, project: &ProjectRef) -> Result<Option<Project>, Error> {
    let sql = "select to_jsonb(p) from catalog.projects as p where ref = $1";
    let rows = c.query(sql, &[text(project.as_str())]).await?;
    Ok(rows.first().map(|row| row.json(0)).transpose()?)
}

/// The project with this ref, slug or, if only one has it, name.
///
/// # Errors
/// When the database does not answer.
pub async fn project_find_named(c: &mut Connection, name: &str) -> Result<Option<Project>, Error> {
    let sql = "select to_jsonb(p) from (
          select *, count(*) over (partition by rank) as alike from (
            select *, case when ref = $1 then 1 when slug = $1 then 2 else 3 end as rank
            from catalog.projects where ref = $1 or slug = $1 or name = $1
          ) as ranked order by rank limit 1
        ) as p where alike = 1";
    let rows = c.query(sql, &[text(name)]).await?;
    Ok(rows.first().map(|row| row.json(0)).transpose()?)
}

/// Projects, oldest first, `limit` of them after the ref `after`.
///
/// # Errors
/// When the database does not answer.
pub async fn project_list(
    c: &mut Connection,
    after: Option<&ProjectRef>,
    limit: u32,
) -> Result<Vec<Project>, Error> {
    let sql = "select to_jsonb(p) from catalog.projects as p
        where $1::text is null or (created_at, ref) > (select created_at, ref from catalog.projects where ref = $1)
        order by created_at, ref limit $2";
    let rows = c.query(sql, &[after.and_then(|r| text(r.as_str())), param(limit)]).await?;
    Ok(rows.iter().map(|row| row.json(0)).collect::<Result<_, _>>()?)
}

/// The projects that have these app ids.
///
/// # Errors
/// When the database does not answer.
pub async fn project_refs_of_apps(c: &mut Connection, apps: &[i32]) -> Result<Vec<ProjectRef>, Error> {
    let list: Vec<String> = apps.iter().map(i32::to_string).collect();
    let sql = "select to_jsonb(ref) from catalog.projects where app_id = any ($1::integer[])";
    let rows = c.query(sql, &[text(format!("{{{}}}", list.join(",")))]).await?;
    Ok(rows.iter().map(|row| row.json(0)).collect::<Result<_, _>>()?)
}

/// How many projects there are.
///
/// # Errors
/// When the database does not answer.
pub async fn project_count(c: &mut Connection) -> Result<u64, Error> {
    Ok(c.query("select count(*) from catalog.projects", &[]).await?.one()?.get(0)?)
}

/// Puts a project into another state.
///
/// # Errors
/// When the database does not answer.
pub async fn project_set_status(
    c: &mut Connection,
    project: &ProjectRef,
    status: ProjectStatus,
) -> Result<(), Error> {
    let sql = "update catalog.projects set status = $2, updated_at = now() where ref = $1 and status <> $2";
    c.query(sql, &[text(project.as_str()), text(status.as_str())]).await?;
    Ok(())
}

/// Records on which instance a dedicated project lies.
///
/// # Errors
/// When the database does not answer.
pub async fn project_set_instance(
    c: &mut Connection,
    project: &ProjectRef,
    instance: Option<InstanceId>,
) -> Result<(), Error> {
    let sql = "update catalog.projects set instance_id = $2, updated_at = now() where ref = $1";
    c.query(sql, &[text(project.as_str()), instance.and_then(param)]).await?;
    Ok(())
}

/// Sets some of a project's settings; a null removes one.
///
/// # Errors
/// When the database does not answer.
pub async fn project_merge_settings(
    c: &mut Connection,
    project: &ProjectRef,
    settings: &Map<String, Value>,
) -> Result<(), Error> {
    let sql = "update catalog.projects
        set settings = jsonb_strip_nulls(settings || $2::jsonb), updated_at = now() where ref = $1";
    c.query(sql, &[text(project.as_str()), text(Value::Object(settings.clone()).to_string())]).await?;
    Ok(())
}

/// The same, if the setting `part` is still as it was read; whether it was.
///
/// # Errors
/// When the database does not answer.
pub async fn project_change_settings(
    c: &mut Connection,
    project: &ProjectRef,
    settings: &Map<String, Value>,
    (part, was): (&str, Option<&Value>),
) -> Result<bool, Error> {
    let sql = "update catalog.projects
        set settings = jsonb_strip_nulls(settings || $2::jsonb), updated_at = now()
        where ref = $1 and settings -> $3 is not distinct from $4::jsonb";
    let was = was.map_or_else(pg::null, |was| text(was.to_string()));
    let params = [text(project.as_str()), text(Value::Object(settings.clone()).to_string()), text(part), was];
    Ok(c.query(sql, &params).await?.affected() == 1)
}

/// Forgets a project with its keys and secrets, and notes that its files are to be removed. Repeatable.
///
/// # Errors
/// When the database does not answer.
pub async fn project_delete(c: &mut Connection, project: &ProjectRef) -> Result<(), Error> {
    let sql = "
with gone as (delete from catalog.projects where ref = $1 returning ref)
insert into catalog.file_removals (project_ref) select ref from gone
on conflict (project_ref) do update set deleted_at = now()";
    c.query(sql, &[text(project.as_str())]).await?;
    Ok(())
}
