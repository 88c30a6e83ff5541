//! The audit log: every administrative act, in the transaction that does it.

use crate::Error;
use model::ProjectRef;
use pg::{Connection, param, text};
use serde::Deserialize;
use serde_json::{Map, Value};

/// An entry.
#[derive(Debug, Clone, Deserialize)]
pub struct AuditEntry {
    pub at: String,
    pub actor: String,
    pub action: String,
    pub project_ref: Option<String>,
    pub details: Map<String, Value>,
}

/// Writes an entry. `details` must not hold secrets.
///
/// # Errors
/// When the database does not answer.
pub async fn audit_write(
    c: &mut Connection,
    actor: &str,
    action: &str,
    project: &ProjectRef,
    details: &Map<String, Value>,
) -> Result<(), Error> {
    let sql = "insert into catalog.audit_log (actor, action, organization_id, project_ref, details)
        values ($1, $2, (select organization_id from catalog.projects where ref = $3), $3, $4)";
    let details = Value::Object(details.clone()).to_string();
    c.query(sql, &[text(actor), text(action), text(project.as_str()), text(details)]).await?;
    Ok(())
}

/// The newest entries of a project.
///
/// # Errors
/// When the database does not answer.
pub async fn audit_list(
    c: &mut Connection,
    project: &ProjectRef,
    limit: u32,
) -> Result<Vec<AuditEntry>, Error> {
    let sql =
        "select to_jsonb(a) from catalog.audit_log as a where project_ref = $1 order by id desc limit $2";
    let rows = c.query(sql, &[text(project.as_str()), param(limit)]).await?;
    Ok(rows.iter().map(|row| row.json(0)).collect::<Result<_, _>>()?)
}
