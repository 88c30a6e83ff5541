//! The entity model as data, and as it is stored.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All entities of a project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub entities: Vec<Entity>,
}

/// A table with its standard columns, indexes and policies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// The table's name.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    pub scope: Scope,
    pub columns: Vec<Column>,
    /// What of a request's API key a row must agree with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<BoundTo>,
    /// The name it had: the table is renamed. Not stored.
    #[serde(skip)]
    pub renamed_from: Option<String>,
    /// Whether the table has the column `user_id`. Once there it stays, whatever the scope becomes.
    #[serde(default)]
    pub owned: bool,
}

/// Rows belong to a value of a setting that API keys carry: only requests with a key of the same value reach them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundTo {
    pub column: String,
    pub setting: String,
}

/// Who may do what with the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Each user sees and writes only rows of their own.
    UserScoped,
    /// Every signed-in user reads and writes all rows.
    Shared,
    /// Everybody reads, without signing in; users write rows of their own.
    PublicRead,
    /// Everybody reads and writes what belongs to their API key's setting, without signing in.
    KeyScoped,
}

impl Scope {
    pub(crate) const NAMES: &'static [(&'static str, Scope)] = &[
        ("user_scoped", Scope::UserScoped),
        ("shared", Scope::Shared),
        ("public_read", Scope::PublicRead),
        ("key_scoped", Scope::KeyScoped),
    ];

    /// Whether rows belong to a user.
    pub fn has_owner(self) -> bool {
        match self {
            Scope::UserScoped | Scope::PublicRead => true,
            Scope::Shared | Scope::KeyScoped => false,
        }
    }
}

/// A column beside the standard ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: ColumnType,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub unique: bool,
    /// The default, in the form in which the model gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<Reference>,
    /// The name it had: the column is renamed. Not stored.
    #[serde(skip)]
    pub renamed_from: Option<String>,
}

/// A foreign key to the `id` of another entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    pub entity: String,
    pub on_delete: OnDelete,
}

/// What happens to a row when the one it refers to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    Cascade,
    SetNull,
    Restrict,
}

impl OnDelete {
    pub(crate) const NAMES: &'static [(&'static str, OnDelete)] =
        &[("cascade", OnDelete::Cascade), ("set_null", OnDelete::SetNull), ("restrict", OnDelete::Restrict)];

    pub(crate) fn sql(self) -> &'static str {
        match self {
            OnDelete::Cascade => "cascade",
            OnDelete::SetNull => "set null",
            OnDelete::Restrict => "restrict",
        }
    }
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    Text,
    Number,
    Decimal,
    Integer,
    Boolean,
    Date,
    Datetime,
    Timestamp,
    Uuid,
    Json,
}

impl ColumnType {
    pub(crate) const NAMES: &'static [(&'static str, ColumnType)] = &[
        ("text", ColumnType::Text),
        ("number", ColumnType::Number),
        ("decimal", ColumnType::Decimal),
        ("integer", ColumnType::Integer),
        ("boolean", ColumnType::Boolean),
        ("date", ColumnType::Date),
        ("datetime", ColumnType::Datetime),
        ("timestamp", ColumnType::Timestamp),
        ("uuid", ColumnType::Uuid),
        ("json", ColumnType::Json),
    ];

    /// PostgreSQL's type.
    pub fn sql(self) -> &'static str {
        match self {
            ColumnType::Text => "text",
            ColumnType::Number | ColumnType::Decimal => "numeric",
            ColumnType::Integer => "bigint",
            ColumnType::Boolean => "boolean",
            ColumnType::Date => "date",
            ColumnType::Datetime | ColumnType::Timestamp => "timestamptz",
            ColumnType::Uuid => "uuid",
            ColumnType::Json => "jsonb",
        }
    }

    /// Whether a setting's text may stand for a value of this type.
    pub(crate) fn may_be_a_setting(self) -> bool {
        matches!(self, ColumnType::Text | ColumnType::Uuid | ColumnType::Integer)
    }

    /// Whether every value of this type is also, without loss, one of `wider`.
    pub(crate) fn widens_to(self, wider: ColumnType) -> bool {
        self.sql() == wider.sql()
            || matches!(
                (self.sql(), wider.sql()),
                (_, "text") | ("bigint", "numeric") | ("date", "timestamptz")
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_stored() {
        for (name, kind) in ColumnType::NAMES {
            assert_eq!(serde_json::to_value(kind).unwrap(), *name);
        }
        for (name, scope) in Scope::NAMES {
            assert_eq!(serde_json::to_value(scope).unwrap(), *name);
        }
        for (name, rule) in OnDelete::NAMES {
            assert_eq!(serde_json::to_value(rule).unwrap(), *name);
        }
    }

    #[test]
    fn only_lossless_changes_of_type_widen() {
        assert!(ColumnType::Integer.widens_to(ColumnType::Decimal));
        assert!(ColumnType::Boolean.widens_to(ColumnType::Text));
        assert!(ColumnType::Date.widens_to(ColumnType::Datetime));
        assert!(!ColumnType::Decimal.widens_to(ColumnType::Integer));
        assert!(!ColumnType::Text.widens_to(ColumnType::Uuid));
        assert!(!ColumnType::Datetime.widens_to(ColumnType::Date));
    }
}
