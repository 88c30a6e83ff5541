//! The one place that knows every crate: it makes the gateway's tenants out of the platform's projects, and gives
//! each its services.
//!
//! What a request needs of a project is remembered in a bounded cache. Services are made when the first request
//! wants them and dropped when nobody has wanted them for a while; a dedicated project's server may sleep then.

mod counters;
mod databases;
mod entities;
mod files;
mod home;
mod in_database;
mod keys;
mod mail;
mod post;
mod settings;
mod storage;
mod usage;

pub use databases::PoolSizes;
pub use mail::LocalMail;
pub use settings::ProjectSettings;
pub(crate) use settings::{S3_KEYS, SAML_KEY};

use databases::Databases;
use fault::Fault;
use gateway::{BoxFuture, Lookup, ProjectLimits, Projects, Slots, Tenant};
use home::Home;
use lru::LruCache;
use model::{Clock, ProjectRef};
use platform::{Platform, ProjectStatus, Resolved};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How many projects are remembered with what their requests need. One that is forgotten is found again in some
/// milliseconds.
const TENANTS_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("4096 is not zero");

/// The longest pause between two looks at what is not needed any more.
const SWEEP_PAUSE: Duration = Duration::from_secs(5);

/// How the wiring is set up.
#[derive(Debug, Clone)]
pub struct WireSettings {
    /// The project that requests mean which name none.
    pub default_project: Option<ProjectRef>,
    pub addresses: Addresses,
    pub limits: ProjectLimits,
    /// The memory for the bodies of all requests.
    pub body_memory: gateway::Memory,
    pub pools: PoolSizes,
    /// Where files are, and what handles them.
    pub files: ::storage::Machinery,
    /// Whether auth counts the requests of each client address.
    pub limits_clients: bool,
    /// Calls hooks, providers and senders; each project gets a share of its own.
    pub outbound: outbound::Client,
    /// Takes the mail of projects that have no server for it.
    pub local_mail: Option<LocalMail>,
    /// After this long without a request a project's services are dropped; `None`: never.
    pub idle: Option<Duration>,
    /// How many bytes the schema caches of all projects may take together. Above it those that were used longest ago
    /// are dropped with their services, and made anew by their next request.
    pub schema_bytes: usize,
}

/// Under which URLs projects are reached.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Without a slash at its end.
    pub public_url: String,
    /// The first domain below which projects have names.
    pub base_domain: Option<String>,
    /// The project that needs no name in its URL.
    pub default_project: Option<ProjectRef>,
}

impl Addresses {
    /// The URL that a client of the project is given.
    pub fn of(&self, project: &ProjectRef) -> String {
        if self.default_project.as_ref() == Some(project) {
            return self.public_url.clone();
        }
        match &self.base_domain {
            Some(domain) => {
                let (scheme, rest) = self.public_url.split_once("://").unwrap_or(("http", ""));
                let port = rest.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
                let port = port.map(|(_, port)| format!(":{port}")).unwrap_or_default();
                format!("{scheme}://{project}.{domain}{port}")
            }
            None => format!("{}/p/{project}", self.public_url),
        }
    }
}

/// All projects of a platform, as the gateway wants them. Cheap to clone.
#[derive(Clone)]
pub struct Wire {
    inner: Arc<Inner>,
}

struct Inner {
    post: Arc<post::Post>,
    platform: Platform,
    settings: WireSettings,
    databases: Databases,
    counters: counters::Shelf,
    clock: Arc<dyn Clock>,
    tenants: Mutex<LruCache<ProjectRef, Known>>,
    usages: usage::Usages,
}

/// A tenant with what it was made from.
#[derive(Clone)]
struct Known {
    resolved: Arc<Resolved>,
    tenant: Arc<Tenant>,
    home: Arc<Home>,
}

