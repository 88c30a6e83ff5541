//! A level of a read: the root, or an embed within it.

use crate::request::{Aggregate, Condition, Direction, Logic, Nulls, OrderTerm, SelectColumn, Span, Step};
use crate::schema::{Name, Relationship};
use std::sync::Arc;

/// One level of rows, with the levels embedded in it.
#[derive(Debug, Clone)]
pub struct Level {
    /// The name that the request used: a relation, a constraint, a column, a function.
    pub asked: String,
    pub alias: Option<String>,
    pub hint: Option<String>,
    /// Parents without a row here are dropped.
    pub inner: bool,
    pub spread: Spread,
    pub depth: usize,
    /// Named by its relation in a filter although it has an alias.
    pub named_by_relation: bool,

    /// The relation whose rows these are; for a function's result, its row type.
    pub relation: Name,
    pub source: Source,
    /// The alias of the relation in the statement.
    pub qualifier: String,
    /// The alias under which the parent joins this level.
    pub lateral: String,
    pub relationship: Option<Arc<Relationship>>,
    pub joins: Vec<Join>,

    pub columns: Vec<Column>,
    pub conditions: Vec<Tree>,
    /// Only the rows behind a cursor; those before it count for the total.
    pub behind: Option<Tree>,
    pub order: Vec<Order>,
    pub span: Span,
    /// What the embeds add to the columns, in their order.
    pub outputs: Vec<Output>,
    pub embeds: Vec<Level>,

    /// What the request said, until it is resolved.
    pub raw: Raw,
}

/// The parts of a request that belong to a level, before its relation is known.
#[derive(Debug, Clone, Default)]
pub struct Raw {
    pub columns: Vec<SelectColumn>,
    pub filters: Vec<crate::request::Filter>,
    pub logic: Vec<Logic>,
    pub order: Vec<OrderTerm>,
}

/// Where a level's rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The relation itself.
    Relation,
    /// The rows that the statement's first part wrote or a function returned.
    Written,
    /// A function of the parent's row.
    Computed { function: Name, parent: String, parent_type: Name },
}

/// Whether and how a level's columns are lifted into its parent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Spread {
    #[default]
    No,
    /// As they are.
    ToOne,
    /// As arrays. They are ordered when they are aggregated: the ordering's columns are selected besides.
    ToMany { extra: Vec<ExtraColumn>, order: Vec<Order> },
}

impl Spread {
    pub fn is_spread(&self) -> bool {
        *self != Spread::No
    }
}

/// A column selected only to order by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraColumn {
    /// The embed it is taken from; the level itself when there is none.
    pub lateral: Option<String>,
    pub column: Column,
}

/// `qualifier.column = qualifier.column`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    pub left: (String, Arc<str>),
    pub right: (String, Arc<str>),
}

/// A reference to a column, with all that is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reference {
    pub name: String,
    pub path: Vec<Step>,
    /// The path needs `to_jsonb` first.
    pub to_jsonb: bool,
    /// Wrap it in `to_tsvector`, in this language where given.
    pub search: Option<Option<String>>,
    /// The whole row is meant.
    pub whole_row: bool,
    /// The declared type; nothing when the column is not known.
    pub nominal_type: Option<Arc<str>>,
    /// A domain's function that formats the column, or parses a value for it.
    pub transform: Option<Box<str>>,
}

impl Reference {
    /// A column that nothing is known about.
    pub fn unknown(name: impl Into<String>) -> Self {
        Reference { name: name.into(), ..Reference::default() }
    }
}

/// A column of a level's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub reference: Reference,
    pub cast: Option<String>,
    pub aggregate: Option<Aggregate>,
    pub aggregate_cast: Option<String>,
    pub alias: Option<String>,
}

impl Column {
    /// A column as it is.
    pub fn plain(reference: Reference) -> Self {
        Column { reference, cast: None, aggregate: None, aggregate_cast: None, alias: None }
    }
}

/// A tree of conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// A condition on a column.
    Leaf {
        reference: Reference,
        condition: Condition,
    },
    /// Whether an embed has rows, or, unless `present`, has none. Names the embed's lateral alias.
    Embedded {
        lateral: String,
        present: bool,
    },
    Group {
        negated: bool,
        any: bool,
        items: Vec<Tree>,
    },
}

/// A term of an ordering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The lateral alias of an embed, when one of its columns orders.
    pub lateral: Option<String>,
    pub reference: Reference,
    pub direction: Option<Direction>,
    pub nulls: Option<Nulls>,
}

/// What an embed adds to its parent's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// One column of JSON. `empty` ones are joined but not shown.
    Json { name: String, lateral: String, many: bool, empty: bool },
    /// The embed's own columns.
    Spread { lateral: String, columns: Vec<SpreadColumn> },
}

impl Output {
    pub fn lateral(&self) -> &str {
        match self {
            Output::Json { lateral, .. } | Output::Spread { lateral, .. } => lateral,
        }
    }
}

/// A column lifted from an embed, perhaps aggregated on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpreadColumn {
    pub name: String,
    pub aggregate: Option<Aggregate>,
    pub aggregate_cast: Option<String>,
    pub alias: Option<String>,
}

impl SpreadColumn {
    pub fn named(name: impl Into<String>) -> Self {
        SpreadColumn { name: name.into(), aggregate: None, aggregate_cast: None, alias: None }
    }
}

impl Level {
    /// A level that a request asks for, of a relation yet to be found.
    pub fn new(asked: &str, depth: usize) -> Self {
        Level {
            asked: asked.to_owned(),
            alias: None,
            hint: None,
            inner: false,
            spread: Spread::No,
            depth,
            named_by_relation: false,
            relation: Name::new("", asked),
            source: Source::Relation,
            qualifier: asked.to_owned(),
            lateral: String::new(),
            relationship: None,
            joins: Vec::new(),
            columns: Vec::new(),
            conditions: Vec::new(),
            behind: None,
            order: Vec::new(),
            span: Span::ALL,
            outputs: Vec::new(),
            embeds: Vec::new(),
            raw: Raw::default(),
        }
    }

    /// The name by which the request and the result know it.
    pub fn shown_name(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.asked)
    }

    /// Whether at most one row belongs to a parent.
    pub fn is_to_one(&self) -> bool {
        self.relationship.as_ref().is_some_and(|relationship| relationship.is_to_one())
    }

    /// The request selects `*` and nothing else.
    pub fn selects_all_only(&self) -> bool {
        self.embeds.is_empty() && matches!(self.columns.as_slice(), [only] if only.reference.name == "*")
    }

    /// The warnings that names in filters deserve, of this level and those below: relation and alias.
    pub fn legacy_names(&self) -> Vec<(&str, &str)> {
        let own = match &self.alias {
            Some(alias) if self.named_by_relation => Some((self.asked.as_str(), alias.as_str())),
            _ => None,
        };
        own.into_iter().chain(self.embeds.iter().flat_map(Level::legacy_names)).collect()
    }
}
