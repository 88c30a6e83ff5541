//! `rowhouse storage …`: files of projects, in and out.

use super::place::{FileArgs, perform_telling};
use crate::admin::Operation;
use crate::cli::{Output, PlatformArgs};
use crate::files::FilesArgs;
use crate::house::Surroundings;
use crate::importing::{FilesImport, Origin};
use crate::machinery::ScannerArgs;
use crate::output::print_values;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use storage::import::{Counts, JOBS_MAX, Kind, Layout, News, Plan};

/// How often it is said how far an import is.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// No secret is longer.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, Subcommand)]
pub enum StorageCommand {
    /// Bring the files of a Supabase Storage along: every object of the project gets the body that its row names. It
    /// can be repeated; what is there is not copied again
    Import(Box<ImportArgs>),
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The project's ref or slug
    project: String,
    /// Where files come from: the directory of a Supabase Storage (STORAGE_FILE_BACKEND_PATH), or its bucket as
    /// s3://BUCKET/PREFIX
    #[arg(long, value_name = "DIR|URL")]
    from: String,
    /// The tenant whose files are meant, where there are several
    #[arg(long, value_name = "NAME", conflicts_with = "plain")]
    tenant: Option<String>,
    /// Files lie there as BUCKET/KEY, without folders for tenants and versions
    #[arg(long)]
    plain: bool,
    /// Make private buckets and objects of files that have no row
    #[arg(long)]
    create_rows: bool,
    /// Take files that are not what their row says, and have the row say what they are
    #[arg(long)]
    take_differing: bool,
    /// Write nothing, only tell what would be done and what is missing
    #[arg(long)]
    check: bool,
    /// How many files are copied at a time
    #[arg(long, value_name = "NUMBER", default_value_t = 8,
          value_parser = clap::value_parser!(u64).range(1..=JOBS_MAX as u64))]
    jobs: u64,
    /// The server of the bucket, if it is not Amazon's own
    #[arg(long, value_name = "URL")]
    from_endpoint: Option<String>,
    /// The region of the bucket
    #[arg(long, value_name = "REGION", default_value = "us-east-1")]
    from_region: String,
    /// The access key of the bucket
    #[arg(long, value_name = "KEY", env = "ROWHOUSE_FROM_ACCESS_KEY")]
    from_access_key: Option<String>,
    /// A file with the secret key of the bucket
    #[arg(long, value_name = "FILE", env = "ROWHOUSE_FROM_SECRET_FILE")]
    from_secret_file: Option<PathBuf>,
    /// Speak to that server without TLS if its URL says so
    #[arg(long)]
    from_allow_http: bool,
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    platform: PlatformArgs,
    #[command(flatten)]
    files: FilesArgs,
    #[command(flatten)]
    scanner: ScannerArgs,
}

impl ImportArgs {
    fn origin(&self) -> anyhow::Result<Origin> {
        let Some((scheme, rest)) = self.from.split_once("://") else {
            let path = std::fs::canonicalize(&self.from);
            return Ok(Origin::Tree(path.with_context(|| format!("there is no {}", self.from))?));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if scheme != "s3" || bucket.is_empty() {
            bail!("--from takes a directory or s3://BUCKET/PREFIX");
        }
        let file = self.from_secret_file.as_ref().context("--from-secret-file is missing")?;
        Ok(Origin::Bucket {
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            endpoint: self.from_endpoint.clone(),
            region: self.from_region.clone(),
            access_key: self.from_access_key.clone().context("--from-access-key is missing")?,
            secret_key: secret(file)?.trim().into(),
            allow_http: self.from_allow_http,
        })
    }

    fn plan(&self) -> Plan {
        Plan {
            layout: if self.plain { Layout::Plain } else { Layout::Versions },
            create_rows: self.create_rows,
            take_differing: self.take_differing,
            check: self.check,
            jobs: usize::try_from(self.jobs).unwrap_or(JOBS_MAX),
        }
    }
}

fn secret(file: &std::path::Path) -> anyhow::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let read =
        std::fs::File::open(file).and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text));
    read.with_context(|| format!("the secret cannot be read from {}", file.display()))?;
    Ok(text)
}

pub async fn run(command: StorageCommand, surroundings: Surroundings) -> anyhow::Result<()> {
    let StorageCommand::Import(args) = command;
    let import = FilesImport {
        project: args.project.clone(),
        origin: args.origin()?,
        tenant: args.tenant.clone(),
        plan: args.plan(),
    };
    let mut listener = Listener { check: args.check, said: Instant::now(), told: 0 };
    let hands = FileArgs { files: &args.files, scanner: &args.scanner };
    let operation = Operation::ImportFiles(import);
    let mut hear = |value| listener.hear(value);
    let done =
        Box::pin(perform_telling(&args.platform, Some(hands), &surroundings, operation, &mut hear)).await?;
    let shown = done.as_object().context("the platform answered in another form")?;
    print_values(shown, args.output)?;
    let counts: Counts = serde_json::from_value(done)?;
    if !counts.is_whole() {
        bail!("not everything is here; what is wrong is named above, and the import can be repeated");
    }
    Ok(())
}

/// Says on standard error what the platform tells.
struct Listener {
    check: bool,
    said: Instant,
    /// What was told last, so that nothing is said of a standstill.
    told: u64,
}

impl Listener {
    fn hear(&mut self, value: Value) {
        if let Some(folder) = value.get("from").and_then(Value::as_str).filter(|folder| !folder.is_empty()) {
            eprintln!("from {folder}");
            return;
        }
        match serde_json::from_value(value) {
            Ok(News::Progress(counts)) => {
                let done = counts.there + counts.copied;
                if self.said.elapsed() >= SAY_EVERY && done != self.told {
                    self.said = Instant::now();
                    self.told = done;
                    eprintln!("{}", progress(&counts, self.check));
                }
            }
            Ok(News::Trouble { kind, name, detail }) => eprintln!("{}", trouble(kind, &name, &detail)),
            // A newer program may tell more.
            Err(_) => {}
        }
    }
}

fn progress(counts: &Counts, check: bool) -> String {
    let copied = if check { "to be copied" } else { "copied" };
    let mebibytes = counts.bytes >> 20;
    let wrong = counts.missing + counts.differing + counts.failed + counts.skipped;
    format!("{} {copied} ({mebibytes} MiB), {} there already, {wrong} not right", counts.copied, counts.there)
}

/// One line, whatever the name has in it.
fn trouble(kind: Kind, name: &str, detail: &str) -> String {
    let word = match kind {
        Kind::Missing => "missing",
        Kind::Differing => "differing",
        Kind::Failed => "failed",
        Kind::Skipped => "skipped",
    };
    let plain: String = name
        .chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    format!("{word}: {plain} ({detail})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_pretend_to_be_lines() {
        assert_eq!(trouble(Kind::Missing, "b/k", "version v"), "missing: b/k (version v)");
        assert_eq!(trouble(Kind::Skipped, "b/\n\u{1b}[2J", "x"), "skipped: b/\\n\\u{1b}[2J (x)");
    }

    #[test]
    fn progress_in_a_line() {
        let counts = Counts { copied: 3, bytes: 5 << 20, there: 2, missing: 1, ..Counts::default() };
        assert_eq!(progress(&counts, false), "3 copied (5 MiB), 2 there already, 1 not right");
        assert!(progress(&counts, true).contains("to be copied"));
    }
}
