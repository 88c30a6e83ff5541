//! `rowhouse start`: the local stack of a folder.

use crate::cli::{LOCAL_DATA, Output, PostgresArgs, StartArgs};
use crate::config::{self, Loaded};
use crate::data_dir::DataDir;
use crate::desk::Desk;
use crate::files::FilesArgs;
use crate::house::{
    Door, FrontPlan, House, PlatformPlan, Signals, Surroundings, public_url, remember_addresses,
};
use crate::local::{DATABASE_PASSWORD, LocalProject, Report};
use crate::machinery::ScannerArgs;
use crate::mailroom::Mailroom;
use crate::open_files;
use crate::output::{print_values, write};
use crate::wire::{Addresses, PoolSizes, WireSettings};
use anyhow::{Context, bail};
use gateway::{Limits, ProjectLimits, Settings as GatewaySettings};
use platform::{Platform, projects};
use serde_json::{Map, Value};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How long `--detach` waits for the program that it has started.
const DETACH_TIMEOUT: Duration = Duration::from_secs(120);
const DETACH_POLL: Duration = Duration::from_millis(50);

pub async fn run(args: StartArgs, surroundings: Surroundings) -> anyhow::Result<()> {
    let begun = Instant::now();
    let missing = || format!("there is no {}", args.workdir.display());
    let workdir = args.workdir.canonicalize().with_context(missing)?;
    let data = DataDir::open(&workdir.join(LOCAL_DATA))?;
    hide_from_git(&data)?;
    if args.detach {
        return detach(&args, &data, &surroundings).await;
    }
    let mut signals = Signals::new()?;
    let loaded = config::load(&workdir, &|name| std::env::var(name).ok())?;
    for warning in &loaded.warnings {
        tracing::warn!("{}: {warning}", config::FILE);
    }
    let lock = data.lock()?;
    let (api, db) = doors(&args, &loaded);
    let (api, db) = (api.open().await?, db.open().await?);
    let mailroom = Mailroom::new(&args, &loaded.config.catcher, &data).await?;
    let plan = PlatformPlan {
        data: data.clone(),
        postgres: args.postgres.clone(),
        surroundings,
        shard_capacity: platform::SHARD_CAPACITY,
        idle_sleep: None,
    };
    let platform = Box::pin(plan.open()).await?;
    let local = LocalProject::new(&workdir, loaded);
    let stack =
        Stack { local, plan, api, db, mailroom, files: args.files.clone(), scanner: args.scanner.clone() };
    let opened = tokio::select! {
        opened = Box::pin(stack.open(platform.clone())) => opened,
        signal = signals.wait() => Err(anyhow::anyhow!("stopped ({signal}) before it was ready")),
    };
    let (house, values, report) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            platform.shutdown().await?;
            return Err(error);
        }
    };
    drop(platform);
    print_values(&values, args.output)?;
    if args.output == Output::Table {
        write("\nRowhouse is ready. Stop it with Ctrl-C.\n")?;
    }
    tell(&report, begun.elapsed());
    house.run(signals).await?;
    drop(lock);
    Ok(())
}

/// What is opened on a platform to make it a local stack.
struct Stack {
    local: LocalProject,
    plan: PlatformPlan,
    api: TcpListener,
    db: TcpListener,
    mailroom: Option<Mailroom>,
    files: FilesArgs,
    scanner: ScannerArgs,
}

impl Stack {
    async fn open(self, platform: Platform) -> anyhow::Result<(House, Map<String, Value>, Report)> {
        let Stack { local, plan, api, db, mailroom, files, scanner } = self;
        let report = Box::pin(local.bring_up(&platform)).await?;
        let default_project = Some(local.reference().clone());
        let addresses = Addresses {
            public_url: public_url(api.local_addr()?),
            base_domain: None,
            default_project: default_project.clone(),
        };
        let mut values = values(&platform, &local, &addresses, &plan.postgres, db.local_addr()?).await?;
        if let Some(mailroom) = &mailroom {
            mailroom.values(&mut values)?;
        }
        let front = FrontPlan {
            api,
            databases: vec![db],
            database_tls: None,
            database_idle: None,
            gateway: GatewaySettings {
                keyless_auth: true,
                limits: Limits {
                    connections_max: open_files::connections(Limits::default().connections_max),
                    ..Limits::default()
                },
                ..GatewaySettings::default()
            },
            wire: WireSettings {
                default_project,
                addresses: addresses.clone(),
                limits: ProjectLimits::default(),
                body_memory: gateway::Memory::default(),
                pools: PoolSizes::default(),
                files: crate::machinery::machinery(&plan.data, &files, &scanner).await?,
                limits_clients: false,
                // Hooks and providers of one's own machine are what development is about.
                outbound: outbound::Client::new(outbound::Reach::Anywhere)?,
                local_mail: mailroom.as_ref().map(Mailroom::local_mail),
                idle: None,
                schema_bytes: usize::MAX,
            },
        };
        let house = House::open(platform.clone(), &plan.data, front)?;
        if let Some(mailroom) = mailroom {
            mailroom.open(&house);
        }
        local.seed_buckets(house.wire()).await;
        remember_addresses(&plan.data, &addresses)?;
        crate::files::remember(&plan.data, &files)?;
        let (follower, following, wire) = (local.clone(), platform.clone(), house.wire().clone());
        house.accompany(|stop| follower.follow_file(following, wire, stop));
        let wire = Some(house.wire().clone());
        let desk = Desk { platform, addresses, wire, local: Some(local), values: values.clone() };
        house.take_commands(&plan.data, &plan.surroundings.temp_dir, desk).await?;
        Ok((house, values, report))
    }
}

