//! What is sent for a request: the steps of its pipeline.

use super::settings::{bound_again, transaction_settings};
use super::verdict::checks_before_commit;
use super::{Context, guard};
use crate::plan::Rows as RowsPlan;
use crate::request::Request;
use crate::schema::Isolation;
use crate::statement::Statement;
use pg::Pipeline;
use sql::Fragment;

/// What is sent, and where among the results the wanted ones are.
pub(super) struct Steps {
    pub pipeline: Pipeline,
    /// The transaction is opened by a step of its own.
    pub explicit: bool,
    pub main: usize,
    pub estimate: Option<usize>,
}

impl Steps {
    pub(super) fn of(context: Context<'_>, request: &Request, plan: &RowsPlan, statement: Statement) -> Self {
        let function = plan.function();
        let isolation = function
            .and_then(|function| function.isolation)
            .or_else(|| context.role_settings().and_then(|role| role.isolation));
        let read_only = plan.read_only();
        let rolls_back = context.rolls_back();
        let looks_first = checks_before_commit(request, plan) && !read_only;
        let explicit = rolls_back || looks_first || isolation.is_some();

        let mut pipeline = Pipeline::new();
        if explicit {
            pipeline.step(begin(isolation), Vec::new());
        }
        let hoisted = function.map_or(&[][..], |function| &function.settings);
        context.step(&mut pipeline, transaction_settings(context, hoisted, read_only));
        if let Some(function) = &context.settings.db_pre_request {
            context.step(&mut pipeline, pre_request(function));
        }
        if let Some(again) = bound_again(context) {
            context.step(&mut pipeline, again);
        }
        guard::add(&mut pipeline, context, plan);
        let main = pipeline.len();
        context.step(&mut pipeline, statement.main);
        let estimate = statement.estimate.map(|estimate| {
            context.step(&mut pipeline, estimate);
            pipeline.len() - 1
        });
        if rolls_back {
            pipeline.step("set constraints all immediate", Vec::new());
            pipeline.step("rollback", Vec::new());
        }
        Steps { pipeline, explicit, main, estimate }
    }
}

pub(super) fn begin(isolation: Option<Isolation>) -> String {
    match isolation {
        Some(isolation) => format!("begin isolation level {}", isolation.as_sql()),
        None => "begin".to_owned(),
    }
}

pub(super) fn pre_request(function: &crate::schema::Name) -> Fragment {
    let mut f = Fragment::new();
    f.push("select ").catalog_text(&function.to_string()).push("()");
    f
}
