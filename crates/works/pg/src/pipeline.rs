//! Several statements that travel together.

use sql::Param;
use std::sync::Arc;

/// Statements that go to the server in one write, run in one implicit transaction and come back in one read.
/// All take effect or none.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) sql: Arc<str>,
    pub(crate) params: Vec<Param>,
    /// Whether the statement stays prepared on the connection.
    pub(crate) cached: bool,
    /// Whether the values of its rows come in PostgreSQL's binary format.
    pub(crate) binary: bool,
}

impl Pipeline {
    pub fn new() -> Self {
        Pipeline::default()
    }

    /// Adds a statement that the connection keeps prepared.
    pub fn step(&mut self, sql: impl Into<Arc<str>>, params: Vec<Param>) -> &mut Self {
        self.steps.push(Step { sql: sql.into(), params, cached: true, binary: false });
        self
    }

    /// Adds a statement that the connection keeps prepared and whose rows come in PostgreSQL's binary format: for
    /// types that are costly to write as text. [`Row::text`](crate::Row::text) still reads texts; other values are
    /// to be read from their bytes.
    pub fn step_binary(&mut self, sql: impl Into<Arc<str>>, params: Vec<Param>) -> &mut Self {
        self.steps.push(Step { sql: sql.into(), params, cached: true, binary: true });
        self
    }

    /// Adds a statement that is prepared for this once: for texts that will not come again.
    pub fn step_uncached(&mut self, sql: impl Into<Arc<str>>, params: Vec<Param>) -> &mut Self {
        self.steps.push(Step { sql: sql.into(), params, cached: false, binary: false });
        self
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}
