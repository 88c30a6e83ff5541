//! The one stage that touches the database: settings, pre-request and statement in one round trip.
//!
//! All three travel as one pipeline, which is one transaction. Where the outcome has to be looked at before it
//! may be kept (one object wanted, few rows wanted, PUT), the transaction is opened explicitly and ended after the
//! look; where it is rolled back anyway, its end is the pipeline's last step.

use crate::config::{RoleSettings, Settings};
use crate::faults;
use crate::plan::{Rows as RowsPlan, Work};
use crate::request::{Incoming, Mutation, Preferences, Request, TransactionEnd};
use crate::response::database_fault;
use crate::schema::Isolation;
use crate::statement::{Layout, Statement};
use bytes::Bytes;
use fault::Fault;
use http::HeaderMap;
use model::Caller;
use pg::{Connection, Error, Param, Pipeline, Pool, Rows};
use sql::Fragment;
use std::fmt::Write;

/// What the database answered.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The number of rows without a limit, when it was asked.
    pub total: Option<i64>,
    /// The number of rows returned or changed.
    pub rows: i64,
    pub body: Bytes,
    /// `response.headers`.
    pub headers: Option<String>,
    /// `response.status`.
    pub status: Option<String>,
    /// The primary key of the only row inserted: names and values.
    pub location: Vec<(String, Option<String>)>,
    /// How many rows were inserted rather than updated.
    pub inserted: Option<i64>,
}

/// Everything about a request that its transaction is told.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub settings: &'a Settings,
    pub caller: &'a Caller,
    pub incoming: Incoming<'a>,
    /// The physical schema.
    pub schema: &'a str,
    pub prefer: &'a Preferences,
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

/// Runs a planned statement.
pub async fn run(
    pool: &Pool,
    context: Context<'_>,
    request: &Request,
    plan: &RowsPlan,
    statement: Statement,
) -> Result<Outcome, Fault> {
    let layout = statement.layout;
    let steps = Steps::of(context, request, plan, statement);
    let fault = |error: Error| database_fault(&error, context.is_authenticated());
    let mut connection = pool.get().await.map_err(fault)?;
    let results = match run_once(&mut connection, &steps.pipeline).await {
        Err(error) if steps.explicit && is_stale(&error) => run_once(&mut connection, &steps.pipeline).await,
        other => other,
    };
    let results = results.map_err(fault)?;
    let main = results.get(steps.main).ok_or_else(|| faults::internal("no result"))?;
    let estimated = steps.estimate.and_then(|at| results.get(at)).and_then(planned_rows);
    let verdict = match layout {
        None => Ok(Outcome { body: lines(main), ..Outcome::default() }),
        Some(layout) => {
            let mut outcome = outcome(main, layout);
            outcome.total = total(outcome.total, estimated, request, context.settings);
            check(&outcome, request, plan).map(|()| outcome)
        }
    };
    if connection.in_transaction() {
        let end = if verdict.is_ok() { "commit" } else { "rollback" };
        connection.query(end, &[]).await.map_err(fault)?;
    }
    verdict
}

/// What is sent, and where among the results the wanted ones are.
struct Steps {
    pipeline: Pipeline,
    /// The transaction is opened by a step of its own.
    explicit: bool,
    main: usize,
    estimate: Option<usize>,
}

