//! Copies of the entity models of pooled projects. The model that counts lies in the shard, written in the
//! transaction that makes its tables; this one is for whoever should not have to ask the shard.

use crate::Error;
use model::ProjectRef;
use pg::{Connection, param, text};

/// Stores a model, unless a later version is there.
///
/// # Errors
/// When the database does not answer.
pub async fn entity_model_put(
    c: &mut Connection,
    project: &ProjectRef,
    version: i32,
    model: &str,
) -> Result<(), Error> {
    let sql = "insert into catalog.entity_models as m (project_ref, version, model) values ($1, $2, $3)
        on conflict (project_ref) do update
        set version = excluded.version, model = excluded.model, updated_at = now()
        where m.version <= excluded.version and (m.version, m.model) is distinct from (excluded.version, excluded.model)";
    c.query(sql, &[text(project.as_str()), param(version), text(model)]).await?;
    Ok(())
}

/// The copy: version and JSON text.
///
/// # Errors
/// When the database does not answer.
pub async fn entity_model_get(
    c: &mut Connection,
    project: &ProjectRef,
) -> Result<Option<(i32, String)>, Error> {
    let sql = "select version, model from catalog.entity_models where project_ref = $1";
    let rows = c.query(sql, &[text(project.as_str())]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some((row.get(0)?, row.get(1)?)))
}
