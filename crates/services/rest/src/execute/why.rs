//! A request carried out to learn what decides about it, in a transaction that is rolled back.

use super::guard::{self, name_lists};
use super::settings::{bound_again, transaction_settings};
use super::steps::pre_request;
use super::verdict::check;
use super::{Context, Watched, outcome};
use crate::plan::Rows;
use crate::request::Request;
use crate::response::database_fault;
use crate::statement::Layout;
use crate::why::facts::{self, Facts, Policy, Refusal, Relation, Sample, Trial};
use crate::why::{Names, command};
use fault::Fault;
use model::Caller;
use pg::{Connection, Error, Param, Pipeline, Pool};
use sql::Fragment;
use std::sync::Arc;

/// Policies whose conditions are tried.
const SAMPLES_MAX: usize = 20;
/// How long the catalog, and each policy, may take.
const LOOK: &str =
    "select set_config('search_path', '', true), set_config('statement_timeout', '5000', true)";
const READ_ONLY: &str = "select set_config('transaction_read_only', 'on', true)";
const SAMPLE_TIMEOUT: &str = "select set_config('statement_timeout', '2000', true)";

/// A request whose statement is known.
pub struct Examined<'a> {
    /// The caller is the one examined.
    pub context: Context<'a>,
    pub request: &'a Request,
    pub plan: &'a Rows,
    pub statement: Fragment,
    pub layout: Layout,
    /// Carry out a write.
    pub runs_writes: bool,
    /// The service key's role, under which rows are counted.
    pub service: &'a Caller,
}

/// The facts about a request, and what became of it.
pub async fn examine(pool: &Pool, examined: Examined<'_>) -> Result<(Facts, Trial), Fault> {
    let fault = |error: Error| database_fault(&error, true);
    let mut connection = pool.get().await.map_err(fault)?;
    let mut watched = Watched { connection: &mut connection, answered: false };
    let result = examined.examine(watched.connection).await;
    watched.answered = true;
    drop(watched);
    if connection.in_transaction() && !connection.is_broken() {
        connection.query("rollback", &[]).await.map_err(fault)?;
    }
    result.map_err(fault)
}

