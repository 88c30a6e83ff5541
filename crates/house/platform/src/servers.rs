//! The PostgreSQL servers behind the platform: our own, or one that the operator gave us.

use crate::{Error, bootstrap};
use catalog::{Catalog, Instance, instances};
use instance::{Installation, InstanceName, Instances, Lease, Template, TemplateSpec, Tuning};
use model::ProjectRef;
use pg::{Config, Connection, Host, text};
use sql::{quote_ident, quote_literal};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

/// Where everything lies.
#[derive(Debug)]
pub enum Server {
    /// Servers of our own: one for the catalog and the shards, one for each dedicated project.
    Managed(instance::Settings),
    /// A server that exists; the user must be a superuser. Databases are made on it, named with this prefix. It holds
    /// either pooled projects or one dedicated project, whose home is the database that the configuration names:
    /// what the roles may do differs, and roles belong to the server.
    External { config: Config, prefix: String },
}

/// The name of the catalog's database on our own server.
const CATALOG: &str = "rowhouse";
/// Connections that the server of the catalog and the shards accepts.
const SYSTEM_CONNECTIONS: u32 = 500;
const SYSTEM_BUFFERS_MB: u32 = 128;

pub(crate) enum Servers {
    Managed(Managed),
    External(Box<External>),
}

/// A server that the operator gave us.
pub(crate) struct External {
    pub(crate) config: Config,
    prefix: String,
    catalog: String,
    /// The password that we give the login roles there; known once the catalog is open.
    password: OnceLock<String>,
}

/// The roles as which services log in.
const LOGIN_ROLES: [&str; 2] = ["authenticator", "supabase_auth_admin"];

impl External {
    /// The server as the catalog records it, without the password.
    pub(crate) fn location(&self) -> String {
        let Config { host, port, user, dbname, .. } = &self.config;
        let host = match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(dir) => dir.display().to_string(),
        };
        format!("host={host} port={port} user={user} dbname={dbname}")
    }

    /// The same database as another role. The given user stays what it is: its password is the operator's.
    pub(crate) fn as_role(&self, config: &Config, role: &str) -> Config {
        if role == config.user {
            return config.clone();
        }
        Config { password: self.password.get().cloned(), ..config.with_user(role) }
    }

    /// Lets the roles of services, and the further ones, log in. Roles belong to the server, not to a database.
    pub(crate) async fn allow_logins(
        &self,
        session: &mut Connection,
        further: &[(&str, &str)],
    ) -> Result<(), Error> {
        let password = self.password.get().map(String::as_str).unwrap_or_default();
        let ours = LOGIN_ROLES.iter().map(|role| (*role, password));
        for (role, password) in
            ours.chain(further.iter().copied()).filter(|(role, _)| *role != self.config.user)
        {
            let alter =
                format!("alter role {} with login password {}", quote_ident(role), quote_literal(password));
            alter_shared(session, &alter).await?;
        }
        Ok(())
    }
}

/// Attempts before giving up on an object that somebody else keeps changing.
const ATTEMPTS_MAX: usize = 10;

/// Roles are shared by all databases of the server, and no lock is: who changes one at the same moment as another
/// platform is refused, and tries again.
async fn alter_shared(session: &mut Connection, alter: &str) -> Result<(), Error> {
    for _ in 1..ATTEMPTS_MAX {
        match session.batch(alter).await {
            Err(error) if error.sqlstate() == Some("XX000") => {}
            result => return Ok(result.map(drop)?),
        }
    }
    Ok(session.batch(alter).await.map(drop)?)
}

pub(crate) struct Managed {
    instances: Instances,
    system: Lease,
    project_template: Arc<OnceCell<Template>>,
    /// The servers of dedicated projects that somebody uses.
    used: Arc<Used>,
    watcher: JoinHandle<()>,
}

/// Leases handed out, one a server: whoever asks for the same server shares it.
type Used = Mutex<HashMap<InstanceName, Weak<Lease>>>;

/// Between two looks at whether the servers in use still run.
const WATCH_PERIOD: Duration = Duration::from_millis(200);

