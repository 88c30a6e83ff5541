//! The steps of a dedicated project: its own server, or the one database of a server that is not ours.

use crate::servers::Servers;
use crate::{Error, Platform, bootstrap};
use catalog::{Project, instances, secrets};
use pg::Connection;
use sql::{quote_ident, quote_literal};

/// How long access tokens are valid unless a project says otherwise, as a setting of its database.
const JWT_SECONDS: u32 = 3600;

pub(super) async fn make_server(platform: &Platform, project: &Project) -> Result<(), Error> {
    match &platform.inner.servers {
        Servers::Managed(managed) => managed.create_project(&project.reference).await?,
        Servers::External { config, .. } => refuse_second(platform, project, &config.dbname).await?,
    }
    let mut c = platform.catalog().connection().await?;
    let mut tx = c.begin().await?;
    let name = instance_name(platform, project);
    let recorded = instances::instance_ensure_managed(tx.connection(), &name).await?;
    catalog::projects::project_set_instance(tx.connection(), &project.reference, Some(recorded.id)).await?;
    tx.commit().await?;
    Ok(())
}

/// Gives the owner a password and the database the settings that SQL of a project may read.
pub(super) async fn configure(platform: &Platform, project: &Project) -> Result<(), Error> {
    let (admin, _lease) = platform.dedicated_admin(project).await?;
    let mut c = platform.catalog().connection().await?;
    let master = platform.catalog().key();
    let secret = secrets::jwt_secret_list(&mut c, master, &project.reference).await?.swap_remove(0);
    let password =
        secrets::secret_get(&mut c, master, &project.reference, secrets::DATABASE_PASSWORD).await?;
    drop(c);
    let mut session = Connection::connect(&admin).await?;
    if let Servers::External { .. } = platform.inner.servers {
        bootstrap::run(&mut session, &bootstrap::dedicated()).await?;
    }
    let database = quote_ident(&admin.dbname);
    let mut script = format!(
        "alter database {database} set \"app.settings.jwt_secret\" to {};
         alter database {database} set \"app.settings.jwt_exp\" to '{JWT_SECONDS}';",
        quote_literal(&secret)
    );
    if let (Some(password), Servers::Managed(_)) = (password, &platform.inner.servers) {
        script.push_str(&format!("alter role postgres with login password {};", quote_literal(&password)));
    }
    session.batch(&script).await?;
    session.close().await;
    Ok(())
}

/// Removes the server with everything on it. On a server that is not ours the data stays: it is the operator's.
pub(super) async fn erase(platform: &Platform, project: &Project) -> Result<(), Error> {
    if let Servers::Managed(managed) = &platform.inner.servers {
        managed.delete_project(&project.reference).await?;
    }
    let mut c = platform.catalog().connection().await?;
    let mut tx = c.begin().await?;
    catalog::projects::project_set_instance(tx.connection(), &project.reference, None).await?;
    instances::instance_delete(tx.connection(), &instance_name(platform, project)).await?;
    tx.commit().await?;
    Ok(())
}

/// The name of a project's server in the catalog.
fn instance_name(platform: &Platform, project: &Project) -> String {
    match &platform.inner.servers {
        Servers::Managed(_) => project.reference.to_string(),
        Servers::External { config, .. } => format!("database {}", config.dbname),
    }
}

/// A database that is not ours is the home of one project only.
async fn refuse_second(platform: &Platform, project: &Project, database: &str) -> Result<(), Error> {
    let mut c = platform.catalog().connection().await?;
    let sql = "select p.ref from catalog.projects as p join catalog.instances as i on i.id = p.instance_id
        where i.name = $1 and p.ref <> $2";
    let name = format!("database {database}");
    let others = c.query(sql, &[pg::text(&name), pg::text(project.reference.as_str())]).await?;
    if others.is_empty() {
        return Ok(());
    }
    Err(Error::WrongTenancy("on an external server there is one dedicated project, and it exists already"))
}
