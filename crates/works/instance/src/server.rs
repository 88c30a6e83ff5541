//! One running server: started by us or taken over, watched, told to stop.

use crate::conf;
use crate::error::{Error, blocking};
use crate::find::Installation;
use crate::pidfile;
use crate::tree;
use crate::user::ServerUser;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

/// Between two looks at a server that is starting; doubled up to the second figure.
const POLL_FIRST: Duration = Duration::from_millis(2);
const POLL_LAST: Duration = Duration::from_millis(20);
/// Between two looks at a server that is not our child and so cannot be waited for.
const POLL_ADOPTED: Duration = Duration::from_millis(200);
/// For an immediate shutdown, and then for a killed process to be gone.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The directory of the Unix socket.
    pub socket_dir: PathBuf,
    pub port: u16,
}

impl Endpoint {
    /// How to connect to it. There is no password: the directory is private.
    pub fn config(&self, user: &str, dbname: &str) -> pg::Config {
        pg::Config::unix(&self.socket_dir, self.port, user, dbname)
    }
}

/// What it takes to start a server.
pub(crate) struct Launch {
    pub(crate) name: String,
    pub(crate) installation: Installation,
    pub(crate) user: ServerUser,
    pub(crate) data: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) log_bytes_max: u64,
    pub(crate) socket_dir: PathBuf,
    pub(crate) extra: Vec<(&'static str, &'static str)>,
    pub(crate) deadline: Instant,
}

/// A handle of a server that runs, or did until [`Server::has_ended`].
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    pub(crate) pid: i32,
    signals: mpsc::Sender<Signal>,
    ended: watch::Receiver<bool>,
}

enum Attempt {
    Ready(Server),
    /// Processes of a killed predecessor still hold its memory.
    Occupied,
}

impl Launch {
    /// Starts the server and waits until it accepts connections.
    pub(crate) async fn start(&self) -> Result<Server, Error> {
        loop {
            match self.attempt().await? {
                Attempt::Ready(server) => return Ok(server),
                Attempt::Occupied => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn attempt(&self) -> Result<Attempt, Error> {
        let (child, log_start) = self.spawn().await?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).ok_or(Error::Interrupted)?;
        let endpoint = Endpoint { socket_dir: self.socket_dir.clone(), port: conf::PORT };
        let server = watch_child(child, pid, endpoint);
        let mut pause = POLL_FIRST;
        loop {
            if server.has_ended() {
                let log = self.log_since(log_start).await;
                let occupied = log.contains("shared memory block") && Instant::now() < self.deadline;
                return if occupied {
                    Ok(Attempt::Occupied)
                } else {
                    Err(self.failed("it ended at once").await)
                };
            }
            if pidfile::read(&self.data).await.is_some_and(|f| f.pid == pid && f.status == "ready") {
                return Ok(Attempt::Ready(server));
            }
            if Instant::now() >= self.deadline {
                server.stop(Duration::ZERO).await;
                return Err(self.failed("it was not ready in time").await);
            }
            let mut ended = server.ended.clone();
            let _ = timeout(pause, ended.wait_for(|e| *e)).await;
            pause = (pause * 2).min(POLL_LAST);
        }
    }

    /// Starts the process; also says where in the log its messages begin.
    async fn spawn(&self) -> Result<(Child, u64), Error> {
        let (path, bytes_max) = (self.log.clone(), self.log_bytes_max);
        let (log, copy, start) = blocking(move || {
            let open = || -> std::io::Result<_> {
                let log = tree::open_log(&path, bytes_max)?;
                Ok((log.try_clone()?, log.metadata()?.len(), log))
            };
            let (copy, start, log) = open().map_err(Error::io(path.display().to_string()))?;
            Ok((log, copy, start))
        })
        .await?;
        let program = self.installation.program("postgres");
        let mut command = server_command(&program, &self.user);
        command
            .args(conf::arguments(&self.data, &self.socket_dir, &self.name, &self.extra))
            .stdout(Stdio::from(copy))
            .stderr(Stdio::from(log));
        let child = command.spawn().map_err(Error::io(program.display().to_string()))?;
        Ok((child, start))
    }

    async fn log_since(&self, start: u64) -> String {
        let bytes = tokio::fs::read(&self.log).await.unwrap_or_default();
        let start = usize::try_from(start).unwrap_or(0).min(bytes.len());
        String::from_utf8_lossy(&bytes[start..]).into_owned()
    }

    async fn failed(&self, reason: &str) -> Error {
        let path = self.log.clone();
        let log = blocking(move || Ok(tree::log_tail(&path))).await.unwrap_or_default();
        Error::Start { name: self.name.clone(), reason: reason.to_owned(), log }
    }
}

/// A command that runs one of PostgreSQL's programs: as its user, with a clean environment (ours may hold
/// secrets), and in a process group of its own, so that Ctrl-C reaches only us and we stop things in order.
pub(crate) fn server_command(program: &Path, user: &ServerUser) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .current_dir("/")
        .stdin(Stdio::null())
        .process_group(0);
    user.apply(&mut command);
    command
}

impl Server {
    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits for the end of the process.
    pub(crate) async fn ended(&self) {
        // An error means that the watcher is gone, and it ends only with the process or the program.
        let _ = self.ended.clone().wait_for(|e| *e).await;
    }

