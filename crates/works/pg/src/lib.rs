//! Our PostgreSQL client: sessions, pipelines and pools on the codec of `postgres-protocol`.
//!
//! Why not tokio-postgres. A request of ours is several statements (settings, then the query) that must be
//! one transaction and one round trip. The extended protocol gives exactly that — all messages up to one Sync
//! are an implicit transaction — but tokio-postgres ends every statement with a Sync of its own, so the
//! transaction needs BEGIN and COMMIT messages and each statement a hop through the connection's task. Here the
//! caller owns the socket while it holds the connection: one write, one read, no task, no channel. Requests
//! carry values as text whose types PostgreSQL infers, which is also the format in which all results come back.
//!
//! What it refuses to do: binary formats, an ORM, retries that a caller cannot see. The one exception is a
//! cached statement that the server can no longer execute (its tables changed): it is prepared again, once.

mod cancel;
mod config;
mod connection;
mod error;
mod handshake;
mod pipeline;
mod pool;
mod raw;
mod rows;
mod statements;
mod stream;
mod tls;
mod transaction;
mod url;
mod value;

pub use cancel::CancelToken;
pub use config::{Config, Host, Tls};
pub use connection::parts::{Begun, Part, Parts, Remainder, Watch};
pub use connection::{Connection, Notification};
pub use error::{DbError, Error};
pub use pipeline::Pipeline;
pub use pool::{Pool, PoolOptions, PoolStatus, PooledConnection};
pub use raw::RawSession;
pub use rows::{Column, Row, Rows};
pub use sql::Param;
pub use stream::Stream;
pub use transaction::Transaction;
pub use value::{FromText, null, param, text};
