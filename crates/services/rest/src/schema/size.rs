//! How much memory a schema cache takes, near enough to keep a budget.

use super::{Column, Function, Relation, Relationship, RelationshipKind, SchemaCache, SchemaPart};
use std::mem::size_of;

/// What an allocation costs beside its bytes, and an entry of a map beside its value.
const OVERHEAD: usize = 32;

impl SchemaCache {
    /// The bytes that this cache takes, estimated: text and structures, shared ones where they are named.
    pub fn bytes(&self) -> usize {
        self.schemas.values().map(part).sum()
    }
}

fn part(part: &SchemaPart) -> usize {
    let relations: usize = part.relations.values().map(|it| relation(it)).sum();
    let functions: usize = part.functions.values().flatten().map(|it| function(it)).sum();
    let relationships: usize = part.relationships.values().flatten().map(|it| relationship(it)).sum();
    relations + functions + relationships
}

fn relation(relation: &Relation) -> usize {
    let columns: usize = relation.columns.iter().map(column).sum();
    OVERHEAD * 2
        + size_of::<Relation>()
        + relation.name.name.len()
        + optional(relation.comment.as_deref())
        + relation.primary_key.len() * size_of::<usize>() * 2
        + columns
}

/// Types are shared between the columns that have them.
fn column(column: &Column) -> usize {
    let labels: usize = column.enum_labels.iter().map(|label| label.len() + OVERHEAD).sum();
    size_of::<Column>()
        + OVERHEAD
        + column.name.len()
        + optional(column.comment.as_deref())
        + optional(column.default.as_deref())
        + labels
}

fn function(function: &Function) -> usize {
    let arguments: usize = function
        .arguments
        .iter()
        .map(|it| size_of_val(it) + it.name.len() + it.type_name.len() + it.cast_type.len() + OVERHEAD * 3)
        .sum();
    let settings: usize =
        function.settings.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD * 2).sum();
    OVERHEAD * 2
        + size_of::<Function>()
        + function.name.name.len()
        + optional(function.comment.as_deref())
        + arguments
        + settings
}

fn relationship(relationship: &Relationship) -> usize {
    let own = match &relationship.kind {
        RelationshipKind::ManyToMany(junction) => size_of_val(&**junction) + OVERHEAD,
        _ => 0,
    };
    OVERHEAD + size_of::<Relationship>() + own
}

fn optional(text: Option<&str>) -> usize {
    text.map_or(0, |text| text.len() + OVERHEAD)
}
