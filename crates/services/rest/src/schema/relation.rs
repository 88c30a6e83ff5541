//! Relations and their columns.

use super::Name;
use serde::Deserialize;
use std::sync::Arc;

/// What kind of relation this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum RelationKind {
    /// An ordinary table.
    #[serde(rename = "r")]
    Table,
    /// A view.
    #[serde(rename = "v")]
    View,
    /// A materialized view: never writable.
    #[serde(rename = "m")]
    MaterializedView,
    /// A foreign table.
    #[serde(rename = "f")]
    ForeignTable,
    /// A partitioned table (its partitions are not listed).
    #[serde(rename = "p")]
    PartitionedTable,
}

/// A table, view or the like of an exposed schema.
#[derive(Debug)]
pub struct Relation {
    /// Schema and name.
    pub name: Name,
    /// `COMMENT ON`.
    pub comment: Option<Box<str>>,
    /// The kind of relation.
    pub kind: RelationKind,
    /// Rows can be inserted (by the relation's nature or an INSTEAD OF trigger; not by privilege).
    pub insertable: bool,
    /// Rows can be updated.
    pub updatable: bool,
    /// Rows can be deleted.
    pub deletable: bool,
    /// The columns of the primary key by name (a view's is deduced); empty when there is none.
    pub primary_key: Box<[Arc<str>]>,
    /// The columns in their order.
    pub columns: Box<[Column]>,
}

impl Relation {
    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| &*column.name == name)
    }

    /// Whether it is a view or materialized view (embedding by constraint name needs a table).
    pub fn is_view(&self) -> bool {
        matches!(self.kind, RelationKind::View | RelationKind::MaterializedView)
    }
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: Arc<str>,
    /// `COMMENT ON`.
    pub comment: Option<Box<str>>,
    /// May hold nulls (a domain's NOT NULL counts).
    pub nullable: bool,
    /// The type beneath all domains, when that is one of `pg_catalog`, without length: `integer`, `character
    /// varying`, `text[]`; otherwise as declared. As `format_type` writes it with an empty search path: SQL
    /// text of the catalog.
    pub base_type: Arc<str>,
    /// The declared type with its length: a domain's own name, `character varying(10)`. Payload fields and
    /// representation casts use it.
    pub nominal_type: Arc<str>,
    /// The length of `character(n)` and `character varying(n)`.
    pub max_length: Option<i32>,
    /// The default's expression (an identity column's `nextval(…)`, a domain's default): SQL text of the
    /// catalog. Generated columns have none.
    pub default: Option<Box<str>>,
    /// The labels when the base type is an enum, in their order.
    pub enum_labels: Box<[Box<str>]>,
    /// `GENERATED ALWAYS AS (…) STORED`: never written.
    pub generated: bool,
    /// An identity column.
    pub identity: bool,
}
