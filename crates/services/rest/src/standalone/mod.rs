//! The drop-in server: one database, PostgREST's configuration, PostgREST's command-line behaviour.
//!
//! It is the data API without the platform: what listens, reloads and shuts down here is the gateway's
//! business there.

mod admin;
mod listen;
mod reload;
mod serve;

pub use reload::complete;

use crate::Rest;
use crate::config::{ConfigError, ServerConfig, Settings};
use crate::schema::{SchemaHandle, SchemaListener};
use pg::{Pool, PoolOptions};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Why the server ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `db-uri` is not a connection string.
    #[error("db-uri: {0}")]
    Uri(pg::Error),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: std::io::Error },
    /// The database will not have us, or was lost while `db-pool-automatic-recovery` is off.
    #[error("the database cannot be used: {0}")]
    Database(String),
    /// The process cannot receive signals.
    #[error("cannot receive signals: {0}")]
    Signal(std::io::Error),
}

/// What the server's tasks share.
struct Server {
    pool: Pool,
    schema: SchemaHandle,
    /// Replaced whole when the configuration changes.
    current: RwLock<Current>,
}

/// The configuration in force and the API that obeys it.
#[derive(Clone)]
struct Current {
    config: Arc<ServerConfig>,
    rest: Arc<Rest>,
}

impl Server {
    fn new(config: ServerConfig) -> Result<Self, Error> {
        let database = config.database().map_err(Error::Uri)?;
        let settings = Arc::new(config.settings.clone());
        let pool = Pool::new(database, pool_options(&settings));
        let schema = SchemaHandle::recycling(pool.clone(), Arc::clone(&settings));
        let rest = Arc::new(Rest::new(pool.clone(), schema.clone(), settings));
        let current = RwLock::new(Current { config: Arc::new(config), rest });
        Ok(Server { pool, schema, current })
    }

    fn current(&self) -> Current {
        // Nothing panics while it holds the lock.
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another configuration in force for requests that come from now on.
    fn apply(&self, config: ServerConfig) {
        let settings = Arc::new(config.settings.clone());
        self.schema.set_settings(Arc::clone(&settings));
        let rest = Arc::new(Rest::new(self.pool.clone(), self.schema.clone(), settings));
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Current { config: Arc::new(config), rest };
    }
}

fn pool_options(settings: &Settings) -> PoolOptions {
    PoolOptions {
        max: settings.db_pool as usize,
        acquire_timeout: settings.db_pool_acquisition_timeout,
        idle_timeout: settings.db_pool_max_idletime,
        max_lifetime: settings.db_pool_max_lifetime,
    }
}

/// Serves until told to stop, then lets requests under way finish.
///
/// # Errors
/// The configuration, or an address that cannot be listened on. A database that is out of reach is no error:
/// requests are answered with PGRST002 until it is there.
pub async fn run(config: ServerConfig, shutdown: CancellationToken) -> Result<(), Error> {
    let main = listen::main(&config.server).await?;
    let admin = listen::admin(&config.server).await?;
    let server = Arc::new(Server::new(config)?);
    let signals = reload::Signals::new().map_err(Error::Signal)?;

    let mut tasks = JoinSet::new();
    let stop = shutdown.child_token();
    let settings = Arc::clone(&server.current().config);
    let mut changed = Arc::default();
    if settings.settings.db_channel_enabled {
        let listener = SchemaListener::new(
            settings.database().map_err(Error::Uri)?,
            settings.settings.db_channel.clone(),
        );
        listener.register(&server.schema);
        changed = listener.config_changed();
        tasks.spawn(listener.run(stop.clone()));
    }
    let begun = reload::begin(&server).await?;
    let keeper = reload::keep_current(Arc::clone(&server), begun, signals, changed, stop.clone());
    let keeper = tokio::spawn(keeper);
    if let Some(admin) = admin {
        tracing::info!(address = %admin.address(), "the admin server listens");
        let (state, api) = (Arc::clone(&server), main.probe());
        let handler = serve::handler(move |request| {
            let (state, api, path) = (Arc::clone(&state), api.clone(), request.uri().path().to_owned());
            async move { admin::answer(&state, &api, &path).await }
        });
        tasks.spawn(serve::serve(admin, handler, stop.clone()));
    }
    tracing::info!(address = %main.address(), "the API server listens");
    let state = Arc::clone(&server);
    let handler = serve::handler(move |request| {
        let rest = state.current().rest;
        async move { rest.handle_directly(request).await }
    });
    serve::serve(main, handler, stop).await;
    while tasks.join_next().await.is_some() {}
    server.pool.close();
    keeper.await.unwrap_or(Ok(()))
}
