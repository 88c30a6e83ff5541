//! Embeds: which relationship leads from a level to the one it embeds.

use super::level::{Join, Level, Source, Spread};
use super::similar;
use crate::config::Settings;
use crate::faults;
use crate::schema::{ColumnPair, Relationship, RelationshipKind, SchemaCache};
use fault::Fault;
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// What the search for relationships needs to know.
#[derive(Clone, Copy)]
pub struct Related<'a> {
    pub cache: &'a SchemaCache,
    pub settings: &'a Settings,
    /// The request's schema: both ends must be in it.
    pub schema: &'a str,
}

/// Finds the relationship of every embed below a level whose own relation is known.
pub fn relate(level: &mut Level, related: Related) -> Result<(), Fault> {
    relate_below(level, related, &mut Vec::new())
}

fn relate_below(level: &mut Level, related: Related, above: &mut Vec<String>) -> Result<(), Fault> {
    above.push(level.qualifier.clone());
    let mut laterals: Vec<String> = Vec::new();
    let mut embeds = std::mem::take(&mut level.embeds);
    for child in &mut embeds {
        let relationship = find(level, child, related)?;
        join(level, child, &relationship, above);
        // Two embeds of one name would be one key twice. The fault is the one that PostgreSQL raises for the
        // reference's statement.
        if laterals.contains(&child.lateral) {
            return Err(faults::embedded_twice(&child.lateral));
        }
        laterals.push(child.lateral.clone());
        while above.contains(&child.lateral) {
            child.lateral.push('_');
        }
        child.relationship = Some(relationship);
        relate_below(child, related, above)?;
    }
    level.embeds = embeds;
    above.pop();
    Ok(())
}

/// Fills in where a child's rows come from and how they are joined.
fn join(parent: &Level, child: &mut Level, relationship: &Relationship, above: &[String]) {
    child.lateral = format!("{}_{}_{}", relationship.table.name, child.shown_name(), child.depth);
    child.relation = relationship.foreign_table.clone();
    child.qualifier = format!("{}_{}", relationship.foreign_table.name, child.depth);
    while above.contains(&child.qualifier) {
        child.qualifier.push('_');
    }
    if child.spread.is_spread() && !relationship.is_to_one() {
        child.spread = Spread::ToMany { extra: Vec::new(), order: Vec::new() };
    }
    match &relationship.kind {
        RelationshipKind::Computed { function, .. } => {
            child.source = Source::Computed {
                function: function.clone(),
                parent: parent.qualifier.clone(),
                parent_type: relationship.table.clone(),
            };
        }
        RelationshipKind::ManyToMany(junction) => {
            let middle = junction_alias(&child.qualifier);
            child.joins = joins(&child.qualifier, &middle, &junction.target_columns);
            child.joins.extend(joins(&parent.qualifier, &middle, &junction.source_columns));
        }
        RelationshipKind::ManyToOne { columns, .. }
        | RelationshipKind::OneToMany { columns, .. }
        | RelationshipKind::OneToOne { columns, .. } => {
            child.joins = joins(&parent.qualifier, &child.qualifier, columns);
        }
    }
}

/// The alias of the junction that leads to a level.
pub fn junction_alias(qualifier: &str) -> String {
    format!("{qualifier}_junction")
}

fn joins(source: &str, target: &str, columns: &[ColumnPair]) -> Vec<Join> {
    columns
        .iter()
        .map(|pair| Join {
            left: (target.to_owned(), Arc::clone(&pair.target)),
            right: (source.to_owned(), Arc::clone(&pair.source)),
        })
        .collect()
}

fn find(parent: &Level, child: &Level, related: Related) -> Result<Arc<Relationship>, Fault> {
    let origin = &*parent.relation.name;
    let known = related.cache.relationships(related.schema, origin);
    let fitting: Vec<&Arc<Relationship>> =
        known.iter().filter(|relationship| fits(relationship, &child.asked, child.hint.as_deref())).collect();
    match fitting.as_slice() {
        [only] => Ok(Arc::clone(only)),
        [] => Err(no_relationship(origin, child, related)),
        several => Err(ambiguous(origin, &child.asked, several)),
    }
}

/// Whether a relationship is what a target and a hint name.
fn fits(relationship: &Relationship, target: &str, hint: Option<&str>) -> bool {
    if let RelationshipKind::Computed { function, .. } = &relationship.kind {
        return &*function.name == target;
    }
    let single = match relationship.columns() {
        [pair] => Some(pair),
        _ => None,
    };
    let by_source = |name: &str| single.is_some_and(|pair| &*pair.source == name);
    let by_target = |name: &str| single.is_some_and(|pair| &*pair.target == name);
    let by_name = &*relationship.foreign_table.name == target;
    let to_many = matches!(relationship.kind, RelationshipKind::OneToMany { .. });
    let to_one = matches!(relationship.kind, RelationshipKind::ManyToOne { .. });
    // A self reference has one key but two directions: the table's name means the children, the column's name
    // the parent, and a hint tells several keys apart.
    match (relationship.is_self, hint) {
        (true, None) => (by_name && to_many) || (by_source(target) && to_one),
        (true, Some(hint)) => by_name && to_many && by_target(hint),
        (false, None) => {
            by_name
                || (!relationship.foreign_table_is_view
                    && (relationship.constraint() == Some(target) || by_source(target)))
        }
        (false, Some(hint)) => {
            by_name
                && (relationship.constraint() == Some(hint)
                    || by_source(hint)
                    || by_target(hint)
                    || relationship.junction().is_some_and(|junction| &*junction.table.name == hint))
        }
    }
}

