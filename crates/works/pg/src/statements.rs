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

/// Statements by their text; the least recently used ones make room.
///
/// What a statement costs the server's process grows with its text, up to a hundred times its length: clients
/// who write the texts must not be able to fill it. So the bytes are bounded, not only the count, and a long text
/// is not kept at all.
#[derive(Debug)]
pub(crate) struct Statements {
    cache: Option<LruCache<Arc<str>, Statement>>,
    bytes: usize,
    bytes_max: usize,
    made: u64,
}

impl Statements {
    /// For each statement of the capacity, this many bytes of text may be kept.
    const BYTES_EACH: usize = 1024;
    /// The longest text that is kept.
    const TEXT_BYTES_MAX: usize = 8 * 1024;

    /// `capacity` 0 keeps none.
    pub(crate) fn new(capacity: usize) -> Self {
        let cache = NonZeroUsize::new(capacity).map(LruCache::new);
        Statements { cache, bytes: 0, bytes_max: capacity.saturating_mul(Self::BYTES_EACH), made: 0 }
    }

    /// Whether a statement of this text may be kept.
    pub(crate) fn keeps(&self, sql: &str) -> bool {
        self.cache.is_some() && sql.len() <= Self::TEXT_BYTES_MAX
    }

    pub(crate) fn get(&mut self, sql: &str) -> Option<Statement> {
        self.cache.as_mut()?.get(sql).cloned()
    }

    /// A name that this connection has not used.
    pub(crate) fn new_name(&mut self) -> Arc<str> {
        self.made += 1;
        format!("s{}", self.made).into()
    }

    /// Keeps a statement that was not there. Returns the names of those that had to go, for the server to forget.
    pub(crate) fn put(&mut self, sql: Arc<str>, statement: Statement) -> Vec<Arc<str>> {
        let Some(cache) = &mut self.cache else { return vec![statement.name] };
        let mut gone = Vec::new();
        self.bytes += sql.len();
        let pushed_out = cache.push(sql, statement);
        let mut superfluous = pushed_out;
        loop {
            if let Some((text, old)) = superfluous {
                self.bytes -= text.len();
                gone.push(old.name);
            }
            if self.bytes <= self.bytes_max || cache.len() <= 1 {
                return gone;
            }
            superfluous = cache.pop_lru();
        }
    }

    /// Forgets a statement; returns its name for the server to forget, too.
    pub(crate) fn remove(&mut self, sql: &str) -> Option<Arc<str>> {
        let removed = self.cache.as_mut()?.pop(sql)?;
        self.bytes -= sql.len();
        Some(removed.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(statements: &mut Statements, sql: &str) -> usize {
        let statement = Statement { name: statements.new_name(), columns: Arc::default() };
        statements.put(sql.into(), statement).len()
    }

    #[test]
    fn count_and_bytes_are_bounded() {
        let mut statements = Statements::new(2);
        assert_eq!(
            [put(&mut statements, "a"), put(&mut statements, "b"), put(&mut statements, "c")],
            [0, 0, 1]
        );
        assert_eq!(put(&mut statements, &"x".repeat(1500)), 1);
        assert_eq!(put(&mut statements, &"y".repeat(1500)), 2, "the count allows two, the bytes one");
        assert_eq!(statements.bytes, 1500);
        assert!(statements.remove(&"y".repeat(1500)).is_some());
        assert_eq!(statements.bytes, 0);
    }

    #[test]
    fn long_texts_are_not_kept() {
        assert!(Statements::new(100).keeps("select 1"));
        assert!(!Statements::new(100).keeps(&"x".repeat(9000)));
        assert!(!Statements::new(0).keeps("select 1"));
    }
}
