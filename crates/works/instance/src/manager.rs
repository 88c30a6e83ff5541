//! The managed servers of one data directory.

use crate::error::{Error, blocking};
use crate::find::Installation;
use crate::layout::{Layout, unfinished, unwanted};
use crate::lease::Lease;
use crate::name::InstanceName;
use crate::server::{self, Endpoint, Launch, Server};
use crate::settings::{Settings, Tuning};
use crate::slot::Slot;
use crate::template::{Template, TemplateSpec, Workshop, write_conf};
use crate::tree;
use crate::user::ServerUser;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The managed servers. A cheap handle; all clones are the same manager.
#[derive(Clone)]
pub struct Instances {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// The preferred one first; never empty.
    installations: Vec<Installation>,
    user: ServerUser,
    pub(crate) layout: Layout,
    /// Only instances that exist on disk, so bounded by them.
    slots: Mutex<HashMap<InstanceName, Arc<Slot>>>,
    /// One template is made at a time.
    workshop: tokio::sync::Mutex<()>,
    pub(crate) tasks: TaskTracker,
    pub(crate) closing: CancellationToken,
}

/// What [`Instances::create`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    New,
    /// It was complete already: the call repeats an earlier one.
    Existed,
}

/// What an instance is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Missing,
    Asleep,
    Running {
        /// The process number of the server.
        pid: i32,
        /// Since it was started or taken over.
        running_for: Duration,
        leases: usize,
    },
}

impl Instances {
    pub(crate) fn assemble(
        settings: Settings,
        installations: Vec<Installation>,
        user: ServerUser,
        layout: Layout,
    ) -> Instances {
        let shared = Shared {
            settings,
            installations,
            user,
            layout,
            slots: Mutex::default(),
            workshop: tokio::sync::Mutex::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        };
        Instances { shared: Arc::new(shared) }
    }

    /// The PostgreSQL that new instances are made with.
    pub fn installation(&self) -> &Installation {
        &self.shared.installations[0]
    }

    /// The user that servers run as.
    pub fn user(&self) -> &ServerUser {
        &self.shared.user
    }

    /// The template with these contents: found on disk, or made.
    ///
    /// # Errors
    /// When initdb fails or a script is refused.
    pub async fn prepare(&self, spec: &TemplateSpec) -> Result<Template, Error> {
        let (instances, spec) = (self.clone(), spec.clone());
        let work = async move {
            let shared = &instances.shared;
            let _one = shared.workshop.lock().await;
            let workshop = Workshop {
                settings: &shared.settings,
                layout: &shared.layout,
                user: &shared.user,
                installation: instances.installation(),
            };
            workshop.prepare(&spec).await
        };
        // In a task of its own: a caller who goes away leaves no server behind.
        self.shared.tasks.spawn(Box::pin(work)).await.unwrap_or(Err(Error::Interrupted))
    }

    /// Makes an instance from a template, asleep. Can be repeated; it is there completely or not at all.
    ///
    /// # Errors
    /// When the files cannot be written or a setting is no setting.
    pub async fn create(
        &self,
        name: &InstanceName,
        from: &Template,
        tuning: &Tuning,
    ) -> Result<Created, Error> {
        let home = self.shared.layout.home(name);
        let (owner, template, tuning) = (self.shared.user.clone(), from.dir.clone(), tuning.clone());
        let slot = Arc::new(Slot::new(name.clone()));
        // Two calls for the same name are kept apart by the slot's turn, which is why it is registered first.
        let slot = Arc::clone(self.slots().entry(name.clone()).or_insert(slot));
        let turn = Arc::clone(&slot.turn).lock_owned().await;
        let made = blocking(move || {
            let _turn = turn;
            if home.is_dir() {
                return Ok(Created::Existed);
            }
            let new = unfinished(&home);
            let what = || home.display().to_string();
            tree::remove(&new).map_err(Error::io(what()))?;
            tree::make_dir(&new, 0o700).map_err(Error::io(what()))?;
            owner.own(&new).map_err(Error::io(what()))?;
            tree::copy(&template.join("data"), &new.join("data"), &owner).map_err(Error::io(what()))?;
            write_conf(&new.join("data"), &tuning, &owner)?;
            tree::publish(&new, &home).map_err(Error::io(what()))?;
            Ok(Created::New)
        })
        .await;
        if made.is_err() {
            self.slots().remove(name);
        }
        made
    }

    /// Makes sure that the instance runs, and keeps it from sleeping while the lease lives.
    ///
    /// # Errors
    /// When there is no such instance or its server does not start.
    pub async fn wake(&self, name: &InstanceName) -> Result<Lease, Error> {
        let slot = self.slot(name).await?;
        let lease = Lease::begin(Arc::clone(&slot));
        let endpoint = self.start(slot).await?;
        Ok(lease.with_endpoint(endpoint))
    }

