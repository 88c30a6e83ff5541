//! One client, from its first byte to its last.

use crate::admission::Admission;
use crate::cancel::CancelKey;
use crate::client::Client;
use crate::directory::{Login, Refusal, RouteRequest, Target};
use crate::message;
use crate::router::Shared;
use crate::scram;
use crate::seats::Seat;
use crate::splice::{say_goodbye, splice};
use crate::startup::{self, Invalid, Packet, Startup};
use bytes::BytesMut;
use pg::RawSession;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// Between two tries to reach a server that has just ended or is still starting.
const RETRY: Duration = Duration::from_millis(100);
/// Tries at a server that cannot be reached at all; one that says it is starting up is waited for.
const RETRIES: usize = 20;

pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: SocketAddr,
    pub(crate) shutdown: CancellationToken,
}

/// A client that wants a session.
struct Wish {
    client: Client,
    startup: Startup,
    request: RouteRequest,
}

/// A session on the server, and what ends with it.
struct Open {
    backend: RawSession,
    key: CancelKey,
    seat: Seat,
    /// Holds the lease.
    target: Target,
}

impl Session {
    pub(crate) async fn run(self, stream: TcpStream, handshake: OwnedSemaphorePermit) {
        let wait = self.shared.settings.startup_timeout;
        let mut client = None;
        let wish = tokio::select! {
            wish = timeout(wait, self.negotiate(stream, &mut client)) => wish.unwrap_or(Err(Invalid::Silent)),
            () = self.shutdown.cancelled() => return,
        };
        let Wish { mut client, startup, request } = match (wish, client) {
            (Ok(Some(wish)), _) => wish,
            (Err(Invalid::Refused(refusal)), Some(mut client)) => {
                return self.send_away(&mut client, &refusal).await;
            }
            _ => return,
        };
        let opened = tokio::select! {
            opened = self.open(&mut client, &startup, &request) => opened,
            () = self.shutdown.cancelled() => {
                Err(Refused::Refusal(Refusal::new("57P01", "terminating connection due to administrator command")))
            }
        };
        match opened {
            Ok(Some(open)) => {
                drop(handshake);
                self.speak(client, open, &request.user).await;
            }
            Ok(None) => {}
            Err(Refused::Refusal(refusal)) => {
                self.make_wait(&refusal).await;
                self.send_away(&mut client, &refusal).await;
            }
            Err(Refused::Server(report)) => {
                let mut last = BytesMut::new();
                message::server_error(&mut last, &report);
                say_goodbye(&mut client, &last).await;
            }
        }
    }

    /// Lets those wait who guess passwords.
    async fn make_wait(&self, refusal: &Refusal) {
        if refusal.is_wrong_password() {
            let delay = self.shared.failures.count(self.peer.ip(), Instant::now());
            tokio::select! {
                () = sleep(delay) => {}
                () = self.shutdown.cancelled() => {}
            }
        }
    }

    async fn send_away(&self, client: &mut Client, refusal: &Refusal) {
        tracing::debug!(peer = %self.peer, code = refusal.code, "PostgreSQL client refused");
        let mut last = BytesMut::new();
        message::fatal(&mut last, refusal);
        say_goodbye(client, &last).await;
    }

    /// Reads packets until one asks for a session. `place` has the stream when that fails.
    async fn negotiate(
        &self,
        stream: TcpStream,
        place: &mut Option<Client>,
    ) -> Result<Option<Wish>, Invalid> {
        let (mut client, mut asked_gss) = (self.direct_tls(stream).await?, false);
        let refused = loop {
            match startup::read(&mut client).await {
                Ok(Packet::Ssl) => match client {
                    Client::Plain(stream) => client = self.encrypt(stream).await?,
                    Client::Tls(_) => return Err(Invalid::Silent),
                },
                Ok(Packet::Gss) if !asked_gss => {
                    asked_gss = true;
                    client.write_all(b"N").await.map_err(|_| Invalid::Silent)?;
                }
                Ok(Packet::Gss) | Err(Invalid::Silent) => return Err(Invalid::Silent),
                Ok(Packet::Cancel { process_id, secret }) => {
                    self.cancel(process_id, secret).await;
                    return Ok(None);
                }
                Ok(Packet::Startup(startup)) => match startup.route(client.sni(), self.peer) {
                    Ok(request) => return Ok(Some(Wish { client, startup, request })),
                    Err(refusal) => break refusal,
                },
                Err(Invalid::Refused(refusal)) => break refusal,
            }
        };
        *place = Some(client);
        Err(Invalid::Refused(refused))
    }