impl Servers {
    pub(crate) async fn open(server: Server) -> Result<Servers, Error> {
        match server {
            Server::Managed(settings) => Managed::open(settings).await.map(Servers::Managed),
            Server::External { config, prefix } => {
                let catalog = format!("{prefix}{CATALOG}");
                Ok(Servers::External(Box::new(External {
                    config,
                    prefix,
                    catalog,
                    password: OnceLock::new(),
                })))
            }
        }
    }

    pub(crate) fn instances(&self) -> Option<&Instances> {
        match self {
            Servers::Managed(managed) => Some(&managed.instances),
            Servers::External(_) => None,
        }
    }

    pub(crate) fn catalog_database(&self) -> &str {
        match self {
            Servers::Managed(_) => CATALOG,
            Servers::External(external) => &external.catalog,
        }
    }

    pub(crate) fn shard_prefix(&self) -> String {
        match self {
            Servers::Managed(_) => "shard_".to_owned(),
            Servers::External(external) => format!("{}shard_", external.prefix),
        }
    }

    pub(crate) fn external(&self) -> Option<&External> {
        match self {
            Servers::Managed(_) => None,
            Servers::External(external) => Some(external),
        }
    }

    /// A superuser's session on a database of the server that holds the catalog and the shards.
    pub(crate) fn system(&self, database: &str) -> Config {
        match self {
            Servers::Managed(managed) => managed.system.endpoint().config(instance::SUPERUSER, database),
            Servers::External(external) => external.config.with_dbname(database),
        }
    }

    /// The same as another role.
    pub(crate) fn system_as(&self, role: &str, database: &str) -> Config {
        match self {
            Servers::Managed(managed) => managed.system.endpoint().config(role, database),
            Servers::External(external) => external.as_role(&external.config.with_dbname(database), role),
        }
    }

    /// Records a server in the catalog, once.
    pub(crate) async fn record(
        &self,
        c: &mut Connection,
        catalog: &Catalog,
        name: &str,
    ) -> Result<Instance, Error> {
        Ok(match self {
            Servers::Managed(_) => instances::instance_ensure_managed(c, name).await?,
            Servers::External(external) => {
                instances::instance_ensure_external(c, catalog.key(), name, &external.location()).await?
            }
        })
    }

    /// Learns what the open catalog knows.
    pub(crate) async fn learn(&self, catalog: &Catalog) -> Result<(), Error> {
        if let Servers::External(external) = self {
            let password = catalog.platform_secret("login_password").await?;
            let _ = external.password.set(password);
        }
        Ok(())
    }

    pub(crate) async fn shutdown(&self) -> Result<(), Error> {
        if let Servers::Managed(managed) = self {
            managed.instances.shutdown().await?;
        }
        Ok(())
    }
}

impl Managed {
    /// The database of a dedicated project on its server.
    pub(crate) const DATABASE: &str = "postgres";

    async fn open(settings: instance::Settings) -> Result<Managed, Error> {
        let instances = Instances::open(settings).await?;
        let project_template = Arc::new(OnceCell::new());
        let name = InstanceName::system();
        let template = instances.prepare(&TemplateSpec::new("system", Vec::new())).await?;
        let tuning = Tuning {
            max_connections: SYSTEM_CONNECTIONS,
            shared_buffers_mb: SYSTEM_BUFFERS_MB,
            ..Tuning::default()
        }
        // One change of an app's model may lock thousands of relations.
        .with("max_locks_per_transaction", "128");
        instances.create(&name, &template, &tuning).await?;
        // The first dedicated project will want its template; the system's server starts meanwhile. A failure shows
        // when the template is needed.
        let (early, cell) = (instances.clone(), Arc::clone(&project_template));
        tokio::spawn(async move { prepare_project(&early, &cell).await.map(drop) });
        let system = instances.wake(&name).await?;
        let used = Arc::new(Used::default());
        let watcher = tokio::spawn(watch(instances.clone(), Arc::clone(&used)));
        Ok(Managed { instances, system, project_template, used, watcher })
    }

    /// Makes the server of a dedicated project. Repeatable.
    pub(crate) async fn create_project(&self, project: &ProjectRef) -> Result<(), Error> {
        let template = prepare_project(&self.instances, &self.project_template).await?;
        let tuning = project_tuning(self.instances.installation());
        self.instances.create(&InstanceName::from(project), template, &tuning).await?;
        Ok(())
    }

