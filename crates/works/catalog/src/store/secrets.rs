//! Secrets of projects: the ones that sign tokens, and others by name.

use crate::{Error, MasterKey, Place, bytea, read_bytea};
use model::ProjectRef;
use pg::{Connection, text};

/// The name under which the password of a dedicated project's `postgres` is kept.
pub const DATABASE_PASSWORD: &str = "database_password";

/// Stores the secret that signs a project's tokens. Repeatable: the one in use stays.
///
/// # Errors
/// When the database does not answer.
pub async fn jwt_secret_ensure(
    c: &mut Connection,
    master: &MasterKey,
    project: &ProjectRef,
    secret: &str,
) -> Result<(), Error> {
    let sealed = master.seal(secret.as_bytes(), jwt_place(project))?;
    let sql = "insert into catalog.jwt_secrets (project_ref, sealed) values ($1, $2)
        on conflict (project_ref) where status = 'in_use' do nothing";
    c.query(sql, &[text(project.as_str()), bytea(&sealed)]).await?;
    Ok(())
}

/// The secrets of HS256 with which tokens of the project are verified, the one that signs (or did last) first.
///
/// # Errors
/// When the database does not answer, or the master key is the wrong one.
pub async fn jwt_secret_list(
    c: &mut Connection,
    master: &MasterKey,
    project: &ProjectRef,
) -> Result<Vec<String>, Error> {
    let sql = "select sealed from catalog.jwt_secrets where project_ref = $1 and status <> 'revoked' and algorithm = 'HS256'
        order by status <> 'in_use', status <> 'previously_used', created_at desc";
    let rows = c.query(sql, &[text(project.as_str())]).await?;
    rows.iter().map(|row| Ok(master.open_text(&read_bytea(row, 0)?, jwt_place(project))?)).collect()
}

/// Stores a named secret. With `replace` a stored one gives way, without it stays.
///
/// # Errors
/// When the database does not answer.
pub async fn secret_put(
    c: &mut Connection,
    master: &MasterKey,
    project: &ProjectRef,
    secret: NamedSecret<'_>,
) -> Result<(), Error> {
    let row = row_name(project, secret.name);
    let sealed = master.seal(secret.value.as_bytes(), named_place(&row))?;
    let sql = "insert into catalog.project_secrets as s (project_ref, name, sealed) values ($1, $2, $3)
        on conflict (project_ref, name) do update set sealed = excluded.sealed, updated_at = now() where $4";
    let params = [text(project.as_str()), text(secret.name), bytea(&sealed), pg::param(secret.replace)];
    c.query(sql, &params).await?;
    Ok(())
}

/// A secret to be stored under a name.
#[derive(Clone, Copy)]
pub struct NamedSecret<'a> {
    pub name: &'a str,
    pub value: &'a str,
    pub replace: bool,
}

/// A named secret.
///
/// # Errors
/// When the database does not answer, or the master key is the wrong one.
pub async fn secret_get(
    c: &mut Connection,
    master: &MasterKey,
    project: &ProjectRef,
    name: &str,
) -> Result<Option<String>, Error> {
    let sql = "select sealed from catalog.project_secrets where project_ref = $1 and name = $2";
    let rows = c.query(sql, &[text(project.as_str()), text(name)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(master.open_text(&read_bytea(row, 0)?, named_place(&row_name(project, name)))?))
}

pub(super) fn jwt_place(project: &ProjectRef) -> Place<'_> {
    Place { table: "jwt_secrets", column: "sealed", row: project.as_str() }
}

fn row_name(project: &ProjectRef, name: &str) -> String {
    format!("{project}/{name}")
}

fn named_place(row: &str) -> Place<'_> {
    Place { table: "project_secrets", column: "sealed", row }
}