fn no_relationship(origin: &str, child: &Level, related: Related) -> Fault {
    let target = &child.asked;
    let schema = related.settings.shown_schema(related.schema);
    let hint = child.hint.as_ref().map(|hint| format!("' using the hint '{hint}")).unwrap_or_default();
    let message =
        format!("Could not find a relationship between '{origin}' and '{target}' in the schema cache");
    let details = format!(
        "Searched for a foreign key relationship between '{origin}' and '{target}{hint}' in the schema '{schema}', \
         but no matches were found."
    );
    let fault = Fault::new(StatusCode::BAD_REQUEST, "PGRST200", message).with_details(details);
    match perhaps(origin, target, related) {
        Some(hint) => fault.with_hint(hint),
        None => fault,
    }
}

/// A suggestion: another origin when that is unknown, else another target when that is.
fn perhaps(origin: &str, target: &str, related: Related) -> Option<String> {
    let part = related.cache.schema(related.schema)?;
    let (wrong, better) = match part.relationships.get(origin).filter(|found| !found.is_empty()) {
        Some(relationships) => {
            let names = relationships.iter().map(|relationship| &*relationship.foreign_table.name);
            (target, similar::closest(names, target, 0.33).filter(|better| better != target)?)
        }
        // The origin is what the client meant: it only leads nowhere.
        None if part.relations.contains_key(origin) => return None,
        None => {
            let names =
                part.relationships.iter().filter(|(_, found)| !found.is_empty()).map(|(name, _)| &**name);
            (origin, similar::closest(names, origin, 0.33)?)
        }
    };
    Some(format!("Perhaps you meant '{better}' instead of '{wrong}'."))
}

fn ambiguous(origin: &str, target: &str, candidates: &[&Arc<Relationship>]) -> Fault {
    let details: Vec<Value> = candidates.iter().map(|relationship| described(relationship)).collect();
    let choices: Vec<String> = candidates
        .iter()
        .map(|relationship| {
            let by = match relationship.junction() {
                Some(junction) => &*junction.table.name,
                None => relationship.constraint().unwrap_or_default(),
            };
            format!("'{}!{by}'", relationship.foreign_table.name)
        })
        .collect();
    let message =
        format!("Could not embed because more than one relationship was found for '{origin}' and '{target}'");
    let hint = format!(
        "Try changing '{target}' to one of the following: {}. Find the desired relationship in the 'details' key.",
        choices.join(", ")
    );
    Fault::new(StatusCode::MULTIPLE_CHOICES, "PGRST201", message).with_details(details).with_hint(hint)
}

fn described(relationship: &Relationship) -> Value {
    let list = |columns: &[ColumnPair], pick: fn(&ColumnPair) -> &str| {
        let names: Vec<&str> = columns.iter().map(pick).collect();
        format!("({})", names.join(", "))
    };
    let (source, target) = (relationship.table.name.as_ref(), relationship.foreign_table.name.as_ref());
    let by_key = |constraint: &str, columns: &[ColumnPair]| {
        let near = list(columns, |pair| &pair.source);
        let far = list(columns, |pair| &pair.target);
        format!("{constraint} using {source}{near} and {target}{far}")
    };
    let (cardinality, how) = match &relationship.kind {
        RelationshipKind::ManyToOne { constraint, columns } => ("many-to-one", by_key(constraint, columns)),
        RelationshipKind::OneToMany { constraint, columns } => ("one-to-many", by_key(constraint, columns)),
        RelationshipKind::OneToOne { constraint, columns, .. } => ("one-to-one", by_key(constraint, columns)),
        RelationshipKind::ManyToMany(junction) => {
            let near = list(&junction.source_columns, |pair| &pair.target);
            let far = list(&junction.target_columns, |pair| &pair.target);
            let how = format!(
                "{} using {}{near} and {}{far}",
                junction.table.name, junction.source_constraint, junction.target_constraint
            );
            ("many-to-many", how)
        }
        RelationshipKind::Computed { function, .. } => ("computed", function.name.to_string()),
    };
    json!({ "cardinality": cardinality, "embedding": format!("{source} with {target}"), "relationship": how })
}

/// The columns of the root that its embeds are joined by; nothing when they cannot be told.
pub fn columns_for_embeds(root: &Level) -> Option<Vec<Arc<str>>> {
    let mut columns = Vec::new();
    for child in &root.embeds {
        let Some(relationship) = &child.relationship else { continue };
        let pairs = match &relationship.kind {
            RelationshipKind::Computed { .. } => return None,
            RelationshipKind::ManyToMany(junction) => &junction.source_columns,
            RelationshipKind::ManyToOne { columns, .. }
            | RelationshipKind::OneToMany { columns, .. }
            | RelationshipKind::OneToOne { columns, .. } => columns,
        };
        columns.extend(pairs.iter().map(|pair| Arc::clone(&pair.source)));
    }
    Some(columns)
}
