//! The schema cache as JSON, for operators who want to see what the planner sees.

use super::{
    Function, PgType, Relation, Relationship, RelationshipKind, ReturnType, SchemaCache, SchemaPart,
};
use serde_json::{Map, Value, json};

impl SchemaCache {
    /// Everything in it, sorted by name.
    pub fn to_json(&self) -> Value {
        let mut schemas: Vec<(&str, &SchemaPart)> = self.schemas().collect();
        schemas.sort_by_key(|(name, _)| *name);
        Value::Object(schemas.into_iter().map(|(name, part)| (name.to_owned(), schema(part))).collect())
    }
}

fn sorted<'a, T>(items: impl Iterator<Item = (&'a str, T)>, show: impl Fn(T) -> Value) -> Value {
    let mut items: Vec<(&str, T)> = items.collect();
    items.sort_by_key(|(name, _)| *name);
    Value::Object(items.into_iter().map(|(name, item)| (name.to_owned(), show(item))).collect::<Map<_, _>>())
}

fn schema(part: &SchemaPart) -> Value {
    json!({
        "comment": part.comment,
        "relations": sorted(part.relations.iter().map(|(name, item)| (&**name, item)), |item| relation(item)),
        "relationships": sorted(
            part.relationships.iter().map(|(name, items)| (&**name, items)),
            |items| items.iter().map(|item| relationship(item)).collect(),
        ),
        "functions": sorted(
            part.functions.iter().map(|(name, items)| (&**name, items)),
            |items| items.iter().map(|item| function(item)).collect(),
        ),
    })
}

fn relation(item: &Relation) -> Value {
    let columns = item.columns.iter().map(|column| {
        json!({
            "name": &*column.name,
            "type": &*column.nominal_type,
            "base_type": &*column.base_type,
            "nullable": column.nullable,
            "default": column.default,
            "max_length": column.max_length,
            "enum": column.enum_labels,
            "comment": column.comment,
        })
    });
    json!({
        "comment": item.comment,
        "view": item.is_view(),
        "insertable": item.insertable,
        "updatable": item.updatable,
        "deletable": item.deletable,
        "primary_key": item.primary_key.iter().map(|name| &**name).collect::<Vec<_>>(),
        "columns": columns.collect::<Vec<_>>(),
    })
}

fn relationship(item: &Relationship) -> Value {
    let (kind, more) = match &item.kind {
        RelationshipKind::ManyToOne { constraint, .. } => ("many-to-one", json!(&**constraint)),
        RelationshipKind::OneToMany { constraint, .. } => ("one-to-many", json!(&**constraint)),
        RelationshipKind::OneToOne { constraint, .. } => ("one-to-one", json!(&**constraint)),
        RelationshipKind::ManyToMany(junction) => ("many-to-many", json!(junction.table.to_string())),
        RelationshipKind::Computed { function, .. } => ("computed", json!(function.to_string())),
    };
    let columns: Vec<_> = item.columns().iter().map(|pair| json!([&*pair.source, &*pair.target])).collect();
    json!({ "target": &*item.foreign_table.name, "cardinality": kind, "by": more, "columns": columns })
}

fn function(item: &Function) -> Value {
    let result = match item.result() {
        PgType::Scalar(name) | PgType::Composite { name, .. } => name.to_string(),
    };
    let arguments = item.arguments.iter().map(|argument| {
        json!({
            "name": &*argument.name,
            "type": &*argument.type_name,
            "required": argument.required,
            "variadic": argument.variadic,
        })
    });
    json!({
        "comment": item.comment,
        "arguments": arguments.collect::<Vec<_>>(),
        "returns": result,
        "set": matches!(item.returns, ReturnType::SetOf(_)),
    })
}