impl Steps {
    fn of(context: Context<'_>, request: &Request, plan: &RowsPlan, statement: Statement) -> Self {
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
    if context.settings.db_prepared_statements {
        pipeline.step(statement, params);
    } else {
        pipeline.step_uncached(statement, params);
    }
    let fault = |error: Error| database_fault(&error, context.is_authenticated());
    let mut connection = pool.get().await.map_err(fault)?;
    let mut results = connection.run(&pipeline).await.map_err(fault)?;
    results.pop().ok_or_else(|| faults::internal("no result"))
}

/// Runs a pipeline and leaves no failed transaction behind.
async fn run_once(connection: &mut Connection, pipeline: &Pipeline) -> Result<Vec<Rows>, Error> {
    let mut watched = Watched { connection, answered: false };
    let result = watched.connection.run(pipeline).await;
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

/// A prepared statement whose tables have changed; the connection has forgotten it by now.
fn is_stale(error: &Error) -> bool {
    matches!(error.sqlstate(), Some("0A000" | "26000"))
        && error.db().is_some_and(|db| db.message.contains("cached plan") || db.code == "26000")
}

fn begin(isolation: Option<Isolation>) -> String {
    match isolation {
        Some(isolation) => format!("begin isolation level {}", isolation.as_sql()),
        None => "begin".to_owned(),
    }
}

fn pre_request(function: &crate::schema::Name) -> Fragment {
    let mut f = Fragment::new();
    f.push("select ").catalog_text(&function.to_string()).push("()");
    f
}

/// The statement that tells the transaction who is asking for what.
fn transaction_settings(context: Context, hoisted: &[(Box<str>, Box<str>)], read_only: bool) -> Fragment {
    let Context { settings, caller, incoming, .. } = context;
    let mut f = Fragment::with_capacity(1024, 16);
    f.push("select set_config('search_path', ").bind(search_path(context)).push(", true)");
    if read_only {
        f.push(", set_config('transaction_read_only', 'on', true)");
    }
    let dynamic = |f: &mut Fragment, name: &str, value: &str| {
        f.push(", set_config(").bind(name.to_owned()).push(", ").bind(value.to_owned()).push(", true)");
    };
    // Before the role: the login role may be allowed to set what the role is not.
    for (name, value) in context.role_settings().map_or(&[][..], |role| &role.settings) {
        dynamic(&mut f, name, value);
    }
    f.push(", set_config('role', ").bind(caller.role.to_string()).push(", true)");
    f.push(", set_config('request.jwt.claims', ").bind(caller.claims.to_string()).push(", true)");
    f.push(", set_config('request.method', ").bind(incoming.method.as_str().to_owned()).push(", true)");
    f.push(", set_config('request.path', ").bind(incoming.path.to_owned()).push(", true)");
    f.push(", set_config('request.headers', ").bind(headers_json(incoming.headers)).push(", true)");
    f.push(", set_config('request.cookies', ").bind(cookies_json(incoming.headers)).push(", true)");
    if let Some(zone) = &context.prefer.timezone {
        f.push(", set_config('timezone', ").bind(zone.clone()).push(", true)");
    }
    for (name, value) in hoisted {
        dynamic(&mut f, name, value);
    }
    for (name, value) in settings.app_settings.iter().chain(&settings.extra_settings) {
        dynamic(&mut f, name, value);
    }
    f
}

fn search_path(context: Context) -> String {
    let mut path = sql::quote_ident(context.schema);
    for schema in &context.settings.db_extra_search_path {
        path.push_str(", ");
        path.push_str(&sql::quote_ident(schema));
    }
    path
}

/// The headers as a JSON object, without the cookies. Of a repeated header PostgreSQL takes the last.
fn headers_json(headers: &HeaderMap) -> String {
    let mut json = String::with_capacity(512);
    for (name, value) in headers {
        if name != http::header::COOKIE {
            add_pair(&mut json, name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
        }
    }
    close_object(json)
}

fn cookies_json(headers: &HeaderMap) -> String {
    let mut json = String::new();
    for header in headers.get_all(http::header::COOKIE) {
        for cookie in String::from_utf8_lossy(header.as_bytes()).split(';') {
            let (name, value) = cookie.trim().split_once('=').unwrap_or((cookie.trim(), ""));
            if !name.is_empty() {
                add_pair(&mut json, name, value);
            }
        }
    }
    close_object(json)
}

/// Adds a pair of texts to an object whose end is not written yet.
fn add_pair(json: &mut String, name: &str, value: &str) {
    json.push(if json.is_empty() { '{' } else { ',' });
    add_text(json, name);
    json.push(':');
    add_text(json, value);
}

fn add_text(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(json, "\\u{:04x}", c as u32);
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

fn close_object(mut json: String) -> String {
    if json.is_empty() {
        json.push('{');
    }
    json.push('}');
    json
}

/// Whether the outcome decides if the transaction may be kept.
fn checks_before_commit(request: &Request, plan: &RowsPlan) -> bool {
    let replaces = matches!(&plan.work, Work::Write(write) if write.mutation == Mutation::Replace);
    let limits = request.prefer.is_strict() && request.prefer.max_affected.is_some();
    replaces || limits || plan.media.is_singular()
}

/// What makes an outcome unacceptable.
fn check(outcome: &Outcome, request: &Request, plan: &RowsPlan) -> Result<(), Fault> {
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

fn outcome(main: &Rows, layout: Layout) -> Outcome {
    let Some(row) = main.first() else { return Outcome { total: Some(0), ..Outcome::default() } };
    let number = |index| row.text(index).and_then(|text| text.parse().ok());
    let location =
        layout.location.and_then(|at| row.bytes(at)).and_then(|json| serde_json::from_slice(json).ok());
    Outcome {
        total: number(layout.total),
        rows: number(layout.rows).unwrap_or(0),
        body: body(main, layout.body).unwrap_or_default(),
        headers: row.text(layout.headers).map(str::to_owned),
        status: row.text(layout.status).map(str::to_owned),
        location: location.unwrap_or_default(),
        inserted: layout.inserted.and_then(number),
    }
}

/// A counted total, or the planner's where it was preferred or counting stopped.
fn total(
    counted: Option<i64>,
    estimated: Option<i64>,
    request: &Request,
    settings: &Settings,
) -> Option<i64> {
    use crate::request::Count;
    match request.prefer.count {
        Some(Count::Planned) => estimated,
        Some(Count::Estimated) => {
            let limit = settings.db_max_rows.and_then(|rows| i64::try_from(rows).ok());
            match (counted, estimated, limit) {
                (Some(counted), Some(estimated), limit) if limit.is_none_or(|limit| counted > limit) => {
                    Some(counted.max(estimated))
                }
                _ => counted,
            }
        }
        _ => counted,
    }
}

fn planned_rows(rows: &Rows) -> Option<i64> {
    let plan: serde_json::Value = serde_json::from_slice(rows.first()?.bytes(0)?).ok()?;
    plan.get(0)?.get("Plan")?.get("Plan Rows")?.as_i64()
}

/// The lines of an EXPLAIN.
fn lines(rows: &Rows) -> Bytes {
    let mut text = Vec::new();
    for row in rows {
        text.extend_from_slice(row.bytes(0).unwrap_or_default());
        text.push(b'\n');
    }
    text.into()
}

/// The type of a body made of bytes; in the text format they come in hexadecimal.
const BYTEA: u32 = 17;
/// `jsonb`, which only custom handlers return.
const JSONB: u32 = 3802;

fn body(rows: &Rows, at: usize) -> Option<Bytes> {
    let raw = rows.first()?.raw(at)?;
    match rows.columns().get(at).map(|column| column.type_oid) {
        Some(BYTEA) => {
            let digits = raw.strip_prefix(b"\\x").unwrap_or(&raw);
            Some(digits.chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect())
        }
        // The version byte of jsonb's binary form, which the reference sends too; its suite insists
        // (test/spec/Feature/Query/CustomMediaSpec.hs).
        Some(JSONB) => Some([b"\x01", &*raw].concat().into()),
        _ => Some(raw),
    }
}

fn nibble(digit: u8) -> u8 {
    char::from(digit).to_digit(16).map_or(0, |value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn headers_and_cookies_become_json() {
        let mut headers = HeaderMap::new();
        assert_eq!(headers_json(&headers), "{}");
        assert_eq!(cookies_json(&headers), "{}");
        headers.insert("x-a", HeaderValue::from_bytes("q\"\\\té".as_bytes()).unwrap());
        headers.insert("cookie", HeaderValue::from_static("a=b; c=d=\"e\"; f"));
        assert_eq!(headers_json(&headers), r#"{"x-a":"q\"\\\u0009é"}"#);
        assert_eq!(cookies_json(&headers), r#"{"a":"b","c":"d=\"e\"","f":""}"#);
        for json in [headers_json(&headers), cookies_json(&headers)] {
            assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
        }
    }
}
