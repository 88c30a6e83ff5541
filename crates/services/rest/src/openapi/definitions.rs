//! `definitions`: the shape of each relation's rows.

use super::Local;
use super::types::{default_of, describe};
use crate::schema::{Column, Relation, Relationship, RelationshipKind, SchemaCache};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A definition for each relation.
pub(super) fn definitions(cache: &SchemaCache, relations: &[&Relation], local: &Local) -> Value {
    let all = relations.iter().map(|item| (item.name.name.to_string(), definition(cache, item, local)));
    Value::Object(all.collect())
}

fn definition(cache: &SchemaCache, relation: &Relation, local: &Local) -> Value {
    let relationships = cache.relationships(&relation.name.schema, &relation.name.name);
    let properties: Map<String, Value> = relation
        .columns
        .iter()
        .map(|column| (column.name.to_string(), property(relation, relationships, column, local)))
        .collect();
    let required: Vec<&str> =
        relation.columns.iter().filter(|column| !column.nullable).map(|column| &*column.name).collect();
    let mut definition = json!({ "type": "object", "properties": properties });
    if let Some(comment) = &relation.comment {
        definition["description"] = json!(comment);
    }
    if !required.is_empty() {
        definition["required"] = json!(required);
    }
    definition
}

fn property(
    relation: &Relation,
    relationships: &[Arc<Relationship>],
    column: &Column,
    local: &Local,
) -> Value {
    let mut property = Map::new();
    if let Some(default) = column.default.as_deref().and_then(|text| default_of(&column.base_type, text)) {
        property.insert("default".into(), default);
    }
    if let Some(text) = description(relation, relationships, column) {
        property.insert("description".into(), json!(text));
    }
    if !column.enum_labels.is_empty() {
        property.insert("enum".into(), json!(column.enum_labels));
    }
    if let Some(length) = column.max_length {
        property.insert("maxLength".into(), json!(length));
    }
    describe(&mut property, &local.column_type(&column.base_type));
    Value::Object(property)
}

/// The column's comment and notes on the keys it belongs to, in the form that clients parse.
fn description(relation: &Relation, relationships: &[Arc<Relationship>], column: &Column) -> Option<String> {
    let mut notes = Vec::new();
    if relation.primary_key.contains(&column.name) {
        notes.push("This is a Primary Key.<pk/>".to_owned());
    }
    if let Some((table, target)) = foreign_key(relationships, column) {
        notes.push(format!(
            "This is a Foreign Key to `{table}.{target}`.<fk table='{table}' column='{target}'/>"
        ));
    }
    let comment = column.comment.as_deref();
    if notes.is_empty() {
        return comment.map(str::to_owned);
    }
    let before = comment.map(|text| format!("{text}\n\n")).unwrap_or_default();
    Some(format!("{before}Note:\n{}", notes.join("\n")))
}

/// What the column alone refers to; a table rather than a view.
fn foreign_key<'a>(relationships: &'a [Arc<Relationship>], column: &Column) -> Option<(&'a str, &'a str)> {
    let single = relationships.iter().filter(|item| {
        let is_own = matches!(
            item.kind,
            RelationshipKind::ManyToOne { .. } | RelationshipKind::OneToOne { is_parent: false, .. }
        );
        is_own && matches!(item.columns(), [pair] if pair.source == column.name)
    });
    let found = single.min_by_key(|item| item.foreign_table_is_view)?;
    Some((&found.foreign_table.name, &found.columns().first()?.target))
}
