//! Reads the schema cache: all of the catalog's queries in one round trip, one read-only transaction.
//!
//! The queries find what lives in a schema through `pg_depend`, so that one small project among thousands of
//! schemas costs what its own tables cost.

use super::decode;
use super::{Relation, SchemaCache};
use crate::config::Settings;
use pg::{Connection, Pipeline, Rows};
use std::sync::Arc;
use std::time::Duration;

/// How long the catalog may take to answer.
const LOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// With an empty search path the catalog writes every name in full. The catalog's statistics are rarely
/// good and every join here is by an indexed key, so the planner is kept from scanning and hashing.
const PREPARE: &str = "select set_config('search_path', '', true), set_config('transaction_read_only', 'on', true), \
     set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), \
     set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true), \
     set_config('max_parallel_workers_per_gather', '0', true)";

/// Why a schema cache could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database refused or was out of reach.
    #[error("the schema cache could not be read: {0}")]
    Database(#[from] pg::Error),
    /// The database's answer is not what the queries promise.
    #[error("the schema cache could not be decoded: {0}")]
    Decode(#[from] serde_json::Error),
    /// The queries took longer than allowed.
    #[error("the schema cache could not be read in time")]
    Timeout,
    /// The thread that puts the cache together ended early.
    #[error("the schema cache could not be put together")]
    Interrupted,
}

/// The answers of the catalog's queries, undecoded.
pub(super) struct Catalog {
    pub schemas: Rows,
    pub relations: Rows,
    pub keys: Rows,
    pub functions: Rows,
    pub computed: Rows,
    pub representations: Rows,
    pub media: Rows,
}

/// Reads the schema cache of the settings' schemas.
pub async fn load(connection: &mut Connection, settings: &Settings) -> Result<SchemaCache, LoadError> {
    let exposed = pg::text(text_array(&settings.db_schemas));
    let extra = pg::text(text_array(&settings.db_extra_search_path));
    let mut pipeline = Pipeline::new();
    pipeline.step_uncached(PREPARE, vec![]);
    pipeline.step_uncached(include_str!("sql/schemas.sql"), vec![exposed.clone()]);
    pipeline.step_uncached(include_str!("sql/relations.sql"), vec![exposed.clone()]);
    pipeline.step_uncached(include_str!("sql/keys.sql"), vec![exposed.clone(), extra]);
    pipeline.step_uncached(include_str!("sql/functions.sql"), vec![exposed.clone()]);
    pipeline.step_uncached(include_str!("sql/computed.sql"), vec![exposed.clone()]);
    pipeline.step_uncached(include_str!("sql/representations.sql"), vec![]);
    pipeline.step_uncached(include_str!("sql/media.sql"), vec![exposed]);
    let answers = tokio::time::timeout(LOAD_TIMEOUT, connection.run(&pipeline))
        .await
        .map_err(|_| LoadError::Timeout)??;
    let mut answers = answers.into_iter().skip(1);
    let mut next = || answers.next().ok_or(LoadError::Interrupted);
    let catalog = Catalog {
        schemas: next()?,
        relations: next()?,
        keys: next()?,
        functions: next()?,
        computed: next()?,
        representations: next()?,
        media: next()?,
    };
    let wanted = decode::Wanted {
        schemas: settings.db_schemas.clone(),
        hidden_prefix: settings.hidden_relation_prefix.clone(),
        hoisted: settings.db_hoisted_tx_settings.clone(),
    };
    // A large schema takes long enough to stall the runtime's thread.
    tokio::task::spawn_blocking(move || decode::cache(&catalog, &wanted))
        .await
        .map_err(|_| LoadError::Interrupted)?
}

/// A PostgreSQL array literal of texts.
fn text_array(items: &[String]) -> String {
    let quoted: Vec<String> =
        items.iter().map(|item| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\""))).collect();
    format!("{{{}}}", quoted.join(","))
}

impl SchemaCache {
    /// How many relations, relationships and functions there are, for the log.
    pub fn summary(&self) -> String {
        let count = |of: fn(&super::SchemaPart) -> usize| self.schemas.values().map(of).sum::<usize>();
        format!(
            "{} Relations, {} Relationships, {} Functions",
            count(|part| part.relations.len()),
            count(|part| part.relationships.values().map(Vec::len).sum()),
            count(|part| part.functions.values().map(Vec::len).sum()),
        )
    }

    /// All relations of an exposed schema, by name.
    pub fn relations_sorted(&self, schema: &str) -> Vec<&Arc<Relation>> {
        let mut all: Vec<_> =
            self.schema(schema).into_iter().flat_map(|part| part.relations.values()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_literals_hold_any_name() {
        assert_eq!(text_array(&["a".into(), "b \"c\\d, ü".into()]), r#"{"a","b \"c\\d, ü"}"#);
        assert_eq!(text_array(&[]), "{}");
    }
}
