//! The invariants of the code base as failing checks.
//!
//! Three sources: `cargo metadata` (who may depend on whom), the text of the tracked Rust files with comments
//! and literals told apart (what may be written where, and how long), and the documents (links, the map of
//! crates). Heuristics err on the side of silence; what they cannot see is for review.

mod documents;
mod exceptions;
mod graph;
mod rules;
mod sizes;
mod source;

use std::process::Command;

use anyhow::{Result, bail};

use crate::args::Args;
use crate::process::{output, root};
use exceptions::Exceptions;
use source::Source;

/// One broken invariant: where, and what to do about it.
pub struct Finding {
    pub place: String,
    pub message: String,
}

impl Finding {
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

pub fn command(args: &Args) -> Result<()> {
    let findings = collect(args.flag("verbose"))?;
    conclude(&findings)
}

pub fn check() -> Result<()> {
    conclude(&collect(false)?)
}

fn conclude(findings: &[Finding]) -> Result<()> {
    for finding in findings {
        println!("{}: {}", finding.place, finding.message);
    }
    if findings.is_empty() {
        println!("tidy: everything holds");
        return Ok(());
    }
    bail!("tidy: {} invariants broken", findings.len())
}

fn collect(verbose: bool) -> Result<Vec<Finding>> {
    let files = tracked_files()?;
    let mut sources = Vec::new();
    for path in files.iter().filter(|path| path.ends_with(".rs")) {
        sources.push(Source::read(path)?);
    }
    let mut exceptions = Exceptions::read()?;
    let mut findings = graph::check()?;
    for source in &sources {
        findings.extend(rules::check(source));
        findings.extend(sizes::check(source, &mut exceptions, verbose));
    }
    findings.extend(exceptions.stale());
    findings.extend(documents::check(&files, &sources)?);
    Ok(findings)
}

/// Files of the checkout that git tracks or would track, as paths from the root. Deleted ones are left out.
fn tracked_files() -> Result<Vec<String>> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let text = output(Command::new("git").args(list).current_dir(root()))?;
    let mut files: Vec<String> = text
        .split('\0')
        .filter(|path| !path.is_empty() && root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}
