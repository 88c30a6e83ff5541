//! The official clients' own tests against `rowhouse rest`: a throw-away cluster with the suite's database, the
//! server in front of it, and the suite told where it is without a change to its files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::args::Args;
use crate::postgres::{Cluster, bin_dir};
use crate::process::{Background, Scratch, cargo, free_port, root, run, target_dir};

/// The settings of the local stack that postgrest-js is tested with; the rest is in its migrations.
const JS_SETTINGS: &str = "db-schemas = \"public,personal,graphql_public\"\n\
    db-extra-search-path = \"public,extensions\"\ndb-max-rows = 1000\ndb-anon-role = \"anon\"\n";

const PY_SETTINGS: &str = "db-schemas = \"public,personal\"\ndb-extra-search-path = \"extensions\"\n\
    db-anon-role = \"postgres\"\ndb-plan-enabled = true\ndb-tx-end = \"commit-allow-override\"\n";

/// Where the JavaScript suite believes its server to be.
const JS_URL: &str = "http://localhost:54321/rest/v1";

/// Tells the Python suite where its server is.
const PY_PLUGIN: &str = "import os, sys\n\n\ndef pytest_collection_finish(session):\n    \
    for name, module in list(sys.modules.items()):\n        \
    if name.startswith('tests.') and hasattr(module, 'REST_URL'):\n            \
    module.REST_URL = os.environ['REST_URL']\n";

/// A server with the database of a suite.
struct Server {
    url: String,
    _server: Background,
    _cluster: Cluster,
}

impl Server {
    /// Runs `scripts` in a new database and serves it to the login role `user`.
    fn start(dir: &Path, user: &str, settings: &str, scripts: &[PathBuf]) -> Result<Self> {
        run(cargo().args(["build", "--locked", "--package", "rowhouse"]))?;
        // As in Supabase's local stack: plans show both.
        let shown = [("compute_query_id", "on"), ("effective_cache_size", "128MB")];
        let cluster = Cluster::start(dir, &shown)?;
        let roles = root().join("crates/dev/xtask/fixtures/clients.sql");
        for script in std::iter::once(&roles).chain(scripts) {
            let database = cluster.url("postgres", "postgres");
            let mut psql = Command::new(bin_dir()?.join("psql"));
            psql.args(["-X", "-q", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1", "-d", &database, "-f"]);
            run(psql.arg(script))?;
        }
        let port = free_port()?;
        let file = dir.join("rest.conf");
        let address = format!("server-host = \"127.0.0.1\"\nserver-port = {port}\n");
        let database = Value::from(cluster.url(user, "postgres"));
        std::fs::write(&file, format!("db-uri = {database}\n{settings}{address}"))?;
        let mut rest = Command::new(target_dir().join("debug/rowhouse"));
        let mut server = Background::start(rest.arg("rest").arg(&file), &dir.join("rest.log"))?;
        server.wait_for_port(port)?;
        Ok(Self { url: format!("http://127.0.0.1:{port}"), _server: server, _cluster: cluster })
    }
}

fn package(args: &Args, folder: &str) -> Result<PathBuf> {
    let repo = args.path("repo").context("say where the client's repository lies: --repo DIR")?;
    let package = repo.join(folder);
    if !package.is_dir() {
        bail!("no {folder} in {}", repo.display());
    }
    Ok(package.canonicalize()?)
}

/// `conform postgrest-js --repo DIR`: a checkout of supabase-js whose dependencies are installed.
pub fn postgrest_js(args: &Args) -> Result<()> {
    let package = package(args, "packages/core/postgrest-js")?;
    let test = package.join("test/supabase");
    let mut scripts: Vec<PathBuf> =
        std::fs::read_dir(test.join("migrations"))?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    scripts.sort();
    scripts.push(test.join("seed.sql"));
    let scratch = Scratch::new("postgrest-js")?;
    let server = Server::start(scratch.path(), "authenticator", JS_SETTINGS, &scripts)?;
    let hook = scratch.path().join("hook.js");
    std::fs::write(
        &hook,
        format!(
            "const plain = globalThis.fetch\nglobalThis.fetch = (url, init) =>\n  \
             plain(typeof url === 'string' ? url.replace({JS_URL:?}, {:?}) : url, init)\n",
            server.url
        ),
    )?;
    let config = json!({
        "rootDir": package, "preset": "ts-jest", "testEnvironment": "node", "testTimeout": 30_000,
        "testSequencer": "<rootDir>/test/testSequencer.js", "setupFiles": [hook],
        "transform": { "^.+\\.ts$": ["ts-jest", { "tsconfig": "<rootDir>/tsconfig.test.json" }] },
        "testPathIgnorePatterns": ["/node_modules/", "/test/v12/"],
    });
    let file = scratch.path().join("jest.json");
    std::fs::write(&file, config.to_string())?;
    let result = scratch.path().join("result.json");
    let mut jest = Command::new("npx");
    jest.current_dir(&package).args(["jest", "--runInBand", "--ci", "--silent", "--config"]).arg(&file);
    jest.arg("--json").arg("--outputFile").arg(&result).stdout(std::process::Stdio::null());
    if let Some(names) = args.value("match") {
        jest.args(["--testNamePattern", names]);
    }
    let status = jest.status().context("cannot run npx")?; // not 0 when a case fails
    let text = std::fs::read_to_string(&result).with_context(|| {
        format!("jest ended with {status} and wrote no result: are its packages installed?")
    })?;
    let result: Value = serde_json::from_str(&text)?;
    let suites = result["testResults"].as_array().into_iter().flatten();
    for case in suites.flat_map(|suite| suite["assertionResults"].as_array().into_iter().flatten()) {
        if case["status"] == "failed" {
            println!("fails: {}", case["fullName"].as_str().unwrap_or_default());
        }
    }
    println!("{} passed, {} failed", result["numPassedTests"], result["numFailedTests"]);
    Ok(())
}

/// `conform postgrest-py --repo DIR`: a checkout of supabase-py; `--python FILE` has the test dependencies.
pub fn postgrest_py(args: &Args) -> Result<()> {
    let package = package(args, "src/postgrest")?;
    let scratch = Scratch::new("postgrest-py")?;
    let scripts = [package.join("infra/init.sql")];
    let server = Server::start(scratch.path(), "postgres", PY_SETTINGS, &scripts)?;
    std::fs::write(scratch.path().join("server_address.py"), PY_PLUGIN)?;
    let path = std::env::join_paths([&package.join("src"), scratch.path()])?;
    let python = args.path("python").unwrap_or_else(|| "python3".into());
    let mut pytest = Command::new(python);
    pytest.current_dir(&package).env("PYTHONPATH", path).env("REST_URL", &server.url);
    run(pytest.args(["-m", "pytest", "-q", "-p", "server_address", "-p", "no:cacheprovider"]))
}
