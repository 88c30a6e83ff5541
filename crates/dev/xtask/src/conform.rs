//! Peers' own suites against Rowhouse. The suites are not kept here: a folder is given by the caller.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::args::Args;
use crate::clients;
use crate::compare;
use crate::postgres::{Cluster, psql};
use crate::process::{Background, Scratch, cargo, free_port, output, root, run, target_dir};
use crate::storage_suites;

/// The login role of the suite: mixed case on purpose, it proves that role names are quoted.
const AUTHENTICATOR: &str = "Postgrest_Test_Authenticator";

pub fn command(args: &mut Args) -> Result<()> {
    match args.next_word().as_deref() {
        Some("rest") => rest(args),
        Some("auth") => compare::auth(args),
        Some("storage") => compare::storage(args),
        Some("storage-acceptance") => storage_suites::acceptance(args),
        Some("storage-js") => storage_suites::storage_js(args),
        Some("storage-py") => storage_suites::storage_py(args),
        Some("storage-s3") => storage_suites::s3(args),
        Some("postgrest-js") => clients::postgrest_js(args),
        Some("postgrest-py") => clients::postgrest_py(args),
        other => bail!("unknown suite {other:?}: `cargo xtask help` lists them"),
    }
}

/// PostgREST's spec: fixtures into a throw-away cluster, `rowhouse rest` in front of it, the runner against both.
fn rest(args: &Args) -> Result<()> {
    let spec = spec_dir(&args.path("spec").context("say where the suite lies: --spec DIR")?)?;
    let runners = args.path("runners").unwrap_or_else(|| root().join("../shared/conformance"));
    let wanted = args.value("config").unwrap_or("default");
    let runner = runners.join("postgrest_spec.py");
    if !runner.is_file() {
        bail!("no runner at {}: say where with --runners DIR", runner.display());
    }
    run(cargo().args(["build", "--locked", "--package", "rowhouse"]))?;
    let configurations = configurations(&runner, &spec, wanted)?;

    let scratch = Scratch::new("conform")?;
    let cluster = Cluster::start(scratch.path(), &[("autovacuum", "off"), ("max_connections", "60")])?;
    load_fixtures(&runners, &spec, &cluster)?;
    let suite = Suite { runner: &runner, spec: &spec, cluster: &cluster, dir: scratch.path() };
    let mut all = Vec::new();
    for (name, settings) in &configurations {
        if settings.get("db-tx-end").is_some_and(|end| end == "commit") {
            load_fixtures(&runners, &spec, &cluster)?; // the one before may have left something
        }
        let counts = suite.run(name, settings, configurations.len() == 1)?;
        println!("{name}: {} of {} pass, {} fail", counts.passed, counts.cases.len(), counts.failed);
        if settings.get("db-tx-end").is_some_and(|end| end == "commit") {
            load_fixtures(&runners, &spec, &cluster)?;
        }
        all.push(counts);
    }
    let failing: Vec<&Value> = all.iter().flat_map(|counts| counts.failing()).collect();
    let passed: usize = all.iter().map(|counts| counts.passed).sum();
    for case in &failing {
        println!("fails: {}", case["id"].as_str().unwrap_or_default());
    }
    if let Some(report) = args.path("report") {
        std::fs::write(&report, serde_json::to_string_pretty(&failing)?)?;
    }
    println!("{passed} passed, {} failed", failing.len());
    Ok(())
}

/// What stays the same for all configurations.
struct Suite<'a> {
    runner: &'a Path,
    spec: &'a Path,
    cluster: &'a Cluster,
    dir: &'a Path,
}

struct Counts {
    passed: usize,
    failed: usize,
    cases: Vec<Value>,
}

impl Counts {
    fn of(cases: Vec<Value>) -> Self {
        let count = |status: &str| cases.iter().filter(|case| case["status"] == status).count();
        Self { passed: count("pass"), failed: count("fail"), cases }
    }

    fn failing(&self) -> impl Iterator<Item = &Value> {
        self.cases.iter().filter(|case| case["status"] == "fail")
    }
}

