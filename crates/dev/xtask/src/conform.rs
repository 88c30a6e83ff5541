//! Peers' own suites against Rowhouse. The suites are not kept here: a folder is given by the caller.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::args::Args;
use crate::postgres::{Cluster, psql};
use crate::process::{Background, Scratch, cargo, free_port, output, root, run, target_dir};

/// The login role of the suite: mixed case on purpose, it proves that role names are quoted.
const AUTHENTICATOR: &str = "Postgrest_Test_Authenticator";

pub fn command(args: &mut Args) -> Result<()> {
    match args.next_word().as_deref() {
        Some("rest") => rest(args),
        other => bail!("unknown suite {other:?}: there is `conform rest --spec DIR`"),
    }
}

/// PostgREST's spec: fixtures into a throw-away cluster, `rowhouse rest` in front of it, the runner against both.
fn rest(args: &Args) -> Result<()> {
    let spec = spec_dir(&args.path("spec").context("say where the suite lies: --spec DIR")?)?;
    let runners = args.path("runners").unwrap_or_else(|| root().join("../shared/conformance"));
    let config = args.value("config").unwrap_or("default");
    let runner = runners.join("postgrest_spec.py");
    if !runner.is_file() {
        bail!("no runner at {}: say where with --runners DIR", runner.display());
    }
    run(cargo().args(["build", "--locked", "--package", "rowhouse"]))?;

    let scratch = Scratch::new("conform")?;
    let cluster = Cluster::start(scratch.path(), &[("autovacuum", "off"), ("max_connections", "50")])?;
    load_fixtures(&runners, &spec, &cluster)?;
    let port = free_port()?;
    let file = scratch.path().join("rest.conf");
    std::fs::write(&file, configuration(&runner, &spec, config, &cluster, port)?)?;
    let binary = target_dir().join("debug/rowhouse");
    let mut server =
        Background::start(Command::new(binary).arg("rest").arg(&file), &scratch.path().join("rest.log"))?;
    server.wait_for_port(port)?;

    let mut suite = Command::new("python3");
    suite.arg(&runner).arg(&spec).args(["--base-url", &format!("http://127.0.0.1:{port}")]);
    suite.args(["--config", config]);
    if let Some(report) = args.value("report") {
        suite.args(["--json", report]);
    }
    let status = suite.status()?;
    println!("rest: suite ended with {status}; server log: {} bytes", server.log().len());
    Ok(())
}

/// The folder with `Main.hs`, given itself or the checkout around it.
fn spec_dir(given: &Path) -> Result<PathBuf> {
    [given.to_path_buf(), given.join("test/spec")]
        .into_iter()
        .find(|dir| dir.join("Main.hs").is_file())
        .with_context(|| format!("no Main.hs in {} or its test/spec", given.display()))
}

fn load_fixtures(runners: &Path, spec: &Path, cluster: &Cluster) -> Result<()> {
    let url = cluster.url("postgres", "postgres");
    // The fixtures write there; a leftover of another user makes the load fail.
    let _ = std::fs::remove_file("/tmp/projects_dump.csv");
    let script = runners.join("load_postgrest_fixtures.sh");
    let text =
        output(Command::new("bash").arg(script).arg(spec.join("fixtures")).args([&url, AUTHENTICATOR]))?;
    print!("{text}");
    psql(&url, "select 1").map(drop)
}

/// A configuration file in PostgREST's own format: what the suite's configuration asks for, and where we are.
fn configuration(runner: &Path, spec: &Path, config: &str, cluster: &Cluster, port: u16) -> Result<String> {
    let listed = output(Command::new("python3").arg(runner).arg(spec).args(["--configs-json", "-"]))?;
    let listed: Value = serde_json::from_str(&listed).context("the runner's list of configurations")?;
    let Some(settings) = listed[config]["settings"].as_object() else {
        let known: Vec<&String> = listed.as_object().into_iter().flat_map(|all| all.keys()).collect();
        bail!("the suite has no configuration {config:?}; it has {known:?}");
    };
    let mut text = settings_file(settings);
    text.push_str(&format!("db-uri = {}\n", Value::from(cluster.url(AUTHENTICATOR, "postgres"))));
    text.push_str(&format!("server-host = \"127.0.0.1\"\nserver-port = {port}\n"));
    Ok(text)
}

/// One `name = "value"` a line; an empty value means that the setting is left out.
fn settings_file(settings: &serde_json::Map<String, Value>) -> String {
    let given = settings.iter().filter(|(_, value)| value.as_str() != Some(""));
    // A single dollar sign would begin an interpolation in this format.
    given.map(|(name, value)| format!("{name} = {}\n", value.to_string().replace('$', "$$"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_settings_are_left_out() {
        let settings = serde_json::json!({"db-schemas": "test", "jwt-aud": "", "jwt-role-claim-key": "$.role"});
        let text = settings_file(settings.as_object().unwrap());
        assert_eq!(text, "db-schemas = \"test\"\njwt-role-claim-key = \"$$.role\"\n");
    }
}
