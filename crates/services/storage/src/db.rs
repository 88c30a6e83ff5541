//! Transactions of one project: who asks for what comes first, then statements, each as the caller or as the service.
//!
//! Row-level security is PostgreSQL's: whatever a policy of the user may look at is set before the first statement,
//! as the reference sets it. A [`Work`] travels in one round trip.

use crate::caller::Identity;
use crate::refusal::{Outcome, Refusal};
use crate::settings::Settings;
use http::{HeaderMap, Method};
use model::role;
use pg::{Param, Pipeline, Pool, PooledConnection, Rows, text};
use serde_json::{Map, Value};
use sql::Fragment;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What policies and missing grants end in.
const INSUFFICIENT_PRIVILEGE: &str = "42501";
/// The SQLSTATE of a transaction that was given up for another to go on.
const DEADLOCK: &str = "40P01";
/// How long a statement waits for a row or key that another request holds.
const LOCK_TIMEOUT: &str = "5s";
/// How much longer than one statement all of a transaction may take.
const WORK_BEYOND: Duration = Duration::from_secs(5);
const SET_ROLE: &str = "select set_config('role', $1, true)";

/// A statement with its values.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    sql: Arc<str>,
    params: Vec<Param>,
    binary: bool,
}

impl Step {
    pub(crate) fn new(sql: impl Into<Arc<str>>, params: impl Into<Vec<Param>>) -> Step {
        Step { sql: sql.into(), params: params.into(), binary: false }
    }

    pub(crate) fn built(fragment: Fragment) -> Step {
        let (sql, params) = fragment.into_parts();
        Step { sql: sql.into(), params, binary: false }
    }

    /// The same with rows whose values are in PostgreSQL's binary format.
    #[must_use]
    pub(crate) fn binary(self) -> Step {
        Step { binary: true, ..self }
    }
}

/// Under what a request runs: what policies and triggers can see of it.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) identity: Identity,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: String,
    /// The name that policies compare: `storage.object.upload`.
    pub(crate) operation: &'static str,
    /// Settings of the API key, by name and value.
    settings: Vec<(String, String)>,
}

impl Scope {
    pub(crate) fn new(
        identity: Identity,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        operation: &'static str,
    ) -> Scope {
        Scope {
            identity,
            method: method.clone(),
            path: path.to_owned(),
            headers: headers_json(headers),
            operation,
            settings: Vec::new(),
        }
    }

    /// The same with what the API key of the request is bound to.
    #[must_use]
    pub(crate) fn bound(mut self, bound: &model::Bound) -> Scope {
        self.identity = self.identity.bound(bound);
        let missing = bound.missing().iter().map(|name| (name.to_string(), String::new()));
        let settings = bound.settings().iter().map(|(name, value)| (name.to_string(), value.to_string()));
        self.settings = missing.chain(settings).collect();
        self
    }
}

/// Headers as a JSON object; what a header says twice is joined by a comma.
fn headers_json(headers: &HeaderMap) -> String {
    let mut object = Map::with_capacity(headers.keys_len());
    for name in headers.keys() {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        object.insert(name.as_str().to_owned(), Value::from(values.join(",").replace('\0', "")));
    }
    Value::Object(object).to_string()
}

/// The database of a project's storage.
#[derive(Debug, Clone)]
pub(crate) struct Db {
    pool: Pool,
    project: model::ProjectRef,
    prologue: Arc<str>,
    /// The prologue of works that plan each statement once, whatever its values.
    prologue_planned_once: Arc<str>,
    /// The settings of the project, by name and value.
    fixed: Vec<Param>,
    /// How long all statements of a transaction may take together.
    work_limit: Duration,
}

