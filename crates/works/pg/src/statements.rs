//! The prepared statements of one connection.

use crate::rows::Column;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// A statement that the server knows by name.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) name: Arc<str>,
    pub(crate) columns: Arc<[Column]>,
}

/// Statements by their text; the least recently used one makes room.
#[derive(Debug)]
pub(crate) struct Statements {
    cache: Option<LruCache<Arc<str>, Statement>>,
    made: u64,
}

impl Statements {
    /// `capacity` 0 keeps none.
    pub(crate) fn new(capacity: usize) -> Self {
        Statements { cache: NonZeroUsize::new(capacity).map(LruCache::new), made: 0 }
    }

    pub(crate) fn keeps_any(&self) -> bool {
        self.cache.is_some()
    }

    pub(crate) fn get(&mut self, sql: &str) -> Option<Statement> {
        self.cache.as_mut()?.get(sql).cloned()
    }

    /// A name that this connection has not used.
    pub(crate) fn new_name(&mut self) -> Arc<str> {
        self.made += 1;
        format!("s{}", self.made).into()
    }

    /// Keeps a statement. Returns the name of the one that had to go, for the server to forget.
    pub(crate) fn put(&mut self, sql: Arc<str>, statement: Statement) -> Option<Arc<str>> {
        let (old_sql, old) = self.cache.as_mut()?.push(Arc::clone(&sql), statement)?;
        debug_assert!(old_sql != sql, "a statement is put only when it was not there");
        Some(old.name)
    }

    /// Forgets a statement; returns its name for the server to forget, too.
    pub(crate) fn remove(&mut self, sql: &str) -> Option<Arc<str>> {
        self.cache.as_mut()?.pop(sql).map(|s| s.name)
    }
}