impl Examined<'_> {
    async fn examine(&self, connection: &mut Connection) -> Result<(Facts, Trial), Error> {
        let reads = self.plan.read_only();
        let executes = reads || self.runs_writes;
        let mut facts = self.facts(connection, reads || !executes).await?;
        let mut trial = Trial::default();
        match self.tried(connection, "explain (format json) ").await? {
            Ok(rows) => trial.plan = rows.first().and_then(|row| serde_json::from_slice(row.bytes(0)?).ok()),
            Err(refusal) => trial.error = Some(refusal),
        }
        if executes && trial.error.is_none() {
            match self.tried(connection, "").await? {
                Ok(rows) => {
                    let outcome = outcome::of_row(&rows, self.layout);
                    trial.rows = Some(outcome.rows);
                    let refused = check(&outcome, self.request, self.plan).err();
                    trial.error = refused.map(|fault| refusal(fault, "statement"));
                }
                Err(refusal) => trial.error = Some(refusal),
            }
        }
        let command = command(self.plan);
        let mut left = SAMPLES_MAX;
        for (number, relation) in facts.relations.iter_mut().enumerate() {
            let command = if number == 0 { command } else { "select" };
            self.sample(connection, relation, command, &mut left).await?;
        }
        Ok((facts, trial))
    }

    async fn facts(&self, connection: &mut Connection, read_only: bool) -> Result<Facts, Error> {
        let names = Names::of(self.plan);
        let mut pipeline = Pipeline::new();
        pipeline.step("begin", Vec::new());
        pipeline.step(LOOK, Vec::new());
        if read_only {
            pipeline.step(READ_ONLY, Vec::new());
        }
        let role = pg::text(&*self.context.caller.role);
        let mut params = vec![role];
        params.extend(name_lists(&names.relations));
        params.extend(name_lists(&names.functions));
        pipeline.step_uncached(facts::SQL, params);
        let results = connection.run(&pipeline).await?;
        let row = results.last().and_then(|rows| rows.first());
        row.ok_or_else(|| Error::Decode("no facts".to_owned()))?.json(0)
    }

    /// Runs the statement as the one examined, and undoes it.
    async fn tried(
        &self,
        connection: &mut Connection,
        prefix: &'static str,
    ) -> Result<Result<pg::Rows, Refusal>, Error> {
        let mut pipeline = Pipeline::new();
        pipeline.step("savepoint why", Vec::new());
        let hoisted = self.plan.function().map_or(&[][..], |function| &function.settings);
        step(&mut pipeline, transaction_settings(self.context, hoisted, false));
        let settings = 0..pipeline.len();
        if let Some(function) = &self.context.settings.db_pre_request {
            step(&mut pipeline, pre_request(function));
        }
        if let Some(again) = bound_again(self.context) {
            step(&mut pipeline, again);
        }
        let before = settings.end..pipeline.len();
        guard::add(&mut pipeline, self.context, self.plan);
        let text: Arc<str> = [prefix, self.statement.text()].concat().into();
        pipeline.step_uncached(text, self.statement.params().to_vec());
        let during = |step: usize| match step {
            step if settings.contains(&step) => "settings",
            step if before.contains(&step) => "pre-request",
            _ => "statement",
        };
        match undone(connection, &pipeline).await? {
            Ok(mut results) => {
                Ok(Ok(results.pop().ok_or_else(|| Error::Protocol("no result".to_owned()))?))
            }
            Err((error, step)) => {
                let fault = database_fault(&error, self.context.is_authenticated());
                Ok(Err(refusal(fault, step.map_or("statement", during))))
            }
        }
    }

    /// Counts how many of the first thousand rows each policy lets through.
    async fn sample(
        &self,
        connection: &mut Connection,
        relation: &mut Relation,
        command: &str,
        left: &mut usize,
    ) -> Result<(), Error> {
        // New rows are not there to be counted.
        if command == "insert" {
            return Ok(());
        }
        let name = (relation.schema.clone(), relation.name.clone());
        for policy in relation.policies.iter_mut().filter(|policy| policy.concerns(command)) {
            if *left == 0 {
                return Ok(());
            }
            let Some(count) = count_passing(&name, policy) else { continue };
            *left -= 1;
            let caller = Caller {
                role: Arc::clone(&self.service.role),
                claims: Arc::clone(&self.context.caller.claims),
            };
            let context = Context { caller: &caller, ..self.context };
            let mut pipeline = Pipeline::new();
            pipeline.step("savepoint why", Vec::new());
            step(&mut pipeline, transaction_settings(context, &[], false));
            pipeline.step(SAMPLE_TIMEOUT, Vec::new());
            step(&mut pipeline, count);
            policy.sample = Some(match undone(connection, &pipeline).await? {
                Ok(results) => {
                    let row = results.last().and_then(|rows| rows.first());
                    let row = row.ok_or_else(|| Error::Protocol("no count".to_owned()))?;
                    Sample::Rows { rows: row.get(0)?, passing: row.get(1)? }
                }
                Err((error, _)) => Sample::Failed { error: database_fault(&error, true).message },
            });
        }
        Ok(())
    }
}

/// Nothing for a policy without a condition on rows that are there.
fn count_passing((schema, name): &(String, String), policy: &Policy) -> Option<Fragment> {
    let condition = policy.using.as_ref()?;
    let mut f = Fragment::new();
    // The condition is the catalog's own text; it knows the table by its name.
    f.push("select count(*), count(*) filter (where ").catalog_text(condition);
    f.push(") from (select * from ").qualified(schema, name).push(" limit 1000) as ").quoted(name);
    Some(f)
}

fn step(pipeline: &mut Pipeline, fragment: Fragment) {
    let (text, params): (String, Vec<Param>) = fragment.into_parts();
    pipeline.step_uncached(text, params);
}

fn refusal(fault: Fault, during: &'static str) -> Refusal {
    Refusal {
        code: fault.code.into_owned(),
        message: fault.message,
        details: fault.details,
        hint: fault.hint,
        during,
    }
}

type Ran = Result<Vec<pg::Rows>, (Error, Option<usize>)>;

/// Runs a pipeline that begins with a savepoint, and goes back to it. Only the server's own refusals are answers.
async fn undone(connection: &mut Connection, pipeline: &Pipeline) -> Result<Ran, Error> {
    let result = connection.run(pipeline).await;
    let step = connection.failed_step();
    let ran = match result {
        Ok(results) => Ok(results),
        Err(error @ Error::Db(_)) => Err((error, step)),
        Err(error) => return Err(error),
    };
    connection.query("rollback to savepoint why", &[]).await?;
    Ok(ran)
}
