//! The platform's own database: organizations, projects, shards, instances, keys, secrets, audit, jobs.
//!
//! [`Catalog`] is the way in. Its store modules hold one table each: the statements are `.sql` files, the functions
//! take a connection (or a transaction's) and return domain types. What the request path asks goes through
//! [`Catalog::resolve`], which caches and is told of changes by the database itself.

mod error;
mod lookup_cache;
mod migrate;
mod resolve;
mod seal;
pub mod settings;
mod store;

pub use error::Error;
pub use resolve::{Lookup, Resolved};
pub use seal::{MasterKey, Place, SealError, random};
pub use store::audit::{self, AuditEntry};
pub use store::domains;
pub use store::entity_models;
pub use store::instances::{self, Instance, InstanceKind};
pub use store::jobs::{self, Job, JobKind, JobState};
pub use store::keys::{self, KeyKind, NewKey, StoredKey};
pub use store::organizations::{self, Organization};
pub use store::outbox;
pub use store::projects::{self, NewProject, Project, ProjectStatus};
pub use store::removals;
pub use store::secrets;
pub use store::shards::{self, Shard, ShardStatus};
pub use store::signing_keys::{self, KeyStatus, NewSigningKey, SigningKey};
pub use store::usage;

use lookup_cache::LookupCache;
use pg::{Config, Connection, Pool, PoolOptions, PooledConnection, param};
use std::sync::Arc;
use std::time::Duration;

/// The open catalog. Cheap to clone.
#[derive(Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Pool,
    key: MasterKey,
    /// What lookups of projects may use of the pool.
    lookups: Pool,
    cache: Arc<LookupCache>,
    watcher: tokio::task::JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.watcher.abort();
        self.pool.close();
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("database", self.inner.pool.config()).finish_non_exhaustive()
    }
}

/// How many connections the catalog uses, the listening one apart.
const CONNECTIONS_MAX: usize = 8;

impl Catalog {
    /// Connects to the catalog's database, which exists, brings its schema up to date and checks the master key.
    /// Starts the task that hears of changes.
    ///
    /// # Errors
    /// When the database cannot be reached or migrated, or was made with another master key.
    pub async fn open(config: Config, key: MasterKey) -> Result<Catalog, Error> {
        let mut connection = Connection::connect(&config).await?;
        migrate::migrate(&mut connection).await?;
        check_key(&mut connection, &key).await?;
        connection.close().await;
        let options = PoolOptions {
            max: CONNECTIONS_MAX,
            acquire_timeout: Duration::from_secs(10),
            ..PoolOptions::default()
        };
        let cache = Arc::new(LookupCache::default());
        let watcher = tokio::spawn(resolve::watch(config.clone(), Arc::clone(&cache)));
        let pool = Pool::new(config, options);
        // Strangers make lookups: however many, they leave connections for everything else.
        let lookups = pool.share(CONNECTIONS_MAX / 2);
        Ok(Catalog { inner: Arc::new(Inner { pool, lookups, key, cache, watcher }) })
    }

    /// Stops hearing of changes and closes the connections, before the server itself stops.
    pub fn close(&self) {
        self.inner.watcher.abort();
        self.inner.cache.set_listening(false);
        self.inner.pool.close();
    }

    /// A connection to the catalog's database.
    ///
    /// # Errors
    /// When none can be had in time.
    pub async fn connection(&self) -> Result<PooledConnection, Error> {
        Ok(self.inner.pool.get().await?)
    }

    /// A secret of the platform's own: made up when first asked for, then always the same.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn platform_secret(&self, name: &str) -> Result<String, Error> {
        let place = Place { table: "meta", column: "sealed", row: name };
        let fresh = hex::encode(random::<24>()?);
        let sealed = self.key().seal(fresh.as_bytes(), place)?;
        let mut c = self.connection().await?;
        let insert = "insert into catalog.meta (name, sealed) values ($1, $2) on conflict do nothing";
        c.query(insert, &[pg::text(name), bytea(&sealed)]).await?;
        let rows = c.query("select sealed from catalog.meta where name = $1", &[pg::text(name)]).await?;
        Ok(self.key().open_text(&read_bytea(rows.one()?, 0)?, place)?)
    }

    /// The key that seals secrets.
    pub fn key(&self) -> &MasterKey {
        &self.inner.key
    }
}

/// The first program to open a catalog leaves a sealed value behind; everyone later must be able to open it.
async fn check_key(connection: &mut Connection, key: &MasterKey) -> Result<(), Error> {
    let place = Place { table: "meta", column: "sealed", row: "key_check" };
    let sealed = key.seal(b"rowhouse", place)?;
    let insert = "insert into catalog.meta (name, sealed) values ('key_check', $1) on conflict do nothing";
    connection.query(insert, &[bytea(&sealed)]).await?;
    let rows = connection.query("select sealed from catalog.meta where name = 'key_check'", &[]).await?;
    let stored = read_bytea(rows.one()?, 0)?;
    key.open(&stored, place).map_err(|_| SealError::NotThisCatalog)?;
    Ok(())
}

/// Bytes as a parameter.
fn bytea(bytes: &[u8]) -> sql::Param {
    param(format!("\\x{}", hex::encode(bytes)))
}

/// A column of type bytea.
fn read_bytea(row: &pg::Row, index: usize) -> Result<Vec<u8>, Error> {
    decode_bytea(row.text(index).unwrap_or_default())
}

/// The text form of a bytea, as it also stands in JSON.
fn decode_bytea(text: &str) -> Result<Vec<u8>, Error> {
    text.strip_prefix("\\x")
        .and_then(|digits| hex::decode(digits).ok())
        .ok_or_else(|| Error::Database(pg::Error::Decode("not bytes".to_owned())))
}
