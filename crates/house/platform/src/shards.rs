//! Shards: opening the next one when all are full, and administrative connections to each.

use crate::{Error, Platform, bootstrap, servers};
use catalog::shards as store;
use model::{AppId, ProjectRef, ShardId};
use pg::{Pool, PoolOptions, PooledConnection};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::Mutex;

/// The name of the server of the catalog and the shards, in the catalog.
pub(crate) const SYSTEM_INSTANCE: &str = "system";
/// Administrative connections to one shard.
const CONNECTIONS_MAX: usize = 4;

/// Administrative pools, one a shard, opened when first used.
#[derive(Default)]
pub(crate) struct ShardPools {
    pools: Mutex<HashMap<ShardId, Pool>>,
}

impl ShardPools {
    pub(crate) async fn close(&self) {
        for (_, pool) in self.pools.lock().await.drain() {
            pool.close();
        }
    }
}

impl Platform {
    /// A superuser's connection to a shard: for the platform's own work, never for a request.
    pub(crate) async fn shard_admin(&self, shard: ShardId) -> Result<PooledConnection, Error> {
        Ok(self.shard_pool(shard).await?.get().await?)
    }

    /// The name of a shard's database.
    pub(crate) async fn shard_database(&self, shard: ShardId) -> Result<String, Error> {
        Ok(self.shard_pool(shard).await?.config().dbname.clone())
    }

    /// The pool of a shard. Before the first use, the shard is brought to what this version of the program makes.
    async fn shard_pool(&self, shard: ShardId) -> Result<Pool, Error> {
        if let Some(pool) = self.inner.shards.pools.lock().await.get(&shard) {
            return Ok(pool.clone());
        }
        let found = self.shard(shard).await?;
        let options = PoolOptions {
            max: CONNECTIONS_MAX,
            acquire_timeout: Duration::from_secs(30),
            ..PoolOptions::default()
        };
        let pool = Pool::new(self.inner.servers.system(&found.database), options);
        if bootstrap::upgrade_shard(&mut *pool.get().await?).await? {
            tracing::info!(shard = shard.0, "upgraded a shard");
        }
        Ok(self.inner.shards.pools.lock().await.entry(shard).or_insert(pool).clone())
    }

    async fn shard(&self, shard: ShardId) -> Result<catalog::Shard, Error> {
        let mut c = self.inner.catalog.connection().await?;
        Ok(store::shard_get(&mut c, shard).await?)
    }

    /// Gives a pooled project its place, opening shards as long as it takes.
    pub(crate) async fn assign_shard(&self, project: &ProjectRef) -> Result<(ShardId, AppId), Error> {
        loop {
            {
                let mut c = self.inner.catalog.connection().await?;
                if let Some(place) = store::shard_assign(&mut c, project).await? {
                    return Ok(place);
                }
                let found = catalog::projects::project_find(&mut c, project).await?;
                let found = found.ok_or_else(|| Error::NoProject(project.to_string()))?;
                if let (Some(shard), Some(app)) = (found.shard, found.app_id) {
                    return Ok((shard, app));
                }
            }
            self.open_shard().await?;
        }
    }

    /// Opens the next shard, unless one has room by now. Everything happens under a lock that all processes
    /// share; a crash in between leaves at most an unrecorded database, which the next attempt completes.
    async fn open_shard(&self) -> Result<(), Error> {
        let mut c = self.inner.catalog.connection().await?;
        let mut tx = c.begin().await?;
        if store::shard_lock_opening(tx.connection()).await? {
            return Ok(tx.rollback().await?);
        }
        let servers = &self.inner.servers;
        let system = servers.record(tx.connection(), &self.inner.catalog, SYSTEM_INSTANCE).await?;
        let prefix = self.inner.servers.shard_prefix();
        let shard =
            store::shard_begin(tx.connection(), system.id, self.inner.shard_capacity, &prefix).await?;
        self.inner.failpoints.hit("shard.begun")?;
        servers::ensure_database(&self.inner.servers.system("postgres"), &shard.database).await?;
        self.inner.failpoints.hit("shard.database")?;
        let mut session = pg::Connection::connect(&self.inner.servers.system(&shard.database)).await?;
        bootstrap::run(&mut session, &bootstrap::shard()).await?;
        if let Some(external) = self.inner.servers.external() {
            external.allow_logins(&mut session, &[]).await?;
        }
        session.close().await;
        self.inner.failpoints.hit("shard.bootstrapped")?;
        store::shard_open(tx.connection(), shard.number).await?;
        tx.commit().await?;
        tracing::info!(shard = shard.number.0, database = shard.database, "opened a shard");
        Ok(())
    }
}
