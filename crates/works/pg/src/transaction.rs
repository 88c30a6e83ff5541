//! An explicit transaction, for the cases where something is decided between its statements.

use crate::connection::Connection;
use crate::error::Error;
use crate::pipeline::Pipeline;
use crate::rows::Rows;
use sql::Param;

/// A transaction under way. Dropped without [`commit`](Transaction::commit), it is rolled back: its connection
/// does not return to the pool with it open.
#[derive(Debug)]
pub struct Transaction<'a> {
    connection: &'a mut Connection,
}

impl<'a> Transaction<'a> {
    pub(crate) fn new(connection: &'a mut Connection) -> Self {
        Transaction { connection }
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// As [`Connection::query`]; after an error of the server only a rollback is possible.
    pub async fn query(&mut self, sql: &str, params: &[Param]) -> Result<Rows, Error> {
        self.connection.query(sql, params).await
    }

    /// Runs several statements without parameters.
    ///
    /// # Errors
    /// As [`Connection::batch`].
    pub async fn batch(&mut self, sql: &str) -> Result<Vec<Rows>, Error> {
        self.connection.batch(sql).await
    }

    /// Runs several statements in one round trip.
    ///
    /// # Errors
    /// As [`Connection::run`].
    pub async fn run(&mut self, pipeline: &Pipeline) -> Result<Vec<Rows>, Error> {
        self.connection.run(pipeline).await
    }

    /// The session, for code that does not care whether a transaction is open. It must not end the transaction.
    pub fn connection(&mut self) -> &mut Connection {
        self.connection
    }

    /// Makes it permanent.
    ///
    /// # Errors
    /// When a deferred constraint fails, or the connection is lost (then the outcome is unknown).
    pub async fn commit(self) -> Result<(), Error> {
        let done = self.connection.query("commit", &[]).await?;
        if done.tag() == "ROLLBACK" {
            return Err(Error::Protocol("commit of a transaction that had already failed".to_owned()));
        }
        Ok(())
    }

    /// Undoes it.
    ///
    /// # Errors
    /// When the connection is lost; the transaction is undone then, too.
    pub async fn rollback(self) -> Result<(), Error> {
        self.connection.query("rollback", &[]).await.map(drop)
    }
}
