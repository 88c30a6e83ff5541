//! What can go wrong with a managed server.

use crate::name::InstanceName;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A failure of finding, making, starting or stopping a server. It can be cloned because callers who wait for
/// the same start share its outcome.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No PostgreSQL on this machine. The text says how to install it.
    #[error(
        "PostgreSQL {versions} was not found (looked in PATH and the usual places{seen}).\n  Debian, Ubuntu: \
         sudo apt-get install postgresql\n  Fedora, RHEL:   sudo dnf install postgresql-server\n  macOS:          \
         brew install postgresql@17\nIf it is installed elsewhere, say where: --pg-bin DIR"
    )]
    NotFound { versions: String, seen: String },
    /// The directory given as `--pg-bin` does not hold a PostgreSQL that we can run.
    #[error("--pg-bin {}: {reason}", .dir.display())]
    BadBin { dir: PathBuf, reason: String },
    /// An instance was made by a version of PostgreSQL that is no longer installed.
    #[error("instance {name} was made by PostgreSQL {major}, which was not found on this machine")]
    VersionMissing { name: String, major: u32 },
    /// There is no user to run PostgreSQL as.
    #[error("{0}")]
    User(String),
    #[error("{what}: {source}")]
    Io { what: String, source: Arc<io::Error> },
    /// initdb failed.
    #[error("initdb failed: {0}")]
    Initdb(String),
    /// A bootstrap script of a template was refused.
    #[error("bootstrap SQL in database {database}: {source}")]
    Bootstrap { database: String, source: Arc<pg::Error> },
    /// The server did not come up.
    #[error("PostgreSQL of instance {name} did not start: {reason}{}", log_part(.log))]
    Start { name: String, reason: String, log: String },
    /// The server did not go down, not even when killed.
    #[error("PostgreSQL of instance {0} did not stop")]
    Stop(InstanceName),
    /// There is no instance of this name.
    #[error("there is no instance {0}")]
    Unknown(InstanceName),
    /// A setting that PostgreSQL's configuration file cannot hold.
    #[error("setting {name}: {reason}")]
    Tuning { name: String, reason: &'static str },
    /// The manager is shutting down.
    #[error("the instance manager is shutting down")]
    Interrupted,
}

fn log_part(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("\n  last lines of its log:\n{log}") }
}

impl Error {
    /// For `map_err`: an I/O error together with what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source: Arc::new(source) }
    }
}

/// Runs file work off the asynchronous threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Interrupted))
}
