//! Our auth beside the reference: the same requests to both, and where the answers differ.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::args::Args;
use crate::process::{Background, Scratch, cargo, free_port, root, run, target_dir};

/// The scripts, the cases and the settings of both sides.
const CASES: &str = "e2e/conform/auth";

/// Starts `rowhouse start` with an empty project and compares it with the server at `--against`, which has to have
/// an empty database and the settings of `reference.env`.
pub fn command(args: &Args) -> Result<()> {
    let against = args.value("against").context("say where the reference is: --against URL")?;
    run(cargo().args(["build", "--locked", "--package", "rowhouse"]))?;
    let scratch = Scratch::new("compare")?;
    let (cases, supabase) = (root().join(CASES), scratch.path().join("supabase"));
    std::fs::create_dir_all(&supabase)?;
    std::fs::copy(cases.join("config.toml"), supabase.join("config.toml"))?;

    let log = scratch.path().join("start.log");
    let mut start = Command::new(target_dir().join("debug/rowhouse"));
    start.args(["start", "-o", "json", "--workdir"]).arg(scratch.path());
    start.args(["--api-port", &free_port()?.to_string(), "--db-port", &free_port()?.to_string()]);
    let mut server = Background::start(&mut start, &log)?;
    server.wait_until("rowhouse start", || addresses(&std::fs::read_to_string(&log)).is_some())?;
    let env = addresses(&std::fs::read_to_string(&log)).context("no addresses")?;
    let text = |name: &str| env[name].as_str().unwrap_or_default().to_owned();

    let mut compare = Command::new("node");
    compare.arg(cases.join("compare.mjs")).args(["--reference", against]);
    compare.args(["--ours", &format!("{}/auth/v1", text("API_URL")), "--apikey", &text("PUBLISHABLE_KEY")]);
    for option in ["only", "report"] {
        if let Some(value) = args.value(option) {
            compare.args([format!("--{option}"), value.to_owned()]);
        }
    }
    if !compare.status().context("cannot run node")?.success() {
        bail!("there are differences that {CASES}/known.mjs does not explain");
    }
    Ok(())
}

/// What the program says once it is ready: an object somewhere among the lines of its log.
fn addresses(log: &std::io::Result<String>) -> Option<Value> {
    let log = log.as_ref().ok()?;
    let (from, to) = (log.find("{\n")?, log.find("\n}")?);
    serde_json::from_str(log.get(from..to + 2)?).ok()
}
