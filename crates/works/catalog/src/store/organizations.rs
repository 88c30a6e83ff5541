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
    if let Some(found) = organization_find(c, slug).await? {
        return Ok(found);
    }
    let insert =
        "insert into catalog.organizations (slug, name) values ($1, $2) on conflict (slug) do nothing";
    c.query(insert, &[text(slug), text(name)]).await?;
    // A statement of its own, so that it sees what another transaction has just inserted.
    let missing = || Error::Missing { what: "organization", value: slug.to_owned() };
    organization_find(c, slug).await?.ok_or_else(missing)
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
