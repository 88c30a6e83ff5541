//! Keys as the catalog has them, and what views let through of them. Pure.

use super::Name;
use super::definition::Origin;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A relation with its keys; exposed, or beneath an exposed view.
#[derive(Debug, Clone)]
pub(super) struct KeyedRelation {
    pub id: u32,
    pub name: Name,
    pub is_view: bool,
    pub keys: Vec<Key>,
    /// Where the columns come from; empty unless it is a view that may be traced.
    pub origins: Vec<Origin>,
}

/// A primary key, a unique constraint or a foreign key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub name: Arc<str>,
    pub columns: Vec<KeyColumn>,
    pub kind: KeyKind,
}

/// A column of a key: its number and name.
#[derive(Debug, Clone)]
pub(super) struct KeyColumn {
    pub number: i16,
    pub name: Arc<str>,
}

#[derive(Debug, Clone)]
pub(super) enum KeyKind {
    Primary,
    Unique,
    /// A foreign key: the referenced relation and its columns, in the order of the key's.
    Foreign {
        relation: u32,
        columns: Vec<KeyColumn>,
    },
}

/// For every column of a key, the view's columns that show it.
pub(super) type Shown = Vec<Vec<Arc<str>>>;

/// A foreign key: the table that has it, and its name.
pub(super) type Constraint = (u32, Arc<str>);

/// Views (by oid) that show all columns of one side of a foreign key.
pub(super) type Showing = Vec<(u32, Shown)>;

/// The keys that can be seen through views.
#[derive(Debug, Default)]
pub(super) struct ViewKeys {
    /// Primary keys by view.
    pub primary: HashMap<u32, Vec<Arc<str>>>,
    /// Views that show a foreign key's own columns, by (table, constraint).
    pub referencing: HashMap<Constraint, Showing>,
    /// Views that show the columns which a foreign key refers to, by the (table, constraint) that refers.
    pub referenced: HashMap<Constraint, Showing>,
}

/// A foreign key as the relation sees it that it refers to.
struct Referrer<'a> {
    constraint: Constraint,
    columns: &'a [KeyColumn],
}

/// The foreign keys by the relation that they refer to.
fn referrers(relations: &[KeyedRelation]) -> HashMap<u32, Vec<Referrer<'_>>> {
    let mut found: HashMap<u32, Vec<Referrer<'_>>> = HashMap::new();
    for relation in relations {
        for key in &relation.keys {
            if let KeyKind::Foreign { relation: target, columns } = &key.kind {
                let constraint = (relation.id, Arc::clone(&key.name));
                found.entry(*target).or_default().push(Referrer { constraint, columns });
            }
        }
    }
    found
}

/// The columns of a view by where they come from.
type Trace = BTreeMap<(u32, i16), Vec<Arc<str>>>;

/// Finds which keys the exposed views let through. `views` has each exposed view's columns by number.
pub(super) fn view_keys(
    relations: &[KeyedRelation],
    views: &HashMap<u32, HashMap<i16, Arc<str>>>,
) -> ViewKeys {
    let by_id: HashMap<u32, &KeyedRelation> = relations.iter().map(|item| (item.id, item)).collect();
    let referrers = referrers(relations);
    let mut found = ViewKeys::default();
    for (view, columns) in views {
        let Some(keyed) = by_id.get(view) else { continue };
        let trace = trace(keyed, columns, &by_id);
        let tables: HashSet<u32> = trace.keys().map(|(table, _)| *table).collect();
        let mut primary: Vec<(&Name, Vec<Arc<str>>)> = Vec::new();
        for table in tables {
            let Some(relation) = by_id.get(&table) else { continue };
            for key in &relation.keys {
                let Some(shown) = shown(table, &key.columns, &trace) else { continue };
                match key.kind {
                    KeyKind::Primary => {
                        let first = shown.into_iter().filter_map(|names| names.into_iter().next());
                        primary.push((&relation.name, first.collect()));
                    }
                    KeyKind::Foreign { .. } => {
                        let at = (table, Arc::clone(&key.name));
                        found.referencing.entry(at).or_default().push((*view, shown));
                    }
                    KeyKind::Unique => {}
                }
            }
            for referrer in referrers.get(&table).into_iter().flatten() {
                if let Some(shown) = shown(table, referrer.columns, &trace) {
                    found.referenced.entry(referrer.constraint.clone()).or_default().push((*view, shown));
                }
            }
        }
        // The reference lists the keys of several joined tables in this order.
        primary.sort_by(|a, b| b.0.cmp(a.0));
        found.primary.insert(*view, primary.into_iter().flat_map(|(_, columns)| columns).collect());
    }
    found
}

/// The view's columns by every relation's column that they pass through on their way.
fn trace(
    view: &KeyedRelation,
    names: &HashMap<i16, Arc<str>>,
    by_id: &HashMap<u32, &KeyedRelation>,
) -> Trace {
    let mut trace = Trace::new();
    for origin in &view.origins {
        let Some(name) = names.get(&origin.column) else { continue };
        let mut at = Some((origin.relation, origin.relation_column));
        let mut passed = HashSet::from([view.id]);
        while let Some((relation, column)) = at.take() {
            if !passed.insert(relation) {
                break;
            }
            trace.entry((relation, column)).or_default().push(Arc::clone(name));
            at = by_id
                .get(&relation)
                .and_then(|item| item.origins.iter().find(|next| next.column == column))
                .map(|next| (next.relation, next.relation_column));
        }
    }
    trace
}

/// The view's columns for each of the key's, when none is missing.
fn shown(table: u32, key: &[KeyColumn], trace: &Trace) -> Option<Shown> {
    key.iter().map(|column| trace.get(&(table, column.number)).cloned()).collect()
}
