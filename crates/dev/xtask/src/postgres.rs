//! A throw-away PostgreSQL cluster on a free loopback port, for suites that bring their own fixtures.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{Background, free_port, output, run};

/// Drops to this user when we are root: PostgreSQL refuses to run as root.
const UNPRIVILEGED: &str = "postgres";

pub struct Cluster {
    // Dropped first: the server ends before its folder goes.
    _server: Background,
    pub port: u16,
}

/// The folder with `postgres` and `initdb`: the newest of the usual places, else from PATH.
pub fn bin_dir() -> Result<PathBuf> {
    let usual = (15..=18).rev().flat_map(|version| {
        [
            "/usr/lib/postgresql/{}/bin",
            "/opt/homebrew/opt/postgresql@{}/bin",
            "/usr/local/opt/postgresql@{}/bin",
        ]
        .map(|place| PathBuf::from(place.replace("{}", &version.to_string())))
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    usual
        .chain(std::env::split_paths(&path))
        .find(|dir| dir.join("initdb").is_file() && dir.join("postgres").is_file())
        .context("no PostgreSQL server found: run scripts/setup.sh run")
}

fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// A command that runs as an ordinary user, whoever we are.
pub fn unprivileged(program: &Path) -> Result<Command> {
    if !is_root()? {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", UNPRIVILEGED, "--regid", UNPRIVILEGED, "--clear-groups", "--"]).arg(program);
    Ok(command)
}

impl Cluster {
    /// Creates and starts a cluster in `dir` (superuser `postgres`, `trust`) with the given settings.
    pub fn start(dir: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let bin = bin_dir()?;
        let data = dir.join("pg");
        std::fs::create_dir_all(&data)?;
        if is_root()? {
            run(Command::new("chown").arg("-R").arg(UNPRIVILEGED).arg(dir))?;
        }
        run(unprivileged(&bin.join("initdb"))?
            .current_dir("/")
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-A", "trust", "--no-locale", "-E", "UTF8", "--no-sync"])
            .stdout(std::process::Stdio::null()))?;
        let port = free_port()?;
        let mut command = unprivileged(&bin.join("postgres"))?;
        command.current_dir("/").arg("-D").arg(&data).args(["-p", &port.to_string()]);
        let fixed = [("listen_addresses", "127.0.0.1"), ("fsync", "off"), ("timezone", "UTC")];
        for (name, value) in fixed.iter().chain(settings) {
            command.args(["-c", &format!("{name}={value}")]);
        }
        command.args(["-c", &format!("unix_socket_directories={}", data.display())]);
        let mut server = Background::start(&mut command, &dir.join("postgres.log"))?;
        let ready = bin.join("pg_isready");
        server.wait_until("PostgreSQL", || {
            let answer =
                Command::new(&ready).args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).status();
            matches!(answer, Ok(status) if status.success())
        })?;
        Ok(Self { _server: server, port })
    }

    pub fn url(&self, user: &str, database: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{database}", self.port)
    }
}

/// Runs one statement with psql and returns its unaligned output.
pub fn psql(url: &str, sql: &str) -> Result<String> {
    let psql = bin_dir()?.join("psql");
    let psql = if psql.is_file() { psql } else { PathBuf::from("psql") };
    let out =
        output(Command::new(psql).args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]));
    match out {
        Ok(text) => Ok(text.trim_end().to_owned()),
        Err(error) => bail!("psql: {error}"),
    }
}
