//! Where the services of a project find its database, and as whom.

use crate::servers::{Managed, Servers};
use crate::{Error, Platform};
use catalog::{Project, secrets};
use instance::Lease;
use model::{SchemaName, Tenancy};
use pg::Config;
use std::sync::Arc;

/// A schema that clients know under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaAlias {
    /// The name in PostgreSQL.
    pub physical: String,
    /// The name in requests and answers.
    pub shown: String,
}

/// The database of a project. While the value lives, its server is kept awake.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// A superuser: for the platform's own work. In a dedicated project its search path is `pg_catalog` alone.
    pub admin: Config,
    /// The login role of the data API.
    pub rest: Config,
    /// The owner of the auth schema.
    pub auth: Config,
    /// The project's owner; only a dedicated project has one.
    pub postgres: Option<Config>,
    /// Settings that every request runs under, set for its transaction.
    pub extra_settings: Vec<(String, String)>,
    /// The schemas that the data API shows, the first being the default.
    pub schemas: Vec<SchemaAlias>,
    /// The schema of a pooled project, for the prefix that a table's name may carry.
    pub app_schema: Option<SchemaName>,
    /// Keeps the server awake.
    pub lease: Option<Arc<Lease>>,
}

impl Platform {
    /// Where a project's database is, waking its server if it sleeps.
    ///
    /// # Errors
    /// [`Error::NotReady`] for a project without a place yet; when the server does not start.
    pub async fn endpoint(&self, project: &Project) -> Result<Endpoint, Error> {
        match project.tenancy {
            Tenancy::Pooled => self.pooled_endpoint(project).await,
            Tenancy::Dedicated => self.dedicated_endpoint(project).await,
        }
    }

    async fn pooled_endpoint(&self, project: &Project) -> Result<Endpoint, Error> {
        let (Some(shard), Some(app)) = (project.shard, project.app_id) else {
            return Err(Error::NotReady {
                project: project.reference.to_string(),
                status: project.status.as_str(),
            });
        };
        let database = self.shard_database(shard).await?;
        let servers = &self.inner.servers;
        let schema = SchemaName::of_app(app);
        Ok(Endpoint {
            admin: servers.system(&database),
            rest: servers.system_as("authenticator", &database),
            auth: servers.system_as("supabase_auth_admin", &database),
            postgres: None,
            extra_settings: vec![("rowhouse.app_id".to_owned(), app.to_string())],
            schemas: vec![SchemaAlias { physical: schema.as_str().to_owned(), shown: "public".to_owned() }],
            app_schema: Some(schema),
            lease: None,
        })
    }

    async fn dedicated_endpoint(&self, project: &Project) -> Result<Endpoint, Error> {
        let as_is = |name: &str| SchemaAlias { physical: name.to_owned(), shown: name.to_owned() };
        let schemas = vec![as_is("public"), as_is("graphql_public")];
        let (admin, lease) = self.dedicated_admin(project).await?;
        let base = Config { options: Vec::new(), ..admin.clone() };
        let as_role = |role: &str| match &self.inner.servers {
            Servers::Managed(_) => base.with_user(role),
            Servers::External(external) => external.as_role(&base, role),
        };
        let mut postgres = as_role("postgres");
        if let (Servers::External(external), true) = (&self.inner.servers, postgres.user != admin.user) {
            postgres.password = self.database_password(project).await?.or(external.config.password.clone());
        }
        Ok(Endpoint {
            rest: as_role("authenticator"),
            auth: as_role("supabase_auth_admin"),
            postgres: Some(postgres),
            extra_settings: Vec::new(),
            schemas,
            app_schema: None,
            admin,
            lease,
        })
    }

    async fn database_password(&self, project: &Project) -> Result<Option<String>, Error> {
        let catalog = self.catalog();
        let mut c = catalog.connection().await?;
        let name = secrets::DATABASE_PASSWORD;
        Ok(secrets::secret_get(&mut c, catalog.key(), &project.reference, name).await?)
    }

    /// A superuser's session on a dedicated project's database. It names its search path itself, which beats what
    /// the project's owner may set for the database: nothing that a tenant made is found by an unqualified name.
    pub(crate) async fn dedicated_admin(
        &self,
        project: &Project,
    ) -> Result<(Config, Option<Arc<Lease>>), Error> {
        match &self.inner.servers {
            Servers::Managed(managed) => {
                let lease = managed.wake_project(&project.reference).await?;
                Ok((lease.endpoint().config(instance::SUPERUSER, Managed::DATABASE), Some(lease)))
            }
            Servers::External(external) => Ok((external.config.clone(), None)),
        }
    }
}
