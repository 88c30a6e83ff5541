//! `rowhouse projects keys …`: the keys of a project, and those that sign its tokens.

use super::place::perform;
use crate::admin::Operation;
use crate::cli::{Output, PlatformArgs};
use crate::house::Surroundings;
use crate::keyring::{Given, KeyAction};
use crate::output::{print_list, print_values};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct KeysArgs {
    #[command(subcommand)]
    pub command: Option<KeysCommand>,
    /// Its ref or slug
    #[arg(required = true)]
    pub project: Option<String>,
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    #[command(flatten)]
    pub platform: PlatformArgs,
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List the keys that sign and verify tokens
    List(SigningKeysArgs),
    /// Add a key that stands by: it verifies at once, and signs after `rotate`
    Create {
        #[command(flatten)]
        of: SigningKeysArgs,
        /// ES256, EdDSA or HS256
        #[arg(long, default_value = "ES256", value_name = "NAME", conflicts_with = "import")]
        algorithm: String,
        /// Bring a key along: a file with a private JSON Web Key, or with a secret for HS256; `-` is standard input
        #[arg(long, value_name = "FILE")]
        import: Option<PathBuf>,
    },
    /// Put the key that stands by in use; the one before goes on verifying
    Rotate(SigningKeysArgs),
    /// Revoke a key that is not in use
    Revoke {
        #[command(flatten)]
        of: SigningKeysArgs,
        /// Its id or kid
        key: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct SigningKeysArgs {
    /// The project's ref or slug
    pub project: String,
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    #[command(flatten)]
    pub platform: PlatformArgs,
}

const COLUMNS: [&str; 5] = ["id", "kid", "algorithm", "status", "created_at"];
/// No key is longer.
const KEY_BYTES_MAX: u64 = 64 * 1024;

pub async fn run(args: KeysArgs, surroundings: Surroundings) -> anyhow::Result<()> {
    let Some(command) = args.command else {
        let project = args.project.context("which project?")?;
        let keys = perform(&args.platform, &surroundings, Operation::ProjectKeys { project }).await?;
        let keys = keys.as_object().context("the platform answered in another form")?;
        return Ok(print_values(keys, args.output)?);
    };
    let (of, action) = match command {
        KeysCommand::List(of) => (of, KeyAction::List),
        KeysCommand::Create { of, algorithm, import } => {
            let given = import.as_deref().map(read).transpose()?.map(Given);
            (of, KeyAction::Create { algorithm, given })
        }
        KeysCommand::Rotate(of) => (of, KeyAction::Rotate),
        KeysCommand::Revoke { of, key, yes } => {
            if !yes {
                bail!(
                    "tokens that {key} signed stop working at once, and with the HS256 secret the project's anon \
                     and service_role keys; say --yes if you mean it"
                );
            }
            (of, KeyAction::Revoke { key })
        }
    };
    let SigningKeysArgs { project, output, platform } = of;
    show(project, action, output, &platform, &surroundings).await
}

async fn show(
    project: String,
    action: KeyAction,
    output: Output,
    platform: &PlatformArgs,
    surroundings: &Surroundings,
) -> anyhow::Result<()> {
    let keys = perform(platform, surroundings, Operation::SigningKeys { project, action }).await?;
    let keys = keys.as_array().map_or(&[] as &[Value], Vec::as_slice);
    Ok(print_list(keys, &COLUMNS, output)?)
}

/// The key in a file; `-` is standard input.
fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let what = || format!("{} cannot be read", path.display());
    if path == Path::new("-") {
        std::io::stdin().lock().take(KEY_BYTES_MAX).read_to_string(&mut text).with_context(what)?;
    } else {
        let file = std::fs::File::open(path).with_context(what)?;
        file.take(KEY_BYTES_MAX).read_to_string(&mut text).with_context(what)?;
    }
    Ok(text)
}
