//! What the operator may choose.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How managed servers are found, kept and run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory under which everything lies.
    pub data_dir: PathBuf,
    /// The directory of `postgres` and `initdb`, instead of looking for it.
    pub pg_bin: Option<PathBuf>,
    /// The value of PATH; this crate does not read the environment.
    pub search_path: Option<OsString>,
    /// The user to run PostgreSQL as when we are root. Without it: `postgres`, else `rowhouse`.
    pub run_as: Option<String>,
    /// Servers that nobody used for this long go to sleep; `None`: never.
    pub idle_sleep: Option<Duration>,
    /// For a server to accept connections, crash recovery included.
    pub start_timeout: Duration,
    /// For a fast shutdown, before an immediate one.
    pub stop_timeout: Duration,
    /// A server's log is cut when it is longer; one older part is kept.
    pub log_bytes_max: u64,
    /// For sockets, when their path under the data directory would be too long.
    pub temp_dir: PathBuf,
    /// For servers, when the unprivileged user cannot reach the data directory (only as root).
    pub spare_root: PathBuf,
}

impl Settings {
    /// The defaults, with everything under `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Settings {
            data_dir: data_dir.into(),
            pg_bin: None,
            search_path: None,
            run_as: None,
            idle_sleep: None,
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(15),
            log_bytes_max: 8 << 20,
            temp_dir: PathBuf::from("/tmp"),
            spare_root: PathBuf::from("/var/lib/rowhouse"),
        }
    }
}

/// The size of one server: the settings of its `postgresql.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// PostgreSQL's own cache. 16 MB keep an idle server near 12 MB of memory.
    pub shared_buffers_mb: u32,
    pub max_connections: u32,
    /// Any other setting, by name; wins over ours.
    pub settings: BTreeMap<String, String>,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning { shared_buffers_mb: 16, max_connections: 60, settings: BTreeMap::new() }
    }
}

impl Tuning {
    /// With one more setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }
}
