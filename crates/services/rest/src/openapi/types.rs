//! PostgreSQL types in Swagger's terms.

use serde_json::{Map, Value, json};

/// Swagger's type; none for what may be any JSON.
pub(super) fn type_of(name: &str) -> Option<&'static str> {
    match name {
        "boolean" => Some("boolean"),
        "smallint" | "integer" | "bigint" => Some("integer"),
        "numeric" | "real" | "double precision" => Some("number"),
        "json" | "jsonb" => None,
        _ if name.ends_with("[]") => Some("array"),
        _ => Some("string"),
    }
}

/// Swagger's format: PostgreSQL's name of the type, but for integers.
pub(super) fn format_of(name: &str) -> &str {
    match name {
        "smallint" | "integer" => "int32",
        "bigint" => "int64",
        _ => name,
    }
}

/// The type of an array's elements.
pub(super) fn element_of(name: &str) -> &str {
    name.strip_suffix("[]").unwrap_or(name)
}

/// Adds `type`, `format` and, for arrays, `items`.
pub(super) fn describe(into: &mut Map<String, Value>, name: &str) {
    into.insert("format".into(), json!(format_of(name)));
    if let Some(kind) = type_of(name) {
        into.insert("type".into(), json!(kind));
        if kind == "array" {
            let mut items = Map::new();
            if let Some(element) = type_of(element_of(name)) {
                items.insert("type".into(), json!(element));
            }
            into.insert("items".into(), Value::Object(items));
        }
    }
}

/// A default that is a constant; expressions are left out.
pub(super) fn default_of(name: &str, expression: &str) -> Option<Value> {
    if type_of(name) != Some("string") {
        return serde_json::from_str(expression).ok();
    }
    let constant = expression.strip_suffix(name)?.strip_suffix("::")?;
    serde_json::from_str(&format!("\"{}\"", constant.trim_matches('\''))).ok()
}
