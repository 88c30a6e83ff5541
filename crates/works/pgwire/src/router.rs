//! Accepting clients, and the limits that all of them share.

use crate::cancel::CancelKeys;
use crate::client::Client;
use crate::directory::{Directory, Refusal};
use crate::failures::Failures;
use crate::roles::Roles;
use crate::seats::Seats;
use crate::session::Session;
use crate::splice::say_goodbye;
use crate::tls::Identity;
use crate::{keepalive, message};
use bytes::BytesMut;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// For a project's roles to be read on its server.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// What the operator may choose.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Sessions of all projects together.
    pub sessions_max: usize,
    /// Clients that have no session yet; those of one project may take half of it.
    pub handshakes_max: usize,
    /// For a client to say what it wants, and then again to prove who it is.
    pub startup_timeout: Duration,
    /// For the project's server to be found, woken and reached.
    pub route_timeout: Duration,
    /// A session that waits for its client for so long is ended, so that its server can sleep; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How late the second failed login of an address is answered; doubled with each further one, up to 16 times.
    pub failure_delay: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            sessions_max: 2000,
            handshakes_max: 1024,
            startup_timeout: Duration::from_secs(30),
            route_timeout: Duration::from_secs(60),
            idle_timeout: None,
            failure_delay: Duration::from_millis(250),
        }
    }
}

/// The router. A cheap handle; all clones share limits and cancel keys, so one router may serve several ports.
#[derive(Clone)]
pub struct Router {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) settings: Settings,
    pub(crate) tls: Option<Identity>,
    pub(crate) cancel_keys: Arc<CancelKeys>,
    pub(crate) seats: Arc<Seats>,
    /// Clients by project that have said what they want and have no session yet.
    pub(crate) pending: Arc<Seats>,
    pub(crate) roles: Roles,
    pub(crate) failures: Failures,
    /// For the salts of roles that do not exist.
    pub(crate) mock_secret: [u8; 32],
    handshakes: Arc<Semaphore>,
}

impl Router {
    /// A router; without an identity it answers wishes for TLS with no. `mock_secret` should stay the same between
    /// runs (derive it from the master key): a client that sees the salt of a role change knows that it has none.
    pub fn new(
        directory: Arc<dyn Directory>,
        settings: Settings,
        tls: Option<Identity>,
        mock_secret: [u8; 32],
    ) -> Router {
        let handshakes = Arc::new(Semaphore::new(settings.handshakes_max));
        let failures = Failures::new(settings.failure_delay);
        Router {
            shared: Arc::new(Shared {
                directory,
                settings,
                tls,
                cancel_keys: Arc::default(),
                seats: Arc::default(),
                pending: Arc::default(),
                roles: Roles::new(READ_TIMEOUT),
                failures,
                mock_secret,
                handshakes,
            }),
        }
    }

    /// Serves clients until told to shut down; returns when all sessions have ended, each told so.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) {
        let sessions = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let router = self.clone();
                    let shutdown = shutdown.clone();
                    sessions.spawn(async move { router.client(stream, peer, shutdown).await });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: trying at once would only burn time.
                    tracing::warn!(%error, "cannot accept a PostgreSQL client");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        sessions.close();
        sessions.wait().await;
    }

    /// The sessions that a project has now.
    pub fn sessions_of(&self, project: &str) -> usize {
        self.shared.seats.of(project)
    }

    async fn client(&self, stream: TcpStream, peer: SocketAddr, shutdown: CancellationToken) {
        if let Err(error) = keepalive::set(&stream) {
            tracing::debug!(%peer, %error, "socket options");
        }
        let Ok(handshake) = Arc::clone(&self.shared.handshakes).try_acquire_owned() else {
            let mut last = BytesMut::new();
            message::fatal(&mut last, &Refusal::too_many());
            return say_goodbye(&mut Client::Plain(stream), &last).await;
        };
        let session = Session { shared: Arc::clone(&self.shared), peer, shutdown };
        Box::pin(session.run(stream, handshake)).await;
    }
}