/// Flags win over the file.
fn doors(args: &StartArgs, loaded: &Loaded) -> (Door, Door) {
    let door = |flag: Option<u16>, configured: u16, flag_name: &str, section: &str| Door {
        address: SocketAddr::new(args.host, flag.unwrap_or(configured)),
        setting: format!("{flag_name} PORT, or `port` under [{section}] in {}", config::FILE),
    };
    (
        door(args.api_port, loaded.config.api.port, "--api-port", "api"),
        door(args.db_port, loaded.config.db.port, "--db-port", "db"),
    )
}

/// Addresses and keys under the official CLI's names.
async fn values(
    platform: &Platform,
    local: &LocalProject,
    addresses: &Addresses,
    postgres: &PostgresArgs,
    db: SocketAddr,
) -> anyhow::Result<Map<String, Value>> {
    let keys = projects::keys(platform, local.reference()).await?;
    let url = &addresses.public_url;
    let database = match &postgres.database_url {
        // Clients of a server of the operator's own go there directly.
        Some(url) => owner_url(&pg::Config::from_url(url)?),
        None => {
            let host = public_url(db).replace("http://", "");
            format!("postgresql://postgres:{DATABASE_PASSWORD}@{host}/postgres")
        }
    };
    let pairs = [
        ("API_URL", url.clone()),
        ("REST_URL", format!("{url}/rest/v1")),
        ("GRAPHQL_URL", format!("{url}/graphql/v1")),
        ("STORAGE_URL", format!("{url}/storage/v1")),
        ("STORAGE_S3_URL", format!("{url}/storage/v1/s3")),
        ("DB_URL", database),
        ("PUBLISHABLE_KEY", keys.publishable),
        ("SECRET_KEY", keys.secret),
        ("JWT_SECRET", keys.jwt_secret),
        ("ANON_KEY", keys.anon),
        ("SERVICE_ROLE_KEY", keys.service_role),
    ];
    Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect())
}

/// The URL by which the project's owner logs in on a server that is not ours.
fn owner_url(config: &pg::Config) -> String {
    let (port, name) = (config.port, &config.dbname);
    match &config.host {
        pg::Host::Tcp(host) => format!("postgresql://postgres:{DATABASE_PASSWORD}@{host}:{port}/{name}"),
        pg::Host::Unix(dir) => {
            format!("postgresql://postgres:{DATABASE_PASSWORD}@/{name}?host={}&port={port}", dir.display())
        }
    }
}

fn tell(report: &Report, took: Duration) {
    for warning in &report.warnings {
        tracing::warn!("{warning}");
    }
    for name in &report.migrations {
        tracing::info!(migration = %name, "applied");
    }
    for path in &report.seeds {
        tracing::info!(%path, "seeded");
    }
    tracing::info!(ms = took.as_millis(), "ready");
}

/// The data is nothing to commit.
fn hide_from_git(data: &DataDir) -> anyhow::Result<()> {
    let path = data.path().join(".gitignore");
    if !path.exists() {
        std::fs::write(&path, "*\n").with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

/// Starts the same command again without `--detach`, its log in a file, and waits until it is ready.
async fn detach(args: &StartArgs, data: &DataDir, surroundings: &Surroundings) -> anyhow::Result<()> {
    if let Some(process) = data.running() {
        bail!("Rowhouse already runs here (process {process}); see: rowhouse status");
    }
    let log_path = data.log_file();
    let log = std::fs::File::create(&log_path)
        .with_context(|| format!("{} cannot be written", log_path.display()))?;
    let words = std::env::args_os().skip(1).filter(|word| word != "--detach");
    let mut command = tokio::process::Command::new(std::env::current_exe()?);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
    let mut child = command.spawn().context("the program cannot be started in the background")?;
    let socket = data.admin_socket(&surroundings.temp_dir)?;
    let deadline = Instant::now() + DETACH_TIMEOUT;
    loop {
        if let Some(status) = child.try_wait()? {
            bail!("it ended at once ({status}):\n{}", last_lines(&log_path));
        }
        let status = crate::admin::ask(&socket, &crate::admin::Operation::Status).await;
        if let Some(values) =
            status.ok().as_ref().and_then(|status| status.get("values")?.as_object().cloned())
        {
            print_values(&values, args.output)?;
            if args.output == Output::Table {
                let log = log_path.display();
                write(&format!(
                    "\nRowhouse runs in the background; its log is {log}. Stop it with: rowhouse stop\n"
                ))?;
            }
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("it is not ready after {} s; see {}", DETACH_TIMEOUT.as_secs(), log_path.display());
        }
        tokio::time::sleep(DETACH_POLL).await;
    }
}

fn last_lines(path: &Path) -> String {
    const LINES: usize = 20;
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
