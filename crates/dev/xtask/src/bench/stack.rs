//! The release binary running as `rowhouse start`, and the private side of its PostgreSQL server.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{Background, Scratch, free_port, output, target_dir};

pub struct Stack {
    // Dropped in this order: the program ends before its folder goes.
    pub program: Background,
    pub api_port: u16,
    pub env: Value,
    scratch: Scratch,
}

pub fn binary() -> Result<PathBuf> {
    let built = target_dir().join("release/rowhouse");
    let binary = std::env::var_os("ROWHOUSE_BIN").map_or(built, PathBuf::from);
    if !binary.is_file() {
        bail!("no release binary: run `cargo build --release -p rowhouse` first");
    }
    Ok(binary)
}

/// The private address of a managed server, as its `postmaster.pid` tells it.
pub struct Server {
    pub postmaster: u32,
    pub socket_dir: String,
    pub port: String,
    pub home: PathBuf,
}

impl Stack {
    pub fn start(migration: &str) -> Result<Self> {
        Self::start_with(migration, "", &[])
    }

    /// With a `config.toml` and variables of the environment.
    pub fn start_with(migration: &str, config: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let scratch = Scratch::new("bench")?;
        let migrations = scratch.path().join("supabase/migrations");
        std::fs::create_dir_all(&migrations)?;
        std::fs::write(migrations.join("20240101000000_bench.sql"), migration)?;
        std::fs::write(scratch.path().join("supabase/config.toml"), config)?;
        let (api_port, db_port) = (free_port()?, free_port()?);
        let mut command = Command::new(binary()?);
        command.envs(variables.iter().copied());
        command.arg("start").arg("--workdir").arg(scratch.path());
        command.args(["--api-port", &api_port.to_string(), "--db-port", &db_port.to_string(), "-o", "json"]);
        let log = scratch.path().join("program.log");
        let mut program = Background::start(&mut command, &log)?;
        let parse = || Some(std::fs::read_to_string(&log).ok()?).and_then(|text| addresses(&text));
        program.wait_until("rowhouse start prints its addresses", || parse().is_some())?;
        let env = parse().context("the program's addresses")?;
        Ok(Self { program, api_port, env, scratch })
    }

    pub fn key(&self, name: &str) -> &str {
        self.env[name].as_str().unwrap_or_default()
    }

    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// The server of the one project (not the platform's own).
    pub fn server(&self) -> Result<Server> {
        let mut found = Vec::new();
        postmasters(self.path(), 0, &mut found);
        let own = found.iter().position(|server| !server.home.to_string_lossy().contains("/system"));
        let at = own.context("no running PostgreSQL server in the folder")?;
        Ok(found.swap_remove(at))
    }
}

impl Server {
    pub fn psql(&self, sql: &str) -> Result<String> {
        let psql = crate::postgres::bin_dir()?.join("psql");
        output(
            Command::new(psql)
                .args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-U", "supabase_admin", "-d", "postgres"])
                .args(["-h", &self.socket_dir, "-p", &self.port, "-c", sql]),
        )
    }

    /// The server's log: the newest file of that kind in its data directory or the folder around it.
    pub fn log(&self) -> Result<PathBuf> {
        let around = [self.home.clone(), self.home.parent().unwrap_or(&self.home).to_path_buf()];
        let files = around.iter().flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten().flatten());
        files
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "log"))
            .max_by_key(|path| path.metadata().and_then(|meta| meta.modified()).ok())
            .context("the server's log file was not found")
    }
}

/// The object with the addresses in a text that holds other lines, also such of JSON.
fn addresses(text: &str) -> Option<Value> {
    text.match_indices('{').find_map(|(from, _)| {
        let object = serde_json::Deserializer::from_str(&text[from..]).into_iter::<Value>().next()?.ok()?;
        object.get("API_URL").is_some().then_some(object)
    })
}

fn postmasters(dir: &Path, depth: usize, found: &mut Vec<Server>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name() == "postmaster.pid" {
            found.extend(server(&path));
        } else if depth < 6 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            postmasters(&path, depth + 1, found);
        }
    }
}

fn server(pidfile: &Path) -> Option<Server> {
    let text = std::fs::read_to_string(pidfile).ok()?;
    let mut lines = text.lines();
    let postmaster = lines.next()?.trim().parse().ok()?;
    let port = lines.nth(2)?.to_owned();
    let socket_dir = lines.next()?.to_owned();
    Some(Server { postmaster, socket_dir, port, home: pidfile.parent()?.to_path_buf() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_among_lines_of_a_log() {
        let text = "{\"level\":\"INFO\"}\n{\n \"API_URL\": \"u\"\n}\n{\"a\":1}";
        assert_eq!(addresses(text).unwrap()["API_URL"], "u");
        assert!(addresses("{\"level\":\"INFO\"}\n{").is_none());
    }
}
