//! `rowhouse projects hook …`

use super::place::perform;
use crate::admin::Operation;
use crate::cli::{Output, PlatformArgs};
use crate::house::Surroundings;
use crate::output::print_values;
use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub enum HookCommand {
    /// Ask a hook of auth with an example, and say whether requests could use its answer. What a function changes is
    /// undone; a server gets the header x-rowhouse-trial
    Test {
        /// The project's ref or slug
        project: String,
        /// Its name in config.toml, such as custom_access_token
        hook: String,
        /// Tell it of this user (an id or an address) instead of somebody made up
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// `json` shows what was sent, too
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        platform: PlatformArgs,
    },
}

pub async fn run(command: HookCommand, surroundings: Surroundings) -> anyhow::Result<()> {
    let HookCommand::Test { project, hook, user, output, platform } = command;
    let trial = perform(&platform, &surroundings, Operation::TryHook { project, hook, user }).await?;
    let mut shown = trial.as_object().cloned().context("the platform answered in another form")?;
    if output != Output::Json {
        shown.remove("payload");
        shown.retain(|_, value| !value.is_null());
    }
    print_values(&shown, output)?;
    if trial.get("acceptable") != Some(&Value::Bool(true)) {
        bail!("requests cannot use this answer");
    }
    Ok(())
}
