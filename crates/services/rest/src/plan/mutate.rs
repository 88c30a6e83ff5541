//! Plans of writes.

use super::level::{Level, Tree};
use super::relate;
use super::resolve::Columns;
use crate::faults;
use crate::request::{Missing, Mutation, Operation, Operator, Payload, Representation, Request, Resolution};
use crate::schema::{Name, Relation, SchemaCache};
use bytes::Bytes;
use fault::Fault;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A write: its first part changes rows, its second reads what was changed.
#[derive(Debug, Clone)]
pub struct Write {
    pub relation: Name,
    pub mutation: Mutation,
    pub columns: Vec<PayloadColumn>,
    pub body: Bytes,
    /// The body is one object rather than an array.
    pub is_object: bool,
    /// Missing keys become the columns' defaults.
    pub defaults: bool,
    pub conflict: Option<Conflict>,
    pub conditions: Vec<Tree>,
    pub returning: Returning,
    pub primary_key: Box<[Arc<str>]>,
}

/// What happens to rows that exist already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub resolution: Resolution,
    /// The columns of a unique key.
    pub columns: Vec<String>,
}

/// A column that a payload fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadColumn {
    pub name: Arc<str>,
    /// The type as which the payload's value is read: SQL text of the catalog.
    pub type_name: Arc<str>,
    pub default: Option<Box<str>>,
    /// A domain's function that parses JSON.
    pub transform: Option<Box<str>>,
}

/// The columns that the first part hands to the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returning {
    /// None: no right to read is needed.
    Nothing,
    All,
    Columns(Vec<String>),
}

impl Write {
    /// Whether the number of inserted rows decides the status.
    pub fn counts_inserted(&self) -> bool {
        match self.mutation {
            Mutation::Replace => true,
            Mutation::Create => {
                self.conflict.as_ref().is_some_and(|conflict| conflict.resolution == Resolution::Merge)
            }
            Mutation::Update | Mutation::Delete => false,
        }
    }
}

/// Plans a write of a relation.
pub fn plan(
    request: &Request,
    relation: &Relation,
    mutation: Mutation,
    root: &Level,
    cache: &SchemaCache,
) -> Result<Write, Fault> {
    let prefer = &request.prefer;
    let names = Columns::of(cache, &relation.name);
    let conditions: Vec<Tree> = request
        .query
        .root_filters()
        .map(|filter| names.filter(filter))
        .chain(
            request
                .query
                .logic
                .iter()
                .filter(|(path, _)| path.is_empty())
                .map(|(_, logic)| names.logic(logic)),
        )
        .collect();
    if mutation == Mutation::Replace && !names_primary_key(request, relation) {
        return Err(faults::put_filters());
    }
    let columns = match mutation {
        Mutation::Delete => Vec::new(),
        _ => payload_columns(&request.columns, relation, cache)?,
    };
    let conflict = match mutation {
        Mutation::Create => {
            prefer.resolution.map(|resolution| (resolution, request.query.on_conflict.clone()))
        }
        Mutation::Replace => Some((Resolution::Merge, None)),
        Mutation::Update | Mutation::Delete => None,
    };
    let conflict = conflict.map(|(resolution, columns)| Conflict {
        resolution,
        columns: columns
            .unwrap_or_else(|| relation.primary_key.iter().map(|name| name.to_string()).collect()),
    });
    let returning = match prefer.representation {
        None | Some(Representation::Minimal) => Returning::Nothing,
        Some(Representation::Full | Representation::HeadersOnly) => {
            let primary_key = if mutation == Mutation::Delete || mutation == Mutation::Update {
                &[][..]
            } else {
                &relation.primary_key[..]
            };
            returning(root, primary_key)
        }
    };
    let (body, is_object) = match &request.payload {
        Some(payload @ Payload::Json(raw)) => (raw.clone(), payload.is_object()),
        _ => (Bytes::new(), false),
    };
    Ok(Write {
        relation: relation.name.clone(),
        mutation,
        columns,
        body,
        is_object,
        defaults: prefer.missing == Some(Missing::Default) && mutation != Mutation::Replace,
        conflict,
        conditions,
        returning,
        primary_key: relation.primary_key.clone(),
    })
}

/// PUT: the filters are `column=eq.value` for exactly the columns of the primary key.
fn names_primary_key(request: &Request, relation: &Relation) -> bool {
    let key: BTreeSet<&str> = relation.primary_key.iter().map(|name| &**name).collect();
    let keys: BTreeSet<&str> = request.query.filter_keys.iter().map(String::as_str).collect();
    let equals = |operation: &Operation| {
        matches!(operation, Operation::Compare { operator: Operator::Equal, quantifier: None, .. })
    };
    !key.is_empty()
        && request.query.logic.is_empty()
        && keys == key
        && request
            .query
            .root_filters()
            .all(|filter| !filter.condition.negated && equals(&filter.condition.operation))
}

fn payload_columns(
    names: &BTreeSet<String>,
    relation: &Relation,
    cache: &SchemaCache,
) -> Result<Vec<PayloadColumn>, Fault> {
    names
        .iter()
        .map(|name| {
            let column =
                relation.column(name).ok_or_else(|| faults::unknown_column(&relation.name.name, name))?;
            let transform = cache.representation("json", &column.nominal_type);
            Ok(PayloadColumn {
                name: Arc::clone(&column.name),
                type_name: match transform {
                    Some(_) => Arc::from("json"),
                    None => Arc::clone(&column.nominal_type),
                },
                default: column.default.clone(),
                transform: transform.map(|found| found.function.clone()),
            })
        })
        .collect()
}

/// The columns that the representation shows, its embeds are joined by, and `Location` names.
pub fn returning(root: &Level, primary_key: &[Arc<str>]) -> Returning {
    let mut columns: BTreeSet<String> =
        root.columns.iter().map(|column| column.reference.name.clone()).collect();
    if columns.contains("*") || (columns.is_empty() && root.embeds.is_empty()) {
        return Returning::All;
    }
    let Some(joined) = relate::columns_for_embeds(root) else { return Returning::All };
    columns.extend(joined.iter().chain(primary_key).map(|name| name.to_string()));
    columns.extend(
        root.order.iter().filter(|term| term.lateral.is_none()).map(|term| term.reference.name.clone()),
    );
    Returning::Columns(columns.into_iter().collect())
}
