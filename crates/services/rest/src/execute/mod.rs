//! The one stage that touches the database: settings, pre-request and statement in one round trip.
//!
//! All three travel as one pipeline, which is one transaction. Where the outcome has to be looked at before it
//! may be kept (one object wanted, few rows wanted, PUT), the transaction is opened explicitly and ended after the
//! look; where it is rolled back anyway, its end is the pipeline's last step.

mod batch;
mod encoding;
mod guard;
mod outcome;
mod pours;
mod settings;
mod steps;
mod stream;
mod verdict;
mod why;

pub use batch::run_batch;
pub use guard::NEVER_SET;
pub use outcome::Outcome;
pub use pours::Pours;
pub use stream::Content;
pub use why::{Examined, examine};

use crate::config::{RoleSettings, Settings};
use crate::faults;
use crate::plan::Rows as RowsPlan;
use crate::request::{Incoming, Preferences, Request, TransactionEnd};
use crate::response::database_fault;
use crate::statement::Statement;
use fault::Fault;
use model::{Bound, Caller};
use pg::{Begun, Connection, Error, Param, Pipeline, Pool, Remainder, Rows, Watch};
use settings::transaction_settings;
use sql::Fragment;
use steps::{Steps, pre_request};

/// Everything about a request that its transaction is told.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub settings: &'a Settings,
    pub caller: &'a Caller,
    pub incoming: Incoming<'a>,
    /// The physical schema.
    pub schema: &'a str,
    pub prefer: &'a Preferences,
    /// What the request's API key binds it to.
    pub bound: Option<&'a Bound>,
}

impl Context<'_> {
    /// The caller is more than the anonymous role: a refusal is about rights, not about a missing token.
    pub fn is_authenticated(&self) -> bool {
        self.settings.db_anon_role.as_deref() != Some(&*self.caller.role)
    }

    fn role_settings(&self) -> Option<&RoleSettings> {
        self.settings.role(&self.caller.role)
    }

    /// The transaction ends in a rollback, whatever comes of it.
    fn rolls_back(&self) -> bool {
        match self.prefer.transaction {
            Some(end) => end == TransactionEnd::Rollback,
            None => self.settings.db_tx_end.rollback,
        }
    }

    /// Adds a step of a fixed text, prepared like the others.
    fn fixed_step(&self, pipeline: &mut Pipeline, text: &'static str, params: Vec<Param>) {
        if self.settings.db_prepared_statements {
            pipeline.step(text, params);
        } else {
            pipeline.step_uncached(text, params);
        }
    }

    /// Adds a step, prepared unless the settings say that the connection is not ours to prepare on.
    fn step(&self, pipeline: &mut Pipeline, fragment: Fragment) {
        let (text, params) = fragment.into_parts();
        if self.settings.db_prepared_statements {
            pipeline.step(text, params);
        } else {
            pipeline.step_uncached(text, params);
        }
    }
}

/// Runs a planned statement. `pours` is whose turn it is to keep connections, where several projects share them.
pub async fn run(
    pool: &Pool,
    pours: Option<&Pours>,
    context: Context<'_>,
    request: &Request,
    plan: &RowsPlan,
    statement: Statement,
) -> Result<Outcome, Fault> {
    let steps = Steps::of(context, request, plan, statement);
    let fault = |error: Error| database_fault(&error, context.is_authenticated());
    let mut connection = pool.get().await.map_err(fault)?;
    let watch = steps.watch(context.settings);
    let begun = match run_once(&mut connection, &steps.pipeline, watch).await {
        Err(error) if steps.explicit && error.is_stale_statement() => {
            run_once(&mut connection, &steps.pipeline, watch).await
        }
        other => other,
    };
    let begun = begun.map_err(fault)?;
    let verdict = outcome::read(&begun.results, steps.places, (request, plan), context.settings);
    if begun.rest != Remainder::Nothing {
        if let Ok(mut outcome) = verdict {
            outcome.more_rows = begun.rest == Remainder::Rows;
            outcome.body = match pours.map(|pours| pours.turn().ok_or(pours)) {
                Some(Err(pours)) => {
                    let bytes_max = pool.config().answer_bytes_max;
                    pours.collect(connection, &begun, outcome.body, bytes_max).await.map_err(fault)?
                }
                turn => {
                    let (turn, keeps) = (turn.and_then(Result::ok), !plan.read_only());
                    let pour = stream::Pour { connection, turn, keeps, settings: context.settings };
                    pour.start(&begun, outcome.body)
                }
            };
            return Ok(outcome);
        }
        connection.finish().await.map_err(fault)?;
    }
    if connection.in_transaction() {
        let end = if verdict.is_ok() { "commit" } else { "rollback" };
        connection.query(end, &[]).await.map_err(fault)?;
    }
    verdict
}

/// Runs one fixed statement in a read-only transaction of the caller's: for what is not rows.
pub async fn run_read(
    pool: &Pool,
    context: Context<'_>,
    statement: &'static str,
    params: Vec<Param>,
) -> Result<Rows, Fault> {
    let mut pipeline = Pipeline::new();
    context.step(&mut pipeline, transaction_settings(context, &[], true));
    if let Some(function) = &context.settings.db_pre_request {
        context.step(&mut pipeline, pre_request(function));
    }
    context.fixed_step(&mut pipeline, statement, params);
    let fault = |error: Error| database_fault(&error, context.is_authenticated());
    let mut connection = pool.get().await.map_err(fault)?;
    let mut results = connection.run(&pipeline).await.map_err(fault)?;
    results.pop().ok_or_else(|| faults::internal("no result"))
}
/// Runs a pipeline and leaves no failed transaction behind.
async fn run_once(connection: &mut Connection, pipeline: &Pipeline, watch: Watch) -> Result<Begun, Error> {
    let mut watched = Watched { connection, answered: false };
    let result = watched.connection.run_in_parts(pipeline, watch).await;
    watched.answered = true;
    drop(watched);
    if result.is_err() && connection.in_transaction() && !connection.is_broken() {
        connection.query("rollback", &[]).await?;
    }
    result
}

/// A connection that waits for an answer. Dropped before it came — the client is gone, or its time is up — the
/// server is told to stop working on it.
struct Watched<'a> {
    connection: &'a mut Connection,
    answered: bool,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let token = self.connection.cancel_token();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Nobody waits for it: it ends by itself, and nothing depends on whether it succeeds.
            runtime.spawn(async move {
                if let Err(error) = token.cancel().await {
                    tracing::debug!("a statement could not be cancelled: {error}");
                }
            });
        }
    }
}
