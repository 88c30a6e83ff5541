//! Relationships deduced from keys: views' copies, inverses, many-to-many, overrides, and what is left of
//! them for clients. Pure.

use super::Name;
use super::keys::{Key, KeyColumn, KeyKind, KeyedRelation, Shown, ViewKeys, view_keys};
use super::relationship::{ColumnPair, Junction, Relationship, RelationshipKind};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// At most this many ways in which a view that shows a key's columns repeatedly stands for the key.
const COMBINATIONS_MAX: usize = 256;

/// What deduction starts from.
pub(super) struct Known<'a> {
    /// Every relation that matters, with its keys.
    pub relations: &'a [KeyedRelation],
    /// Exposed relations by oid.
    pub exposed: &'a HashSet<u32>,
    /// The columns of exposed views by number.
    pub views: &'a HashMap<u32, HashMap<i16, Arc<str>>>,
    /// Functions that lead from one relation to another.
    pub computed: Vec<Computed>,
}

/// A computed relationship.
pub(super) struct Computed {
    pub function: Name,
    pub table: Name,
    pub foreign_table: Name,
    pub to_one: bool,
}

/// Relationships of one schema by their origin's name.
pub(super) type ByOrigin = HashMap<Arc<str>, Vec<Arc<Relationship>>>;

/// What deduction yields.
pub(super) struct Deduced {
    /// Relationships between relations of one exposed schema, by schema and origin, sorted.
    pub relationships: HashMap<Arc<str>, ByOrigin>,
    /// Primary keys of exposed views, by oid.
    pub view_primary_keys: HashMap<u32, Vec<Arc<str>>>,
}

/// A foreign key, or a view's copy of one: from the relation that has the key to the one it refers to.
struct Reference<'a> {
    table: &'a KeyedRelation,
    foreign: &'a KeyedRelation,
    constraint: Arc<str>,
    pairs: Arc<[ColumnPair]>,
    one_to_one: bool,
    is_self: bool,
}

/// Deduces all relationships.
pub(super) fn deduce(known: Known<'_>) -> Deduced {
    let keys = view_keys(known.relations, known.views);
    let references = references(&known, &keys);
    let mut all = Vec::with_capacity(references.len() * 2);
    many_to_many(&references, known.relations, &keys, &mut all);
    for reference in &references {
        both_directions(reference, &mut all);
    }
    all.retain(|item| item.table.schema == item.foreign_table.schema);
    Deduced { relationships: by_origin(all, known.computed), view_primary_keys: keys.primary }
}

/// All foreign keys between exposed relations, with the copies that views make.
fn references<'a>(known: &Known<'a>, keys: &ViewKeys) -> Vec<Reference<'a>> {
    let by_id: HashMap<u32, &KeyedRelation> = known.relations.iter().map(|item| (item.id, item)).collect();
    let mut found = Vec::new();
    for table in known.relations {
        for key in &table.keys {
            let KeyKind::Foreign { relation, columns } = &key.kind else { continue };
            let Some(foreign) = by_id.get(relation) else { continue };
            let at = (table.id, Arc::clone(&key.name));
            let mut sources = vec![(table, plain(&key.columns))];
            sources.extend(copies(keys.referencing.get(&at), &by_id));
            let mut targets = vec![(*foreign, plain(columns))];
            targets.extend(copies(keys.referenced.get(&at), &by_id));
            let one_to_one = is_unique(table, key);
            for (source, source_columns) in &sources {
                for (target, target_columns) in &targets {
                    if !known.exposed.contains(&source.id) || !known.exposed.contains(&target.id) {
                        continue;
                    }
                    found.push(Reference {
                        table: source,
                        foreign: target,
                        constraint: Arc::clone(&key.name),
                        pairs: pairs(source_columns, target_columns),
                        one_to_one,
                        is_self: source.id == target.id,
                    });
                }
            }
        }
    }
    found
}

