//! What can go wrong between us and a server.

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::ErrorResponseBody;
use std::fmt;

/// An error of the client or of the server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server cannot be reached or refuses the session before authentication.
    #[error("cannot connect to PostgreSQL: {0}")]
    Connect(String),
    /// The session ended (server stopped, connection cut).
    #[error("the connection to PostgreSQL is closed")]
    Closed,
    #[error("connection to PostgreSQL: {0}")]
    Io(#[source] std::io::Error),
    /// Connecting took longer than the configuration allows.
    #[error("PostgreSQL did not answer in time")]
    Timeout,
    /// No connection became free in time.
    #[error("no connection to PostgreSQL became free in time")]
    PoolTimeout,
    /// The server reports an error.
    #[error("{0}")]
    Db(Box<DbError>),
    /// The server answers with more than the configuration allows.
    #[error("PostgreSQL's answer is larger than {bytes_max} bytes")]
    AnswerTooLarge { bytes_max: usize },
    /// The server sent something that the protocol does not allow.
    #[error("PostgreSQL protocol: {0}")]
    Protocol(String),
    /// A connection string or setting makes no sense.
    #[error("{0}")]
    Config(String),
    /// A value is not of the type that was asked for.
    #[error("unexpected value from PostgreSQL: {0}")]
    Decode(String),
}

impl Error {
    /// The server's report, if this is one.
    pub fn db(&self) -> Option<&DbError> {
        match self {
            Error::Db(e) => Some(e),
            _ => None,
        }
    }

    /// The five letters of the server's error code.
    pub fn sqlstate(&self) -> Option<&str> {
        self.db().map(|e| e.code.as_str())
    }

    /// Whether the server says that it undid what it was asked: then the session goes on. After any other error that
    /// came when something had been sent, it may have been done all the same.
    pub fn is_undone(&self) -> bool {
        self.db().is_some_and(|e| e.severity == "ERROR")
    }

    /// Whether the server says that a statement it prepared before can no longer run as it is: its tables have
    /// changed, or the server has lost it. Prepared anew, it may run.
    pub fn is_stale_statement(&self) -> bool {
        self.db().is_some_and(|e| {
            e.code == "26000" || (e.code == "0A000" && e.message.starts_with("cached plan must not change"))
        })
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match e.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => Error::Closed,
            _ => Error::Io(e),
        }
    }
}

/// An error report of the server; field meanings: PostgreSQL documentation, "Error and Notice Message Fields".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DbError {
    pub severity: String,
    /// The SQLSTATE.
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// Where in the statement, counted in characters from 1.
    pub position: Option<u32>,
    pub internal_query: Option<String>,
    /// The call stack of the error ("PL/pgSQL function … line …").
    pub where_: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub datatype: Option<String>,
    pub constraint: Option<String>,
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.severity, self.message, self.code)
    }
}

impl DbError {
    pub(crate) fn read(body: &ErrorResponseBody) -> Result<DbError, Error> {
        let mut e = DbError::default();
        let mut fields = body.fields();
        while let Some(field) = fields.next()? {
            let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                // The second form of the severity is never translated; it comes after the first.
                b'S' | b'V' => e.severity = value,
                b'C' => e.code = value,
                b'M' => e.message = value,
                b'D' => e.detail = Some(value),
                b'H' => e.hint = Some(value),
                b'P' => e.position = value.parse().ok(),
                b'q' => e.internal_query = Some(value),
                b'W' => e.where_ = Some(value),
                b's' => e.schema = Some(value),
                b't' => e.table = Some(value),
                b'c' => e.column = Some(value),
                b'd' => e.datatype = Some(value),
                b'n' => e.constraint = Some(value),
                _ => {}
            }
        }
        Ok(e)
    }
}