impl Db {
    pub(crate) fn new(pool: Pool, settings: &Settings) -> Db {
        let mut sql = Fragment::new();
        sql.push("select set_config('role', ").placeholder(1).push(", true)");
        for (at, name) in REQUEST_SETTINGS.iter().enumerate() {
            sql.push(", set_config(").literal(name).push(", ").placeholder(at + 2).push(", true)");
        }
        let fixed = [
            ("search_path".to_owned(), settings.search_path.clone()),
            ("statement_timeout".to_owned(), settings.statement_timeout.as_millis().to_string()),
            ("lock_timeout".to_owned(), LOCK_TIMEOUT.to_owned()),
            ("storage.allow_delete_query".to_owned(), "true".to_owned()),
            ("storage.events".to_owned(), if settings.events.is_some() { "on" } else { "" }.to_owned()),
        ];
        let mut params = Vec::new();
        for (name, value) in fixed.iter().chain(&settings.extra_settings) {
            let at = REQUEST_SETTINGS.len() + 2 + params.len();
            sql.push(", set_config(").literal(name).push(", ").placeholder(at).push(", true)");
            params.push(text(value));
        }
        let prologue = sql.text().into();
        // A plan that was made when there were few rows must be good for many: it never sorts what an index orders.
        sql.push(", set_config('plan_cache_mode', 'force_generic_plan', true)");
        sql.push(", set_config('enable_sort', 'off', true)");
        Db {
            pool,
            project: settings.project.clone(),
            prologue,
            prologue_planned_once: sql.text().into(),
            fixed: params,
            work_limit: settings.statement_timeout + WORK_BEYOND,
        }
    }

    fn prologue(&self, scope: &Scope, work: &Work) -> Step {
        let role = work.first_role.name(scope);
        let sql = if work.planned_once { &self.prologue_planned_once } else { &self.prologue };
        let identity = &scope.identity;
        let mut params = vec![
            text(role),
            text(&*identity.role),
            text(&identity.token),
            text(identity.subject.as_deref().unwrap_or_default()),
            text(&*identity.claims),
            text(&scope.headers),
            text(scope.method.as_str()),
            text(&scope.path),
            text(scope.operation),
        ];
        params.extend(self.fixed.iter().cloned());
        Step::new(Arc::clone(sql), params)
    }

    /// Whoever writes policies looks for what they refuse. Nobody's data is in it, nor the names of objects.
    fn tell(&self, scope: &Scope, error: &pg::Error) {
        if error.sqlstate() == Some(INSUFFICIENT_PRIVILEGE) {
            let (project, role) = (&self.project, &scope.identity.role);
            let reason = error.db().map(|error| error.message.as_str()).unwrap_or_default();
            tracing::info!(%project, %role, operation = scope.operation, reason, "the database refused a request");
        }
    }

    /// Runs the work as one transaction, in one round trip.
    pub(crate) async fn run(&self, scope: &Scope, work: Work) -> Result<Results, pg::Error> {
        self.attempt(scope, work).await.map_err(|failed| failed.error)
    }

    /// The same, for who has to know whether a work that failed may be done all the same.
    pub(crate) async fn attempt(&self, scope: &Scope, work: Work) -> Result<Results, Failed> {
        let pipeline = work.pipeline(self.prologue(scope, &work), &scope.settings);
        let connection = self.pool.get().await.map_err(|error| Failed { error, is_undone: true })?;
        // A connection that is dropped in the middle is not used again, and its statement is cancelled.
        let rows = tokio::time::timeout(self.work_limit, self.attempts(scope, connection, &pipeline));
        // Nobody knows what became of it then.
        let rows = rows.await.map_err(|_| {
            let error = pg::Error::Io(io::ErrorKind::TimedOut.into());
            Failed { error, is_undone: false }
        })??;
        Ok(Results {
            rows,
            places: work.places,
            first: pipeline.len() - work.steps.len() - usize::from(work.explicit),
        })
    }

    /// Runs the statements, once more if others were in the way.
    async fn attempts(
        &self,
        scope: &Scope,
        mut connection: PooledConnection,
        pipeline: &Pipeline,
    ) -> Result<Vec<Rows>, Failed> {
        let mut tries = 0;
        loop {
            match connection.run(pipeline).await {
                Ok(rows) => return Ok(rows),
                Err(error) => {
                    self.tell(scope, &error);
                    let failed = Failed { is_undone: error.is_undone(), error };
                    if connection.in_transaction() && connection.query("rollback", &[]).await.is_err() {
                        return Err(failed);
                    }
                    tries += 1;
                    // PostgreSQL undid all of it, so it can be done again.
                    let may_help =
                        failed.error.sqlstate() == Some(DEADLOCK) || failed.error.is_stale_statement();
                    if !may_help || tries > 1 {
                        return Err(failed);
                    }
                }
            }
        }
    }
}

/// A work that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: pg::Error,
    /// Whether it is certainly not done. Otherwise its answer was lost on the way.
    pub(crate) is_undone: bool,
}

