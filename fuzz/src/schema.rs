//! People with todos, tags between them and a function: every kind of embed and a few types.

use rest::schema::{
    Argument, Column, ColumnPair, Function, Junction, MediaHandlers, Name, PgType, Relation, RelationKind,
    Relationship, RelationshipKind, ReturnType, SchemaCache, SchemaPart, Volatility,
};
use std::collections::HashMap;
use std::sync::Arc;

type Named<T> = (Arc<str>, T);

fn relation(name: &str, columns: &[(&str, &str)]) -> Named<Arc<Relation>> {
    let column = |(name, type_name): &(&str, &str)| Column {
        name: (*name).into(),
        comment: None,
        nullable: true,
        base_type: (*type_name).into(),
        nominal_type: (*type_name).into(),
        max_length: None,
        default: (*name == "done").then(|| "false".into()),
        enum_labels: Box::default(),
        generated: false,
        identity: false,
    };
    let relation = Relation {
        name: Name::new("s", name),
        comment: None,
        kind: RelationKind::Table,
        insertable: true,
        updatable: true,
        deletable: true,
        primary_key: Box::new(["id".into()]),
        columns: columns.iter().map(column).collect(),
    };
    (name.into(), Arc::new(relation))
}

fn relationship(from: &str, to: &str, kind: RelationshipKind) -> Arc<Relationship> {
    Arc::new(Relationship {
        table: Name::new("s", from),
        foreign_table: Name::new("s", to),
        is_self: from == to,
        table_is_view: false,
        foreign_table_is_view: false,
        kind,
    })
}

fn pairs(source: &str, target: &str) -> Arc<[ColumnPair]> {
    Arc::new([ColumnPair { source: source.into(), target: target.into() }])
}

fn to_one(constraint: &str, source: &str, target: &str) -> RelationshipKind {
    RelationshipKind::ManyToOne { constraint: constraint.into(), columns: pairs(source, target) }
}

fn to_many(constraint: &str, source: &str, target: &str) -> RelationshipKind {
    RelationshipKind::OneToMany { constraint: constraint.into(), columns: pairs(source, target) }
}

fn function() -> Function {
    let argument = |name: &str, type_name: &str, required: bool| Argument {
        name: name.into(),
        type_name: type_name.into(),
        cast_type: type_name.into(),
        required,
        variadic: false,
    };
    Function {
        arguments: Box::new([argument("n", "integer", true), argument("title", "text", false)]),
        returns: ReturnType::SetOf(PgType::Composite { name: Name::new("s", "todos"), is_domain: false }),
        volatility: Volatility::Stable,
        oid: 1,
        name: Name::new("s", "first"),
        comment: None,
        variadic: false,
        isolation: None,
        settings: Box::default(),
    }
}

/// The schema `s`.
pub fn cache() -> SchemaCache {
    let junction = Junction {
        table: Name::new("s", "tags"),
        source_constraint: "tags_todo".into(),
        target_constraint: "tags_person".into(),
        source_columns: pairs("id", "todo"),
        target_columns: pairs("id", "person"),
    };
    let todo_columns = [
        ("id", "bigint"),
        ("title", "text"),
        ("done", "boolean"),
        ("data", "jsonb"),
        ("owner", "uuid"),
        ("during", "tsrange"),
        ("words", "tsvector"),
        ("odd\"'; --", "text"),
    ];
    let part = SchemaPart {
        comment: None,
        relations: HashMap::from([
            relation("todos", &todo_columns),
            relation("people", &[("id", "uuid"), ("name", "text"), ("boss", "uuid")]),
            relation("tags", &[("id", "bigint"), ("todo", "bigint"), ("person", "uuid")]),
        ]),
        functions: HashMap::from([("first".into(), vec![Arc::new(function())])]),
        relationships: HashMap::from([
            (
                "todos".into(),
                vec![
                    relationship("todos", "people", to_one("todos_owner", "owner", "id")),
                    relationship("todos", "tags", to_many("tags_todo", "id", "todo")),
                    relationship("todos", "people", RelationshipKind::ManyToMany(Arc::new(junction))),
                ],
            ),
            (
                "people".into(),
                vec![
                    relationship("people", "todos", to_many("todos_owner", "id", "owner")),
                    relationship("people", "people", to_one("people_boss", "boss", "id")),
                ],
            ),
        ]),
    };
    SchemaCache::new(HashMap::from([("s".into(), part)]), Vec::new(), MediaHandlers::default())
}
