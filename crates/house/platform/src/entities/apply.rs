//! Applying a model: read what is stored, compare, make the difference and store the new model, in one
//! transaction under a lock of the app.

use super::ddl::Tables;
use super::diff::{Plan, diff};
use super::model::Model;
use crate::{Error, Platform};
use catalog::{Project, ProjectStatus};
use model::{AppId, SchemaName, ShardId, Tenancy};
use pg::{Connection, param, text};
use serde::Serialize;
use serde_json::{Value, json};

/// What applying a model did, or would do.
#[derive(Debug, Clone, Serialize)]
pub struct Applied {
    /// Counts the changes of the project's model.
    pub version: i32,
    /// Whether anything was different.
    pub changed: bool,
    /// The statements, in order.
    pub sql: Vec<String>,
    pub model: Model,
}

/// The model of a project.
#[derive(Debug, Clone, Serialize)]
pub struct StoredModel {
    /// 0 when none was ever applied.
    pub version: i32,
    pub model: Model,
}

/// The first key of the advisory locks by which models of one app are applied one after the other.
const LOCK: i32 = 0x656e_7469;

/// Neither a reader of the app's tables nor a large one of them keeps a connection that other apps need.
const LIMITS: &str = "set local lock_timeout = '5s'; set local statement_timeout = '60s'";

/// A lock that did not come in time, or work that took too long, is the app's own affair.
fn busy(error: pg::Error) -> Error {
    match error.sqlstate() {
        Some("55P03" | "57014") => Error::Busy,
        _ => error.into(),
    }
}

/// Makes the project's tables what the model says.
///
/// # Errors
/// [`Error::Model`] with every problem of the model; [`Error::Destructive`] with every change that needs
/// `allow_destructive`; [`Error::RowsDoNotFit`] when stored rows contradict it. Nothing is changed then.
pub async fn apply(
    platform: &Platform,
    project: &Project,
    model: &Value,
    allow_destructive: bool,
) -> Result<Applied, Error> {
    let wanted = Model::parse(model).map_err(Error::Model)?;
    let place = Place::of(project)?;
    let _turn = platform.inner.turns.take(place.app).await?;
    let mut admin = platform.shard_admin(place.shard).await?;
    let mut tx = admin.begin().await?;
    tx.batch(LIMITS).await?;
    // Another program may serve the same platform.
    tx.query("select pg_advisory_xact_lock($1, $2)", &[param(LOCK), param(place.app)]).await.map_err(busy)?;
    let stored = read(tx.connection(), place.app).await?;
    let plan = diff(place.tables(), &stored.model, &wanted).map_err(Error::Model)?;
    if !plan.destructive.is_empty() && !allow_destructive {
        return Err(Error::Destructive(plan.destructive));
    }
    let changed = !plan.is_empty() || plan.model != stored.model;
    let version = stored.version + i32::from(changed);
    if changed {
        execute(tx.connection(), &place, &plan).await?;
        platform.inner.failpoints.hit("entities.executed")?;
        write(tx.connection(), place.app, version, &plan.model).await?;
        tx.commit().await?;
        platform.inner.failpoints.hit("entities.committed")?;
    } else {
        tx.rollback().await?;
    }
    copy_to_catalog(platform, project, version, &plan.model).await?;
    if changed {
        audit(platform, project, version, &plan).await?;
    }
    Ok(Applied { version, changed, sql: plan.statements().cloned().collect(), model: plan.model })
}

/// What [`apply`] would do, destructive changes included. Changes nothing.
///
/// # Errors
/// As [`apply`], but for destructive changes and rows that do not fit.
pub async fn plan(platform: &Platform, project: &Project, model: &Value) -> Result<Applied, Error> {
    let wanted = Model::parse(model).map_err(Error::Model)?;
    let place = Place::of(project)?;
    let mut admin = platform.shard_admin(place.shard).await?;
    let stored = read(&mut admin, place.app).await?;
    let plan = diff(place.tables(), &stored.model, &wanted).map_err(Error::Model)?;
    let changed = !plan.is_empty() || plan.model != stored.model;
    let version = stored.version + i32::from(changed);
    Ok(Applied { version, changed, sql: plan.statements().cloned().collect(), model: plan.model })
}