/// The settings of every request, in the order of their values.
const REQUEST_SETTINGS: [&str; 8] = [
    "request.jwt.claim.role",
    "request.jwt",
    "request.jwt.claim.sub",
    "request.jwt.claims",
    "request.headers",
    "request.method",
    "request.path",
    "storage.operation",
];

/// As whom a statement runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum As {
    Caller,
    Service,
}

impl As {
    fn name(self, scope: &Scope) -> &str {
        match self {
            As::Caller => &scope.identity.role,
            As::Service => role::SERVICE,
        }
    }
}

/// Statements that are one transaction.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    first_role: As,
    role: As,
    caller: Arc<str>,
    steps: Vec<Step>,
    /// Where the results of the statements are that somebody asks for.
    places: Vec<usize>,
    explicit: bool,
    planned_once: bool,
}

/// The number of a statement of a [`Work`], by which its result is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(usize);

impl Work {
    /// An empty work that begins as this role.
    pub(crate) fn new(scope: &Scope, first: As) -> Work {
        Work {
            first_role: first,
            role: first,
            caller: Arc::clone(&scope.identity.role),
            steps: Vec::new(),
            places: Vec::new(),
            explicit: false,
            planned_once: false,
        }
    }

    /// Every statement is planned once for all values: for those that should read an index whatever is asked.
    pub(crate) fn plan_once(&mut self) {
        self.planned_once = true;
    }

    /// A statement of the service itself.
    pub(crate) fn service(&mut self, step: Step) -> Place {
        self.step(As::Service, step)
    }

    /// A statement of the caller's, under their policies.
    pub(crate) fn caller(&mut self, step: Step) -> Place {
        self.step(As::Caller, step)
    }

    pub(crate) fn step(&mut self, role: As, step: Step) -> Place {
        if self.role != role {
            let name = match role {
                As::Caller => &*self.caller,
                As::Service => role::SERVICE,
            };
            self.steps.push(Step::new(SET_ROLE, [text(name)]));
            self.role = role;
        }
        self.steps.push(step);
        self.places.push(self.steps.len() - 1);
        Place(self.places.len() - 1)
    }

    /// Tries a statement of the caller's, and undoes it: whether policies allow it is all that is wanted.
    pub(crate) fn probe(&mut self, step: Step) {
        self.probe_all([step]);
    }

    /// Tries several statements of the caller's and undoes them; the result of the last can be asked for.
    pub(crate) fn probe_all(&mut self, steps: impl IntoIterator<Item = Step>) -> Place {
        self.explicit = true;
        self.steps.push(Step::new("savepoint probe", []));
        let mut place = Place(0);
        let before = self.role;
        for step in steps {
            place = self.caller(step);
        }
        self.steps.push(Step::new("rollback to savepoint probe", []));
        // The role is as it was before the savepoint again.
        self.role = before;
        place
    }

    fn pipeline(&self, prologue: Step, settings: &[(String, String)]) -> Pipeline {
        let mut pipeline = Pipeline::new();
        if self.explicit {
            pipeline.step("begin", Vec::new());
        }
        pipeline.step(prologue.sql, prologue.params);
        for (name, value) in settings {
            pipeline.step("select set_config($1, $2, true)", vec![text(name), text(value)]);
        }
        for step in &self.steps {
            let (sql, params) = (Arc::clone(&step.sql), step.params.clone());
            if step.binary {
                pipeline.step_binary(sql, params)
            } else {
                pipeline.step(sql, params)
            };
        }
        if self.explicit {
            pipeline.step("commit", Vec::new());
        }
        pipeline
    }
}

/// What the statements of a work answered.
#[derive(Debug)]
pub(crate) struct Results {
    rows: Vec<Rows>,
    places: Vec<usize>,
    /// Where the result of the first statement is.
    first: usize,
}

impl Results {
    /// The result of the last statement of a work without a probe.
    pub(crate) fn last(mut self) -> Rows {
        self.rows.pop().unwrap_or_default()
    }

    /// The result of a statement.
    pub(crate) fn of(&self, place: Place) -> Outcome<&Rows> {
        let at = self.places.get(place.0).map(|at| at + self.first);
        at.and_then(|at| self.rows.get(at))
            .ok_or_else(|| Refusal::from(pg::Error::Decode("no result for a statement".to_owned())))
    }
}
