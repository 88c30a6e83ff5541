//! Connections to databases that several projects share, and those that hear of schema changes.

use super::in_database::InDatabase;
use pg::{Config, Pool, PoolOptions};
use rest::schema::SchemaListener;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The channel on which PostgreSQL announces schema changes.
const CHANNEL: &str = "pgrst";

/// What part of a shard's connections clients may keep by reading large answers slowly.
const POURING_PART: usize = 4;
/// How much memory the large answers of a shard may take that found no connection to keep.
const COLLECTED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How many connections a pool may open, by service.
#[derive(Debug, Clone, Copy)]
pub struct PoolSizes {
    pub rest: usize,
    pub auth: usize,
    pub storage: usize,
}

impl Default for PoolSizes {
    fn default() -> Self {
        PoolSizes { rest: 20, auth: 10, storage: 20 }
    }
}

/// What services use of one database, shared by all projects in it.
#[derive(Clone)]
pub struct Database {
    pub rest: Pool,
    pub auth: Pool,
    pub storage: Pool,
    pub listener: SchemaListener,
    /// Whose turn it is to keep connections of the data API.
    pub pours: rest::Pours,
    /// What a shard says of its roles: ours to decide, so it is read once.
    shared_says: Arc<OnceCell<InDatabase>>,
    /// Ends the listener with the last user of the value.
    _listening: Arc<DropGuard>,
}

impl Database {
    /// What the database says of the data API: every time anew when it is a project's own.
    pub(super) async fn says(&self, is_own: bool) -> Result<InDatabase, pg::Error> {
        if is_own {
            return InDatabase::read(&self.rest).await;
        }
        let read = || async { InDatabase::read(&self.rest).await.map(InDatabase::of_shard) };
        self.shared_says.get_or_try_init(read).await.cloned()
    }

    /// The same database for one project of a shard. It gets no more than a quarter of the connections at a time, so
    /// that however busy it is, the others find some free. Of those for files it gets a tenth: anybody can ask for
    /// long lists of them.
    pub(super) fn shared_out(&self) -> Database {
        let share = |pool: &Pool, part: usize| pool.share((pool.status().max / part).max(2));
        Database {
            rest: share(&self.rest, 4),
            auth: share(&self.auth, 4),
            storage: share(&self.storage, 10),
            ..self.clone()
        }
    }

    /// Closes what is idle now, and the rest when it comes back.
    pub fn close(&self) {
        self.rest.close();
        self.auth.close();
        self.storage.close();
    }
}

/// The databases of shards. There are as many as shards, so they are kept.
pub struct Databases {
    sizes: PoolSizes,
    stop: CancellationToken,
    shards: Mutex<HashMap<String, Database>>,
}

impl Databases {
    pub fn new(sizes: PoolSizes, stop: CancellationToken) -> Self {
        Databases { sizes, stop, shards: Mutex::default() }
    }

    /// The database of a shard.
    pub fn shared(&self, endpoint: &platform::Endpoint) -> Database {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let name = endpoint.rest.dbname.clone();
        shards.entry(name).or_insert_with(|| self.open(endpoint)).clone()
    }

    /// Pools of a project's own database.
    pub fn open(&self, endpoint: &platform::Endpoint) -> Database {
        let stop = self.stop.child_token();
        let listener = SchemaListener::new(named(&endpoint.admin, "rowhouse schema listener"), CHANNEL);
        tokio::spawn(listener.clone().run(stop.clone()));
        Database {
            rest: pool(named(&endpoint.rest, "rowhouse rest"), self.sizes.rest, ANSWER_BYTES_MAX),
            auth: pool(named(&endpoint.auth, "rowhouse auth"), self.sizes.auth, ANSWER_BYTES_MAX),
            storage: pool(named(&endpoint.rest, "rowhouse storage"), self.sizes.storage, PAGE_BYTES_MAX),
            listener,
            pours: rest::Pours::new((self.sizes.rest / POURING_PART).max(1), COLLECTED_BYTES_MAX),
            shared_says: Arc::default(),
            _listening: Arc::new(stop.drop_guard()),
        }
    }

    pub fn close(&self) {
        for (_, database) in self.shards.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            database.close();
        }
    }
}

fn named(config: &Config, application_name: &str) -> Config {
    Config { application_name: application_name.to_owned(), ..config.clone() }
}

/// The most bytes that PostgreSQL may answer one request with: an answer is in our memory whole.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The same for storage, whose longest answers are pages of a thousand objects.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

fn pool(config: Config, max: usize, answer_bytes_max: usize) -> Pool {
    let config = Config { answer_bytes_max, ..config };
    let options = PoolOptions { max, acquire_timeout: Duration::from_secs(10), ..PoolOptions::default() };
    Pool::new(config, options)
}
