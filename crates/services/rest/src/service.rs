//! A request's way through the stages.

mod batch;
mod why;

use crate::batch::is_batch;
use crate::bound;
use crate::config::{OpenApiMode, Settings};
use crate::cors;
use crate::execute::{self, Context};
use crate::faults;
use crate::jwt::{TokenCacheStatus, Verifier};
use crate::openapi::{self, VISIBLE_SQL, Visible};
use crate::plan::Planner;
use crate::plans::{Planned, Plans};
use crate::request::{self, Incoming};
use crate::response;
use crate::schema::{SchemaCache, SchemaHandle, Unavailable};
use crate::statement::VALUES_MAX;
use crate::why::is_asked;
use axum::body::Body;
use bytes::Bytes;
use fault::Fault;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method, Response, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use model::{Bound, Caller, Clock, SystemClock};
use pg::Pool;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(120);

/// The data API of one project. Cheap: it holds its settings and shares pool and schema cache.
pub struct Rest {
    pool: Pool,
    schema: SchemaHandle,
    settings: Arc<Settings>,
    verifier: Verifier,
    plans: Plans,
    clock: Arc<dyn Clock>,
    pours: Option<execute::Pours>,
}

impl Rest {
    /// The data API over a pool whose login role may become the roles of the requests.
    pub fn new(pool: Pool, schema: SchemaHandle, settings: Arc<Settings>) -> Self {
        let verifier = Verifier::new(&settings);
        let (plans, clock) = (Plans::default(), Arc::new(SystemClock));
        Rest { pool, schema, settings, verifier, plans, clock, pours: None }
    }

    /// The same over a pool that others use too: large answers take turns in keeping its connections.
    #[must_use]
    pub fn with_pours(mut self, pours: execute::Pours) -> Self {
        self.pours = Some(pours);
        self
    }

    /// The same with another clock, against which tokens expire.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The settings in force.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    /// What the cache of verified tokens was good for.
    pub fn token_cache_status(&self) -> TokenCacheStatus {
        self.verifier.cache_status()
    }

    /// The way to the schema cache.
    pub fn schema(&self) -> &SchemaHandle {
        &self.schema
    }

    /// Answers a request whose service prefix has been stripped. A [`Caller`] among the request's extensions is
    /// believed; without one the `Authorization` header is verified.
    pub async fn handle(&self, request: http::Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        match self.answer(&parts, body).await {
            Ok(response) => response,
            Err(mut fault) => {
                log(&fault);
                bound::explain(&mut fault, bound_of(&parts));
                response::show_schemas(&mut fault, &self.settings);
                response::fault_response(&fault, &self.settings)
            }
        }
    }

    /// [`Rest::handle`] for a server without a gateway before it: with cross-origin headers, the trace header
    /// and our name.
    pub async fn handle_directly(&self, request: http::Request<Body>) -> Response<Body> {
        let settings = &self.settings;
        let headers = request.headers();
        let grant = cors::Grant::of(headers, settings);
        let trace = settings.server_trace_header.clone();
        let trace = trace.map(|name| {
            let value = headers.get(&name).cloned().unwrap_or(HeaderValue::from_static(""));
            (name, value)
        });
        let mut response = match cors::preflight(request.method(), headers, settings) {
            Some(response) => response,
            None => {
                let mut response = self.handle(request).await;
                if let Some(grant) = grant {
                    grant.expose(response.headers_mut());
                }
                response
            }
        };
        if let Some((name, value)) = trace {
            response.headers_mut().insert(name, value);
        }
        response.headers_mut().entry(http::header::SERVER).or_insert(HeaderValue::from_static(SERVER));
        response
    }

    async fn answer(&self, parts: &Parts, body: Body) -> Result<Response<Body>, Fault> {
        let settings = &*self.settings;
        let mut timing = Timing::start(settings.server_timing_enabled);
        let caller = match parts.extensions.get::<Caller>() {
            Some(caller) => caller.clone(),
            None => self.verifier.caller(parts.headers.get(AUTHORIZATION), self.clock.now())?,
        };
        let bound = bound_of(parts);
        let caller = bound::claimed(caller, bound);
        timing.note("jwt");
        let cache = self.schema.get().await.map_err(no_schema_cache)?;
        let received = self.receive(parts, body).await?;
        timing.skip();
        let (incoming, body) = (received.incoming(parts), received.body.clone());
        if is_asked(&parts.headers) {
            return self.explain(incoming, &caller, &cache, body).await;
        }
        if is_batch(incoming, &body) && settings.db_root_spec.is_none() {
            return self.batch(parts, &caller, &cache, &body).await;
        }
        let mut request = request::parse(incoming, body, settings)?;
        timing.note("parse");
        let planned = self.plans.plan(Planner { cache: &cache, settings }, &cache, &mut request)?;
        timing.note("plan");
        let context = Context {
            settings,
            caller: &caller,
            incoming,
            schema: &request.schema,
            prefer: &request.prefer,
            bound,
        };
        let mut response = match planned {
            Planned::Rows(plan, statement) => {
                if statement.main.params().len() > VALUES_MAX {
                    return Err(faults::too_many_values(VALUES_MAX));
                }
                let pours = self.pours.as_ref();
                let outcome = execute::run(&self.pool, pours, context, &request, &plan, statement).await?;
                timing.note("transaction");
                response::rows(outcome, &request, &plan, settings)?
            }
            Planned::Info { allow } => {
                timing.note("transaction");
                response::info(&allow)
            }
            Planned::Describe { head, schema } => {
                let document = self.describe(context, &cache, &schema, head).await?;
                timing.note("transaction");
                response::description(document, head, &request, settings)
            }
        };
        if received.read.is_some() {
            request::shorten_location(response.headers_mut());
        }
        timing.note("response");
        if settings.server_timing_enabled {
            timing.show(response.headers_mut());
        }
        Ok(response)
    }

