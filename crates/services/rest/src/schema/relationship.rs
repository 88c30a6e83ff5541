//! How one relation leads to another.

use super::Name;
use std::sync::Arc;

/// A way from `table` to `foreign_table`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relationship {
    /// The origin: where an embed starts.
    pub table: Name,
    /// The target: what is embedded.
    pub foreign_table: Name,
    /// Origin and target are the same relation.
    pub is_self: bool,
    /// The origin is a view.
    pub table_is_view: bool,
    /// The target is a view.
    pub foreign_table_is_view: bool,
    /// Cardinality and columns.
    pub kind: RelationshipKind,
}

/// Cardinality, with what the join needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelationshipKind {
    /// The origin holds the foreign key.
    ManyToOne { constraint: Arc<str>, columns: Arc<[ColumnPair]> },
    /// The target holds the foreign key.
    OneToMany { constraint: Arc<str>, columns: Arc<[ColumnPair]> },
    /// A foreign key whose columns are unique. `is_parent` is true when the *target* holds the key (the
    /// inverse direction).
    OneToOne { constraint: Arc<str>, columns: Arc<[ColumnPair]>, is_parent: bool },
    /// Through a junction table.
    ManyToMany(Arc<Junction>),
    /// A function from the origin's row type to the target's row type.
    Computed {
        /// The function; its name is what an embed asks for.
        function: Name,
        /// It yields at most one row.
        to_one: bool,
    },
}

/// A column of the origin and the column of the other side that it equals.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnPair {
    /// Column of the relationship's origin (`table`), or of the end that a junction leads from.
    pub source: Arc<str>,
    /// Column of the target (`foreign_table`), or of the junction.
    pub target: Arc<str>,
}

/// The table in the middle of a many-to-many relationship.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Junction {
    /// The junction's name; it may be in any exposed schema.
    pub table: Name,
    /// The constraint from the junction to the origin.
    pub source_constraint: Arc<str>,
    /// The constraint from the junction to the target.
    pub target_constraint: Arc<str>,
    /// (origin column, junction column) pairs.
    pub source_columns: Arc<[ColumnPair]>,
    /// (target column, junction column) pairs.
    pub target_columns: Arc<[ColumnPair]>,
}

impl Relationship {
    /// Whether an embed is an object (or null) rather than an array.
    pub fn is_to_one(&self) -> bool {
        matches!(
            self.kind,
            RelationshipKind::ManyToOne { .. }
                | RelationshipKind::OneToOne { .. }
                | RelationshipKind::Computed { to_one: true, .. }
        )
    }

    /// The foreign key's name, when one foreign key makes the relationship.
    pub fn constraint(&self) -> Option<&str> {
        match &self.kind {
            RelationshipKind::ManyToOne { constraint, .. }
            | RelationshipKind::OneToMany { constraint, .. }
            | RelationshipKind::OneToOne { constraint, .. } => Some(constraint),
            RelationshipKind::ManyToMany(_) | RelationshipKind::Computed { .. } => None,
        }
    }

    /// The (origin, target) column pairs, when one foreign key makes the relationship; empty otherwise.
    pub fn columns(&self) -> &[ColumnPair] {
        match &self.kind {
            RelationshipKind::ManyToOne { columns, .. }
            | RelationshipKind::OneToMany { columns, .. }
            | RelationshipKind::OneToOne { columns, .. } => columns,
            RelationshipKind::ManyToMany(_) | RelationshipKind::Computed { .. } => &[],
        }
    }

    /// The junction of a many-to-many relationship.
    pub fn junction(&self) -> Option<&Junction> {
        match &self.kind {
            RelationshipKind::ManyToMany(junction) => Some(junction),
            _ => None,
        }
    }
}
