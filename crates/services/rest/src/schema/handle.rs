//! The current schema cache: shared, swapped whole, reloaded on demand.
//!
//! No task lives while nothing is to be loaded, so thousands of handles cost nothing. A reload waits a moment
//! for more requests of its burst, loads, and loads once more if others came meanwhile. While it runs, or
//! fails, the old cache serves; failures are tried again until one succeeds or the handle is dropped.

use super::SchemaCache;
use super::load::{LoadError, load};
use crate::config::Settings;
use pg::Pool;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a reload waits for more requests of its burst.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Between reloads passes at least this many times as long as a load takes: whoever can NOTIFY cannot make the
/// database do nothing else.
const REST_FACTOR: u32 = 4;
/// The first and the longest wait before a failed load is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(32));
/// How long a request waits for the very first load.
const FIRST_LOAD_WAIT: Duration = Duration::from_secs(10);

/// There is no schema cache yet.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the schema cache is not loaded yet")]
pub struct Unavailable {
    /// When it will be tried again: the `Retry-After` of the answer.
    pub retry_after: Duration,
    /// What the last attempt said, for the log.
    pub cause: Option<Arc<LoadError>>,
}

/// What a handle has done so far.
#[derive(Debug, Clone, Default)]
pub struct SchemaStatus {
    /// A cache is there.
    pub loaded: bool,
    /// A load is under way or due.
    pub loading: bool,
    /// Loads that succeeded.
    pub loads: u64,
    /// Loads that failed.
    pub failures: u64,
    /// How long the last successful load took.
    pub last_load: Duration,
    /// How much memory the cache takes, estimated.
    pub bytes: usize,
}

/// The way to the current schema cache of one project. Cheap to clone.
#[derive(Clone)]
pub struct SchemaHandle {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Option<Pool>,
    recycle: bool,
    current: RwLock<Option<Arc<SchemaCache>>>,
    settings: RwLock<Arc<Settings>>,
    work: Mutex<Work>,
    /// Counts attempts, so that the first requests can wait for one.
    attempts: watch::Sender<u64>,
}

#[derive(Default)]
struct Work {
    running: bool,
    pending: bool,
    retry_after: Duration,
    cause: Option<Arc<LoadError>>,
    status: SchemaStatus,
    /// When the last load succeeded.
    ended: Option<Instant>,
}

impl Work {
    /// How long a reload waits: for more requests of its burst, and for the database to have done other things.
    fn pause(&self) -> Duration {
        let rest = self.status.last_load * REST_FACTOR;
        let rested = self.ended.map_or(rest, |ended| ended.elapsed());
        DEBOUNCE.max(rest.saturating_sub(rested))
    }
}

impl SchemaHandle {
    /// A handle that loads from this pool when it is first used.
    pub fn new(pool: Pool, settings: Arc<Settings>) -> Self {
        Self::make(Some(pool), settings, false)
    }

    /// The same for a project that has its pool to itself: connections are replaced after every reload, as
    /// what they have cached is stale.
    pub fn recycling(pool: Pool, settings: Arc<Settings>) -> Self {
        Self::make(Some(pool), settings, true)
    }

    /// A handle with a cache that never changes, for tests.
    pub fn fixed(cache: SchemaCache, settings: Arc<Settings>) -> Self {
        let handle = Self::make(None, settings, false);
        *write(&handle.inner.current) = Some(Arc::new(cache));
        handle
    }

    fn make(pool: Option<Pool>, settings: Arc<Settings>, recycle: bool) -> Self {
        let inner = Inner {
            pool,
            recycle,
            current: RwLock::new(None),
            settings: RwLock::new(settings),
            work: Mutex::default(),
            attempts: watch::Sender::new(0),
        };
        SchemaHandle { inner: Arc::new(inner) }
    }

    /// The cache, when one was loaded.
    pub fn current(&self) -> Option<Arc<SchemaCache>> {
        read(&self.inner.current).clone()
    }

    /// The cache; the first caller has it loaded, and everyone waits for that one attempt.
    ///
    /// # Errors
    /// [`Unavailable`] when that attempt failed or takes too long.
    pub async fn get(&self) -> Result<Arc<SchemaCache>, Unavailable> {
        if let Some(cache) = self.current() {
            return Ok(cache);
        }
        let mut attempts = self.inner.attempts.subscribe();
        let waiting_already = attempts.borrow_and_update().gt(&0);
        self.start(Duration::ZERO);
        if !waiting_already {
            // The attempt's outcome is looked up below, whichever way the wait ends.
            let _ = tokio::time::timeout(FIRST_LOAD_WAIT, attempts.changed()).await;
        }
        self.current().ok_or_else(|| self.unavailable())
    }

