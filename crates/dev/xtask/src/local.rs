//! `rowhouse start` with an empty project and given settings, for suites that talk to the local stack.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::postgres::bin_dir;
use crate::process::{Background, Scratch, cargo, free_port, run, target_dir};

pub struct Local {
    // Dropped in this order: the program ends before its folder goes.
    _program: Background,
    env: Value,
    scratch: Scratch,
}

impl Local {
    /// Builds the program and starts it on free ports with `config` as its config.toml.
    pub fn start(name: &str, config: &Path) -> Result<Self> {
        run(cargo().args(["build", "--locked", "--package", "rowhouse"]))?;
        let scratch = Scratch::new(name)?;
        let supabase = scratch.path().join("supabase");
        std::fs::create_dir_all(&supabase)?;
        std::fs::copy(config, supabase.join("config.toml"))?;
        let log = scratch.path().join("start.log");
        let mut start = Command::new(target_dir().join("debug/rowhouse"));
        start.args(["start", "-o", "json", "--workdir"]).arg(scratch.path());
        start.args(["--api-port", &free_port()?.to_string(), "--db-port", &free_port()?.to_string()]);
        let mut program = Background::start(&mut start, &log)?;
        program.wait_until("rowhouse start", || addresses(&std::fs::read_to_string(&log)).is_some())?;
        let env = addresses(&std::fs::read_to_string(&log)).context("no addresses")?;
        Ok(Self { _program: program, env, scratch })
    }

    /// What the program said under this name, empty if nothing.
    pub fn text(&self, name: &str) -> &str {
        self.env[name].as_str().unwrap_or_default()
    }

    /// The folder that goes with the stack.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Runs a script in the project's database.
    pub fn sql(&self, script: &Path) -> Result<()> {
        let mut psql = Command::new(bin_dir()?.join("psql"));
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.text("DB_URL"), "-f"]);
        run(psql.arg(script))
    }
}

/// What the program says once it is ready: an object somewhere among the lines of its log.
fn addresses(log: &std::io::Result<String>) -> Option<Value> {
    let log = log.as_ref().ok()?;
    let (from, to) = (log.find("{\n")?, log.find("\n}")?);
    serde_json::from_str(log.get(from..to + 2)?).ok()
}
