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
        Servers::External(_) => {}
    }
    let mut c = platform.catalog().connection().await?;
    let mut tx = c.begin().await?;
    let name = instance_name(platform, project);
    let recorded = platform.inner.servers.record(tx.connection(), platform.catalog(), &name).await?;
    catalog::projects::project_set_instance(tx.connection(), &project.reference, Some(recorded.id)).await?;
    tx.commit().await?;
    Ok(())
}

/// Gives the owner a password and the database the settings that SQL of a project may read.
pub(super) async fn configure(platform: &Platform, project: &Project) -> Result<(), Error> {
    let (admin, _lease) = platform.dedicated_admin(project).await?;
    let mut c = platform.catalog().connection().await?;
    let master = platform.catalog().key();
    let secret = secrets::jwt_secret_list(&mut c, master, &project.reference).await?.into_iter().next();
    let password =
        secrets::secret_get(&mut c, master, &project.reference, secrets::DATABASE_PASSWORD).await?;
    drop(c);
    let mut session = Connection::connect(&admin).await?;
    let owner = password.as_deref().map(|password| ("postgres", password));
    if let Some(external) = platform.inner.servers.external() {
        bootstrap::run(&mut session, &bootstrap::dedicated()).await?;
        external.allow_logins(&mut session, owner.as_slice()).await?;
    } else if let Some((_, password)) = owner {
        session
            .batch(&format!("alter role postgres with login password {}", quote_literal(password)))
            .await?;
    }
    let database = quote_ident(&admin.dbname);
    let seconds = JWT_SECONDS.to_string();
    let settings =
        [("app.settings.jwt_secret", secret.unwrap_or_default()), ("app.settings.jwt_exp", seconds)];
    for (name, value) in settings {
        // SQL text: the database's name was quoted above.
        let alter =
            format!("alter database {database} set {} to {}", quote_ident(name), quote_literal(&value));
        session.batch(&alter).await?;
    }
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
        Servers::External(external) => format!("database {}", external.config.dbname),
    }
}
