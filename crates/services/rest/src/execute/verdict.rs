//! Whether a transaction may be kept, after a look at its outcome.

use super::Outcome;
use crate::faults;
use crate::plan::{Rows as RowsPlan, Work};
use crate::request::{Mutation, Request};
use fault::Fault;

/// Whether the outcome decides if the transaction may be kept.
pub(super) fn checks_before_commit(request: &Request, plan: &RowsPlan) -> bool {
    let replaces = matches!(&plan.work, Work::Write(write) if write.mutation == Mutation::Replace);
    let limits = request.prefer.is_strict() && request.prefer.max_affected.is_some();
    replaces || limits || plan.media.is_singular()
}

/// What makes an outcome unacceptable.
pub(super) fn check(outcome: &Outcome, request: &Request, plan: &RowsPlan) -> Result<(), Fault> {
    let limit = request.prefer.max_affected.filter(|_| request.prefer.is_strict());
    let (singular, limited) = match &plan.work {
        Work::Read { .. } => (true, false),
        Work::Call { .. } => (true, true),
        Work::Write(write) => match write.mutation {
            Mutation::Replace if outcome.rows != 1 => return Err(faults::put_mismatch()),
            Mutation::Replace => (false, false),
            Mutation::Create => (true, false),
            Mutation::Update | Mutation::Delete => (true, true),
        },
    };
    if singular && plan.media.is_singular() && outcome.rows != 1 {
        return Err(faults::not_singular(outcome.rows));
    }
    match limit {
        Some(limit) if limited && outcome.rows > limit => Err(faults::too_many_affected(outcome.rows)),
        _ => Ok(()),
    }
}
