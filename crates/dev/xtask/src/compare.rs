//! Our auth and our storage beside the references: the same requests to both, and where the answers differ.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::args::Args;
use crate::local::Local;
use crate::process::root;

/// Compares a new project's auth with the server at `--against`, which has to have an empty database and the settings of
/// `reference.env`.
pub fn auth(args: &Args) -> Result<()> {
    compare(args, "auth", |local, compare| {
        compare.args(["--apikey", local.text("PUBLISHABLE_KEY")]);
        Ok(())
    })
}

/// The same for storage. `--database` is where the policies of the cases go on the reference's side.
pub fn storage(args: &Args) -> Result<()> {
    let database = args.value("database").context("say where its database is: --database URL")?;
    compare(args, "storage", |local, compare| {
        compare.args(["--databases", &format!("{},{database}", local.text("DB_URL"))]);
        Ok(())
    })
}

fn compare(args: &Args, service: &str, more: impl FnOnce(&Local, &mut Command) -> Result<()>) -> Result<()> {
    let against = args.value("against").context("say where the reference is: --against URL")?;
    let cases = root().join("e2e/conform").join(service);
    let local = Local::start("compare", &cases.join("config.toml"))?;
    let ours = format!("{}/{service}/v1", local.text("API_URL"));
    let mut compare = Command::new("node");
    compare.arg(cases.join("compare.mjs")).args(["--ours", &ours, "--reference", against]);
    more(&local, &mut compare)?;
    for option in ["only", "report"] {
        if let Some(value) = args.value(option) {
            compare.args([format!("--{option}"), value.to_owned()]);
        }
    }
    if !compare.status().context("cannot run node")?.success() {
        bail!("there are differences that {}/known.mjs does not explain", cases.display());
    }
    Ok(())
}
