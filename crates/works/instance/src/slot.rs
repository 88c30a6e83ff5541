//! The state of one instance within the manager: what it is doing and who uses it.

use crate::error::Error;
use crate::name::InstanceName;
use crate::server::{Endpoint, Server};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// One instance. `turn` makes operations on it (start, stop, create, remove) follow one another; `state` is held
/// only for a moment and never while waiting.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: InstanceName,
    pub(crate) turn: std::sync::Arc<tokio::sync::Mutex<LastStart>>,
    state: Mutex<State>,
}

/// The outcome of the last start, for those who waited for it.
#[derive(Debug, Default)]
pub(crate) struct LastStart {
    pub(crate) error: Option<Error>,
}

#[derive(Debug)]
struct State {
    server: Option<Server>,
    /// Told to stop: not to be handed out any more, and its end is no surprise.
    stopping: bool,
    since: Instant,
    leases: usize,
    used: Instant,
    /// Counts finished starts.
    starts: u64,
}

/// A look at an instance.
#[derive(Debug, Clone)]
pub(crate) struct Glance {
    pub(crate) server: Option<Server>,
    pub(crate) since: Instant,
    pub(crate) leases: usize,
}

impl Slot {
    pub(crate) fn new(name: InstanceName) -> Self {
        let now = Instant::now();
        let state = State { server: None, stopping: false, since: now, leases: 0, used: now, starts: 0 };
        Slot { name, turn: std::sync::Arc::default(), state: Mutex::new(state) }
    }

    /// The state is plain data: a panic elsewhere cannot have left it half written.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The endpoint if the instance runs, and notes that it is used.
    pub(crate) fn running(&self) -> Option<Endpoint> {
        let mut state = self.lock();
        state.used = Instant::now();
        state.running().map(|s| s.endpoint.clone())
    }

    pub(crate) fn touch(&self) {
        self.lock().used = Instant::now();
    }

    pub(crate) fn lease(&self) {
        let mut state = self.lock();
        state.leases += 1;
        state.used = Instant::now();
    }

    pub(crate) fn release(&self) {
        let mut state = self.lock();
        state.leases = state.leases.saturating_sub(1);
        state.used = Instant::now();
    }

    pub(crate) fn starts(&self) -> u64 {
        self.lock().starts
    }

    pub(crate) fn count_start(&self) {
        self.lock().starts += 1;
    }

    pub(crate) fn glance(&self) -> Glance {
        let state = self.lock();
        Glance { server: state.running().cloned(), since: state.since, leases: state.leases }
    }

    /// The server runs from now on; its end is noticed.
    pub(crate) fn set_running(self: &std::sync::Arc<Self>, server: Server) {
        let pid = server.pid;
        {
            let mut state = self.lock();
            let now = Instant::now();
            (state.since, state.used, state.stopping) = (now, now, false);
            state.server = Some(server.clone());
        }
        let slot: Weak<Slot> = std::sync::Arc::downgrade(self);
        // Ends with the server's process.
        tokio::spawn(async move {
            server.ended().await;
            let Some(slot) = slot.upgrade() else { return };
            let mut state = slot.lock();
            if state.server.as_ref().is_some_and(|s| s.pid == pid) {
                state.server = None;
                if !std::mem::take(&mut state.stopping) {
                    tracing::warn!(instance = %slot.name, pid, "PostgreSQL ended unexpectedly; started on next use");
                }
            }
        });
    }

    /// Takes the server out of use, to be stopped.
    pub(crate) fn begin_stop(&self) -> Option<Server> {
        let mut state = self.lock();
        let server = state.running().cloned()?;
        state.stopping = true;
        Some(server)
    }

    /// The same, but only if nobody has used it for so long.
    pub(crate) fn begin_sleep(&self, idle: Duration) -> Option<Server> {
        let mut state = self.lock();
        if state.leases > 0 || state.used.elapsed() < idle {
            return None;
        }
        let server = state.running().cloned()?;
        state.stopping = true;
        Some(server)
    }

    pub(crate) fn end_stop(&self) {
        let mut state = self.lock();
        (state.server, state.stopping) = (None, false);
    }
}

impl State {
    fn running(&self) -> Option<&Server> {
        self.server.as_ref().filter(|s| !self.stopping && !s.has_ended())
    }
}