    fn unavailable(&self) -> Unavailable {
        let work = lock(&self.inner.work);
        Unavailable { retry_after: work.retry_after.max(BACKOFF.0), cause: work.cause.clone() }
    }

    /// Asks for a reload. Returns at once.
    pub fn reload(&self) {
        let wait = lock(&self.inner.work).pause();
        self.start(wait);
    }

    /// Asks for a reload if there is something to be stale, also when the first load is under way: a handle that
    /// was never used loads when it is.
    pub fn reload_if_loaded(&self) {
        let is_loading = lock(&self.inner.work).running;
        if is_loading || read(&self.inner.current).is_some() {
            self.reload();
        }
    }

    /// The settings that the next load will use.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&read(&self.inner.settings))
    }

    /// Changes the settings; the caller asks for a reload if schemas changed.
    pub fn set_settings(&self, settings: Arc<Settings>) {
        *write(&self.inner.settings) = settings;
    }

    /// What was done so far.
    pub fn status(&self) -> SchemaStatus {
        let work = lock(&self.inner.work);
        SchemaStatus {
            loaded: read(&self.inner.current).is_some(),
            loading: work.running,
            ..work.status.clone()
        }
    }

    fn start(&self, wait: Duration) {
        if self.inner.pool.is_none() {
            return;
        }
        let mut work = lock(&self.inner.work);
        if work.running {
            work.pending = work.pending || wait > Duration::ZERO;
        } else {
            work.running = true;
            // The task ends by itself: with the work, or soon after the last handle is dropped.
            tokio::spawn(work_off(Arc::downgrade(&self.inner), wait));
        }
    }

    /// A reference that does not keep the project alive.
    pub(super) fn downgrade(&self) -> WeakHandle {
        WeakHandle(Arc::downgrade(&self.inner))
    }
}

/// See [`SchemaHandle::downgrade`].
pub(super) struct WeakHandle(Weak<Inner>);

impl WeakHandle {
    pub(super) fn upgrade(&self) -> Option<SchemaHandle> {
        self.0.upgrade().map(|inner| SchemaHandle { inner })
    }

    pub(super) fn is(&self, handle: &SchemaHandle) -> bool {
        self.0.as_ptr() == Arc::as_ptr(&handle.inner)
    }
}

/// Loads until a load succeeded that nobody asked for after it had begun.
async fn work_off(inner: Weak<Inner>, wait: Duration) {
    tokio::time::sleep(wait).await;
    let mut backoff = BACKOFF.0;
    loop {
        let Some(strong) = inner.upgrade() else { return };
        lock(&strong.work).pending = false;
        let started = Instant::now();
        let outcome = strong.load_once().await;
        let loaded = outcome.is_ok();
        strong.note(outcome, started.elapsed(), backoff);
        if loaded {
            backoff = BACKOFF.0;
            if strong.is_done() {
                return;
            }
            let wait = lock(&strong.work).pause();
            drop(strong);
            tokio::time::sleep(wait).await;
        } else {
            drop(strong);
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF.1);
        }
    }
}

impl Inner {
    async fn load_once(&self) -> Result<SchemaCache, LoadError> {
        let Some(pool) = &self.pool else { return Err(LoadError::Interrupted) };
        let settings = Arc::clone(&read(&self.settings));
        let mut connection = pool.get().await?;
        load(&mut connection, &settings).await
    }

    /// Whether no reload was asked for meanwhile; then the work counts as ended.
    fn is_done(&self) -> bool {
        let mut work = lock(&self.work);
        work.running = work.pending;
        !work.pending
    }

    fn note(&self, outcome: Result<SchemaCache, LoadError>, took: Duration, backoff: Duration) {
        let mut work = lock(&self.work);
        match outcome {
            Ok(cache) => {
                tracing::info!(took_ms = took.as_millis(), "schema cache loaded: {}", cache.summary());
                work.status.loads += 1;
                work.status.last_load = took;
                work.status.bytes = cache.bytes();
                work.ended = Some(Instant::now());
                work.cause = None;
                let old = write(&self.current).replace(Arc::new(cache));
                if let (true, Some(_), Some(pool)) = (self.recycle, old, &self.pool) {
                    pool.recycle();
                }
            }
            Err(error) => {
                tracing::error!(retry_in_ms = backoff.as_millis(), "{error}");
                work.status.failures += 1;
                work.retry_after = backoff;
                work.cause = Some(Arc::new(error));
            }
        }
        drop(work);
        self.attempts.send_modify(|attempts| *attempts += 1);
    }
}

/// Nothing panics while it holds one of these locks, and if it did, the value would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
