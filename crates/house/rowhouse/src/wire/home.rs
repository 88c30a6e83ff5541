//! The services of one project, made when they are wanted.

use super::databases::Database;
use super::in_database;
use super::storage::public_keys;
use super::{ProjectSettings, Wire, entities, not_now, unavailable};
use axum::body::Body;
use fault::Fault;
use gateway::{BoxFuture, Service, Services};
use http::{HeaderValue, Request, Response, header};
use model::Tenancy;
use platform::{Endpoint, Resolved};
use rest::schema::SchemaHandle;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// How long a failure to make the services is taken for the state of things.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// A project's services, running or not.
pub(super) struct Home {
    wire: Weak<super::Inner>,
    pub resolved: Arc<Resolved>,
    state: Mutex<State>,
    /// Held by the request that makes the services; the others wait for it. Holds when that last failed.
    building: tokio::sync::Mutex<Option<Instant>>,
}

struct State {
    running: Option<Arc<Running>>,
    used: Instant,
}

/// Services at work. Dropping the value lets the project's server sleep.
pub(super) struct Running {
    pub rest: rest::Rest,
    pub auth: auth::Auth,
    pub storage: storage::Storage,
    database: Database,
    is_own: bool,
    _watch: Option<AbortOnDropHandle<()>>,
    /// Keeps a dedicated server awake.
    _endpoint: Endpoint,
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_own {
            self.database.close();
        }
    }
}

