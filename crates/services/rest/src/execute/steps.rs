//! What is sent for a request: the steps of its pipeline.

use super::settings::{bound_again, transaction_settings};
use super::verdict::checks_before_commit;
use super::{Context, guard};
use crate::config::Settings;
use crate::plan::Rows as RowsPlan;
use crate::request::Request;
use crate::schema::Isolation;
use crate::statement::{Form, Statement};
use pg::{Parts, Pipeline, Watch};
use sql::Fragment;

/// What is sent, and where among the results the wanted ones are.
pub(super) struct Steps {
    pub pipeline: Pipeline,
    /// The transaction is opened by a step of its own.
    pub explicit: bool,
    pub places: Places,
}

/// Where a statement's parts are among the steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub form: Form,
    pub main: usize,
    pub estimate: Option<usize>,
    pub before: Option<usize>,
    pub after: Option<usize>,
}

impl Places {
    /// Adds a statement. What the headers of a body need comes before it.
    pub(super) fn add(pipeline: &mut Pipeline, context: Context<'_>, statement: Statement) -> Self {
        let add = |pipeline: &mut Pipeline, fragment| {
            context.step(pipeline, fragment);
            pipeline.len() - 1
        };
        Places {
            form: statement.form,
            estimate: statement.estimate.map(|estimate| add(pipeline, estimate)),
            before: statement.before.map(|before| add(pipeline, before)),
            main: add(pipeline, statement.main),
            after: statement.after.map(|after| add(pipeline, after)),
        }
    }
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
        let places = Places::add(&mut pipeline, context, statement);
        if rolls_back {
            pipeline.step("set constraints all immediate", Vec::new());
            pipeline.step("rollback", Vec::new());
        }
        Steps { pipeline, explicit, places }
    }
}

impl Steps {
    /// What of the answer may be handed over before it is all there.
    pub(super) fn watch(&self, settings: &Settings) -> Watch {
        let form = self.places.form;
        let of = if form == Form::Lines { Parts::Rows } else { Parts::Value };
        let bytes_max = if form == Form::Explained { usize::MAX } else { settings.stream_bytes_min };
        Watch { step: self.places.main, bytes_max, of }
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
