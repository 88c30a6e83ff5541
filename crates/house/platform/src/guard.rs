//! The guard against tables that anybody can read: no relation of a project may be readable by `anon` without row-level
//! security having been asked.

use crate::{Error, Platform};
use catalog::Project;
use model::Tenancy;
use pg::{Connection, text};
use serde::{Deserialize, Serialize};

/// A relation that an anonymous client reads without any policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposed {
    pub schema: String,
    pub name: String,
    /// `rls_disabled` for a table, `security_definer_view` for a view that reads with its owner's rights.
    pub reason: String,
}

/// The exposed relations of a project; none is as it should be.
///
/// # Errors
/// When the project's database does not answer.
pub async fn exposed(platform: &Platform, project: &Project) -> Result<Vec<Exposed>, Error> {
    let endpoint = platform.endpoint(project).await?;
    let schema = match project.tenancy {
        Tenancy::Pooled => project.schema().and_then(|schema| text(schema.as_str())),
        Tenancy::Dedicated => None,
    };
    let mut session = Connection::connect(&endpoint.admin).await?;
    let rows = session.query(include_str!("exposed.sql"), &[schema]).await?;
    let found = rows.iter().map(|row| row.json(0)).collect::<Result<_, _>>()?;
    session.close().await;
    Ok(found)
}
