//! Transactions of one project: its settings first, then the statements, in as few round trips as possible.

use bytes::Bytes;
use pg::{Error, Param, Pipeline, Pool, PooledConnection, Rows};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The role under which everything runs, whoever the pool logs in as.
const ROLE: &str = "supabase_auth_admin";

/// The SQLSTATE of a transaction that was given up for another to go on.
const DEADLOCK: &str = "40P01";

/// A statement with its values.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    sql: Arc<str>,
    params: Vec<Param>,
}

impl Step {
    pub(crate) fn new(sql: &'static str, params: impl Into<Vec<Param>>) -> Step {
        Step { sql: sql.into(), params: params.into() }
    }

    /// The same statement, taking a lock on the rows that it reads from this alias.
    #[must_use]
    pub(crate) fn locking(self, alias: &'static str) -> Step {
        Step { sql: [&self.sql, " for no key update of ", alias].concat().into(), params: self.params }
    }

    pub(crate) fn built(fragment: sql::Fragment) -> Step {
        let (sql, params) = fragment.into_parts();
        Step { sql: sql.into(), params }
    }
}

/// The database of a project.
#[derive(Debug, Clone)]
pub(crate) struct Db {
    pool: Pool,
    prologue: Step,
}

/// A transaction that stays open between round trips. Dropped, it is rolled back.
pub(crate) struct Unit {
    connection: PooledConnection,
    opening: Opening,
}

/// What a transaction began with, and what that found.
#[derive(Debug)]
struct Opening {
    steps: Vec<Step>,
    found: Vec<Rows>,
}

/// A transaction that was undone while somebody else is asked, and can be opened again where nothing has changed.
#[derive(Debug)]
pub(crate) struct Paused(Opening);

impl Db {
    pub(crate) fn new(pool: Pool, settings: &[(String, String)]) -> Db {
        let mut fragment = sql::Fragment::new();
        fragment.push("select set_config('role', ").bind(ROLE).push(", true)");
        for (name, value) in settings {
            fragment.push(", set_config(").bind(name.clone()).push(", ").bind(value.clone()).push(", true)");
        }
        Db { pool, prologue: Step::built(fragment) }
    }

    /// Runs the statements as one transaction in one round trip and returns their results.
    pub(crate) async fn run(&self, steps: Vec<Step>) -> Result<Vec<Rows>, Error> {
        let pipeline = pipeline(Some(&self.prologue), steps, None);
        let mut results = match self.pool.run(&pipeline).await {
            // PostgreSQL undid all of it, so it can be done again.
            Err(error) if error.sqlstate() == Some(DEADLOCK) => self.pool.run(&pipeline).await?,
            other => other?,
        };
        results.remove(0);
        Ok(results)
    }

    /// Runs one statement.
    pub(crate) async fn one(&self, step: Step) -> Result<Rows, Error> {
        self.run(vec![step]).await?.pop().ok_or_else(missing)
    }

    /// Opens a transaction and runs its first statements, in one round trip.
    pub(crate) async fn begin(&self, steps: Vec<Step>) -> Result<(Unit, Vec<Rows>), Error> {
        let mut connection = self.pool.get().await?;
        let mut all = Pipeline::new();
        all.step("begin", Vec::new());
        for step in std::iter::once(&self.prologue).chain(&steps).cloned() {
            all.step(step.sql, step.params);
        }
        let mut results = connection.run(&all).await?;
        results.drain(..2);
        let opening = Opening { steps, found: results.clone() };
        Ok((Unit { connection, opening }, results))
    }
}

impl Unit {
    /// Runs further statements, in one round trip.
    pub(crate) async fn run(&mut self, steps: Vec<Step>) -> Result<Vec<Rows>, Error> {
        self.connection.run(&pipeline(None, steps, None)).await
    }

    /// Runs the last statements and commits, in one round trip.
    pub(crate) async fn commit(mut self, steps: Vec<Step>) -> Result<Vec<Rows>, Error> {
        let mut results = self.connection.run(&pipeline(None, steps, Some("commit"))).await?;
        results.pop();
        Ok(results)
    }

    /// Undoes it, which keeps the connection; dropping would cost the pool a new one.
    pub(crate) async fn rollback(self) -> Result<(), Error> {
        self.pause().await.map(drop)
    }

    /// Undoes it and gives the connection back, so that nobody waits for it while somebody else is asked.
    pub(crate) async fn pause(mut self) -> Result<Paused, Error> {
        self.connection.query("rollback", &[]).await?;
        Ok(Paused(self.opening))
    }
}

impl Paused {
    /// Opens the transaction again; nothing when its first statements find something else than they did before, so
    /// that what was decided then may not hold any more.
    pub(crate) async fn resume(self, db: &Db) -> Result<Option<Unit>, Error> {
        let Paused(Opening { steps, found }) = self;
        let (unit, now) = db.begin(steps).await?;
        if is_same(&found, &now) {
            return Ok(Some(unit));
        }
        unit.rollback().await?;
        Ok(None)
    }
}

/// Whether two runs of the same statements had the same results.
fn is_same(one: &[Rows], other: &[Rows]) -> bool {
    let values = |rows: &Rows| -> Vec<Vec<Option<Bytes>>> {
        rows.iter().map(|row| (0..row.len()).map(|column| row.raw(column)).collect()).collect()
    };
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| values(a) == values(b))
}

fn pipeline(first: Option<&Step>, steps: Vec<Step>, last: Option<&'static str>) -> Pipeline {
    let mut pipeline = Pipeline::new();
    if let Some(step) = first {
        pipeline.step(Arc::clone(&step.sql), step.params.clone());
    }
    for step in steps {
        pipeline.step(step.sql, step.params);
    }
    if let Some(sql) = last {
        pipeline.step(sql, Vec::new());
    }
    pipeline
}

fn missing() -> Error {
    Error::Decode("no result for a statement".to_owned())
}

/// The first row's first column as a record; nothing when there is no row.
pub(crate) fn first<T: DeserializeOwned>(rows: &Rows) -> Result<Option<T>, Error> {
    rows.first().map(|row| row.json(0)).transpose()
}

/// Every row's first column as a record.
pub(crate) fn all<T: DeserializeOwned>(rows: &Rows) -> Result<Vec<T>, Error> {
    rows.iter().map(|row| row.json(0)).collect()
}

/// The record that the last of several results must hold.
pub(crate) fn last<T: DeserializeOwned>(results: &[Rows]) -> Result<T, Error> {
    results.last().ok_or_else(missing)?.one()?.json(0)
}