    /// Reads the body, which may hold the query of a read.
    async fn receive(&self, parts: &Parts, body: Body) -> Result<Received, Fault> {
        let bytes_max = self.settings.body_bytes_max;
        let url = parts.uri.query().unwrap_or_default();
        let Some(method) = request::stands_for(&parts.method, &parts.headers)? else {
            return Ok(Received {
                body: read_body(body, bytes_max, faults::body_too_large).await?,
                read: None,
            });
        };
        let bytes_max = bytes_max.min(request::QUERY_BYTES_MAX);
        let text = read_body(body, bytes_max, || faults::query_too_large(bytes_max)).await?;
        Ok(Received { body: Bytes::new(), read: Some((method, request::whole_query(url, &text)?)) })
    }

    async fn describe(
        &self,
        context: Context<'_>,
        cache: &SchemaCache,
        schema: &str,
        head: bool,
    ) -> Result<Bytes, Fault> {
        let visible = match self.settings.openapi_mode {
            OpenApiMode::FollowPrivileges => Some(self.visible(context, schema).await?),
            OpenApiMode::IgnorePrivileges | OpenApiMode::Disabled => None,
        };
        if head {
            return Ok(Bytes::new());
        }
        let document = openapi::document(cache, &self.settings, schema, visible.as_ref());
        Ok(document.to_string().into())
    }

    async fn visible(&self, context: Context<'_>, schema: &str) -> Result<Visible, Fault> {
        let results = execute::run_read(&self.pool, context, VISIBLE_SQL, vec![pg::text(schema)]).await?;
        let text = results.first().and_then(|row| row.text(0)).unwrap_or("[[],[]]");
        Visible::parse(text)
            .map_err(|error| faults::internal("The root cannot be described").caused_by(error))
    }
}

const SERVER: &str = concat!("rowhouse/", env!("CARGO_PKG_VERSION"));

/// What an API key binds a request to.
fn bound_of(parts: &Parts) -> Option<&Bound> {
    parts.extensions.get::<Arc<Bound>>().map(|bound| &**bound)
}

/// A request's body; of one that stands for a read, that read.
struct Received {
    body: Bytes,
    read: Option<(Method, String)>,
}

impl Received {
    fn incoming<'a>(&'a self, parts: &'a Parts) -> Incoming<'a> {
        let (method, query) = match &self.read {
            Some((method, query)) => (method, query.as_str()),
            None => (&parts.method, parts.uri.query().unwrap_or_default()),
        };
        Incoming { method, path: parts.uri.path(), query, headers: &parts.headers }
    }
}

async fn read_body(body: Body, bytes_max: usize, too_large: impl Fn() -> Fault) -> Result<Bytes, Fault> {
    let limited = Limited::new(body, bytes_max);
    match tokio::time::timeout(BODY_TIMEOUT, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(faults::body("The request body could not be read").caused_by(error)),
        Err(_) => Err(faults::body("The request body did not arrive in time")),
    }
}

fn no_schema_cache(unavailable: Unavailable) -> Fault {
    let seconds = unavailable.retry_after.as_secs().max(1);
    faults::no_schema_cache().with_header(RETRY_AFTER, HeaderValue::from(seconds)).caused_by(unavailable)
}

/// A fault of ours is worth a line; a client's is in the access log.
fn log(fault: &Fault) {
    if fault.status.is_server_error() {
        tracing::error!(code = %fault.code, cause = fault.cause().map(tracing::field::display), "{}", fault.message);
    } else {
        tracing::debug!(code = %fault.code, cause = fault.cause().map(tracing::field::display), "{}", fault.message);
    }
}

/// How long the stages took, where it is wanted.
struct Timing {
    wanted: bool,
    last: Instant,
    stages: Vec<(&'static str, Duration)>,
}

impl Timing {
    fn start(wanted: bool) -> Self {
        Timing { wanted, last: Instant::now(), stages: Vec::new() }
    }

    fn skip(&mut self) {
        if self.wanted {
            self.last = Instant::now();
        }
    }

    fn note(&mut self, stage: &'static str) {
        if !self.wanted {
            return;
        }
        let now = Instant::now();
        self.stages.push((stage, now - self.last));
        self.last = now;
    }

    /// `jwt;dur=0.1, parse;dur=…` in milliseconds.
    fn show(&self, headers: &mut http::HeaderMap) {
        const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
        let shown: Vec<String> = self
            .stages
            .iter()
            .map(|(stage, took)| format!("{stage};dur={:.1}", took.as_secs_f64() * 1000.0))
            .collect();
        if let Ok(value) = HeaderValue::try_from(shown.join(", ")) {
            headers.insert(SERVER_TIMING, value);
        }
    }
}