impl Home {
    pub(super) fn new(wire: &Wire, resolved: Arc<Resolved>) -> Self {
        Home {
            wire: Arc::downgrade(&wire.inner),
            resolved,
            state: Mutex::new(State { running: None, used: Instant::now() }),
            building: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn wire(&self) -> Result<Wire, Fault> {
        let inner = self.wire.upgrade().ok_or_else(|| unavailable(platform::Error::Interrupted))?;
        Ok(Wire { inner })
    }

    /// The services: those that run, or new ones.
    pub(super) async fn running(self: &Arc<Self>) -> Result<Arc<Running>, Fault> {
        if let Some(running) = self.current() {
            self.keep_awake().await?;
            return Ok(running);
        }
        let mut failed = self.building.lock().await;
        if let Some(running) = self.current() {
            return Ok(running);
        }
        // Those who waited for an attempt share its failure, rather than trying one after the other.
        if failed.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            return Err(not_now());
        }
        let built = Box::pin(self.build()).await;
        *failed = built.is_err().then(Instant::now);
        let running = Arc::new(built?);
        self.state().running = Some(Arc::clone(&running));
        Ok(running)
    }

    fn current(&self) -> Option<Arc<Running>> {
        let mut state = self.state();
        state.used = Instant::now();
        state.running.clone()
    }

    /// A server that has crashed is started again by the next request.
    async fn keep_awake(&self) -> Result<(), Fault> {
        if self.resolved.project.tenancy == Tenancy::Pooled {
            return Ok(());
        }
        let wire = self.wire()?;
        let Some(instances) = wire.inner.platform.instances() else { return Ok(()) };
        let name = instance::InstanceName::from(&self.resolved.project.reference);
        instances.ensure_running(&name).await.map(drop).map_err(|error| unavailable(error.into()))
    }

    async fn build(self: &Arc<Self>) -> Result<Running, Fault> {
        let wire = self.wire()?;
        let (inner, project) = (&wire.inner, &self.resolved.project);
        let endpoint = inner.platform.endpoint(project).await.map_err(unavailable)?;
        let is_own = project.tenancy == Tenancy::Dedicated;
        let database = if is_own {
            inner.databases.open(&endpoint)
        } else {
            inner.databases.shared(&endpoint).shared_out()
        };
        let settings = ProjectSettings::of(inner.platform.catalog(), project);
        let signing_keys = &self.resolved.signing_keys;
        let url = inner.settings.addresses.of(&project.reference);
        let in_database = database.says(is_own).await.map_err(|error| unavailable(error.into()))?;
        let rest_settings = Arc::new(in_database.over(settings.rest(&endpoint, signing_keys, &url)).await);
        let mut auth_settings = settings.auth(&endpoint, signing_keys, &url);
        auth_settings.outbound = inner.settings.outbound.share();
        let local_mail = inner.settings.local_mail.as_ref();
        super::mail::apply(&mut auth_settings, &settings.auth, local_mail, inner.settings.outbound.reach());
        auth_settings.mail.bell = Some(inner.post.bell(&project.reference));
        // There may be mail from before.
        inner.post.ring(&project.reference, Duration::ZERO);
        let custom = &mut auth_settings.external.custom;
        custom.local = auth_settings.outbound.reach() == outbound::Reach::Anywhere;
        let place = catalog::Place {
            table: "custom_oauth_providers",
            column: "client_secret",
            row: project.reference.as_str(),
        };
        custom.key = Some(auth::SealingKey(inner.platform.catalog().key().derive(place)));
        // The gateway sees to it that clients cannot make this header up.
        auth_settings.rate_limits.header =
            inner.settings.limits_clients.then(|| "x-forwarded-for".to_owned());
        let is_local = inner.settings.default_project.as_ref() == Some(&project.reference);
        let mut storage_settings =
            settings.storage(&project.reference, project.tenancy, &endpoint, signing_keys, (&url, is_local));
        storage_settings.usage = inner.usages.of(&project.reference);
        storage_settings.events = settings
            .storage
            .events
            .listener(inner.settings.outbound.share(), Arc::new(inner.post.bell_of(&project.reference)));
        storage_settings.cdn = settings.storage.cdn.caches(inner.settings.outbound.share());
        let catalog = inner.platform.catalog();
        storage_settings.s3.session_secrets = public_keys(catalog, &project.reference).await;
        let new_handle = if is_own { SchemaHandle::recycling } else { SchemaHandle::new };
        let handle = new_handle(database.rest.clone(), Arc::clone(&rest_settings));
        database.listener.register(&handle);
        let rest = rest::Rest::new(database.rest.clone(), handle, rest_settings)
            .with_clock(Arc::clone(&inner.clock));
        Ok(Running {
            rest: if is_own { rest } else { rest.with_pours(database.pours.clone()) },
            auth: auth::Auth::new(auth_settings, database.auth.clone(), Arc::clone(&inner.clock))
                .with_counters(inner.counters.of(&project.reference)),
            storage: storage::Storage::new(
                storage_settings,
                database.storage.clone(),
                inner.settings.files.clone(),
                Arc::clone(&inner.clock),
            ),
            _watch: is_own.then(|| in_database::watch(&database, in_database, Arc::downgrade(self))),
            database,
            is_own,
            _endpoint: endpoint,
        })
    }

    /// The services, if they run. Asking is no use of them.
    pub(super) fn at_work(&self) -> Option<Arc<Running>> {
        self.state().running.clone()
    }

    /// Drops the services if nobody has used them for so long.
    pub(super) fn drop_if_idle(&self, idle: Duration) {
        let mut state = self.state();
        if state.used.elapsed() >= idle {
            let running = state.running.take();
            drop(state);
            drop(running);
        }
    }

    /// How many bytes the schema cache takes and when it was last wanted; nothing when no service runs.
    pub(super) fn holds(&self) -> Option<(usize, Instant)> {
        let state = self.state();
        let running = state.running.as_ref()?;
        Some((running.rest.schema().status().bytes, state.used))
    }

    /// Drops the services; requests at work finish with them.
    pub(super) fn close(&self) {
        let running = self.state().running.take();
        drop(running);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The services as the gateway sees them; those that the project has switched off are not there.
pub(super) fn services(home: &Arc<Home>, catalog: &catalog::Catalog) -> Services {
    let settings = ProjectSettings::of(catalog, &home.resolved.project);
    let (rest, auth) = (RestService(Arc::clone(home)), AuthService(Arc::clone(home)));
    Services {
        rest: settings.api.enabled.then(|| Arc::new(rest) as Arc<dyn Service>),
        auth: settings.auth.enabled.then(|| Arc::new(auth) as Arc<dyn Service>),
        storage: settings
            .storage
            .enabled
            .then(|| Arc::new(super::storage::StorageService(Arc::clone(home))) as Arc<dyn Service>),
        platform: Some(Arc::new(entities::EntitiesService(Arc::clone(home)))),
    }
}

struct RestService(Arc<Home>);
struct AuthService(Arc<Home>);

impl Service for RestService {
    fn call(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>> {
        Box::pin(async move {
            match self.0.running().await {
                Ok(running) => running.rest.handle(request).await,
                Err(fault) => failed(&fault, fault::rest_body(&fault)),
            }
        })
    }
}

impl Service for AuthService {
    fn call(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>> {
        Box::pin(async move {
            match self.0.running().await {
                Ok(running) => running.auth.handle(request).await,
                Err(fault) => {
                    let dated = request.headers().contains_key("x-supabase-api-version");
                    failed(&fault, fault::auth_body(&fault, dated, None))
                }
            }
        })
    }
}

pub(super) fn failed(fault: &Fault, body: Vec<u8>) -> Response<Body> {
    if let Some(cause) = fault.cause().filter(|_| fault.status.is_server_error()) {
        tracing::error!(status = fault.status.as_u16(), %cause, "{}", fault.message);
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = fault.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    for (name, value) in &fault.headers {
        headers.append(name, value.clone());
    }
    response
}
