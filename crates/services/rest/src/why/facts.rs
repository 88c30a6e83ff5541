//! What the database says decides about a request.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The statement that collects the facts.
pub const SQL: &str = include_str!("facts.sql");

/// Everything about roles, relations and functions of a request.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Facts {
    /// Nothing when there is no such role.
    pub role: Option<Role>,
    pub relations: Vec<Relation>,
    pub functions: Vec<Function>,
}

/// A role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Role {
    pub name: String,
    pub may_be_assumed: bool,
    pub superuser: bool,
    pub bypasses_rls: bool,
}

/// A relation that the request reaches.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Relation {
    pub schema: String,
    pub name: String,
    pub kind: String,
    /// The view through which it is reached.
    pub under: Option<(String, String)>,
    /// With whose rights it is reached.
    pub acting_role: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub rls: RowSecurity,
    pub schema_usage: bool,
    pub grants: BTreeMap<String, bool>,
    /// Columns granted alone, by what may be done with them.
    pub column_grants: BTreeMap<String, Vec<String>>,
    pub policies: Vec<Policy>,
}

/// Row-level security of a relation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RowSecurity {
    pub enabled: bool,
    pub forced: bool,
    /// To the role that acts.
    pub applies: bool,
}

/// A policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Policy {
    pub name: String,
    pub permissive: bool,
    pub command: String,
    pub roles: Vec<String>,
    pub using: Option<String>,
    pub check: Option<String>,
    /// Whether it is for the role that acts.
    pub for_role: bool,
    /// How many of some rows it lets through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
}

/// What became of a policy's condition on some rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sample {
    Rows { rows: i64, passing: i64 },
    Failed { error: String },
}

/// A function that the request calls; one of its name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Function {
    pub schema: String,
    pub name: String,
    pub arguments: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub security_definer: bool,
    pub volatility: String,
    pub schema_usage: bool,
    pub execute: bool,
}

impl Policy {
    /// Whether it takes part in a command on behalf of the acting role.
    pub fn concerns(&self, command: &str) -> bool {
        self.for_role && (self.command == "all" || self.command == command)
    }
}

impl Relation {
    /// `schema.name`, for people.
    pub fn shown(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// What became of the request itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Trial {
    /// EXPLAIN's plan; nothing when it was refused.
    pub plan: Option<Value>,
    /// The rows of the result, where it was carried out.
    pub rows: Option<i64>,
    pub error: Option<Refusal>,
}

/// What the database said against it.
#[derive(Debug, Clone, Serialize)]
pub struct Refusal {
    pub code: String,
    pub message: String,
    pub details: Option<Value>,
    pub hint: Option<String>,
    /// What was under way: the settings, the pre-request function or the statement.
    pub during: &'static str,
}