fn plain(columns: &[KeyColumn]) -> Vec<Arc<str>> {
    columns.iter().map(|column| Arc::clone(&column.name)).collect()
}

fn pairs(source: &[Arc<str>], target: &[Arc<str>]) -> Arc<[ColumnPair]> {
    let zipped = source.iter().zip(target);
    zipped.map(|(a, b)| ColumnPair { source: Arc::clone(a), target: Arc::clone(b) }).collect()
}

/// The views that show a key, once for every combination of columns that stand for it.
fn copies<'a>(
    views: Option<&Vec<(u32, Shown)>>,
    by_id: &HashMap<u32, &'a KeyedRelation>,
) -> Vec<(&'a KeyedRelation, Vec<Arc<str>>)> {
    let mut found = Vec::new();
    for (view, shown) in views.into_iter().flatten() {
        if let Some(view) = by_id.get(view) {
            found.extend(combinations(shown).into_iter().map(|columns| (*view, columns)));
        }
    }
    found
}

fn combinations(shown: &Shown) -> Vec<Vec<Arc<str>>> {
    let mut all = vec![Vec::new()];
    for names in shown {
        all = all
            .iter()
            .flat_map(|start: &Vec<Arc<str>>| {
                names.iter().map(move |name| start.iter().cloned().chain([Arc::clone(name)]).collect())
            })
            .take(COMBINATIONS_MAX)
            .collect();
    }
    all
}

/// Whether the foreign key's columns are exactly those of a primary key or unique constraint.
fn is_unique(table: &KeyedRelation, key: &Key) -> bool {
    let numbers = |key: &Key| key.columns.iter().map(|column| column.number).collect::<BTreeSet<_>>();
    let own = numbers(key);
    table.keys.iter().any(|other| !matches!(other.kind, KeyKind::Foreign { .. }) && numbers(other) == own)
}

/// The reference itself and its inverse.
fn both_directions(reference: &Reference<'_>, all: &mut Vec<Relationship>) {
    let constraint = || Arc::clone(&reference.constraint);
    let columns = Arc::clone(&reference.pairs);
    let inverse: Arc<[ColumnPair]> = swapped(&reference.pairs);
    let (forth, back) = if reference.one_to_one {
        (
            RelationshipKind::OneToOne { constraint: constraint(), columns, is_parent: false },
            RelationshipKind::OneToOne { constraint: constraint(), columns: inverse, is_parent: true },
        )
    } else {
        (
            RelationshipKind::ManyToOne { constraint: constraint(), columns },
            RelationshipKind::OneToMany { constraint: constraint(), columns: inverse },
        )
    };
    all.push(relationship(reference.table, reference.foreign, reference.is_self, forth));
    all.push(relationship(reference.foreign, reference.table, reference.is_self, back));
}

fn swapped(pairs: &[ColumnPair]) -> Arc<[ColumnPair]> {
    let swap =
        |pair: &ColumnPair| ColumnPair { source: Arc::clone(&pair.target), target: Arc::clone(&pair.source) };
    pairs.iter().map(swap).collect()
}

fn relationship(
    from: &KeyedRelation,
    to: &KeyedRelation,
    is_self: bool,
    kind: RelationshipKind,
) -> Relationship {
    Relationship {
        table: from.name.clone(),
        foreign_table: to.name.clone(),
        is_self,
        table_is_view: from.is_view,
        foreign_table_is_view: to.is_view,
        kind,
    }
}

