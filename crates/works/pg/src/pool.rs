//! Connections shared by many requests.
//!
//! Bounded, first come first served, the most recently used connection first. A connection comes back only
//! between exchanges and outside transactions; anything else is closed, and a statement that is still running
//! is cancelled, so a caller may drop its future at any time.

use crate::config::Config;
use crate::connection::Connection;
use crate::error::Error;
use crate::pipeline::Pipeline;
use crate::rows::Rows;
use sql::Param;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolOptions {
    /// The most connections that may be open.
    pub max: usize,
    /// How long to wait for one to become free.
    pub acquire_timeout: Duration,
    /// After this long without use a connection is closed.
    pub idle_timeout: Duration,
    /// After this long a connection is replaced: a server's process grows with the tables it has touched.
    pub max_lifetime: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        PoolOptions {
            max: 10,
            acquire_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            max_lifetime: Duration::from_secs(30 * 60),
        }
    }
}

/// A pool's figures at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    pub max: usize,
    /// Connections that are open.
    pub size: usize,
    /// Those of them that wait for work.
    pub idle: usize,
    /// Callers that wait for a connection.
    pub waiting: usize,
    /// Callers that waited in vain, since the pool was made.
    pub timeouts: u64,
}

/// A pool of connections to one database as one user. Clones share it.
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    /// The places of one tenant among several.
    share: Option<Arc<Semaphore>>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    options: PoolOptions,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    size: AtomicUsize,
    waiting: AtomicUsize,
    timeouts: AtomicU64,
    /// Connections of an older generation are not used again.
    generation: AtomicU64,
    reaping: AtomicBool,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    born: Instant,
    used: Instant,
    generation: u64,
}

impl Pool {
    /// Makes a pool. Nothing is opened until it is used.
    pub fn new(config: Config, options: PoolOptions) -> Pool {
        Pool {
            shared: Arc::new(Shared {
                config,
                options,
                permits: Arc::new(Semaphore::new(options.max.max(1))),
                idle: Mutex::new(Vec::new()),
                size: AtomicUsize::new(0),
                waiting: AtomicUsize::new(0),
                timeouts: AtomicU64::new(0),
                generation: AtomicU64::new(0),
                reaping: AtomicBool::new(false),
            }),
            share: None,
        }
    }

    /// The same pool for one tenant among several: through the value, and clones of it, no more than `max` of the
    /// connections are in use at a time, so that the others find some free.
    #[must_use]
    pub fn share(&self, max: usize) -> Pool {
        Pool { shared: Arc::clone(&self.shared), share: Some(Arc::new(Semaphore::new(max.max(1)))) }
    }

    /// A connection for exclusive use, returned when dropped.
    ///
    /// # Errors
    /// [`Error::PoolTimeout`] when none becomes free in time; otherwise what opening one says.
    pub async fn get(&self) -> Result<PooledConnection, Error> {
        let shared = &self.shared;
        let permit = self.permits().await?;
        loop {
            let popped = shared.idle().pop();
            let Some(mut idle) = popped else { break };
            if shared.is_fresh(&idle) && idle.connection.is_reusable() {
                return Ok(PooledConnection::new(
                    shared,
                    idle.connection,
                    idle.born,
                    idle.generation,
                    permit,
                ));
            }
            shared.size.fetch_sub(1, Ordering::Relaxed);
        }
        let generation = shared.generation.load(Ordering::Acquire);
        let connection = Connection::connect(&shared.config).await?;
        shared.size.fetch_add(1, Ordering::Relaxed);
        Shared::start_reaping(shared);
        Ok(PooledConnection::new(shared, connection, Instant::now(), generation, permit))
    }

    /// A place in the tenant's share, then one in the pool.
    async fn permits(&self) -> Result<Permits, Error> {
        if let Some(permits) = self.free_permits() {
            return Ok(permits);
        }
        let wait = async {
            let share = match &self.share {
                Some(share) => {
                    Some(Arc::clone(share).acquire_owned().await.map_err(|_closed| Error::Closed)?)
                }
                None => None,
            };
            let pool = Arc::clone(&self.shared.permits).acquire_owned().await;
            Ok(Permits { _pool: pool.map_err(|_closed| Error::Closed)?, _share: share })
        };
        let _waiting = Waiting::new(&self.shared.waiting);
        let timeout = self.shared.options.acquire_timeout;
        tokio::time::timeout(timeout, wait).await.unwrap_or_else(|_elapsed| {
            self.shared.timeouts.fetch_add(1, Ordering::Relaxed);
            Err(Error::PoolTimeout)
        })
    }

    /// Places that are free at once.
    fn free_permits(&self) -> Option<Permits> {
        let free = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let share = match &self.share {
            Some(share) => Some(free(share)?),
            None => None,
        };
        Some(Permits { _pool: free(&self.shared.permits)?, _share: share })
    }

