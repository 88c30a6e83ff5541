//! `rowhouse projects users …`: users of a project as lines of JSON, in and out.

use super::place::perform;
use crate::admin::Operation;
use crate::cli::PlatformArgs;
use crate::house::Surroundings;
use crate::moving::Users;
use crate::output::write;
use anyhow::{Context, bail};
use auth::transfer::{BATCH_MAX, Report};
use clap::Subcommand;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// Add users from lines of JSON; who is there already stays as they are, so that it can be repeated
    Import {
        /// The project's ref or slug
        project: String,
        /// One user a line; `-` reads standard input
        file: PathBuf,
        #[command(flatten)]
        platform: PlatformArgs,
    },
    /// Write all users with their password hashes and identities as lines of JSON
    Export {
        /// The project's ref or slug
        project: String,
        /// Write to this file instead of standard output
        file: Option<PathBuf>,
        #[command(flatten)]
        platform: PlatformArgs,
    },
}

/// The longest line.
const LINE_BYTES_MAX: u64 = 1024 * 1024;
/// How many bytes of lines travel together at most.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many refused lines are named.
const NAMED_MAX: usize = 100;

pub async fn run(command: UsersCommand, surroundings: Surroundings) -> anyhow::Result<()> {
    match command {
        UsersCommand::Import { project, file, platform } => {
            import(&project, &file, &platform, &surroundings).await
        }
        UsersCommand::Export { project, file, platform } => {
            export(&project, file.as_deref(), &platform, &surroundings).await
        }
    }
}

async fn import(
    project: &str,
    file: &Path,
    platform: &PlatformArgs,
    surroundings: &Surroundings,
) -> anyhow::Result<()> {
    let what = || format!("{} cannot be read", file.display());
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).with_context(what)?)
    };
    let mut lines = Lines { input: BufReader::new(input), number: 0 };
    let (mut created, mut present, mut refused) = (0, 0, 0);
    while let Some((numbers, users)) = lines.batch().with_context(what)? {
        let operation = Operation::ImportUsers { project: project.to_owned(), users: Users(users) };
        let report = perform(platform, surroundings, operation).await.with_context(|| {
            let first = numbers.first().copied().unwrap_or_default();
            format!("from line {first} on; what was before it is in, and the import can be repeated")
        })?;
        let report: Report = serde_json::from_value(report)?;
        for (place, reason) in &report.refused {
            let line = numbers.get(*place).copied().unwrap_or_default();
            if refused < NAMED_MAX {
                eprintln!("line {line}: {reason}");
            }
            refused += 1;
        }
        created += report.created;
        present += report.present;
    }
    write(&format!("{created} users added, {present} were there already, {refused} refused\n"))?;
    if refused > 0 {
        bail!("{refused} users were not taken");
    }
    Ok(())
}

async fn export(
    project: &str,
    file: Option<&Path>,
    platform: &PlatformArgs,
    surroundings: &Surroundings,
) -> anyhow::Result<()> {
    let mut out: Box<dyn Write> = match file {
        Some(file) => {
            // Hashes of passwords are for their owner's eyes.
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let opened =
                options.open(file).with_context(|| format!("{} cannot be written", file.display()))?;
            Box::new(std::io::BufWriter::new(opened))
        }
        None => Box::new(std::io::stdout()),
    };
    let mut after = None;
    loop {
        let operation = Operation::ExportUsers { project: project.to_owned(), after };
        let users = perform(platform, surroundings, operation).await?;
        let users = users.as_array().context("the platform answered in another form")?;
        for user in users {
            writeln!(out, "{user}")?;
        }
        let last = users.last().and_then(|user| user.get("id")?.as_str()?.parse().ok());
        if last.is_none() || users.len() < BATCH_MAX {
            return Ok(out.flush()?);
        }
        after = last;
    }
}

struct Lines {
    input: BufReader<Box<dyn Read>>,
    number: usize,
}

impl Lines {
    /// The next users with the numbers of their lines; nothing at the end.
    fn batch(&mut self) -> anyhow::Result<Option<(Vec<usize>, Vec<Value>)>> {
        let (mut numbers, mut users, mut bytes) = (Vec::new(), Vec::new(), 0);
        while users.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
            let mut line = String::new();
            let count = self.input.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
            if count == 0 {
                break;
            }
            self.number += 1;
            if line.trim().is_empty() {
                continue;
            }
            let user = serde_json::from_str(&line).with_context(|| format!("line {}", self.number))?;
            bytes += count;
            numbers.push(self.number);
            users.push(user);
        }
        Ok((!users.is_empty()).then_some((numbers, users)))
    }
}