/// Two foreign keys of one relation make a many-to-many relationship when its primary key contains both.
fn many_to_many(
    references: &[Reference<'_>],
    relations: &[KeyedRelation],
    keys: &ViewKeys,
    all: &mut Vec<Relationship>,
) {
    let mut by_table: HashMap<u32, Vec<&Reference<'_>>> = HashMap::new();
    for reference in references.iter().filter(|reference| !reference.one_to_one) {
        by_table.entry(reference.table.id).or_default().push(reference);
    }
    let by_id: HashMap<u32, &KeyedRelation> = relations.iter().map(|item| (item.id, item)).collect();
    for (table, references) in by_table {
        let Some(primary) = by_id.get(&table).and_then(|item| primary_key(item, keys)) else { continue };
        let inside =
            |reference: &Reference<'_>| reference.pairs.iter().all(|pair| primary.contains(&pair.source));
        let whole: Vec<&&Reference<'_>> = references.iter().filter(|reference| inside(reference)).collect();
        for source in &whole {
            for target in whole.iter().filter(|target| target.constraint != source.constraint) {
                let junction = Junction {
                    table: source.table.name.clone(),
                    source_constraint: Arc::clone(&source.constraint),
                    target_constraint: Arc::clone(&target.constraint),
                    source_columns: swapped(&source.pairs),
                    target_columns: swapped(&target.pairs),
                };
                let kind = RelationshipKind::ManyToMany(Arc::new(junction));
                let is_self = source.foreign.id == target.foreign.id;
                all.push(relationship(source.foreign, target.foreign, is_self, kind));
            }
        }
    }
}

fn primary_key(relation: &KeyedRelation, keys: &ViewKeys) -> Option<HashSet<Arc<str>>> {
    if relation.is_view {
        return keys.primary.get(&relation.id).map(|columns| columns.iter().cloned().collect());
    }
    let key = relation.keys.iter().find(|key| matches!(key.kind, KeyKind::Primary))?;
    Some(plain(&key.columns).into_iter().collect())
}

/// Groups by schema and origin; a computed relationship replaces deduced ones to a relation of its name.
fn by_origin(deduced: Vec<Relationship>, computed: Vec<Computed>) -> HashMap<Arc<str>, ByOrigin> {
    let computed: Vec<Computed> =
        computed.into_iter().filter(|item| item.table.schema == item.function.schema).collect();
    let replaced: HashSet<(&Name, &Name)> =
        computed.iter().map(|item| (&item.table, &item.function)).collect();
    let mut all: Vec<Relationship> =
        deduced.into_iter().filter(|item| !replaced.contains(&(&item.table, &item.foreign_table))).collect();
    drop(replaced);
    all.extend(computed.into_iter().map(|item| Relationship {
        is_self: item.table == item.foreign_table,
        table: item.table,
        foreign_table: item.foreign_table,
        table_is_view: false,
        foreign_table_is_view: false,
        kind: RelationshipKind::Computed { function: item.function, to_one: item.to_one },
    }));
    all.sort_by(|a, b| order(a).cmp(&order(b)));
    let mut grouped: HashMap<Arc<str>, ByOrigin> = HashMap::new();
    for item in all {
        let part = grouped.entry(Arc::clone(&item.table.schema)).or_default();
        part.entry(Arc::clone(&item.table.name)).or_default().push(Arc::new(item));
    }
    grouped
}

/// The order in which an ambiguous embed lists its candidates.
fn order(item: &Relationship) -> impl Ord + '_ {
    let (rank, first, second, columns) = match &item.kind {
        RelationshipKind::OneToMany { constraint, columns } => (0, &**constraint, "", &**columns),
        RelationshipKind::ManyToOne { constraint, columns } => (1, &**constraint, "", &**columns),
        RelationshipKind::OneToOne { constraint, columns, .. } => (2, &**constraint, "", &**columns),
        RelationshipKind::ManyToMany(junction) => {
            (3, &*junction.source_constraint, &*junction.target_constraint, &*junction.source_columns)
        }
        RelationshipKind::Computed { function, .. } => (4, &*function.name, "", &[][..]),
    };
    let junction = item.junction().map(|junction| &junction.table);
    let names: Vec<(&str, &str)> = columns.iter().map(|pair| (&*pair.source, &*pair.target)).collect();
    (rank == 4, &item.table, &item.foreign_table, item.is_self, rank, junction, first, second, names)
}

#[cfg(test)]
mod tests;
