//! Functions that `/rpc` can call.

use super::Name;
use serde::Deserialize;

/// A function (not a procedure, aggregate or trigger) of an exposed schema.
#[derive(Debug)]
pub struct Function {
    /// Its number in the catalog; tells overloads apart.
    pub oid: u32,
    /// Schema and name.
    pub name: Name,
    /// `COMMENT ON`.
    pub comment: Option<Box<str>>,
    /// The input arguments in their order (IN, INOUT, VARIADIC).
    pub arguments: Box<[Argument]>,
    /// What it returns.
    pub returns: ReturnType,
    /// Its volatility: VOLATILE ones are not called in a read-only transaction on POST.
    pub volatility: Volatility,
    /// The last argument is VARIADIC.
    pub variadic: bool,
    /// The isolation level that the function asks for (`SET default_transaction_isolation`).
    pub isolation: Option<Isolation>,
    /// The function's `SET` clauses that the settings allow to be hoisted to the whole transaction.
    pub settings: Box<[(Box<str>, Box<str>)]>,
}

/// An input argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name; empty for the single unnamed argument.
    pub name: Box<str>,
    /// Its type as `format_type` writes it: SQL text of the catalog.
    pub type_name: Box<str>,
    /// The type to cast to so that lengths do not cut: `character` → `character varying`, `bit` → `bit varying`.
    pub cast_type: Box<str>,
    /// It has no default.
    pub required: bool,
    /// It is VARIADIC.
    pub variadic: bool,
}

/// A function's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReturnType {
    /// One value or row.
    Single(PgType),
    /// `SETOF` or `TABLE`.
    SetOf(PgType),
}

/// A type as the result of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PgType {
    /// A value. The name is the type's, for a domain the domain's.
    Scalar(Name),
    /// A row: a relation's row type, a composite type, `record` with OUT or TABLE columns, or a domain over one.
    Composite {
        /// The row type's name: for a relation its name, so embeds can start there. For a domain over a
        /// composite this is the composite beneath.
        name: Name,
        /// It was declared through a domain.
        is_domain: bool,
    },
}

/// `provolatile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Volatility {
    #[serde(rename = "v")]
    Volatile,
    #[serde(rename = "s")]
    Stable,
    #[serde(rename = "i")]
    Immutable,
}

/// A transaction isolation level other than the default, the strictest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isolation {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Isolation {
    /// From PostgreSQL's own spelling, any letter case. `read uncommitted` is what PostgreSQL makes of it.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "read committed" | "read uncommitted" => Some(Isolation::ReadCommitted),
            "repeatable read" => Some(Isolation::RepeatableRead),
            "serializable" => Some(Isolation::Serializable),
            _ => None,
        }
    }

    /// The SQL words.
    pub fn as_sql(self) -> &'static str {
        match self {
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
        }
    }
}

impl Function {
    /// The result type without SETOF.
    pub fn result(&self) -> &PgType {
        match &self.returns {
            ReturnType::Single(inner) | ReturnType::SetOf(inner) => inner,
        }
    }

    /// `SETOF` or `TABLE`.
    pub fn returns_set(&self) -> bool {
        matches!(self.returns, ReturnType::SetOf(_))
    }

    /// One value (void included).
    pub fn returns_scalar(&self) -> bool {
        matches!(self.returns, ReturnType::Single(PgType::Scalar(_)))
    }

    /// A set of values.
    pub fn returns_set_of_scalar(&self) -> bool {
        matches!(self.returns, ReturnType::SetOf(PgType::Scalar(_)))
    }

    /// One row.
    pub fn returns_single_composite(&self) -> bool {
        matches!(self.returns, ReturnType::Single(PgType::Composite { .. }))
    }

    /// `void`.
    pub fn returns_void(&self) -> bool {
        matches!(&self.returns, ReturnType::Single(PgType::Scalar(name))
            if &*name.name == "void" && &*name.schema == "pg_catalog")
    }

    /// The row type's name, when rows come back: embeds and `select` start from the relation of this name.
    pub fn row_type(&self) -> Option<&Name> {
        match self.result() {
            PgType::Composite { name, .. } => Some(name),
            PgType::Scalar(_) => None,
        }
    }
}
