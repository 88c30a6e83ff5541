//! The server, its databases, and how it ends.

use pg::{Config, Connection};
use sql::quote_ident;
use std::collections::HashMap;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, OnceCell};

/// The superuser, named as in a project's instance.
const SUPERUSER: &str = "supabase_admin";
const PORT: u16 = 5432;
/// Numbers servers and databases.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A throw-away PostgreSQL server.
pub struct Postgres {
    dir: PathBuf,
    bin: PathBuf,
    /// Templates by name; the lock is held while one is made.
    templates: Mutex<HashMap<String, Arc<str>>>,
    /// Ends the server when its standard input closes, that is with this process at the latest.
    _watchdog: Child,
    _postmaster: Child,
}

/// A database of one test.
#[derive(Debug, Clone)]
pub struct Database {
    /// A superuser session on it.
    pub config: Config,
}

impl Database {
    /// A session as the superuser.
    ///
    /// # Panics
    /// When the server refuses: the test cannot go on.
    pub async fn connect(&self) -> Connection {
        Connection::connect(&self.config).await.expect("the test server accepts its superuser")
    }

    /// A pool as the superuser.
    pub fn pool(&self) -> pg::Pool {
        pg::Pool::new(self.config.clone(), pg::PoolOptions::default())
    }
}

impl Postgres {
    /// The server of this test process, started on first use.
    pub async fn shared() -> &'static Postgres {
        static SERVER: OnceCell<Postgres> = OnceCell::const_new();
        SERVER.get_or_init(|| Postgres::start(&[])).await
    }

    /// A server of one's own, for tests that stop or kill it. `settings` go on the command line.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start: no test can go on.
    pub async fn start(settings: &[(&str, &str)]) -> Postgres {
        let settings: Vec<String> = settings.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let server = tokio::task::spawn_blocking(move || Postgres::launch(&settings))
            .await
            .expect("starting the test server does not panic");
        server.wait_until_ready().await;
        server
    }

    fn launch(settings: &[String]) -> Postgres {
        let bin = binaries();
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("rowhouse-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary directory can be made");
        let owner = unprivileged();
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(&dir, Some(uid), Some(gid)).expect("root may give a directory away");
        }
        let data = dir.join("data");
        let made = as_owner(Command::new(bin.join("initdb")), owner)
            .args(["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "--auth=trust"])
            .args(["--username", SUPERUSER, "--pgdata"])
            .arg(&data)
            .current_dir(&dir)
            .output()
            .expect("initdb can be run");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));

        let log = std::fs::File::create(dir.join("log")).expect("a log can be made");
        let mut postgres = as_owner(Command::new(bin.join("postgres")), owner);
        postgres.arg("-D").arg(&data).arg("-k").arg(&dir).args(["-p", &PORT.to_string()]);
        for setting in FAST.iter().map(|s| (*s).to_owned()).chain(settings.iter().cloned()) {
            postgres.args(["-c", &setting]);
        }
        let errors = log.try_clone().expect("a file handle can be copied");
        let postmaster = postgres
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("postgres can be run");
        let watchdog = watch(postmaster.id(), &dir);
        Postgres { dir, bin, templates: Mutex::default(), _watchdog: watchdog, _postmaster: postmaster }
    }

    async fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(error) = Connection::connect(&self.config()).await {
            let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the test server does not start: {error}\n{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A superuser session on the server's own database.
    pub fn config(&self) -> Config {
        Config::unix(&self.dir, PORT, SUPERUSER, "postgres")
    }

    /// The directory of the socket; the port is 5432.
    pub fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// The directory with `psql`, `pgbench`, ….
    pub fn bin_dir(&self) -> &Path {
        &self.bin
    }

    /// An empty database.
    ///
    /// # Panics
    /// When the server refuses to make it.
    pub async fn database(&self) -> Database {
        self.copy_of("template0").await
    }

    /// A database on which `sql` has been run. The script runs once for each `name`; every call gets a copy.
    ///
    /// # Panics
    /// When the script fails.
    pub async fn database_like(&self, name: &str, sql: &str) -> Database {
        let template = {
            let mut templates = self.templates.lock().await;
            match templates.get(name) {
                Some(known) => Arc::clone(known),
                None => {
                    let made = self.copy_of("template0").await;
                    let mut session = made.connect().await;
                    if let Err(error) = session.batch(sql).await {
                        panic!("the script of the template {name} fails: {error}");
                    }
                    session.close().await;
                    let made: Arc<str> = made.config.dbname.into();
                    templates.insert(name.to_owned(), Arc::clone(&made));
                    made
                }
            }
        };
        self.copy_of(&template).await
    }

    async fn copy_of(&self, template: &str) -> Database {
        let name = format!("test_{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        let mut session = Connection::connect(&self.config()).await.expect("the test server is up");
        session.query("select pg_advisory_lock(1)", &[]).await.expect("a lock can be taken");
        let create = format!(
            "create database {} template {} strategy wal_log",
            quote_ident(&name),
            quote_ident(template)
        );
        let deadline = Instant::now() + Duration::from_secs(10);
        // A session on the template may still be going away.
        while let Err(error) = session.batch(&create).await {
            assert!(
                error.sqlstate() == Some("55006") && Instant::now() < deadline,
                "a test database cannot be made: {error}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        session.close().await;
        Database { config: self.config().with_dbname(&name) }
    }
}

/// Settings under which nothing survives a crash and everything is quick.
const FAST: [&str; 8] = [
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=64MB",
    "wal_level=logical",
    "autovacuum=off",
];

/// Where the server programs are: the newest of Debian's places, or `PATH`.
fn binaries() -> PathBuf {
    let debian = (15..=18).rev().map(|v| PathBuf::from(format!("/usr/lib/postgresql/{v}/bin")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian
        .chain(std::env::split_paths(&path))
        .find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file())
        .expect("PostgreSQL's server programs are installed")
}

/// The user and group to run PostgreSQL as when we are root, which it refuses.
fn unprivileged() -> Option<(u32, u32)> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|l| l.strip_prefix("Uid:"))?.split_whitespace().next()?;
    if uid != "0" {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some("postgres")).then(|| {
            let mut ids = fields.skip(1).take(2).map(|n| n.parse::<u32>().ok());
            Some((ids.next()??, ids.next()??))
        })?
    })
}

fn as_owner(mut command: Command, owner: Option<(u32, u32)>) -> Command {
    if let Some((uid, gid)) = owner {
        command.uid(uid).gid(gid);
    }
    command
}

/// Starts the shell that outlives this process by a moment.
fn watch(postmaster: u32, dir: &Path) -> Child {
    let dir = dir.to_string_lossy();
    let script = format!(
        "trap '' INT TERM HUP; read _; kill -QUIT {postmaster}; \
         for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 {postmaster} 2>/dev/null || break; sleep 0.1; done; \
         rm -rf {}",
        shell_quote(&dir)
    );
    Command::new("sh")
        .args(["-c", &script])
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh can be run")
}

fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
