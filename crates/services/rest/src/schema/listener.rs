//! Hears of schema changes: LISTEN on a database's channel, for all projects of that database.
//!
//! One connection per database serves any number of handles. A payload that names a schema concerns the
//! handles that expose it; an empty one, or `reload schema`, concerns all; `reload config` those who watch
//! settings. After a gap (a lost connection) everything may be stale, so everything is reloaded.

use super::handle::{SchemaHandle, WeakHandle};
use pg::{Config, Connection, Pipeline};
use sql::Fragment;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The first and the longest wait before a lost connection is opened again.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(32));
/// A silent connection is asked for a sign of life this often.
const PING: Duration = Duration::from_secs(60);
/// When many caches are to be reloaded, this many are at once and the others follow one by one.
const RELOADS_AT_ONCE: usize = 8;
/// The time between those others.
const RELOAD_PACE: Duration = Duration::from_millis(5);
/// How long the sign of life may take.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The listener of one database. Cheap to clone; [`SchemaListener::run`] is its task.
#[derive(Clone)]
pub struct SchemaListener {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    channel: String,
    registry: Mutex<Registry>,
    /// Woken by `reload config`, and after a gap.
    config_changed: Arc<Notify>,
}

#[derive(Default)]
struct Registry {
    by_schema: HashMap<String, Vec<WeakHandle>>,
    /// How many schemas were left when those without a handle were last removed.
    swept: usize,
}

impl Registry {
    /// The handles that are alive; forgets the others.
    fn alive(&mut self) -> Vec<SchemaHandle> {
        let mut found = Vec::new();
        self.by_schema.retain(|_, handles| {
            handles.retain(|handle| {
                let alive = handle.upgrade();
                let keep = alive.is_some();
                found.extend(alive);
                keep
            });
            !handles.is_empty()
        });
        self.swept = self.by_schema.len();
        found
    }
}

/// What a notification asks for.
#[derive(Debug, PartialEq, Eq)]
enum Order<'a> {
    Everything,
    Settings,
    Schema(&'a str),
}

impl<'a> Order<'a> {
    fn parse(payload: &'a str) -> Self {
        match payload.trim() {
            "" | "reload schema" => Order::Everything,
            "reload config" => Order::Settings,
            other => Order::Schema(other.strip_prefix("reload schema ").unwrap_or(other).trim()),
        }
    }
}

impl SchemaListener {
    /// A listener for a database's channel. It hears nothing until it [runs](SchemaListener::run).
    pub fn new(config: Config, channel: impl Into<String>) -> Self {
        let shared = Shared {
            config,
            channel: channel.into(),
            registry: Mutex::default(),
            config_changed: Arc::new(Notify::new()),
        };
        SchemaListener { shared: Arc::new(shared) }
    }

    /// From now on changes of the schemas that the handle exposes reload it. The registry does not keep the
    /// handle alive.
    pub fn register(&self, handle: &SchemaHandle) {
        let mut registry = self.registry();
        for schema in &handle.settings().db_schemas {
            let handles = registry.by_schema.entry(schema.clone()).or_default();
            handles.retain(|known| known.upgrade().is_some() && !known.is(handle));
            handles.push(handle.downgrade());
        }
        if registry.by_schema.len() > 2 * registry.swept + RELOADS_AT_ONCE {
            registry.alive();
        }
    }

    /// Woken (`notify_one`) when settings kept in the database may have changed.
    pub fn config_changed(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.config_changed)
    }

    /// Listens until told to stop; the caller owns the task.
    pub async fn run(self, stop: CancellationToken) {
        let listening = async {
            let mut backoff = BACKOFF.0;
            loop {
                match self.connect().await {
                    Ok(connection) => {
                        backoff = BACKOFF.0;
                        tracing::info!(channel = %self.shared.channel, "listening for schema changes");
                        // Changes may have fallen into the gap, also into the one before we first listened.
                        self.obey(&Order::Everything);
                        self.obey(&Order::Settings);
                        let error = self.listen(connection).await;
                        tracing::warn!(channel = %self.shared.channel, "the listener lost its connection: {error}");
                    }
                    Err(error) => {
                        tracing::warn!(channel = %self.shared.channel, "the listener cannot connect: {error}");
                    }
                }
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF.1);
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = listening => {}
        }
    }

    async fn connect(&self) -> Result<Connection, pg::Error> {
        let mut connection = Connection::connect(&self.shared.config).await?;
        let mut listen = Pipeline::new();
        let mut statement = Fragment::new();
        statement.push("listen ").ident(&self.shared.channel.as_str().into());
        listen.step_uncached(statement.into_parts().0, vec![]);
        connection.run(&listen).await?;
        Ok(connection)
    }

    /// Obeys notifications until the connection is lost.
    async fn listen(&self, mut connection: Connection) -> pg::Error {
        loop {
            match tokio::time::timeout(PING, connection.notification()).await {
                Ok(Ok(notification)) => self.obey(&Order::parse(&notification.payload)),
                Ok(Err(error)) => return error,
                Err(_silence) => {
                    match tokio::time::timeout(PING_TIMEOUT, connection.query("select 1", &[])).await {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => return error,
                        Err(_) => return pg::Error::Timeout,
                    }
                }
            }
        }
    }

    fn obey(&self, order: &Order<'_>) {
        match order {
            Order::Settings => self.shared.config_changed.notify_one(),
            Order::Everything => {
                let concerned = self.registry().alive();
                self.shared.config_changed.notify_one();
                // Ends by itself, and soon.
                tokio::spawn(reload_paced(concerned));
            }
            Order::Schema(schema) => {
                let registry = self.registry();
                let handles = registry.by_schema.get(*schema).into_iter().flatten();
                let concerned: Vec<SchemaHandle> = handles.filter_map(WeakHandle::upgrade).collect();
                drop(registry);
                concerned.iter().for_each(SchemaHandle::reload_if_loaded);
            }
        }
    }

    fn registry(&self) -> std::sync::MutexGuard<'_, Registry> {
        // Nothing panics while it holds the lock.
        self.shared.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for reloads at a pace that leaves the database time for requests.
async fn reload_paced(handles: Vec<SchemaHandle>) {
    for (number, handle) in handles.into_iter().enumerate() {
        if number >= RELOADS_AT_ONCE {
            tokio::time::sleep(RELOAD_PACE).await;
        }
        handle.reload_if_loaded();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_understood() {
        assert_eq!(Order::parse(""), Order::Everything);
        assert_eq!(Order::parse("reload schema"), Order::Everything);
        assert_eq!(Order::parse("reload config"), Order::Settings);
        assert_eq!(Order::parse("app_57"), Order::Schema("app_57"));
        assert_eq!(Order::parse("reload schema app_57"), Order::Schema("app_57"));
    }
}