/// The project's model. The shard's word counts; a copy in the catalog that fell behind in a crash is mended.
///
/// # Errors
/// When the project is not pooled or its shard does not answer.
pub async fn show(platform: &Platform, project: &Project) -> Result<StoredModel, Error> {
    let place = Place::of(project)?;
    let stored = {
        let mut admin = platform.shard_admin(place.shard).await?;
        read(&mut admin, place.app).await?
    };
    if stored.version > 0 {
        copy_to_catalog(platform, project, stored.version, &stored.model).await?;
    }
    Ok(stored)
}

struct Place {
    shard: ShardId,
    app: AppId,
    schema: SchemaName,
}

impl Place {
    fn of(project: &Project) -> Result<Place, Error> {
        if project.tenancy != Tenancy::Pooled {
            return Err(Error::WrongTenancy(
                "entities belong to pooled projects; a dedicated project has migrations instead",
            ));
        }
        match (project.status, project.shard, project.app_id) {
            (ProjectStatus::ActiveHealthy, Some(shard), Some(app)) => {
                Ok(Place { shard, app, schema: SchemaName::of_app(app) })
            }
            (status, ..) => {
                Err(Error::NotReady { project: project.reference.to_string(), status: status.as_str() })
            }
        }
    }

    fn tables(&self) -> Tables<'_> {
        Tables { schema: self.schema.as_str(), app: self.app.0 }
    }
}

async fn read(c: &mut Connection, app: AppId) -> Result<StoredModel, Error> {
    let sql = "select version, model from rowhouse.entity_models where app_id = $1";
    let rows = c.query(sql, &[param(app)]).await?;
    match rows.first() {
        Some(row) => Ok(StoredModel { version: row.get(0)?, model: row.json(1)? }),
        None => Ok(StoredModel { version: 0, model: Model::default() }),
    }
}

async fn write(c: &mut Connection, app: AppId, version: i32, model: &Model) -> Result<(), Error> {
    let sql = "insert into rowhouse.entity_models (app_id, version, model) values ($1, $2, $3)
        on conflict (app_id) do update
        set version = excluded.version, model = excluded.model, applied_at = now()";
    c.query(sql, &[param(app), param(version), text(json_of(model))]).await?;
    Ok(())
}

fn json_of(model: &Model) -> String {
    serde_json::to_string(model).expect("a model has only texts, flags and JSON values")
}

/// Two round trips at most: what the owner does, then what only the superuser may.
async fn execute(c: &mut Connection, place: &Place, plan: &Plan) -> Result<(), Error> {
    let mut script = String::from("set local client_min_messages = warning; set local timezone = 'UTC';\n");
    script.push_str("set local role rowhouse_owner;\n");
    for statement in &plan.as_owner {
        script.push_str(statement);
        script.push_str(";\n");
    }
    script.push_str("reset role;\n");
    for statement in &plan.as_admin {
        script.push_str(statement);
        script.push_str(";\n");
    }
    c.batch(&script).await.map_err(|error| match error.sqlstate() {
        Some(state) if rows_do_not_fit(state) => Error::RowsDoNotFit(error),
        _ => busy(error),
    })?;
    // Whoever serves this shard hears which schema is not what it was.
    let payload = format!("reload schema {}", place.schema);
    c.query("select pg_notify('pgrst', $1)", &[text(payload)]).await?;
    Ok(())
}

/// Constraint violations, and values that cannot be cast.
fn rows_do_not_fit(state: &str) -> bool {
    state.starts_with("23") || state.starts_with("22")
}

/// Whoever applies a model holds the project's service key or the machine.
const ACTOR: &str = "service_role";

async fn audit(platform: &Platform, project: &Project, version: i32, plan: &Plan) -> Result<(), Error> {
    let details = json!({
        "version": version,
        "statements": plan.statements().count(),
        "destructive": plan.destructive,
    });
    let details = details.as_object().cloned().unwrap_or_default();
    let mut c = platform.catalog().connection().await?;
    catalog::audit::audit_write(&mut c, ACTOR, "entities.apply", &project.reference, &details).await?;
    Ok(())
}

async fn copy_to_catalog(
    platform: &Platform,
    project: &Project,
    version: i32,
    model: &Model,
) -> Result<(), Error> {
    let mut c = platform.catalog().connection().await?;
    catalog::entity_models::entity_model_put(&mut c, &project.reference, version, &json_of(model)).await?;
    Ok(())
}
