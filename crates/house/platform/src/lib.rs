//! The control plane: projects from creation to deletion, where their data lies, and the entities of pooled ones.
//!
//! [`Platform`] is a value, and several may live in one process. It knows no HTTP: the management API, the
//! command line and the studio call the same operations. Whatever takes several steps is a job of the catalog,
//! so that a crash at any point is mended by [`Platform::resume_unfinished`].

pub mod bootstrap;
mod endpoint;
pub mod entities;
mod error;
mod failpoint;
pub mod guard;
pub mod projects;
mod provision;
mod servers;
mod shards;
mod waiting_mail;

pub use catalog::{Lookup, Project, ProjectStatus, Resolved, Shard, ShardStatus};
pub use endpoint::{Endpoint, SchemaAlias};
pub use error::Error;
pub use failpoint::Failpoints;
pub use servers::Server;

use catalog::{Catalog, MasterKey};
use model::{Clock, SystemClock};
use provision::RunningJobs;
use servers::Servers;
use shards::ShardPools;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

/// How a platform is opened.
#[derive(Debug)]
pub struct Options {
    /// Where the catalog, the shards and the instances lie.
    pub server: Server,
    /// The master key as text (64 hexadecimal digits or base64); without it the key file is used, and made.
    pub master_key: Option<String>,
    /// The file of the master key.
    pub key_file: PathBuf,
    /// How many projects a shard opened from now on takes.
    pub shard_capacity: u32,
    pub clock: Arc<dyn Clock>,
    /// How often to look for jobs that nobody works on any more; `None`: only [`Platform::resume_unfinished`] does.
    pub mend_period: Option<Duration>,
    /// For tests of crashes; [`Failpoints::default`] never fails.
    pub failpoints: Failpoints,
}

/// A shard's capacity unless the operator says otherwise.
pub const SHARD_CAPACITY: u32 = 10_000;

impl Options {
    /// The defaults for this server, with the key file beside its data.
    pub fn new(server: Server, key_file: impl Into<PathBuf>) -> Self {
        Options {
            server,
            master_key: None,
            key_file: key_file.into(),
            shard_capacity: SHARD_CAPACITY,
            clock: Arc::new(SystemClock),
            mend_period: Some(MEND_PERIOD),
            failpoints: Failpoints::default(),
        }
    }
}

const MEND_PERIOD: Duration = Duration::from_secs(5);
/// How long a shutdown waits for jobs at work; what is left is resumed at the next start.
const JOBS_GRACE: Duration = Duration::from_secs(10);

/// How many jobs run at once; the rest wait.
const JOBS_MAX: usize = 4;

/// An open platform. Cheap to clone.
#[derive(Clone)]
pub struct Platform {
    inner: Arc<Inner>,
}

struct Inner {
    servers: Servers,
    catalog: Catalog,
    shards: ShardPools,
    shard_capacity: u32,
    clock: Arc<dyn Clock>,
    failpoints: Failpoints,
    jobs: Semaphore,
    running: RunningJobs,
    turns: entities::Turns,
    /// Jobs go on when whoever asked for them went away.
    tasks: TaskTracker,
    mender: OnceLock<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(mender) = self.mender.get() {
            mender.abort();
        }
    }
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").field("catalog", &self.inner.catalog).finish_non_exhaustive()
    }
}

impl Platform {
    /// Starts or reaches the server, makes the catalog's database when missing and migrates it.
    ///
    /// # Errors
    /// When the server, the catalog or the master key is not usable; the text says what to do.
    pub async fn open(options: Options) -> Result<Platform, Error> {
        let key = match &options.master_key {
            Some(text) => MasterKey::parse(text)?,
            None => {
                let path = options.key_file.clone();
                let load = tokio::task::spawn_blocking(move || MasterKey::load_or_create(&path));
                load.await.map_err(|_| Error::Interrupted)??
            }
        };
        let servers = Servers::open(options.server).await?;
        let database = servers.catalog_database();
        servers::ensure_database(&servers.system("postgres"), database).await?;
        let catalog = Catalog::open(servers.system(database), key).await?;
        servers.learn(&catalog).await?;
        let inner = Inner {
            servers,
            catalog,
            shards: ShardPools::default(),
            shard_capacity: options.shard_capacity,
            clock: options.clock,
            failpoints: options.failpoints,
            jobs: Semaphore::new(JOBS_MAX),
            running: RunningJobs::default(),
            turns: entities::Turns::default(),
            tasks: TaskTracker::new(),
            mender: OnceLock::new(),
        };
        let inner = Arc::new(inner);
        if let Some(period) = options.mend_period {
            let mender = tokio::spawn(provision::mend(Arc::downgrade(&inner), period));
            let _ = inner.mender.set(mender);
        }
        Ok(Platform { inner })
    }

    /// The catalog, for lookups of the request path.
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// Finds the project of a request, from memory if it can.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn resolve(&self, lookup: Lookup) -> Result<Option<Arc<Resolved>>, Error> {
        Ok(self.inner.catalog.resolve(lookup).await?)
    }

    /// The manager of our own servers; nothing on an external one.
    pub fn instances(&self) -> Option<&instance::Instances> {
        self.inner.servers.instances()
    }

    /// All shards, in order.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn shards(&self) -> Result<Vec<Shard>, Error> {
        let mut c = self.inner.catalog.connection().await?;
        Ok(catalog::shards::shard_list(&mut c).await?)
    }

    /// Finishes or removes what a crash left half done. Called once, at start, before requests are served.
    /// Returns how many jobs there were.
    ///
    /// # Errors
    /// When the catalog does not answer. A job that fails is undone and reported in the log.
    pub async fn resume_unfinished(&self) -> Result<usize, Error> {
        provision::resume(self).await
    }

    /// Runs a job to its end even if the caller goes away, as a client that hangs up does.
    pub(crate) async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.inner.tasks.spawn(work).await.unwrap_or(Err(Error::Interrupted))
    }

    /// Closes the connections and stops our own servers, in order.
    ///
    /// # Errors
    /// When a server does not stop.
    pub async fn shutdown(self) -> Result<(), Error> {
        self.inner.jobs.close();
        self.inner.tasks.close();
        if tokio::time::timeout(JOBS_GRACE, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!("stopping in the middle of jobs; they are resumed at the next start");
        }
        if let Some(mender) = self.inner.mender.get() {
            mender.abort();
        }
        self.inner.shards.close().await;
        self.inner.catalog.close();
        self.inner.servers.shutdown().await
    }
}