impl Wire {
    /// `stop` ends the tasks that the wiring starts.
    pub fn new(
        platform: Platform,
        settings: WireSettings,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Wire {
        let databases = Databases::new(settings.pools, stop);
        let tenants = Mutex::new(LruCache::new(TENANTS_MAX));
        Wire {
            inner: Arc::new(Inner {
                post: Arc::default(),
                platform,
                settings,
                databases,
                counters: counters::Shelf::default(),
                clock,
                tenants,
                usages: usage::Usages::default(),
            }),
        }
    }

    /// Has the mail of all projects sent, until `stop` is cancelled.
    pub async fn post(self, stop: CancellationToken) {
        if let Some(project) = &self.inner.settings.default_project {
            // What was not sent when the program ended last.
            self.inner.post.ring(project, Duration::ZERO);
        }
        match self.inner.platform.projects_with_mail().await {
            Ok(projects) => projects.iter().for_each(|project| self.inner.post.ring(project, Duration::ZERO)),
            Err(error) => tracing::warn!(%error, "mail of pooled projects waits until they wake"),
        }
        Arc::clone(&self.inner.post).run(self, stop).await;
    }

    /// Drops services that nobody uses and schema caches above their budget, until `stop` is cancelled.
    pub async fn sweep(self, stop: CancellationToken) {
        let idle = self.inner.settings.idle;
        let pause = idle.map_or(SWEEP_PAUSE, |idle| (idle / 4).max(Duration::from_millis(100)));
        let mut ticks = tokio::time::interval(pause.min(SWEEP_PAUSE));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let homes: Vec<_> = self.tenants().iter().map(|(_, known)| Arc::clone(&known.home)).collect();
            if let Some(idle) = idle {
                homes.iter().for_each(|home| home.drop_if_idle(idle));
            }
            keep_budget(&homes, self.inner.settings.schema_bytes);
            drop(homes);
            self.inner.counters.sweep(self.inner.clock.now());
        }
    }

    /// Drops what is remembered of a project: its next request finds it anew.
    pub fn forget(&self, project: &ProjectRef) {
        self.inner.platform.catalog().forget(project);
        let known = self.tenants().pop(project);
        if let Some(known) = known {
            known.home.close();
        }
    }

    /// Closes all services.
    pub fn close(&self) {
        let mut tenants = self.tenants();
        while let Some((_, known)) = tenants.pop_lru() {
            known.home.close();
        }
        drop(tenants);
        self.inner.databases.close();
    }

    /// A client for addresses that owners of projects choose.
    pub(crate) fn outbound(&self) -> outbound::Client {
        self.inner.settings.outbound.share()
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.inner.platform
    }

    async fn find(&self, lookup: Lookup) -> Result<Option<Arc<Tenant>>, Fault> {
        let lookup = match lookup {
            Lookup::Ref(reference) => platform::Lookup::Ref(reference),
            Lookup::Domain(name) => platform::Lookup::Domain(name),
            Lookup::KeyHash(hash) => platform::Lookup::KeyHash(hash),
            Lookup::Default => match &self.inner.settings.default_project {
                Some(reference) => platform::Lookup::Ref(reference.clone()),
                None => return Ok(None),
            },
        };
        let resolved = self.inner.platform.resolve(lookup).await.map_err(unavailable)?;
        Ok(resolved.filter(|found| is_served(found)).map(|found| self.tenant(found)))
    }

    /// The tenant of a project: the one that is known, if the project is still as it was.
    fn tenant(&self, resolved: Arc<Resolved>) -> Arc<Tenant> {
        let reference = &resolved.project.reference;
        let mut tenants = self.tenants();
        let before = tenants.get(reference).cloned();
        if let Some(known) = before.as_ref().filter(|known| is_same(&known.resolved, &resolved)) {
            return Arc::clone(&known.tenant);
        }
        let home = Arc::new(Home::new(self, Arc::clone(&resolved)));
        // Requests that are at work count on, whatever has changed.
        let slots = before.as_ref().map_or_else(
            || Slots::new(self.inner.settings.limits, &self.inner.settings.body_memory),
            |known| known.tenant.slots.clone(),
        );
        let tenant = Arc::new(Tenant {
            reference: reference.clone(),
            keys: keys::api_keys(&resolved),
            slots,
            services: home::services(&home, self.inner.platform.catalog()),
        });
        let known = Known { resolved: Arc::clone(&resolved), tenant: Arc::clone(&tenant), home };
        tenants.put(reference.clone(), known);
        drop(tenants);
        if let Some(before) = before {
            before.home.close();
        }
        tenant
    }

    fn tenants(&self) -> std::sync::MutexGuard<'_, LruCache<ProjectRef, Known>> {
        self.inner.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Projects for Wire {
    fn resolve(&self, lookup: Lookup) -> BoxFuture<'_, Result<Option<Arc<Tenant>>, Fault>> {
        Box::pin(self.find(lookup))
    }
}

