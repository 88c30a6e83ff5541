//! The steps of a pooled project: its schema in a shard, and leaving the shard without a trace.

use crate::{Error, Platform, bootstrap};
use catalog::Project;
use model::{AppId, ShardId};
use sql::Ident;

/// Where a project lies, once it has a place.
fn place(project: &Project) -> Option<(ShardId, AppId)> {
    Some((project.shard?, project.app_id?))
}

pub(super) async fn make_schema(platform: &Platform, project: &Project) -> Result<(), Error> {
    let Some((shard, app)) = place(project) else {
        return Err(Error::NotReady {
            project: project.reference.to_string(),
            status: project.status.as_str(),
        });
    };
    let mut admin = platform.shard_admin(shard).await?;
    bootstrap::run(&mut admin, &[bootstrap::app_schema(app)]).await?;
    Ok(())
}

pub(super) async fn give_back(platform: &Platform, project: &Project) -> Result<(), Error> {
    let mut c = platform.catalog().connection().await?;
    catalog::shards::shard_release(&mut c, &project.reference).await?;
    Ok(())
}

/// Drops the schema and every row of the app in the tables that all apps share, in one transaction. The shared
/// tables are found by their column, so a table added later is not forgotten.
pub(super) async fn erase(platform: &Platform, project: &Project) -> Result<(), Error> {
    let Some((shard, app)) = place(project) else { return Ok(()) };
    let Some(schema) = project.schema() else { return Ok(()) };
    let mut admin = platform.shard_admin(shard).await?;
    let mut tx = admin.begin().await?;
    // Neither foreign keys nor triggers are needed when everything of the app goes.
    tx.batch("set local session_replication_role = replica; set local client_min_messages = warning").await?;
    tx.batch(&format!("drop schema if exists {} cascade", Ident::new(schema.as_str()))).await?;
    let shared = tx.query(include_str!("shared_tables.sql"), &[]).await?;
    for row in &shared {
        // SQL text: the name comes quoted from PostgreSQL's own catalog.
        let delete = format!("delete from {} where app_id = $1", row.get::<String>(0)?);
        tx.query(&delete, &[pg::param(app)]).await?;
    }
    tx.commit().await?;
    Ok(())
}
