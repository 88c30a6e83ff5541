//! `rowhouse doctor`: what is wrong with this machine, and how to mend it.

use crate::cli::{DoctorArgs, PlaceArgs};
use crate::config;
use crate::data_dir::DataDir;
use crate::house::Surroundings;
use crate::output::write;
use anyhow::bail;
use rustix::process::{Resource, getrlimit, getuid};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Less than this is not enough to start; less than ten times this is worth a word.
const DISK_BYTES_MIN: u64 = 200 * 1024 * 1024;
/// Open files: each client is one, each connection to PostgreSQL too.
const FILES_MIN: u64 = 1024;
/// A clock before this is wrong: tokens would never be valid. 2025-01-01.
const CLOCK_MIN_S: u64 = 1_735_689_600;

/// What a check found.
enum Finding {
    Ok(String),
    /// It works, but.
    Warn(String, String),
    /// It will not work: what, and how to mend it.
    Fail(String, String),
}

pub async fn run(args: DoctorArgs, surroundings: Surroundings) -> anyhow::Result<()> {
    let data_dir = args.place.data_dir();
    let mut findings = postgres(&args, &surroundings).await;
    findings.push(data(&data_dir));
    findings.push(master_key(&data_dir));
    findings.push(disk(&data_dir));
    findings.push(running(&data_dir));
    findings.extend(ports(&args.place, &data_dir));
    findings.push(files());
    findings.push(clock());
    let mut failed = 0;
    let mut text = String::new();
    for finding in &findings {
        match finding {
            Finding::Ok(what) => text.push_str(&format!("ok    {what}\n")),
            Finding::Warn(what, cure) => text.push_str(&format!("warn  {what}\n      {cure}\n")),
            Finding::Fail(what, cure) => {
                failed += 1;
                text.push_str(&format!("fail  {what}\n      {cure}\n"));
            }
        }
    }
    write(&text)?;
    if failed > 0 {
        bail!("{failed} of {} checks failed", findings.len());
    }
    Ok(())
}

async fn postgres(args: &DoctorArgs, surroundings: &Surroundings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(url) = &args.postgres.database_url {
        findings.push(external(url).await);
        return findings;
    }
    let mut settings = instance::Settings::new(args.place.data_dir());
    settings.pg_bin.clone_from(&args.postgres.pg_bin);
    settings.search_path.clone_from(&surroundings.search_path);
    findings.push(match instance::find(&settings).await {
        Ok(found) => match found.first() {
            Some(first) => Finding::Ok(format!("PostgreSQL {} in {}", first.version, first.bin.display())),
            None => Finding::Fail("no PostgreSQL".to_owned(), "install version 15 to 18".to_owned()),
        },
        Err(error) => Finding::Fail("no PostgreSQL that can be used".to_owned(), indent(&error.to_string())),
    });
    findings.push(match instance::ServerUser::choose(None).await {
        Ok(user) if user.is_other => Finding::Ok(format!(
            "PostgreSQL will run as {} (user {}), because we are root",
            user.name.unwrap_or_default(),
            user.uid
        )),
        Ok(user) => Finding::Ok(format!("PostgreSQL will run as ourselves (user {})", user.uid)),
        Err(error) => Finding::Fail("no user to run PostgreSQL as".to_owned(), indent(&error.to_string())),
    });
    findings
}

async fn external(url: &str) -> Finding {
    let connected = match pg::Config::from_url(url) {
        Ok(config) => pg::Connection::connect(&config).await,
        Err(error) => Err(error),
    };
    match connected {
        Ok(connection) => {
            let version = connection.parameter("server_version").unwrap_or("of unknown version").to_owned();
            connection.close().await;
            Finding::Ok(format!("the server of --database-url answers: PostgreSQL {version}"))
        }
        Err(error) => Finding::Fail(
            "the server of --database-url does not answer".to_owned(),
            indent(&error.to_string()),
        ),
    }
}

