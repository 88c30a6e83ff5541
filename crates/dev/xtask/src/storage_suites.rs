//! The suites of others for storage, against `rowhouse start` with the fixtures that they expect: the acceptance suite of
//! Supabase Storage, storage-js, supabase-py, and the S3 checks with boto3.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::local::Local;
use crate::process::{root, run};

/// The local stack's key pair for the S3 protocol, and its secret.
const S3_KEY: &str = "625729a08b95bf1b7ff351a663f3a23c";
const S3_SECRET: &str = "850181e4652dd023b7a98c58ae0d2d34bd487ee0cc3254aed6eda37307425907";
const JWT_SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";

/// The reference of the local stack's project: the access key of sessions.
const LOCAL: &str = "rowhouselocalproject";

/// The user whom the fixtures let into a folder: a token of that secret, like the demo keys.
const USER_JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJyb2xlIjoiYXV0aGVudGljYXRlZCIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxOTgzODEyOTk2LCJzdWIiOiIzMTdlYWRjZS02MzFhLTQ0MjktYTBiYi1mMTlhN2E1MTdiNGEiLCJhdWQiOiJhdXRoZW50aWNhdGVkIn0.l9vWwsCkcYadWTLYk5kIJXLMRYz3kdfMXVrj2STJK4M";

/// A new project with the fixtures, and the command of a suite that knows where it is.
struct Suite {
    local: Local,
    storage: String,
}

impl Suite {
    fn start() -> Result<Self> {
        let folder = root().join("e2e/conform/storage");
        let local = Local::start("storage-suite", &folder.join("config.toml"))?;
        local.sql(&folder.join("suites.sql"))?;
        let storage = format!("{}/storage/v1", local.text("API_URL"));
        Ok(Self { local, storage })
    }

    /// A command with the keys that the suites read from their environment.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("JWT_SECRET", JWT_SECRET).env("S3_ACCESS_KEY_ID", S3_KEY);
        command
            .env("S3_SECRET_ACCESS_KEY", S3_SECRET)
            .env("SERVICE_KEY", self.local.text("SERVICE_ROLE_KEY"));
        command.env("ANON_KEY", self.local.text("ANON_KEY"));
        command
    }
}

fn repo(args: &Args) -> Result<PathBuf> {
    Ok(args.path("repo").context("say where the suite's repository lies: --repo DIR")?.canonicalize()?)
}

fn runner(args: &Args, name: &str) -> Result<PathBuf> {
    let runner = args.path("runners").unwrap_or_else(|| root().join("../shared/conformance")).join(name);
    if !runner.is_file() {
        bail!("no runner at {}: say where with --runners DIR", runner.display());
    }
    Ok(runner.canonicalize()?)
}

/// `conform storage-acceptance --repo DIR`: a checkout of Supabase Storage with its packages; `--node FILE` (22 or newer),
/// `--gates LIST`.
pub fn acceptance(args: &Args) -> Result<()> {
    let (repo, runner) = (repo(args)?, runner(args, "storage_acceptance.sh")?);
    let suite = Suite::start()?;
    let mut command = suite.command("bash");
    command.arg(runner).arg("-d").arg(repo).args(["-u", &suite.storage, "-f"]);
    command.args([
        "-g",
        args.value("gates").unwrap_or("rls,cdn,render"),
        "-n",
        args.value("node").unwrap_or("node"),
    ]);
    run(command.arg("-o").arg(suite.local.folder().join("acceptance")))
}

/// `conform storage-js --repo DIR`: a checkout of supabase-js with the package's dependencies.
pub fn storage_js(args: &Args) -> Result<()> {
    let (repo, runner) = (repo(args)?, runner(args, "storage_js_live.sh")?);
    let suite = Suite::start()?;
    let mut command = suite.command("bash");
    command.arg(runner).arg("-d").arg(repo.join("packages/core/storage-js")).args(["-u", &suite.storage]);
    command.args(["-n", args.value("node").unwrap_or("node")]);
    run(command.arg("-o").arg(suite.local.folder().join("storage-js")))
}

/// `conform storage-py --repo DIR`: a checkout of supabase-py; `--python FILE` has the test dependencies.
pub fn storage_py(args: &Args) -> Result<()> {
    let package = repo(args)?.join("src/storage");
    let suite = Suite::start()?;
    let mut pytest = suite.command(args.value("python").unwrap_or("python3"));
    pytest.current_dir(&package).env("PYTHONPATH", package.join("src"));
    pytest.env("SUPABASE_TEST_URL", format!("{}/", suite.storage));
    pytest.env("SUPABASE_TEST_KEY", suite.local.text("SERVICE_ROLE_KEY"));
    run(pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]))
}

/// `conform storage-s3`: the S3 checks; `--python FILE` has boto3 and requests.
pub fn s3(args: &Args) -> Result<()> {
    let runner = runner(args, "storage_s3_boto.py")?;
    let suite = Suite::start()?;
    let python = args.value("python").unwrap_or("python3");
    let mut command = suite.command(python);
    command.env("TENANT_ID", args.value("tenant").unwrap_or(LOCAL)).env("USER_JWT", USER_JWT);
    run(command.arg(runner).args(["-u", &format!("{}/s3", suite.storage)]))
}
