//! The stages before the database in one call, for the fuzz targets in `fuzz/`.

use crate::config::Settings;
use crate::plan::{Plan, Planner};
use crate::request::{Incoming, parse};
use crate::schema::SchemaCache;
use crate::statement;
use bytes::Bytes;
use fault::Fault;
use http::{HeaderMap, Method};

/// The text of the statement that a request becomes; nothing when it needs none of its own.
pub fn statement(
    (method, path, query): (&Method, &str, &str),
    headers: &HeaderMap,
    body: Bytes,
    cache: &SchemaCache,
    settings: &Settings,
) -> Result<Option<String>, Fault> {
    let request = parse(Incoming { method, path, query, headers }, body, settings)?;
    match (Planner { cache, settings }).plan(&request)? {
        Plan::Rows(rows) => Ok(Some(statement::build(&rows, &request, settings).main.text().to_owned())),
        Plan::Describe { .. } | Plan::Info { .. } => Ok(None),
    }
}
