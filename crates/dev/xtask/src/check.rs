//! The whole chain that a change must pass.

use std::process::Command;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::process::{cargo, root, run, target_dir};
use crate::summary::Summary;
use crate::tidy;

pub fn command_check() -> Result<()> {
    let mut summary = Summary::default();
    rust(&mut summary)?;
    conclude(&summary)
}

pub fn command_test(args: &Args) -> Result<()> {
    let mut summary = Summary::default();
    rust(&mut summary)?;
    if !args.flag("no-e2e") {
        end_to_end(&mut summary)?;
    }
    conclude(&summary)
}

fn conclude(summary: &Summary) -> Result<()> {
    if !summary.finish() {
        // The count has been said; nothing may follow it on standard output.
        bail!("checks failed");
    }
    Ok(())
}

/// Cheap checks first; the later ones run even when an earlier one failed, so that one run tells all.
fn rust(summary: &mut Summary) -> Result<()> {
    heading("fmt");
    summary.step("fmt", run(cargo().args(["fmt", "--all", "--check"])));
    heading("tidy");
    summary.step("tidy", tidy::check());
    heading("clippy");
    let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    summary.step("clippy", run(cargo().args(clippy)));
    if cargo().args(["deny", "--version"]).output().is_ok_and(|out| out.status.success()) {
        heading("deny");
        summary.step("deny", run(cargo().args(["deny", "check"])));
    }
    heading("cargo test");
    summary.tests("cargo test", cargo().args(["test", "--locked", "--workspace", "--no-fail-fast"]))
}

/// The program as its users run it, driven by the published client.
fn end_to_end(summary: &mut Summary) -> Result<()> {
    heading("build");
    summary.step("build", run(cargo().args(["build", "--locked", "--package", "rowhouse"])));
    let folder = root().join("e2e");
    heading("e2e");
    let npm = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
    summary.step("npm ci", run(Command::new("npm").args(npm).current_dir(&folder)));
    let binary = target_dir().join("debug").join("rowhouse");
    summary.tests(
        "e2e",
        Command::new("npm").args(["test", "--silent"]).env("ROWHOUSE_BIN", binary).current_dir(&folder),
    )
}

fn heading(name: &str) {
    println!("\n── {name}");
}