    /// Fast shutdown (sessions are ended, all is written), then immediate, then by force. Whether it worked.
    pub(crate) async fn stop(&self, fast: Duration) -> bool {
        for (signal, wait) in
            [(Signal::INT, fast), (Signal::QUIT, QUIT_TIMEOUT), (Signal::KILL, QUIT_TIMEOUT)]
        {
            if wait.is_zero() {
                continue;
            }
            // Fails only if the watcher has seen the end.
            let _ = self.signals.send(signal).await;
            if timeout(wait, self.ended()).await.is_ok() {
                return true;
            }
        }
        false
    }
}

/// Waits for the end of our child. It alone signals it, so that a number that the system has already given to
/// another process is never signalled.
fn watch_child(mut child: Child, pid: i32, endpoint: Endpoint) -> Server {
    let (signals, mut wanted) = mpsc::channel::<Signal>(4);
    let (end, ended) = watch::channel(false);
    // Ends with the process; runs on without listeners, to collect it.
    tokio::spawn(async move {
        let mut listening = true;
        loop {
            tokio::select! {
                biased;
                _ = child.wait() => break,
                signal = wanted.recv(), if listening => match signal {
                    Some(signal) => send(pid, signal),
                    None => listening = false,
                },
            }
        }
        end.send_replace(true);
    });
    Server { endpoint, pid, signals, ended }
}

/// Watches a server that another process started.
fn watch_adopted(pid: i32, data: PathBuf, endpoint: Endpoint) -> Server {
    let (signals, mut wanted) = mpsc::channel::<Signal>(4);
    let (end, ended) = watch::channel(false);
    // Ends with the process, or when nobody holds the handle.
    tokio::spawn(async move {
        while pidfile::serves(pid, &data).await {
            match timeout(POLL_ADOPTED, wanted.recv()).await {
                Ok(Some(signal)) if pidfile::serves(pid, &data).await => send(pid, signal),
                Ok(None) => return,
                _ => {}
            }
        }
        end.send_replace(true);
    });
    Server { endpoint, pid, signals, ended }
}

fn send(pid: i32, signal: Signal) {
    let Some(process) = Pid::from_raw(pid) else { return };
    if let Err(error) = kill_process(process, signal) {
        tracing::warn!(pid, ?signal, %error, "signal to PostgreSQL");
    }
}

/// Looks for a server that survived its Rowhouse. A healthy one on the socket where we expect it is taken over;
/// any other is stopped. Afterwards either a server is returned or the directory is free to be started on.
pub(crate) async fn adopt(
    name: &str,
    data: &Path,
    socket_dir: &Path,
    deadline: Instant,
    stop_timeout: Duration,
) -> Result<Option<Server>, Error> {
    let exists = tokio::fs::try_exists(pidfile::path(data)).await.unwrap_or(false);
    if !exists {
        return Ok(None);
    }
    let Some(file) = pidfile::read(data).await else {
        clear_leftovers(name, data, deadline).await?;
        // Empty or cut short by a crash: PostgreSQL would refuse to start because of it.
        let path = pidfile::path(data);
        tokio::fs::remove_file(&path).await.map_err(Error::io(path.display().to_string()))?;
        return Ok(None);
    };
    if !pidfile::serves(file.pid, data).await {
        clear_leftovers(name, data, deadline).await?;
        if process_exists(file.pid) {
            pidfile::disown(data).await.map_err(Error::io(pidfile::path(data).display().to_string()))?;
        }
        return Ok(None);
    }
    let endpoint = Endpoint { socket_dir: socket_dir.to_owned(), port: conf::PORT };
    let expected = file.socket_dir.as_deref() == Some(socket_dir) && file.port == Some(conf::PORT);
    let server = watch_adopted(file.pid, data.to_owned(), endpoint);
    if expected && answers(&server, deadline).await {
        tracing::info!(instance = name, pid = file.pid, "took over a running PostgreSQL");
        return Ok(Some(server));
    }
    if !server.has_ended() && !server.stop(stop_timeout).await {
        let reason = format!("process {} of an earlier run does not end", file.pid);
        return Err(Error::Start { name: name.to_owned(), reason, log: String::new() });
    }
    clear_leftovers(name, data, deadline).await?;
    Ok(None)
}

/// Whether the server accepts a session, now or when it has recovered.
async fn answers(server: &Server, deadline: Instant) -> bool {
    let mut config = server.endpoint.config(crate::SUPERUSER, "template1");
    config.connect_timeout = Duration::from_secs(5);
    while !server.has_ended() && Instant::now() < deadline {
        match pg::Connection::connect(&config).await {
            Ok(connection) => {
                connection.close().await;
                return true;
            }
            // All connections are taken: alive and busy.
            Err(e) if e.sqlstate() == Some("53300") => return true,
            // Starting up, or shutting down.
            Err(e) if e.sqlstate() == Some("57P03") => sleep(POLL_LAST).await,
            Err(_) => return false,
        }
    }
    false
}

/// Ends the workers of a killed server and waits until they are gone.
async fn clear_leftovers(name: &str, data: &Path, deadline: Instant) -> Result<(), Error> {
    loop {
        let dir = data.to_owned();
        let left = blocking(move || {
            let left = crate::orphan::find(&dir);
            crate::orphan::quit(&left);
            Ok(left)
        })
        .await?;
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let reason = format!("processes of a killed server do not end: {left:?}");
            return Err(Error::Start { name: name.to_owned(), reason, log: String::new() });
        }
        sleep(POLL_LAST).await;
    }
}

fn process_exists(pid: i32) -> bool {
    use rustix::io::Errno;
    let Some(process) = Pid::from_raw(pid) else { return false };
    !matches!(rustix::process::test_kill_process(process), Err(Errno::SRCH))
}
