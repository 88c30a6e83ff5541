//! Domains of projects' own.

use crate::Error;
use model::ProjectRef;
use pg::{Connection, text};

/// Lets a domain mean a project. Repeatable.
///
/// # Errors
/// [`Error::Taken`] when it means another one.
pub async fn domain_put(c: &mut Connection, project: &ProjectRef, domain: &str) -> Result<(), Error> {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let sql = "insert into catalog.domains as d (domain, project_ref) values ($1, $2)
        on conflict (domain) do update set status = 'active' where d.project_ref = $2 returning 1";
    let rows = c.query(sql, &[text(&domain), text(project.as_str())]).await?;
    if rows.is_empty() { Err(Error::Taken { what: "the domain", value: domain }) } else { Ok(()) }
}

/// Takes a domain away. Repeatable.
///
/// # Errors
/// When the database does not answer.
pub async fn domain_delete(c: &mut Connection, project: &ProjectRef, domain: &str) -> Result<(), Error> {
    let sql = "delete from catalog.domains where domain = lower($1) and project_ref = $2";
    c.query(sql, &[text(domain), text(project.as_str())]).await?;
    Ok(())
}
