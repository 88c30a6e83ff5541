//! `paths`: the operations on each relation and function.

use super::types::{describe, element_of, format_of, type_of};
use super::{Local, MEDIA_TYPES, summary};
use crate::schema::{Argument, Function, Relation, Volatility};
use serde_json::{Map, Value, json};

/// The root, relations, functions.
pub(super) fn paths(relations: &[&Relation], functions: &[&Function], local: &Local) -> Value {
    let root = json!({
        "get": {
            "tags": ["Introspection"],
            "summary": "OpenAPI description (this document)",
            "produces": ["application/openapi+json", "application/json"],
            "responses": { "200": { "description": "OK" } },
        },
    });
    let mut all = Map::from_iter([("/".to_owned(), root)]);
    all.extend(relations.iter().map(|item| (format!("/{}", item.name.name), of_relation(item))));
    all.extend(functions.iter().map(|item| (format!("/rpc/{}", item.name.name), of_function(item, local))));
    Value::Object(all)
}

fn operation(tag: &str, comment: Option<&str>) -> Map<String, Value> {
    let mut operation = Map::from_iter([("tags".to_owned(), json!([tag]))]);
    let (first, rest) = summary(comment);
    if let Some(first) = first {
        operation.insert("summary".into(), json!(first));
    }
    if let Some(rest) = rest {
        operation.insert("description".into(), json!(rest));
    }
    operation
}

fn references<'a>(names: impl IntoIterator<Item = &'a str>) -> Value {
    names.into_iter().map(|name| json!({ "$ref": format!("#/parameters/{name}") })).collect()
}

fn of_relation(relation: &Relation) -> Value {
    let name = &*relation.name.name;
    let filters: Vec<String> =
        relation.columns.iter().map(|column| format!("rowFilter.{name}.{}", column.name)).collect();
    let filters = || filters.iter().map(String::as_str);
    let body = format!("body.{name}");
    let make = |parameters: Value, responses: Value| {
        let mut made = operation(name, relation.comment.as_deref());
        made.insert("parameters".into(), parameters);
        made.insert("responses".into(), responses);
        Value::Object(made)
    };
    let of_get = ["select", "order", "range", "rangeUnit", "offset", "limit", "preferCount"];
    let rows = json!({ "type": "array", "items": { "$ref": format!("#/definitions/{name}") } });
    let mut item = Map::new();
    item.insert(
        "get".into(),
        make(
            references(filters().chain(of_get)),
            json!({
                "200": { "description": "OK", "schema": rows },
                "206": { "description": "Partial Content" },
            }),
        ),
    );
    if relation.insertable || relation.updatable || relation.deletable {
        let done = json!({ "204": { "description": "No Content" } });
        item.insert(
            "post".into(),
            make(
                references([&*body, "select", "preferPost"]),
                json!({ "201": { "description": "Created" } }),
            ),
        );
        item.insert(
            "patch".into(),
            make(references(filters().chain([&*body, "preferReturn"])), done.clone()),
        );
        item.insert("delete".into(), make(references(filters().chain(["preferReturn"])), done));
    }
    Value::Object(item)
}

fn of_function(function: &Function, local: &Local) -> Value {
    let make = |parameters: Value| {
        let mut made = operation(&format!("(rpc) {}", function.name.name), function.comment.as_deref());
        made.insert("produces".into(), json!(MEDIA_TYPES));
        made.insert("parameters".into(), parameters);
        made.insert("responses".into(), json!({ "200": { "description": "OK" } }));
        Value::Object(made)
    };
    let mut item = Map::new();
    if function.volatility != Volatility::Volatile {
        item.insert(
            "get".into(),
            make(function.arguments.iter().map(|argument| query_parameter(argument, local)).collect()),
        );
    }
    item.insert(
        "post".into(),
        make(json!([body_parameter(function, local), { "$ref": "#/parameters/preferParams" }])),
    );
    Value::Object(item)
}

fn query_parameter(argument: &Argument, local: &Local) -> Value {
    let type_name = &*local.argument_type(&argument.type_name);
    let mut parameter = json!({ "name": argument.name, "required": argument.required, "in": "query" });
    if argument.variadic {
        let element = element_of(type_name);
        parameter["type"] = json!(type_of(type_name).unwrap_or("string"));
        parameter["collectionFormat"] = json!("multi");
        parameter["items"] =
            json!({ "type": type_of(element).unwrap_or("string"), "format": format_of(element) });
    } else {
        // An array is written as one text in braces.
        let kind = type_of(type_name).filter(|kind| *kind != "array").unwrap_or("string");
        parameter["type"] = json!(kind);
        parameter["format"] = json!(format_of(type_name));
    }
    parameter
}

fn body_parameter(function: &Function, local: &Local) -> Value {
    let properties: Map<String, Value> = function
        .arguments
        .iter()
        .map(|argument| {
            let mut property = Map::new();
            describe(&mut property, &local.argument_type(&argument.type_name));
            (argument.name.to_string(), Value::Object(property))
        })
        .collect();
    let required: Vec<&str> = function
        .arguments
        .iter()
        .filter(|argument| argument.required)
        .map(|argument| &*argument.name)
        .collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if let Some(comment) = &function.comment {
        schema["description"] = json!(comment);
    }
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    json!({ "name": "args", "required": true, "in": "body", "schema": schema })
}
