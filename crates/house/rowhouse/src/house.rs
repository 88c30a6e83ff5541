//! A running house: the platform, its front doors, and the order in which they open and close.

use crate::admin::{self, Perform};
use crate::cli::PostgresArgs;
use crate::data_dir::DataDir;
use crate::desk::Desk;
use crate::directory::{self, ProjectDirectory};
use crate::wire::{Addresses, Wire, WireSettings};
use anyhow::{Context, bail};
use gateway::{Gateway, Settings as GatewaySettings};
use model::SystemClock;
use platform::{Options, Platform, Server};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Databases on a server that is not ours carry this prefix.
const EXTERNAL_PREFIX: &str = "rowhouse_";

/// What the surroundings say; read once, in `main`.
#[derive(Debug, Clone)]
pub struct Surroundings {
    pub search_path: Option<std::ffi::OsString>,
    pub temp_dir: PathBuf,
    /// ROWHOUSE_MASTER_KEY
    pub master_key: Option<String>,
}

/// How a platform is opened.
#[derive(Debug, Clone)]
pub struct PlatformPlan {
    pub data: DataDir,
    pub postgres: PostgresArgs,
    pub surroundings: Surroundings,
    pub shard_capacity: u32,
    pub idle_sleep: Option<Duration>,
}

impl PlatformPlan {
    /// Opens it, and finishes or removes what a crash left half done.
    ///
    /// # Errors
    /// When PostgreSQL cannot be found, started or used.
    pub async fn open(&self) -> anyhow::Result<Platform> {
        let mut options = Options::new(self.server()?, self.data.path().join("key"));
        options.master_key.clone_from(&self.surroundings.master_key);
        options.shard_capacity = self.shard_capacity;
        let platform = Box::pin(Platform::open(options)).await?;
        let resumed = Box::pin(platform.resume_unfinished()).await?;
        if resumed > 0 {
            tracing::info!(jobs = resumed, "finished what was left half done");
        }
        Ok(platform)
    }

    fn server(&self) -> anyhow::Result<Server> {
        if let Some(url) = &self.postgres.database_url {
            let config = pg::Config::from_url(url).context("--database-url")?;
            return Ok(Server::External { config, prefix: EXTERNAL_PREFIX.to_owned() });
        }
        let mut settings = instance::Settings::new(self.data.path());
        settings.pg_bin.clone_from(&self.postgres.pg_bin);
        settings.search_path.clone_from(&self.surroundings.search_path);
        settings.temp_dir.clone_from(&self.surroundings.temp_dir);
        settings.idle_sleep = self.idle_sleep;
        Ok(Server::Managed(settings))
    }
}

/// A port to listen on, and how the operator can choose another.
#[derive(Debug, Clone)]
pub struct Door {
    pub address: SocketAddr,
    /// `--api-port or [api] port in supabase/config.toml`
    pub setting: String,
}

impl Door {
    /// Listens.
    ///
    /// # Errors
    /// When the port is taken; the error names the setting.
    pub async fn open(&self) -> anyhow::Result<TcpListener> {
        match TcpListener::bind(self.address).await {
            Ok(listener) => Ok(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
                "port {} on {} is taken by another program; stop that program, or choose another port with {}",
                self.address.port(),
                self.address.ip(),
                self.setting
            ),
            Err(error) => {
                Err(error).with_context(|| format!("cannot listen on {} ({})", self.address, self.setting))
            }
        }
    }
}

/// What is opened once the platform is there.
pub struct FrontPlan {
    pub api: TcpListener,
    pub databases: Vec<TcpListener>,
    /// For PostgreSQL clients that want TLS.
    pub database_tls: Option<pgwire::Identity>,
    /// PostgreSQL clients that are idle for so long are sent away; `None`: never.
    pub database_idle: Option<Duration>,
    pub gateway: GatewaySettings,
    pub wire: WireSettings,
}

/// The signals by which the operator says stop. Made early, so that one that comes while the house opens is not
/// lost.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on signals no longer end the program by themselves.
    ///
    /// # Errors
    /// When the system gives us no signals.
    pub fn new() -> anyhow::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one; which one it was.
    pub async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "interrupt",
            _ = self.terminate.recv() => "terminate",
            _ = self.hangup.recv() => "hangup",
        }
    }
}