    /// Removes the server of a dedicated project. Repeatable.
    pub(crate) async fn delete_project(&self, project: &ProjectRef) -> Result<(), Error> {
        self.instances.remove(&InstanceName::from(project)).await?;
        Ok(())
    }

    /// Has the server of a dedicated project running. Whoever is the first to use it again brings its database to
    /// what this version of the program makes.
    pub(crate) async fn wake_project(&self, project: &ProjectRef) -> Result<Arc<Lease>, Error> {
        let name = InstanceName::from(project);
        let lease = Arc::new(self.instances.wake(&name).await?);
        if let Some(shared) = lock(&self.used).get(&name).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        let config = lease.endpoint().config(instance::SUPERUSER, Managed::DATABASE);
        let mut session = Connection::connect(&config).await?;
        if bootstrap::upgrade_dedicated(&mut session).await? {
            tracing::info!(%project, "upgraded a project's database");
        }
        match bootstrap::upgrade_owned(&mut session, &config).await {
            Ok(false) => {}
            Ok(true) => tracing::info!(%project, "upgraded a project's schemas"),
            // What the project changed is in the way: it goes on as it is.
            Err(error) => tracing::warn!(%project, %error, "a project's schema could not be upgraded"),
        }
        session.close().await;
        let mut used = lock(&self.used);
        if let Some(shared) = used.get(&name).and_then(Weak::upgrade) {
            return Ok(shared);
        }
        used.insert(name, Arc::downgrade(&lease));
        Ok(lease)
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

fn lock(used: &Used) -> MutexGuard<'_, HashMap<InstanceName, Weak<Lease>>> {
    // A map of weak pointers is valid whatever panicked in between.
    used.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts servers in use again when they have crashed. Ends with the platform.
async fn watch(instances: Instances, used: Arc<Used>) {
    let mut period = tokio::time::interval(WATCH_PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        let mut names = vec![InstanceName::system()];
        {
            let mut used = lock(&used);
            used.retain(|_, lease| lease.strong_count() > 0);
            names.extend(used.keys().cloned());
        }
        for name in names {
            match instances.ensure_running(&name).await {
                // One that is being deleted is nobody's any more.
                Ok(_) | Err(instance::Error::Unknown(_)) => {}
                Err(instance::Error::Interrupted) => return,
                Err(error) => tracing::error!(instance = %name, %error, "PostgreSQL in use does not run"),
            }
        }
    }
}

/// The settings of a project's server. Statistics of statements need their library from the start; it is part of
/// PostgreSQL's additional modules, which not every machine has.
fn project_tuning(installation: &Installation) -> Tuning {
    let root = installation.bin.parent().unwrap_or(&installation.bin);
    let has_statistics = ["lib", "lib/postgresql", "lib64", "lib64/pgsql"]
        .iter()
        .flat_map(|dir| ["so", "dylib"].map(|end| root.join(dir).join(format!("pg_stat_statements.{end}"))))
        .any(|path| path.is_file());
    let tuning = Tuning::default();
    if !has_statistics {
        return tuning;
    }
    tuning.with("shared_preload_libraries", "pg_stat_statements").with("pg_stat_statements.max", "1000")
}

async fn prepare_project<'a>(
    instances: &Instances,
    cell: &'a OnceCell<Template>,
) -> Result<&'a Template, Error> {
    cell.get_or_try_init(|| async {
        let scripts = bootstrap::dedicated();
        let scripts =
            scripts.iter().map(|s| instance::Script::new(Managed::DATABASE, s.sql.as_ref())).collect();
        Ok(instances.prepare(&TemplateSpec::new("project", scripts)).await?)
    })
    .await
}

/// Makes a database when it is missing. `config` leads to another database of the server. Repeatable, also by
/// several at once.
pub(crate) async fn ensure_database(config: &Config, database: &str) -> Result<(), Error> {
    let mut connection = Connection::connect(config).await?;
    let exists = connection.query("select from pg_database where datname = $1", &[text(database)]).await?;
    if exists.is_empty() {
        let create = format!("create database {} template template0 encoding 'UTF8'", quote_ident(database));
        match connection.batch(&create).await {
            Err(e) if matches!(e.sqlstate(), Some("42P04" | "23505")) => {}
            result => drop(result?),
        }
    }
    connection.close().await;
    Ok(())
}
