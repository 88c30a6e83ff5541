//! The schema cache: what the planner knows about the database without asking it.
//!
//! It is read once ([`load`]), completed by deduction ([`relationships`]), and from then on shared and
//! immutable. A [`SchemaHandle`] swaps a new one in when the database's schema changes. Nothing here looks
//! at a request.

mod decode;
mod definition;
mod dump;
mod function;
mod handle;
mod keys;
mod listener;
mod load;
mod media;
mod name;
mod relation;
mod relationship;
mod relationships;
mod size;

pub use function::{Argument, Function, Isolation, PgType, ReturnType, Volatility};
pub use handle::{SchemaHandle, SchemaStatus, Unavailable};
pub use listener::SchemaListener;
pub use load::{LoadError, load};
pub use media::{HandlerTarget, MediaHandler, MediaHandlers};
pub use name::Name;
pub use relation::{Column, Relation, RelationKind};
pub use relationship::{ColumnPair, Junction, Relationship, RelationshipKind};

use std::collections::HashMap;
use std::sync::Arc;

/// Everything that the planner may know. Immutable; made by the loader, or by tests through [`SchemaCache::new`].
#[derive(Debug, Default)]
pub struct SchemaCache {
    /// Exposed schemas with what is in them.
    schemas: HashMap<Arc<str>, SchemaPart>,
    /// Casts between domains and `json` or `text`, by the source type's name.
    representations: HashMap<Arc<str>, Vec<Representation>>,
    /// Custom media type handlers of all exposed schemas.
    media: MediaHandlers,
}

/// What one exposed schema holds. Missing names are simply absent.
#[derive(Debug, Default)]
pub struct SchemaPart {
    /// The schema's comment; the root's OpenAPI description takes its title from it.
    pub comment: Option<Box<str>>,
    /// Tables, views, materialized views, foreign and partitioned tables (no partitions), by name.
    pub relations: HashMap<Arc<str>, Arc<Relation>>,
    /// Functions by name; overloads in order of their number of arguments.
    pub functions: HashMap<Arc<str>, Vec<Arc<Function>>>,
    /// Relationships whose origin is in this schema, by the origin's name.
    pub relationships: HashMap<Arc<str>, Vec<Arc<Relationship>>>,
}

/// A function that turns a domain into `json`, or `json`/`text` into a domain. Types are named as
/// `format_type` names them under an empty search path, the way [`Column::nominal_type`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Representation {
    /// The type that the cast starts from.
    pub source: Arc<str>,
    /// The type that the cast yields.
    pub target: Arc<str>,
    /// The cast's function, qualified and quoted: SQL text of the catalog.
    pub function: Box<str>,
}

impl SchemaCache {
    /// A cache of these parts.
    pub fn new(
        schemas: HashMap<Arc<str>, SchemaPart>,
        representations: Vec<Representation>,
        media: MediaHandlers,
    ) -> Self {
        let mut by_source: HashMap<Arc<str>, Vec<Representation>> = HashMap::new();
        for item in representations {
            by_source.entry(Arc::clone(&item.source)).or_default().push(item);
        }
        SchemaCache { schemas, representations: by_source, media }
    }

    /// An exposed schema, by its physical name.
    pub fn schema(&self, schema: &str) -> Option<&SchemaPart> {
        self.schemas.get(schema)
    }

    /// All exposed schemas by physical name, in no order.
    pub fn schemas(&self) -> impl Iterator<Item = (&str, &SchemaPart)> {
        self.schemas.iter().map(|(name, part)| (&**name, part))
    }

    /// A relation of an exposed schema.
    pub fn relation(&self, schema: &str, name: &str) -> Option<&Arc<Relation>> {
        self.schemas.get(schema)?.relations.get(name)
    }

    /// The overloads of a function; empty when there is none.
    pub fn functions(&self, schema: &str, name: &str) -> &[Arc<Function>] {
        self.schemas.get(schema).and_then(|part| part.functions.get(name)).map_or(&[], Vec::as_slice)
    }

    /// The relationships from a relation to relations of the *same* schema (both ends of an embed must be in
    /// the request's schema). Computed relationships come with the others.
    pub fn relationships(&self, schema: &str, origin: &str) -> &[Arc<Relationship>] {
        self.schemas.get(schema).and_then(|part| part.relationships.get(origin)).map_or(&[], Vec::as_slice)
    }

    /// The function that casts `source` to `target`, when a domain representation defines one.
    pub fn representation(&self, source: &str, target: &str) -> Option<&Representation> {
        self.representations.get(source)?.iter().find(|item| &*item.target == target)
    }

    /// The custom media type handlers.
    pub fn media(&self) -> &MediaHandlers {
        &self.media
    }
}