/// A running house.
pub struct House {
    platform: Platform,
    wire: Wire,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl House {
    /// Opens the front doors of a platform.
    ///
    /// # Errors
    /// When a part cannot be set up.
    pub fn open(platform: Platform, data: &DataDir, front: FrontPlan) -> anyhow::Result<House> {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let clock = Arc::new(SystemClock);
        let default_project = front.wire.default_project.clone();
        let wire = Wire::new(platform.clone(), front.wire, clock.clone(), stop.clone());
        let gateway = Arc::new(Gateway::new(Arc::new(wire.clone()), front.gateway, clock));
        tasks.spawn(gateway::serve(front.api, gateway, stop.clone()));
        tasks.spawn(wire.clone().sweep(stop.clone()));
        tasks.spawn(wire.clone().sweep_files(stop.clone()));
        tasks.spawn(wire.clone().remove_left_files(stop.clone()));
        tasks.spawn(wire.clone().post(stop.clone()));
        tasks.spawn(wire.clone().write_usage(stop.clone()));
        let directory = ProjectDirectory::new(platform.clone(), default_project);
        let router = directory::router(
            directory,
            front.database_tls,
            front.database_idle,
            directory::mock_secret(data.path())?,
        );
        for listener in front.databases {
            let (router, stop) = (router.clone(), stop.clone());
            tasks.spawn(async move { router.serve(listener, stop).await });
        }
        Ok(House { platform, wire, stop, tasks })
    }

    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Runs a task until the house closes; it is given what then tells it to stop.
    pub fn accompany<F: Future<Output = ()> + Send + 'static>(
        &self,
        task: impl FnOnce(CancellationToken) -> F,
    ) {
        self.tasks.spawn(task(self.stop.clone()));
    }

    /// Takes commands on a socket of the data directory.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub async fn take_commands(&self, data: &DataDir, temp: &Path, desk: Desk) -> anyhow::Result<()> {
        let socket = data.admin_socket(temp)?;
        let desk: Arc<dyn Perform> = Arc::new(desk);
        let commands = admin::serve(&socket, desk, self.stop.clone()).await?;
        self.tasks.spawn(async move { commands.wait().await });
        Ok(())
    }

    /// Runs until the operator says stop, then closes in order. A second signal ends it at once.
    ///
    /// # Errors
    /// When a server does not stop.
    pub async fn run(self, mut signals: Signals) -> anyhow::Result<()> {
        let signal = signals.wait().await;
        tracing::info!(signal, "stopping");
        tokio::select! {
            closed = self.close() => closed,
            _ = signals.wait() => bail!("stopped at once; the servers recover at the next start"),
        }
    }

    /// Closes the doors, lets requests finish, closes connections, stops the servers; in this order.
    async fn close(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.wire.close();
        drop(self.wire);
        Ok(self.platform.shutdown().await?)
    }
}

/// Under which URL clients reach an address.
pub fn public_url(address: SocketAddr) -> String {
    let host = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    format!("http://{host}:{}", address.port())
}

/// The addresses of the projects of a platform that is not running: what it said when it last ran.
pub fn last_addresses(data: &DataDir) -> Addresses {
    let said = std::fs::read(data.path().join(ADDRESSES_FILE)).ok();
    let said =
        said.and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok()).unwrap_or_default();
    let text = |name: &str| said.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    Addresses {
        public_url: text("public_url").unwrap_or_else(|| "http://127.0.0.1:8000".to_owned()),
        base_domain: text("base_domain"),
        default_project: text("default_project").and_then(|name| name.parse().ok()),
    }
}

const ADDRESSES_FILE: &str = "addresses.json";

/// Leaves the addresses behind for commands that run while the platform does not.
///
/// # Errors
/// When the file cannot be written.
pub fn remember_addresses(data: &DataDir, addresses: &Addresses) -> anyhow::Result<()> {
    let text = serde_json::json!({
        "public_url": addresses.public_url,
        "base_domain": addresses.base_domain,
        "default_project": addresses.default_project.as_ref().map(ToString::to_string),
    });
    Ok(std::fs::write(data.path().join(ADDRESSES_FILE), text.to_string())?)
}