fn data(dir: &Path) -> Finding {
    let existing = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let probe = existing.join(format!(".rowhouse-doctor-{}", std::process::id()));
    let can_write = std::fs::write(&probe, b"").is_ok();
    let _ = std::fs::remove_file(&probe);
    let path = dir.display();
    if can_write {
        let state = if dir.exists() { "is there and can be written" } else { "can be made" };
        return Finding::Ok(format!("the data directory {path} {state}"));
    }
    Finding::Fail(
        format!("the data directory {path} cannot be written"),
        format!(
            "give {} to the user that runs Rowhouse (user {}), or choose another with --data",
            existing.display(),
            getuid().as_raw()
        ),
    )
}

fn master_key(dir: &Path) -> Finding {
    let path = dir.join("key");
    match std::fs::metadata(&path) {
        Err(_) => Finding::Ok("the master key will be made at the first start".to_owned()),
        Ok(found) if found.mode() & 0o077 == 0 => {
            Finding::Ok("the master key is readable by its owner only".to_owned())
        }
        Ok(_) => Finding::Fail(
            format!("the master key {} can be read by others", path.display()),
            format!("chmod 600 {}", path.display()),
        ),
    }
}

fn disk(dir: &Path) -> Finding {
    let existing = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let Ok(found) = rustix::fs::statvfs(existing) else {
        return Finding::Warn(
            "the free space of the disk is unknown".to_owned(),
            "look at it with: df -h".to_owned(),
        );
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let text = format!("{} MB are free for {}", free / 1_000_000, dir.display());
    let cure = "make room: PostgreSQL stops when its disk is full".to_owned();
    if free < DISK_BYTES_MIN {
        Finding::Fail(text, cure)
    } else if free < 10 * DISK_BYTES_MIN {
        Finding::Warn(text, cure)
    } else {
        Finding::Ok(text)
    }
}

fn running(dir: &Path) -> Finding {
    match DataDir::existing(dir).ok().and_then(|data| data.running()) {
        Some(process) => Finding::Ok(format!("Rowhouse runs here (process {process})")),
        None => Finding::Ok("no Rowhouse runs here, and no lock is held".to_owned()),
    }
}

fn ports(place: &PlaceArgs, data_dir: &Path) -> Vec<Finding> {
    if place.data.is_some() || DataDir::existing(data_dir).is_ok_and(|data| data.running().is_some()) {
        return Vec::new();
    }
    let loaded = match config::load(&place.workdir, &|name| std::env::var(name).ok()) {
        Ok(loaded) => loaded,
        Err(error) => {
            return vec![Finding::Fail(format!("{} is wrong", config::FILE), indent(&error.to_string()))];
        }
    };
    let mut findings: Vec<_> = loaded
        .warnings
        .iter()
        .map(|warning| {
            Finding::Warn(format!("{}: {warning}", config::FILE), "remove it, or mend its name".to_owned())
        })
        .collect();
    let wanted = [(loaded.config.api.port, "--api-port", "api"), (loaded.config.db.port, "--db-port", "db")];
    findings.extend(wanted.into_iter().map(|(port, flag, section)| {
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => Finding::Ok(format!("port {port} is free")),
            Err(error) => Finding::Fail(
                format!("port {port} cannot be used: {error}"),
                format!(
                    "stop the program that has it, or choose another with {flag} or [{section}] port in {}",
                    config::FILE
                ),
            ),
        }
    }));
    findings
}

fn files() -> Finding {
    let limit = getrlimit(Resource::Nofile).current;
    match limit {
        Some(limit) if limit < FILES_MIN => Finding::Warn(
            format!("this user may open only {limit} files"),
            format!("raise the limit: ulimit -n {}", 16 * FILES_MIN),
        ),
        Some(limit) => Finding::Ok(format!("{limit} files may be open")),
        None => Finding::Ok("any number of files may be open".to_owned()),
    }
}

fn clock() -> Finding {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    if now.as_secs() < CLOCK_MIN_S {
        return Finding::Fail("the clock is wrong".to_owned(), "set it: tokens depend on it".to_owned());
    }
    Finding::Ok("the clock is plausible".to_owned())
}

/// Further lines of a text stand under its first.
fn indent(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n      ")
}
