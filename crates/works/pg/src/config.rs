//! Where a session connects to, and as whom.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A host name or IP address.
    Tcp(String),
    /// The directory that holds the server's Unix socket.
    Unix(PathBuf),
}

/// Whether the connection is encrypted, with libpq's meanings of `sslmode`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Tls {
    Disable,
    /// Encrypted when the server can.
    #[default]
    Prefer,
    /// Encrypted, without looking at the certificate.
    Require,
    /// Encrypted, the certificate checked against the host name and the given root certificates (PEM).
    VerifyFull {
        roots: PathBuf,
    },
}

/// Everything that is needed to open a session.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Config {
    pub host: Host,
    pub port: u16,
    pub user: String,
    pub password: Option<String>,
    pub dbname: String,
    pub application_name: String,
    /// Settings of the session, sent with the start-up message.
    pub options: Vec<(String, String)>,
    /// Ignored on a Unix socket.
    pub tls: Tls,
    /// For the whole of connecting, authentication included.
    pub connect_timeout: Duration,
    /// How many prepared statements a connection keeps; 0 sends every statement unnamed, as transaction
    /// poolers require.
    pub statement_cache: usize,
    /// The most bytes that one exchange may answer with; more is an error, and the connection is given up.
    pub answer_bytes_max: usize,
}

impl Config {
    /// The number of statements that a connection keeps unless told otherwise.
    pub const STATEMENT_CACHE: usize = 256;
    /// The bytes that an exchange may answer with unless told otherwise.
    pub const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

    /// A session on the Unix socket in `dir`.
    pub fn unix(dir: impl Into<PathBuf>, port: u16, user: &str, dbname: &str) -> Self {
        Config { host: Host::Unix(dir.into()), port, ..Config::tcp("", port, user, dbname) }
    }

    /// A session over TCP.
    pub fn tcp(host: &str, port: u16, user: &str, dbname: &str) -> Self {
        Config {
            host: Host::Tcp(host.to_owned()),
            port,
            user: user.to_owned(),
            password: None,
            dbname: dbname.to_owned(),
            application_name: "rowhouse".to_owned(),
            options: Vec::new(),
            tls: Tls::Prefer,
            connect_timeout: Duration::from_secs(10),
            statement_cache: Config::STATEMENT_CACHE,
            answer_bytes_max: Config::ANSWER_BYTES_MAX,
        }
    }

    /// The same server as another user.
    #[must_use]
    pub fn with_user(&self, user: &str) -> Self {
        Config { user: user.to_owned(), ..self.clone() }
    }

    /// The same server and user on another database.
    #[must_use]
    pub fn with_dbname(&self, dbname: &str) -> Self {
        Config { dbname: dbname.to_owned(), ..self.clone() }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("dbname", &self.dbname)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
