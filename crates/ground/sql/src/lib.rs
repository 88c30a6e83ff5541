//! SQL as a value: text whose identifiers are quoted and whose values are bound.
//!
//! Statements whose shape depends on a request are built from [`Fragment`]; there is no other way for a
//! request's text to enter SQL. Identifiers come in through [`Ident`], values through parameters, everything
//! else must be a literal of this program.

mod fragment;
mod ident;

pub use fragment::{Fragment, Param};
pub use ident::{Ident, QualifiedName, quote_ident, quote_literal};
