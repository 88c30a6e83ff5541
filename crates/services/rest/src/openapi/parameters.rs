//! `parameters`: what operations refer to.

use crate::schema::Relation;
use serde_json::{Map, Value, json};

/// The parameters of all relations and those of each.
pub(super) fn parameters(relations: &[&Relation]) -> Value {
    let mut all = Map::new();
    let mut prefer = |name: &str, values: &[&str]| {
        let mut parameter = json!({
            "name": "Prefer", "description": "Preference", "required": false, "in": "header", "type": "string",
        });
        if !values.is_empty() {
            parameter["enum"] = json!(values);
        }
        all.insert(name.to_owned(), parameter);
    };
    let returns = ["return=representation", "return=minimal", "return=none"];
    let resolutions = ["resolution=ignore-duplicates", "resolution=merge-duplicates"];
    prefer("preferParams", &[]);
    prefer("preferReturn", &returns);
    prefer("preferCount", &["count=none"]);
    prefer("preferPost", &[&returns[..], &resolutions[..]].concat());
    for (key, name, description, place) in [
        ("select", "select", "Filtering Columns", "query"),
        ("on_conflict", "on_conflict", "On Conflict", "query"),
        ("order", "order", "Ordering", "query"),
        ("range", "Range", "Limiting and Pagination", "header"),
        ("rangeUnit", "Range-Unit", "Limiting and Pagination", "header"),
        ("offset", "offset", "Limiting and Pagination", "query"),
        ("limit", "limit", "Limiting and Pagination", "query"),
    ] {
        let mut parameter = json!({
            "name": name, "description": description, "required": false, "in": place, "type": "string",
        });
        if key == "rangeUnit" {
            parameter["default"] = json!("items");
        }
        all.insert(key.to_owned(), parameter);
    }
    for relation in relations {
        let name = &*relation.name.name;
        let body = json!({
            "name": name, "description": name, "required": false, "in": "body",
            "schema": { "$ref": format!("#/definitions/{name}") },
        });
        all.insert(format!("body.{name}"), body);
        for column in &relation.columns {
            let mut filter =
                json!({ "name": &*column.name, "required": false, "in": "query", "type": "string" });
            if let Some(comment) = &column.comment {
                filter["description"] = json!(comment);
            }
            all.insert(format!("rowFilter.{name}.{}", column.name), filter);
        }
    }
    Value::Object(all)
}
