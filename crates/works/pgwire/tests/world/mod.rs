//! Instances behind a router, for one test.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use instance::{InstanceName, Instances, SUPERUSER, Script, Status, Template, TemplateSpec, Tuning};
use pgwire::{
    Directory, Identity, Login, Refusal, RouteRequest, Router, Settings, Target, Verifiers, read_verifiers,
};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const ONE: &str = "aaaaaaaaaaaaaaaaaaaa";
pub const TWO: &str = "bbbbbbbbbbbbbbbbbbbb";
pub const PASSWORD: &str = "pä ss'w:örd@1";

const ROLES: &str = "
    create role postgres login createrole createdb password 'pä ss''w:örd@1';
    create role authenticator login;
    create role group_role password 'pä ss''w:örd@1';
    create role old login password 'pä ss''w:örd@1' valid until '2020-01-01';
    create role root superuser login password 'pä ss''w:örd@1';
    alter database postgres owner to postgres;
    alter schema public owner to postgres;";

pub struct World {
    /// Removed at last, whatever becomes of the test.
    pub root: Root,
    pub instances: Instances,
    template: Template,
    pub address: SocketAddr,
    pub router: Router,
    pub shutdown: CancellationToken,
    pub served: JoinHandle<()>,
}

/// What a test may want otherwise.
pub struct Wishes {
    pub settings: Settings,
    pub tls: bool,
    pub connections_max: usize,
}

/// Without the delay of failed logins: all tests come from one address.
pub fn settings() -> Settings {
    Settings { failure_delay: Duration::ZERO, ..Settings::default() }
}

impl Default for Wishes {
    fn default() -> Self {
        Wishes { settings: settings(), tls: true, connections_max: 120 }
    }
}

struct Projects {
    instances: Instances,
    connections_max: usize,
}

impl Projects {
    fn name(request: &RouteRequest) -> InstanceName {
        request.project.as_ref().map_or_else(|| ONE.parse().unwrap(), InstanceName::from)
    }
}

impl Directory for Projects {
    fn find<'a>(&'a self, request: &'a RouteRequest) -> BoxFuture<'a, Result<Arc<str>, Refusal>> {
        async move {
            let name = Projects::name(request);
            match self.instances.status(&name).await {
                Status::Missing => Err(Refusal::unknown_project()),
                _ => Ok(name.as_str().into()),
            }
        }
        .boxed()
    }

    fn verifiers<'a>(
        &'a self,
        project: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<Verifiers>, Refusal>> {
        async move {
            let Some(endpoint) = self.instances.peek(&project.parse().unwrap()) else { return Ok(None) };
            let superuser = endpoint.config(SUPERUSER, "postgres");
            read_verifiers(&superuser, user).await.map_err(|_| Refusal::unavailable())
        }
        .boxed()
    }

    fn route<'a>(&'a self, request: &'a RouteRequest) -> BoxFuture<'a, Result<Target, Refusal>> {
        async move {
            let name = Projects::name(request);
            let lease = self.instances.wake(&name).await.map_err(|_| Refusal::unknown_project())?;
            Ok(Target {
                project: name.as_str().into(),
                backend: lease.endpoint().config(SUPERUSER, "postgres"),
                login: Login::SameRole,
                connections_max: self.connections_max,
                lease: Some(Box::new(lease) as Box<_>),
            })
        }
        .boxed()
    }
}

/// The files of a test.
pub struct Root(PathBuf);

impl std::ops::Deref for Root {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.join("instances")).into_iter().flatten() {
            let data = entry.unwrap().path().join("data");
            let Ok(text) = std::fs::read_to_string(data.join("postmaster.pid")) else { continue };
            let Some(pid) = text.lines().next().and_then(|line| line.parse().ok()) else { continue };
            // Only after a failure; a number that another program has by now is left alone.
            let serves = std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data);
            if let (true, Some(pid)) = (serves, rustix::process::Pid::from_raw(pid)) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
            }
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// In memory where there is room: waiting for a disk is most of the time that servers take.
fn scratch() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let free = rustix::fs::statvfs(&memory).map_or(0, |s| s.f_bavail.saturating_mul(s.f_frsize));
    if free > 2 << 30 { memory } else { std::env::temp_dir() }
}

impl World {
    pub async fn new() -> World {
        World::with(Wishes::default()).await
    }

