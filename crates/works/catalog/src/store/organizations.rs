//! Organizations: the owners of projects.

use crate::Error;
use model::OrgId;
use pg::{Connection, text};
use serde::{Deserialize, Serialize};

/// An organization.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Organization {
    pub id: OrgId,
    pub slug: String,
    pub name: String,
    pub created_at: String,
}

/// The organization with this slug, made when missing. Repeatable.
///
/// # Errors
/// When the database does not answer, or the name does not fit.
pub async fn organization_ensure(c: &mut Connection, slug: &str, name: &str) -> Result<Organization, Error> {
    let sql = "with made as (
        insert into catalog.organizations (slug, name) values ($1, $2) on conflict (slug) do nothing returning *)
        select to_jsonb(o) from (select * from made union all
        select * from catalog.organizations where slug = $1 limit 1) as o";
    let rows = c.query(sql, &[text(slug), text(name)]).await?;
    Ok(rows.one()?.json(0)?)
}

/// The organization with this slug.
///
/// # Errors
/// When the database does not answer.
pub async fn organization_find(c: &mut Connection, slug: &str) -> Result<Option<Organization>, Error> {
    let rows =
        c.query("select to_jsonb(o) from catalog.organizations as o where slug = $1", &[text(slug)]).await?;
    Ok(rows.first().map(|row| row.json(0)).transpose()?)
}

/// All organizations, by name.
///
/// # Errors
/// When the database does not answer.
pub async fn organization_list(c: &mut Connection) -> Result<Vec<Organization>, Error> {
    let rows = c.query("select to_jsonb(o) from catalog.organizations as o order by name, slug", &[]).await?;
    Ok(rows.iter().map(|row| row.json(0)).collect::<Result<_, _>>()?)
}