impl Suite<'_> {
    /// One configuration: a server of its own, its cases. `loud` shows the runner's table.
    fn run(&self, name: &str, settings: &Settings, loud: bool) -> Result<Counts> {
        let port = free_port()?;
        let file = self.dir.join("rest.conf");
        let mut text = settings_file(settings);
        text.push_str(&format!("db-uri = {}\n", Value::from(self.cluster.url(AUTHENTICATOR, "postgres"))));
        text.push_str(&format!("server-host = \"127.0.0.1\"\nserver-port = {port}\n"));
        std::fs::write(&file, text)?;
        let binary = target_dir().join("debug/rowhouse");
        let log = self.dir.join("rest.log");
        let mut server = Background::start(Command::new(binary).arg("rest").arg(&file), &log)?;
        server.wait_for_port(port)?;
        let json = self.dir.join("result.json");
        let mut suite = Command::new("python3");
        suite.arg(self.runner).arg(self.spec).args(["--base-url", &format!("http://127.0.0.1:{port}")]);
        suite.args(["--config", name, "--json"]).arg(&json);
        if !loud {
            suite.stdout(std::process::Stdio::null());
        }
        let status = suite.status()?; // not 0 when a case fails
        let text = std::fs::read_to_string(&json).with_context(|| {
            format!("{name}: the runner ended with {status} and wrote no result\n{}", server.log())
        })?;
        let mut result: Value = serde_json::from_str(&text)?;
        let cases = result["cases"].as_array_mut().map(std::mem::take).unwrap_or_default();
        Ok(Counts::of(cases))
    }
}

/// The folder with `Main.hs`, given itself or the checkout around it.
fn spec_dir(given: &Path) -> Result<PathBuf> {
    [given.to_path_buf(), given.join("test/spec")]
        .into_iter()
        .find(|dir| dir.join("Main.hs").is_file())
        .with_context(|| format!("no Main.hs in {} or its test/spec", given.display()))
}

/// Fills a fresh database: loading over a previous load is refused.
fn load_fixtures(runners: &Path, spec: &Path, cluster: &Cluster) -> Result<()> {
    let administration = cluster.url("postgres", "template1");
    psql(&administration, "drop database if exists postgres with (force)")?;
    psql(&administration, "create database postgres template template0")?;
    // The fixtures write there; a leftover of another user makes the load fail.
    let _ = std::fs::remove_file("/tmp/projects_dump.csv");
    let script = runners.join("load_postgrest_fixtures.sh");
    let url = cluster.url("postgres", "postgres");
    let text =
        output(Command::new("bash").arg(script).arg(spec.join("fixtures")).args([&url, AUTHENTICATOR]))?;
    print!("{text}");
    Ok(())
}

type Settings = serde_json::Map<String, Value>;

/// The settings of one configuration of the suite, or of `all` of them.
fn configurations(runner: &Path, spec: &Path, wanted: &str) -> Result<Vec<(String, Settings)>> {
    let listed = output(Command::new("python3").arg(runner).arg(spec).args(["--configs-json", "-"]))?;
    let listed: Settings = serde_json::from_str(&listed).context("the runner's list of configurations")?;
    let known: Vec<String> = listed.keys().cloned().collect();
    let all = listed
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.get("settings")?.as_object()?.clone())));
    let chosen: Vec<_> = all.filter(|(name, _)| wanted == "all" || name == wanted).collect();
    if chosen.is_empty() {
        bail!("the suite has no configuration {wanted:?}; it has {known:?}");
    }
    Ok(chosen)
}

/// One `name = "value"` a line. A single dollar sign would begin an interpolation in this format.
fn settings_file(settings: &Settings) -> String {
    settings
        .iter()
        .map(|(name, value)| format!("{name} = {}\n", value.to_string().replace('$', "$$")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_in_the_format_of_the_reference() {
        let settings =
            serde_json::json!({"db-schemas": "test", "jwt-aud": "", "jwt-role-claim-key": "$.role"});
        let text = settings_file(settings.as_object().unwrap());
        assert_eq!(text, "db-schemas = \"test\"\njwt-aud = \"\"\njwt-role-claim-key = \"$$.role\"\n");
    }
}