    pub async fn with(wishes: Wishes) -> World {
        let root = Root(scratch().join(format!("rh-{}", uuid::Uuid::new_v4().simple())));
        std::fs::create_dir_all(&*root).unwrap();
        let (instances, template) = prepared(&root).await;
        let projects = Projects { instances: instances.clone(), connections_max: wishes.connections_max };
        let identity = wishes.tls.then(|| Identity::self_signed(&root, &["localhost".to_owned()]).unwrap());
        let (router, address, shutdown, served) = serve(Arc::new(projects), wishes.settings, identity).await;
        let world = World { root, instances, template, address, router, shutdown, served };
        world.create(ONE).await;
        world
    }

    /// Makes an instance, asleep.
    pub async fn create(&self, name: &str) {
        let tuning = Tuning { max_connections: 150, ..Tuning::default() }.with("fsync", "off");
        self.instances.create(&name.parse().unwrap(), &self.template, &tuning).await.unwrap();
    }

    /// Runs psql as this user; its output without the last line break, or its errors.
    pub async fn psql(&self, user: &str, password: &str, sql: &str) -> Result<String, String> {
        self.psql_with(&format!("user={user} dbname=postgres"), password, &["-c", sql]).await
    }

    pub async fn psql_with(&self, conninfo: &str, password: &str, args: &[&str]) -> Result<String, String> {
        // Without a host, psql would name the directory of its Unix sockets in the TLS handshake.
        let (ip, port) = (self.address.ip(), self.address.port());
        let address = format!("host=localhost hostaddr={ip} port={port} {conninfo}");
        let mut psql = Command::new("psql");
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", &address])
            .args(args)
            .env("PGPASSWORD", password)
            .env("PGCONNECT_TIMEOUT", "30")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, psql.output()).await.unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// How our own client reaches the router.
    pub fn config(&self, user: &str) -> pg::Config {
        let mut config =
            pg::Config::tcp(&self.address.ip().to_string(), self.address.port(), user, "postgres");
        config.password = Some(PASSWORD.to_owned());
        config
    }

    pub async fn connect(&self, user: &str) -> pg::Connection {
        pg::Connection::connect(&self.config(user)).await.unwrap()
    }

    /// Waits until the router has seen the end of all sessions but these.
    pub async fn sessions(&self, project: &str, count: usize) {
        let seen = async {
            while self.router.sessions_of(project) != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.unwrap();
    }

    /// Waits until nobody uses the instance, and puts it to sleep.
    pub async fn put_to_sleep(&self, project: &str) {
        let name: InstanceName = project.parse().unwrap();
        let slept = async {
            while !self.instances.sleep_idle(Duration::ZERO).await.contains(&name) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, slept).await.unwrap();
    }

    pub async fn is_asleep(&self, project: &str) -> bool {
        self.instances.status(&project.parse().unwrap()).await == Status::Asleep
    }

    pub async fn end(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.served).await.unwrap().unwrap();
        self.instances.shutdown().await.unwrap();
    }
}

pub async fn serve(
    directory: Arc<dyn Directory>,
    settings: Settings,
    identity: Option<Identity>,
) -> (Router, SocketAddr, CancellationToken, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (router, shutdown) = (Router::new(directory, settings, identity, [7; 32]), CancellationToken::new());
    let (serving, stop) = (router.clone(), shutdown.clone());
    let served = tokio::spawn(async move { serving.serve(listener, stop).await });
    (router, address, shutdown, served)
}

/// No instances yet. The templates are kept between runs; the lock keeps two runs apart.
async fn prepared(root: &Path) -> (Instances, Template) {
    let shared = std::env::temp_dir().join("rowhouse-test-templates-wire");
    std::fs::create_dir_all(&shared).unwrap();
    let lock = std::fs::File::create(shared.join("lock")).unwrap();
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.unwrap().unwrap();
    let settings = |dir: &Path| instance::Settings {
        search_path: std::env::var_os("PATH"),
        ..instance::Settings::new(dir)
    };
    let spec = TemplateSpec::new("wire", vec![Script::new("postgres", ROLES)]);
    Instances::open(settings(&shared)).await.unwrap().prepare(&spec).await.unwrap();
    drop(lock);
    std::os::unix::fs::symlink(shared.join("template"), root.join("template")).unwrap();
    let instances = Instances::open(settings(root)).await.unwrap();
    let template = instances.prepare(&spec).await.unwrap();
    (instances, template)
}