    /// Makes sure that the instance runs, and counts as a use of it at this moment.
    ///
    /// # Errors
    /// As [`Instances::wake`].
    pub async fn ensure_running(&self, name: &InstanceName) -> Result<Endpoint, Error> {
        let slot = self.slot(name).await?;
        self.start(slot).await
    }

    /// Where the server listens, if it runs; not a use of it.
    pub fn peek(&self, name: &InstanceName) -> Option<Endpoint> {
        let slot = self.known(name)?;
        slot.glance().server.map(|server| server.endpoint)
    }

    /// Notes a use, without waking.
    pub fn touch(&self, name: &InstanceName) {
        if let Some(slot) = self.known(name) {
            slot.touch();
        }
    }

    /// What the instance is doing.
    pub async fn status(&self, name: &InstanceName) -> Status {
        let Ok(slot) = self.slot(name).await else { return Status::Missing };
        let glance = slot.glance();
        match glance.server {
            Some(server) => Status::Running {
                pid: server.pid,
                running_for: glance.since.elapsed(),
                leases: glance.leases,
            },
            None => Status::Asleep,
        }
    }

    /// All instances on disk, in no order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub async fn list(&self) -> Result<Vec<InstanceName>, Error> {
        let layout = self.shared.layout.clone();
        blocking(move || layout.names().map_err(Error::io("list of instances"))).await
    }

    /// The instances that run now.
    pub fn running(&self) -> Vec<InstanceName> {
        self.slots().values().filter(|s| s.glance().server.is_some()).map(|s| s.name.clone()).collect()
    }

    /// The last lines of the server's log, without statements.
    pub async fn log_tail(&self, name: &InstanceName) -> String {
        let log = self.shared.layout.log(name);
        blocking(move || Ok(tree::log_tail(&log))).await.unwrap_or_default()
    }

    /// Stops the server: sessions are ended, everything is written. That it sleeps already is fine.
    ///
    /// # Errors
    /// When it cannot be stopped even by force.
    pub async fn stop(&self, name: &InstanceName) -> Result<(), Error> {
        let Some(slot) = self.known(name) else { return Ok(()) };
        self.stop_slot(slot).await
    }

    /// Puts every instance to sleep that has had no user for so long. Which ones it were.
    pub async fn sleep_idle(&self, idle: Duration) -> Vec<InstanceName> {
        let slots: Vec<Arc<Slot>> = self.slots().values().cloned().collect();
        let mut asleep = Vec::new();
        for slot in slots {
            // Somebody is starting or stopping it: not idle.
            let Ok(_turn) = slot.turn.try_lock() else { continue };
            let Some(server) = slot.begin_sleep(idle) else { continue };
            if server.stop(self.shared.settings.stop_timeout).await {
                slot.end_stop();
                tracing::debug!(instance = %slot.name, "asleep");
                asleep.push(slot.name.clone());
            } else {
                tracing::error!(instance = %slot.name, "PostgreSQL did not stop");
            }
        }
        asleep
    }

    /// Stops the instance and removes all that belongs to it. Can be repeated.
    ///
    /// # Errors
    /// When its server does not stop or its files cannot be removed.
    pub async fn remove(&self, name: &InstanceName) -> Result<(), Error> {
        let Ok(slot) = self.slot(name).await else { return Ok(()) };
        self.stop_slot(Arc::clone(&slot)).await?;
        let turn = Arc::clone(&slot.turn).lock_owned().await;
        let (layout, key) = (self.shared.layout.clone(), name.clone());
        blocking(move || {
            let _turn = turn;
            let home = layout.home(&key);
            let gone = unwanted(&home);
            let what = || home.display().to_string();
            if home.exists() {
                tree::remove(&gone).map_err(Error::io(what()))?;
                std::fs::rename(&home, &gone).map_err(Error::io(what()))?;
            }
            crate::orphan::kill_all_in(&gone.join("data"));
            tree::remove(&gone).map_err(Error::io(what()))?;
            layout.remove_socket_dir(key.as_str()).map_err(Error::io(what()))
        })
        .await?;
        self.slots().remove(name);
        Ok(())
    }

    /// Stops all servers and the manager's own work.
    ///
    /// # Errors
    /// The first server that did not stop; the others are stopped all the same.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.shared.closing.cancel();
        self.shared.tasks.close();
        let slots: Vec<Arc<Slot>> = self.slots().values().cloned().collect();
        let stops: Vec<_> = slots
            .into_iter()
            .map(|slot| {
                let instances = self.clone();
                tokio::spawn(async move { instances.stop_slot(slot).await })
            })
            .collect();
        let mut result = Ok(());
        for stop in stops {
            result = result.and(stop.await.unwrap_or(Err(Error::Interrupted)));
        }
        self.shared.tasks.wait().await;
        result
    }

    // === one instance ===

    fn slots(&self) -> MutexGuard<'_, HashMap<InstanceName, Arc<Slot>>> {
        self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, name: &InstanceName) -> Option<Arc<Slot>> {
        self.slots().get(name).cloned()
    }

    /// The slot of an instance that exists.
    async fn slot(&self, name: &InstanceName) -> Result<Arc<Slot>, Error> {
        if let Some(slot) = self.known(name) {
            return Ok(slot);
        }
        if !tokio::fs::try_exists(self.shared.layout.home(name)).await.unwrap_or(false) {
            return Err(Error::Unknown(name.clone()));
        }
        let new = Arc::new(Slot::new(name.clone()));
        Ok(Arc::clone(self.slots().entry(name.clone()).or_insert(new)))
    }

    /// Returns at once when the server runs. Otherwise the first caller starts it, in a task of its own so that it
    /// is not left half started when the caller goes away; the others wait and share the outcome, a failure too.
    async fn start(&self, slot: Arc<Slot>) -> Result<Endpoint, Error> {
        if let Some(endpoint) = slot.running() {
            return Ok(endpoint);
        }
        if self.shared.closing.is_cancelled() {
            return Err(Error::Interrupted);
        }
        let (instances, before) = (self.clone(), slot.starts());
        let work = async move {
            let mut turn = slot.turn.lock().await;
            if let Some(endpoint) = slot.running() {
                return Ok(endpoint);
            }
            if slot.starts() != before
                && let Some(error) = &turn.error
            {
                return Err(error.clone());
            }
            let outcome = instances.launch(&slot.name).await;
            turn.error = outcome.as_ref().err().cloned();
            slot.count_start();
            let server = outcome?;
            let endpoint = server.endpoint.clone();
            slot.set_running(server);
            Ok(endpoint)
        };
        self.shared.tasks.spawn(Box::pin(work)).await.unwrap_or(Err(Error::Interrupted))
    }

    /// Takes over the server that runs on the directory, or starts one.
    async fn launch(&self, name: &InstanceName) -> Result<Server, Error> {
        if self.shared.closing.is_cancelled() {
            return Err(Error::Interrupted);
        }
        let shared = &self.shared;
        let (data, begun) = (shared.layout.data(name), Instant::now());
        let (layout, key) = (shared.layout.clone(), name.clone());
        let socket_dir = blocking(move || layout.socket_dir(key.as_str())).await?;
        let deadline = begun + shared.settings.start_timeout;
        let survivor =
            server::adopt(name.as_str(), &data, &socket_dir, deadline, shared.settings.stop_timeout);
        if let Some(server) = survivor.await? {
            return Ok(server);
        }
        let launch = Launch {
            name: name.to_string(),
            installation: self.installation_of(name).await?,
            user: shared.user.clone(),
            log: shared.layout.log(name),
            log_bytes_max: shared.settings.log_bytes_max,
            data,
            socket_dir,
            extra: Vec::new(),
            deadline,
        };
        let server = launch.start().await?;
        tracing::debug!(instance = %name, pid = server.pid, ms = begun.elapsed().as_millis(), "awake");
        Ok(server)
    }

    /// The installation that can run the instance: the one of the version that made it.
    async fn installation_of(&self, name: &InstanceName) -> Result<Installation, Error> {
        let path = self.shared.layout.data(name).join("PG_VERSION");
        let text = tokio::fs::read_to_string(&path).await.map_err(Error::io(path.display().to_string()))?;
        let major: u32 = text.trim().parse().unwrap_or_default();
        let missing = || Error::VersionMissing { name: name.to_string(), major };
        self.shared.installations.iter().find(|i| i.major == major).cloned().ok_or_else(missing)
    }

    /// Takes over a server that survived an earlier run, or stops it.
    pub(crate) async fn adopt(&self, name: &InstanceName) -> Result<(), Error> {
        let slot = self.slot(name).await?;
        let _turn = slot.turn.lock().await;
        let (layout, key) = (self.shared.layout.clone(), name.clone());
        let socket_dir = blocking(move || layout.socket_dir(key.as_str())).await?;
        let settings = &self.shared.settings;
        let deadline = Instant::now() + settings.start_timeout;
        let data = self.shared.layout.data(name);
        if let Some(server) =
            server::adopt(name.as_str(), &data, &socket_dir, deadline, settings.stop_timeout).await?
        {
            slot.set_running(server);
        }
        Ok(())
    }

    async fn stop_slot(&self, slot: Arc<Slot>) -> Result<(), Error> {
        let timeout = self.shared.settings.stop_timeout;
        let work = async move {
            let _turn = slot.turn.lock().await;
            let Some(server) = slot.begin_stop() else { return Ok(()) };
            if !server.stop(timeout).await {
                return Err(Error::Stop(slot.name.clone()));
            }
            slot.end_stop();
            Ok(())
        };
        // Not abandoned half-way when the caller goes away.
        tokio::spawn(work).await.unwrap_or(Err(Error::Interrupted))
    }
}
