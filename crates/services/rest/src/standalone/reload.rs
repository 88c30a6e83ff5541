//! Keeps configuration and schema cache current: at the start, by signal, by notification.

use super::{Error, Server};
use crate::config::{ServerConfig, Settings, database};
use pg::Connection;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The first and the longest wait before the database is asked again for its settings.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(32));

/// SIGUSR1 reloads the schema cache, SIGUSR2 the configuration.
pub(super) struct Signals {
    schema: Signal,
    config: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Signals {
            schema: signal(SignalKind::user_defined1())?,
            config: signal(SignalKind::user_defined2())?,
        })
    }
}

/// The first try at the settings that the database keeps; whether it succeeded.
///
/// # Errors
/// The database refuses the login or its settings are not valid; or it cannot be reached, and recovery is off.
pub(super) async fn begin(server: &Server) -> Result<bool, Error> {
    let config = server.current().config;
    match with_database(server, &config).await {
        Ok(new) => {
            put(server, new);
            Ok(true)
        }
        Err(error) if error.fatal || error.retry && !config.settings.db_pool_automatic_recovery => {
            Err(Error::Database(error.text))
        }
        Err(error) => {
            tracing::error!("the settings in the database could not be read: {}", error.text);
            // A function that raises leaves us with the file's settings; a lost database is tried again.
            Ok(!error.retry)
        }
    }
}

/// Loads everything at the start and again whenever asked, until told to stop. When the database is of no use,
/// it stops the others.
pub(super) async fn keep_current(
    server: Arc<Server>,
    begun: bool,
    mut signals: Signals,
    changed: Arc<Notify>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let keeping = async {
        if !begun {
            let config = server.current().config;
            configure(&server, &config).await?;
        }
        if let Err(error) = server.schema.get().await {
            tracing::warn!("{error}");
        }
        loop {
            tokio::select! {
                _ = signals.schema.recv() => server.schema.reload(),
                _ = signals.config.recv() => reconfigure(&server).await?,
                () = changed.notified() => reconfigure(&server).await?,
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = keeping => {
            stop.cancel();
            ended
        }
    }
}

/// Reads file, environment and database again. What is not valid leaves all as it was, and until all is read
/// the old settings are in force.
async fn reconfigure(server: &Server) -> Result<(), Error> {
    let read = server.current().config.reload().await;
    match read {
        Ok(config) => configure(server, &config).await,
        Err(error) => {
            tracing::error!("{error}");
            Ok(())
        }
    }
}

/// Puts a configuration in force, together with the settings that the database keeps; waits for the database
/// if need be.
async fn configure(server: &Server, config: &ServerConfig) -> Result<(), Error> {
    let mut backoff = BACKOFF.0;
    loop {
        match with_database(server, config).await {
            Ok(new) => {
                put(server, new);
                tracing::info!("the configuration was read");
                return Ok(());
            }
            Err(error) if error.retry && !config.settings.db_pool_automatic_recovery => {
                return Err(Error::Database(error.text));
            }
            Err(error) if error.retry => {
                tracing::error!("the settings in the database could not be read: {}", error.text);
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF.1);
            }
            Err(error) => {
                tracing::error!("{}", error.text);
                return Ok(());
            }
        }
    }
}

fn put(server: &Server, config: ServerConfig) {
    let moved = shapes_cache(&config.settings) != shapes_cache(&server.schema.settings());
    server.apply(config);
    if moved {
        server.schema.reload_if_loaded();
    }
}

/// What of the settings the schema cache depends on.
fn shapes_cache(settings: &Settings) -> (&[String], &[String], &[String]) {
    (&settings.db_schemas, &settings.db_extra_search_path, &settings.db_hoisted_tx_settings)
}

struct Failure {
    text: String,
    /// Another try may succeed.
    retry: bool,
    /// No try will: the database refuses the login, or keeps settings that are not valid.
    fatal: bool,
}

impl Failure {
    /// A connection that cannot be had is worth another try, unless the login is refused.
    fn to_connect(error: &pg::Error) -> Self {
        let fatal = error.sqlstate().is_some_and(|code| code.starts_with(AUTHORIZATION));
        Failure { text: error.to_string(), retry: !fatal, fatal }
    }

    /// A function that raises will raise again.
    fn to_read(error: &pg::Error) -> Self {
        Failure { text: error.to_string(), retry: error.db().is_none(), fatal: false }
    }
}

/// The class of PostgreSQL's errors that refuse a login.
const AUTHORIZATION: &str = "28";

async fn with_database(server: &Server, config: &ServerConfig) -> Result<ServerConfig, Failure> {
    let mut connection = server.pool.get().await.map_err(|error| Failure::to_connect(&error))?;
    read_database(&mut connection, config).await
}

/// The configuration with what the database says.
async fn read_database(connection: &mut Connection, config: &ServerConfig) -> Result<ServerConfig, Failure> {
    let failure = |error: pg::Error| Failure::to_read(&error);
    let settings = if config.settings.db_config {
        database::settings(connection, config.settings.db_pre_config.as_ref()).await.map_err(failure)?
    } else {
        Vec::new()
    };
    let roles = database::roles(connection).await.map_err(failure)?;
    let invalid =
        |error: crate::config::ConfigError| Failure { text: error.to_string(), retry: false, fatal: true };
    config.clone().with_database(settings, roles).await.map_err(invalid)
}

/// The configuration with what the database says, if it can be asked: for `--dump-config`.
///
/// # Errors
/// `db-uri` is not a connection string.
pub async fn complete(config: ServerConfig) -> Result<ServerConfig, Error> {
    if !config.settings.db_config {
        return Ok(config);
    }
    let Ok(mut connection) = Connection::connect(&config.database().map_err(Error::Uri)?).await else {
        return Ok(config);
    };
    Ok(read_database(&mut connection, &config).await.unwrap_or(config))
}