    /// Runs one statement on some connection.
    ///
    /// # Errors
    /// As [`Pool::get`] and [`Connection::query`].
    pub async fn query(&self, sql: &str, params: &[Param]) -> Result<Rows, Error> {
        self.get().await?.query(sql, params).await
    }

    /// Runs a pipeline on some connection.
    ///
    /// # Errors
    /// As [`Pool::get`] and [`Connection::run`].
    pub async fn run(&self, pipeline: &Pipeline) -> Result<Vec<Rows>, Error> {
        self.get().await?.run(pipeline).await
    }

    /// Has every connection replaced before its next use: after DDL, what they have cached is stale.
    pub fn recycle(&self) {
        self.shared.generation.fetch_add(1, Ordering::Release);
    }

    /// Closes the idle connections now and the others when they come back; nobody gets one any more.
    pub fn close(&self) {
        self.shared.permits.close();
        self.recycle();
        self.shared.idle().clear();
    }

    pub fn is_closed(&self) -> bool {
        self.shared.permits.is_closed()
    }

    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    pub fn status(&self) -> PoolStatus {
        PoolStatus {
            max: self.shared.options.max,
            size: self.shared.size.load(Ordering::Relaxed),
            idle: self.shared.idle().len(),
            waiting: self.shared.waiting.load(Ordering::Relaxed),
            timeouts: self.shared.timeouts.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        // The list is valid at every instant, whatever panicked while holding it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_fresh(&self, idle: &Idle) -> bool {
        idle.generation == self.generation.load(Ordering::Acquire)
            && idle.born.elapsed() < self.options.max_lifetime
            && idle.used.elapsed() < self.options.idle_timeout
    }

    /// Starts the task that closes connections which nobody uses, unless it runs. It ends with the last of them.
    fn start_reaping(shared: &Arc<Shared>) {
        if shared.reaping.swap(true, Ordering::AcqRel) {
            return;
        }
        let weak = Arc::downgrade(shared);
        let period =
            (shared.options.idle_timeout / 2).clamp(Duration::from_millis(100), Duration::from_secs(30));
        tokio::spawn(async move { while Shared::reap_later(&weak, period).await {} });
    }

    /// Waits, closes what is stale, and says whether there is more to watch.
    async fn reap_later(weak: &Weak<Shared>, period: Duration) -> bool {
        tokio::time::sleep(period).await;
        let Some(shared) = weak.upgrade() else { return false };
        let stale: Vec<Idle> = shared.idle().extract_if(.., |idle| !shared.is_fresh(idle)).collect();
        shared.size.fetch_sub(stale.len(), Ordering::Relaxed);
        drop(stale);
        if shared.size.load(Ordering::Relaxed) > 0 {
            return true;
        }
        shared.reaping.store(false, Ordering::Release);
        false
    }
}

/// The right to one connection.
#[derive(Debug)]
struct Permits {
    _pool: OwnedSemaphorePermit,
    _share: Option<OwnedSemaphorePermit>,
}

/// Counts a waiting caller, also when its future is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Waiting(counter)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection on loan from a pool.
#[derive(Debug)]
pub struct PooledConnection {
    shared: Arc<Shared>,
    /// `None` only while being dropped.
    connection: Option<Connection>,
    born: Instant,
    generation: u64,
    /// `None` only while being dropped.
    permits: Option<Permits>,
}

impl PooledConnection {
    fn new(
        shared: &Arc<Shared>,
        connection: Connection,
        born: Instant,
        generation: u64,
        permits: Permits,
    ) -> Self {
        PooledConnection {
            shared: Arc::clone(shared),
            connection: Some(connection),
            born,
            generation,
            permits: Some(permits),
        }
    }
}

impl Deref for PooledConnection {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a loan holds its connection until it is dropped")
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("a loan holds its connection until it is dropped")
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if connection.is_broken() || connection.in_transaction() {
            self.shared.size.fetch_sub(1, Ordering::Relaxed);
            if connection.is_broken()
                && let Ok(runtime) = tokio::runtime::Handle::try_current()
            {
                // Its statement may still run, with nobody left to read the answer.
                // Until it is told to stop, it counts: the server has not more of us than we may open.
                let (token, permits) = (connection.cancel_token(), self.permits.take());
                runtime.spawn(async move {
                    let _ = token.cancel().await;
                    drop(connection);
                    drop(permits);
                });
            }
            return;
        }
        let idle = Idle { connection, born: self.born, used: Instant::now(), generation: self.generation };
        if self.shared.permits.is_closed() || !self.shared.is_fresh(&idle) {
            self.shared.size.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        self.shared.idle().push(idle);
    }
}
