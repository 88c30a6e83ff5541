//! Several operations in one request and one transaction: `POST /` with a JSON array.
//!
//! Everything before the database is done for all of them first, with the stages of a single request, so that a mistake
//! in the last costs nothing. Then they travel in one pipeline. Either all take effect or none.

mod operation;
mod result;

pub use operation::{Operation, is_batch, operations};
pub use result::results;

use crate::config::Settings;
use crate::execute::Outcome;
use crate::faults;
use crate::plan::{Plan, Planner, Rows};
use crate::request::{self, Request};
use crate::schema::SchemaCache;
use crate::statement::{self, Statement, VALUES_MAX};
use fault::Fault;

/// What went wrong, and in which operation: in none of them when all had succeeded and the end had not.
#[derive(Debug)]
pub struct Failure {
    pub operation: Option<usize>,
    pub fault: Fault,
}

/// An operation that is ready for the database.
pub struct Prepared {
    pub operation: Operation,
    pub request: Request,
    pub plan: Box<Rows>,
}

/// What became of an operation.
pub struct Done {
    pub prepared: Prepared,
    pub outcome: Outcome,
}

/// Parses and plans an operation.
///
/// # Errors
/// As for the same request alone; also for a request that is answered without a transaction.
pub fn prepare(
    operation: Operation,
    cache: &SchemaCache,
    settings: &Settings,
) -> Result<(Prepared, Statement), Fault> {
    let mut request = request::parse(operation.incoming(), operation.body.clone(), settings)?;
    // How it ends is the whole batch's to say.
    request.prefer.transaction = None;
    let Plan::Rows(plan) = (Planner { cache, settings }).plan(&request)? else {
        return Err(faults::not_in_batch());
    };
    let statement = statement::build(&plan, &request, settings);
    if statement.main.params().len() > VALUES_MAX {
        return Err(faults::too_many_values(VALUES_MAX));
    }
    Ok((Prepared { operation, request, plan }, statement))
}
