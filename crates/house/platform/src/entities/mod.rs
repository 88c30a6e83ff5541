//! Entities: the tables of a pooled project, described as JSON.
//!
//! A model describes all entities of a project. Applying it compares it with the stored one and makes the difference,
//! in one transaction: additions and renames at once, what destroys data only when that is allowed. Whatever is
//! wrong with a model is reported with the path of the field, all of it at once, and nothing is applied.

mod apply;
mod ddl;
mod default_value;
mod diff;
mod model;
mod names;
mod parse;
mod policies;
mod turns;

pub use apply::{Applied, StoredModel, apply, plan, show};
pub use diff::Destructive;
pub use model::{Column, ColumnType, Entity, Model, OnDelete, Reference, Scope};
pub use parse::Problem;
pub(crate) use turns::Turns;
