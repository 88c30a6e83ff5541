//! The operations of a batch, in one transaction.
//!
//! All of them travel in one pipeline, whose last step is the end, unless the outcome of one decides about it.
//! What an operation told the transaction about itself, the next one must not find: every operation says everything
//! anew, and what only some of them say is taken back in between.

use super::settings::{bound_again, transaction_settings};
use super::steps::{Places, begin, pre_request};
use super::verdict::checks_before_commit;
use super::{Context, Watched, guard, outcome};
use crate::batch::{Done, Failure, Prepared};
use crate::response::database_fault;
use crate::statement::Statement;
use fault::Fault;
use pg::{Error, Pipeline, Pool, Rows};
use sql::Fragment;
use std::ops::Range;

/// Where an operation's steps are.
struct Place {
    steps: Range<usize>,
    parts: Places,
}

/// A batch as a pipeline.
struct Batch {
    pipeline: Pipeline,
    places: Vec<Place>,
    /// The outcomes decide whether it is kept.
    looks_first: bool,
}

/// Runs operations. `context` is the whole request's: of its preferences only how the transaction ends counts.
pub async fn run_batch(
    pool: &Pool,
    context: Context<'_>,
    operations: Vec<(Prepared, Statement)>,
) -> Result<Vec<Done>, Failure> {
    let end = |fault| Failure { operation: None, fault };
    let fault = |error: Error| database_fault(&error, context.is_authenticated());
    let (batch, prepared) = Batch::of(context, operations);
    let mut connection = pool.get().await.map_err(|error| end(fault(error)))?;
    let mut ran = run(&mut connection, &batch.pipeline).await;
    if ran.as_ref().is_err_and(|(error, _)| error.is_stale_statement()) {
        ran = run(&mut connection, &batch.pipeline).await;
    }
    let results = ran.map_err(|(error, step)| {
        let at = |step| batch.places.iter().position(|place| place.steps.contains(&step));
        Failure { operation: step.and_then(at), fault: fault(error) }
    })?;
    let done = look(context, &results, &batch.places, prepared);
    if batch.looks_first {
        let word = if done.is_ok() { "commit" } else { "rollback" };
        connection.query(word, &[]).await.map_err(|error| end(fault(error)))?;
    }
    done
}

impl Batch {
    fn of(context: Context<'_>, operations: Vec<(Prepared, Statement)>) -> (Self, Vec<Prepared>) {
        let reads_only = operations.iter().all(|(prepared, _)| prepared.plan.read_only());
        let checks = |(prepared, _): &(Prepared, _)| checks_before_commit(&prepared.request, &prepared.plan);
        let looks_first = !context.rolls_back() && !reads_only && operations.iter().any(checks);
        let functions = operations.iter().filter_map(|(prepared, _)| prepared.plan.function()?.isolation);
        let isolation = functions.max().or_else(|| context.role_settings().and_then(|role| role.isolation));
        let mut batch = Batch { pipeline: Pipeline::new(), places: Vec::new(), looks_first };
        batch.pipeline.step(begin(isolation), Vec::new());
        let mut prepared: Vec<Prepared> = Vec::with_capacity(operations.len());
        for (next, statement) in operations {
            let from = batch.pipeline.len();
            if let Some(before) = prepared.last() {
                batch.take_back(before);
            }
            let place = batch.add(context, &next, statement, from, reads_only);
            batch.places.push(place);
            prepared.push(next);
        }
        if context.rolls_back() {
            batch.pipeline.step("set constraints all immediate", Vec::new());
            batch.pipeline.step("rollback", Vec::new());
        } else if !looks_first {
            batch.pipeline.step("commit", Vec::new());
        }
        (batch, prepared)
    }

    fn add(
        &mut self,
        base: Context<'_>,
        next: &Prepared,
        statement: Statement,
        from: usize,
        reads_only: bool,
    ) -> Place {
        let context = Context {
            incoming: next.operation.incoming(),
            schema: &next.request.schema,
            prefer: &next.request.prefer,
            ..base
        };
        let pipeline = &mut self.pipeline;
        let read_only = next.plan.read_only();
        // A transaction cannot become writable again; a part of it can be for reading alone.
        let apart = read_only && !reads_only;
        if apart {
            pipeline.step("savepoint rowhouse_read", Vec::new());
        }
        let hoisted = next.plan.function().map_or(&[][..], |function| &function.settings);
        context.step(pipeline, transaction_settings(context, hoisted, read_only));
        if let Some(function) = &context.settings.db_pre_request {
            context.step(pipeline, pre_request(function));
        }
        if let Some(again) = bound_again(context) {
            context.step(pipeline, again);
        }
        guard::add(pipeline, context, &next.plan);
        let parts = Places::add(pipeline, context, statement);
        if apart {
            pipeline.step("release savepoint rowhouse_read", Vec::new());
        }
        Place { steps: from..pipeline.len(), parts }
    }

    /// Undoes what only the operation before said: its answer's settings, its time zone, its function's settings.
    fn take_back(&mut self, before: &Prepared) {
        const ANSWER: &str = "select set_config('response.headers', '', true), set_config('response.status', '', true), \
                              set_config('pgrst.inserted', '', true)";
        self.pipeline.step(ANSWER, Vec::new());
        if before.request.prefer.timezone.is_some() {
            self.pipeline.step("set local timezone to default", Vec::new());
        }
        for (name, _) in before.plan.function().map_or(&[][..], |function| &function.settings) {
            let mut f = Fragment::new();
            f.push("set local ").join(".", name.split('.'), |f, part| {
                f.quoted(part);
            });
            f.push(" to default");
            self.pipeline.step_uncached(f.into_parts().0, Vec::new());
        }
    }
}

/// Runs the pipeline and leaves no failed transaction behind. A failure comes with its step.
async fn run(
    connection: &mut pg::Connection,
    pipeline: &Pipeline,
) -> Result<Vec<Rows>, (Error, Option<usize>)> {
    let mut watched = Watched { connection, answered: false };
    let result = watched.connection.run(pipeline).await;
    watched.answered = true;
    drop(watched);
    match result {
        Ok(results) => Ok(results),
        Err(error) => {
            let step = connection.failed_step();
            if connection.in_transaction() && !connection.is_broken() {
                connection.query("rollback", &[]).await.map_err(|error| (error, None))?;
            }
            Err((error, step))
        }
    }
}

/// Reads the outcomes, and whether each may be kept.
fn look(
    context: Context<'_>,
    results: &[Rows],
    places: &[Place],
    prepared: Vec<Prepared>,
) -> Result<Vec<Done>, Failure> {
    let mut done = Vec::with_capacity(prepared.len());
    for (number, (prepared, place)) in prepared.into_iter().zip(places).enumerate() {
        let failed = |fault: Fault| Failure { operation: Some(number), fault };
        let asked = (&prepared.request, &*prepared.plan);
        let outcome = outcome::read(results, place.parts, asked, context.settings).map_err(failed)?;
        done.push(Done { prepared, outcome });
    }
    Ok(done)
}