    /// Clients of PostgreSQL 17 and later may begin with TLS, naming the protocol.
    async fn direct_tls(&self, stream: TcpStream) -> Result<Client, Invalid> {
        let Some(tls) = &self.shared.tls else { return Ok(Client::Plain(stream)) };
        let mut first = [0];
        if stream.peek(&mut first).await.map_err(|_| Invalid::Silent)? == 0 || first[0] != TLS_HANDSHAKE {
            return Ok(Client::Plain(stream));
        }
        let stream = tls.acceptor().accept(stream).await.map_err(|e| self.lost(&e))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(_) => Ok(Client::Tls(Box::new(stream))),
            None => Err(Invalid::Silent),
        }
    }

    async fn encrypt(&self, mut stream: TcpStream) -> Result<Client, Invalid> {
        let lost = |e: io::Error| self.lost(&e);
        let Some(tls) = &self.shared.tls else {
            stream.write_all(b"N").await.map_err(lost)?;
            return Ok(Client::Plain(stream));
        };
        stream.write_all(b"S").await.map_err(lost)?;
        Ok(Client::Tls(Box::new(tls.acceptor().accept(stream).await.map_err(lost)?)))
    }

    /// A client whose connection or TLS handshake broke.
    fn lost(&self, error: &io::Error) -> Invalid {
        tracing::debug!(peer = %self.peer, %error, "PostgreSQL client lost");
        Invalid::Silent
    }

    /// Passes a cancel request on. It has no answer, whether the key fits or not.
    async fn cancel(&self, process_id: i32, secret: i32) {
        let Some(token) = self.shared.cancel_keys.find(process_id, secret) else { return };
        if let Err(error) = token.cancel().await {
            tracing::debug!(%error, "cancel request");
        }
    }

    /// From the wish to a session on the server. `None`: the client has left.
    async fn open(
        &self,
        client: &mut Client,
        startup: &Startup,
        request: &RouteRequest,
    ) -> Result<Option<Open>, Refused> {
        let settings = &self.shared.settings;
        if let Some(unknown) = &startup.beyond {
            let mut answer = BytesMut::new();
            message::negotiate_version(&mut answer, unknown);
            if client.write_all(&answer).await.is_err() {
                return Ok(None);
            }
        }
        let find = self.shared.directory.find(request);
        let project = timeout(settings.route_timeout, find).await.map_err(|_| Refusal::unavailable())??;
        // One project's clients, however slow its server, leave room for those of others.
        let pending_max = settings.handshakes_max.div_ceil(2);
        let pending = self.shared.pending.take(&project, pending_max);
        let _pending = pending.ok_or_else(Refusal::too_many)?;
        let roles = self.shared.roles.of(&project);
        let admission = Admission { shared: &self.shared, request, roles };
        let target = match admission.of(client).await {
            Ok(Some(target)) => target,
            Ok(None) => return Ok(None),
            Err(refusal) => {
                tracing::info!(
                    peer = %self.peer, project = &*project, user = request.user, code = refusal.code,
                    "PostgreSQL login refused"
                );
                return Err(refusal.into());
            }
        };
        let seats = &self.shared.seats;
        if seats.total() >= settings.sessions_max {
            return Err(Refusal::too_many().into());
        }
        let seat = seats.take(&target.project, target.connections_max).ok_or_else(|| {
            Refusal::new("53300", "too many connections for this project")
                .with_hint(format!("The limit is {}.", target.connections_max))
        })?;
        let connect = self.connect(target, startup, request);
        let connected = timeout(settings.route_timeout, connect).await.map_err(|_| Refusal::unavailable())?;
        let (target, backend) = connected?;
        let key = self.shared.cancel_keys.issue(backend.cancel.clone(), scram::random::<8>);
        let key = key.ok_or_else(Refusal::unavailable)?;
        Ok(Some(Open { backend, key, seat, target }))
    }

    /// Opens the session on the server. A server that ended between routing and connecting is woken again.
    async fn connect(
        &self,
        mut target: Target,
        startup: &Startup,
        request: &RouteRequest,
    ) -> Result<(Target, RawSession), Refused> {
        let mut unreachable = 0;
        while unreachable < RETRIES {
            match RawSession::open(&server_config(&target, startup, request)).await {
                Ok(backend) => return Ok((target, backend)),
                Err(pg::Error::Db(report)) if report.code == "57P03" => {}
                // Its words are for us, not for the client, when it is our own password that it refuses.
                Err(pg::Error::Db(report))
                    if target.login == Login::SameRole || !report.code.starts_with("28") =>
                {
                    return Err(Refused::Server(report));
                }
                Err(pg::Error::Connect(_) | pg::Error::Closed | pg::Error::Io(_)) => unreachable += 1,
                Err(error) => {
                    tracing::warn!(project = &*target.project, %error, "cannot open a session for a client");
                    return Err(Refusal::unavailable().into());
                }
            }
            sleep(RETRY).await;
            target = self.shared.directory.route(request).await?;
        }
        Err(Refusal::unavailable().into())
    }

    /// Tells the client that its session is ready, and copies from then on.
    async fn speak(&self, mut client: Client, open: Open, user: &str) {
        let Open { backend, key, seat, target } = open;
        let mut ready = BytesMut::new();
        message::authentication_ok(&mut ready);
        for (name, value) in &backend.parameters {
            message::parameter_status(&mut ready, name, value);
        }
        message::backend_key(&mut ready, key.process_id, key.secret);
        message::ready(&mut ready);
        ready.extend_from_slice(&backend.unread);
        if client.write_all(&ready).await.is_err() {
            return;
        }
        let ended = splice(client, backend.stream, self.shared.settings.idle_timeout, &self.shutdown).await;
        if let Err(error) = ended {
            // Clients that leave without a word are everyday life.
            tracing::debug!(peer = %self.peer, %error, "PostgreSQL session");
        }
        drop((key, seat));
        self.note_roles(&target, user).await;
    }

    /// After a project's last session, which may have changed a password: its server may sleep soon, and is woken
    /// only for what is remembered then.
    async fn note_roles(&self, target: &Target, user: &str) {
        let managed = target.login == Login::SameRole;
        if !managed || self.shutdown.is_cancelled() || self.shared.seats.of(&target.project) > 0 {
            return;
        }
        let roles = self.shared.roles.of(&target.project);
        if let Err(refusal) = roles.read(&*self.shared.directory, user).await {
            tracing::debug!(project = &*target.project, code = refusal.code, "roles after a session");
        }
    }
}

/// Why there is no session: our reason, or the server's.
#[derive(Debug)]
enum Refused {
    Refusal(Refusal),
    Server(Box<pg::DbError>),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Refused::Refusal(refusal)
    }
}

/// The session that the client asked for, on its server.
fn server_config(target: &Target, startup: &Startup, request: &RouteRequest) -> pg::Config {
    let mut config = target.backend.clone();
    if target.login == Login::SameRole {
        config.user.clone_from(&request.user);
    }
    config.dbname.clone_from(&request.database);
    // What the client does not set shall have the server's default, and a later value wins.
    config.application_name = String::new();
    config.options.extend(startup.parameters.iter().cloned());
    config
}