/// Drops the services that were used longest ago until the schema caches of the others fit.
fn keep_budget(homes: &[Arc<Home>], bytes_max: usize) {
    let holders: Vec<_> =
        homes.iter().filter_map(|home| home.holds().map(|(bytes, used)| (used, bytes, home))).collect();
    for (_, bytes, home) in over_budget(holders, bytes_max) {
        tracing::debug!(project = %home.resolved.project.reference, bytes, "a schema cache made room for others");
        home.close();
    }
}

/// Those that go, the longest unused first: so many that the rest takes no more than `bytes_max`, but never the one
/// used last.
fn over_budget<T>(mut holders: Vec<(Instant, usize, T)>, bytes_max: usize) -> Vec<(Instant, usize, T)> {
    let mut held: usize = holders.iter().map(|(_, bytes, _)| bytes).sum();
    holders.sort_by_key(|(used, ..)| *used);
    holders.pop();
    let goes = |(_, bytes, _): &(Instant, usize, T)| {
        let goes = held > bytes_max;
        held -= bytes;
        goes
    };
    holders.into_iter().take_while(goes).collect()
}

/// A project that is being made or removed is not there for clients.
fn is_served(resolved: &Resolved) -> bool {
    !matches!(
        resolved.project.status,
        ProjectStatus::ComingUp
            | ProjectStatus::GoingDown
            | ProjectStatus::InitFailed
            | ProjectStatus::Removed
    )
}

/// Whether nothing has changed that keys or services are made from. The catalog may hand out a new value for an
/// unchanged project.
fn is_same(a: &Arc<Resolved>, b: &Arc<Resolved>) -> bool {
    let keys = |resolved: &Resolved| {
        resolved.keys.iter().map(|key| (key.id, key.updated_at.clone())).collect::<Vec<_>>()
    };
    Arc::ptr_eq(a, b)
        || (a.project.status == b.project.status
            && a.project.settings == b.project.settings
            && a.project.tenancy == b.project.tenancy
            && a.project.shard == b.project.shard
            && a.project.created_at == b.project.created_at
            && a.signing_keys == b.signing_keys
            && keys(a) == keys(b))
}

/// The platform's own troubles are not the client's fault, and may pass.
fn unavailable(error: platform::Error) -> Fault {
    not_now().caused_by(error.to_string())
}

/// The same, where the trouble has been told before.
fn not_now() -> Fault {
    let message = "The project cannot be reached right now";
    Fault::new(http::StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
        .with_header(http::header::RETRY_AFTER, http::HeaderValue::from_static("1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let holders = || vec![(at(3), 40, "c"), (at(1), 10, "a"), (at(2), 20, "b")];
        let gone = |bytes_max| {
            over_budget(holders(), bytes_max).into_iter().map(|(.., name)| name).collect::<Vec<_>>()
        };
        assert!(gone(70).is_empty());
        assert_eq!(gone(69), ["a"]);
        assert_eq!(gone(59), ["a", "b"]);
        assert_eq!(gone(0), ["a", "b"], "the one in use stays");
        assert!(over_budget(Vec::<(Instant, usize, ())>::new(), 0).is_empty());
    }

    #[test]
    fn projects_have_addresses() {
        let (a, b): (ProjectRef, ProjectRef) =
            ("aaaaaaaaaaaaaaaaaaaa".parse().unwrap(), "bbbbbbbbbbbbbbbbbbbb".parse().unwrap());
        let mut addresses = Addresses {
            public_url: "https://h.test:8443".to_owned(),
            base_domain: None,
            default_project: Some(a.clone()),
        };
        assert_eq!(addresses.of(&a), "https://h.test:8443");
        assert_eq!(addresses.of(&b), "https://h.test:8443/p/bbbbbbbbbbbbbbbbbbbb");
        addresses.base_domain = Some("base.test".to_owned());
        assert_eq!(addresses.of(&b), "https://bbbbbbbbbbbbbbbbbbbb.base.test:8443");
        addresses.public_url = "http://[::1]".to_owned();
        assert_eq!(addresses.of(&b), "http://bbbbbbbbbbbbbbbbbbbb.base.test");
    }
}
