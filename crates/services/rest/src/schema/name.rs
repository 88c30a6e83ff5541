//! The name of a relation or function: schema and name.

use std::fmt;
use std::sync::Arc;

/// A schema and a name in it, unquoted. Displays itself quoted: `"schema"."name"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The schema's physical name. Empty when a setting named a function without a schema: the search path
    /// decides then.
    pub schema: Arc<str>,
    /// The name within it.
    pub name: Arc<str>,
}

impl Name {
    /// A name from its two parts.
    pub fn new(schema: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Name { schema: schema.into(), name: name.into() }
    }

    /// A name as settings write it: `schema.name`, or only `name`.
    pub fn from_setting(text: &str) -> Self {
        match text.split_once('.') {
            Some((schema, name)) => Name::new(schema, name),
            None => Name::new("", text),
        }
    }

    /// The same as the statement builder's type.
    pub fn to_sql(&self) -> sql::QualifiedName {
        sql::QualifiedName::new(&*self.schema, &*self.name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.schema.is_empty() {
            write!(f, "{}.", sql::quote_ident(&self.schema))?;
        }
        f.write_str(&sql::quote_ident(&self.name))
    }
}
