//! Names: which may be chosen, and those of the objects that go with a table.

use std::fmt::Write;

/// PostgreSQL cuts longer identifiers.
const IDENTIFIER_BYTES_MAX: usize = 63;
/// A table is also known as `app_<number>_<table>`, with up to ten digits.
pub(super) const ENTITY_BYTES_MAX: usize = 48;
pub(super) const COLUMN_BYTES_MAX: usize = IDENTIFIER_BYTES_MAX;

/// The columns that every table gets, or may get.
pub(super) const STANDARD_COLUMNS: &[&str] = &["id", "user_id", "created_at", "updated_at"];
/// Columns that every table of PostgreSQL has.
const SYSTEM_COLUMNS: &[&str] = &["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];
/// Words of the data API's query string: a column of that name could not be filtered by.
const QUERY_WORDS: &[&str] =
    &["select", "columns", "order", "limit", "offset", "on_conflict", "and", "or", "not"];

/// Why an entity cannot have this name.
pub(super) fn refuse_entity(name: &str) -> Option<String> {
    if let Some(reason) = refuse_form(name, ENTITY_BYTES_MAX) {
        return Some(reason);
    }
    let app_prefix = name.strip_prefix("app_").and_then(|rest| rest.split_once('_'));
    let is_app = app_prefix.is_some_and(|(number, _)| number.bytes().all(|b| b.is_ascii_digit()));
    if name == "rpc" || is_app || ["rowhouse_", "pg_"].iter().any(|prefix| name.starts_with(prefix)) {
        return Some(format!("\"{name}\" is reserved"));
    }
    None
}

/// Why a column cannot have this name.
pub(super) fn refuse_column(name: &str) -> Option<String> {
    if let Some(reason) = refuse_form(name, COLUMN_BYTES_MAX) {
        return Some(reason);
    }
    if STANDARD_COLUMNS.contains(&name) {
        return Some(format!(
            "\"{name}\" is reserved: it is one of the columns that every table gets by itself"
        ));
    }
    if SYSTEM_COLUMNS.contains(&name) || QUERY_WORDS.contains(&name) {
        return Some(format!("\"{name}\" is reserved"));
    }
    None
}

fn refuse_form(name: &str, bytes_max: usize) -> Option<String> {
    if name.is_empty() {
        return Some("a name must not be empty".to_owned());
    }
    if name.len() > bytes_max {
        return Some(format!(
            "a name has at most {bytes_max} characters, this one has {}",
            name.chars().count()
        ));
    }
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if !begins || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Some("a name has only a-z, 0-9 and _, and begins with a letter".to_owned());
    }
    None
}

/// `parts` joined by `_`. Where that is too long for PostgreSQL the end gives way to a checksum, so that different
/// parts keep different names.
pub(super) fn derived(parts: &[&str]) -> String {
    let full = parts.join("_");
    if full.len() <= IDENTIFIER_BYTES_MAX {
        return full;
    }
    let mut short = full[..IDENTIFIER_BYTES_MAX - 9].to_owned();
    short.push('_');
    for byte in &token::sha256(full.as_bytes())[..4] {
        let _ = write!(short, "{byte:02x}");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_not_ours() {
        for good in ["todos", "a", "a1_b", "app_data", "apps", "user", "order_items", &"a".repeat(48)] {
            assert_eq!(refuse_entity(good), None, "{good}");
        }
        let long = "a".repeat(49);
        for bad in [
            "",
            "Todos",
            "1a",
            "_a",
            "a-b",
            "a b",
            "ä",
            "a\"b",
            "rowhouse_users",
            "app_57_todos",
            "pg_x",
            "rpc",
            &long,
        ] {
            assert!(refuse_entity(bad).is_some(), "{bad}");
        }
        for bad in ["id", "user_id", "created_at", "ctid", "select", "order", "Name"] {
            assert!(refuse_column(bad).is_some(), "{bad}");
        }
        assert_eq!(refuse_column("text"), None);
    }

    #[test]
    fn derived_names_fit_and_differ() {
        assert_eq!(derived(&["idx", "todos", "user_id"]), "idx_todos_user_id");
        let (a, b) = ("a".repeat(48), "b".repeat(60));
        let (one, two) = (derived(&[&a, &b, "key"]), derived(&[&a, &b, "fkey"]));
        assert!(one.len() == 63 && two.len() == 63 && one != two);
    }
}
