//! The schema of a pooled project.

use crate::AppId;
use std::fmt;

/// The PostgreSQL schema in which a pooled project's tables live: `app_57`.
///
/// It can only be made from an [`AppId`], so no text from a request ever becomes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SchemaName(Box<str>);

impl SchemaName {
    /// The schema of this app.
    pub fn of_app(app: AppId) -> Self {
        SchemaName(format!("app_{app}").into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The prefix that a client may put before a table's name: `app_57_`.
    pub fn table_prefix(&self) -> String {
        format!("{}_", self.0)
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
