//! `rowhouse projects s3-keys …`

use super::place::perform;
use crate::admin::Operation;
use crate::cli::{Output, PlatformArgs, ProjectArgs};
use crate::house::Surroundings;
use crate::output::{print_list, print_values, write};
use crate::s3_keys::S3KeyAction;
use anyhow::Context;
use clap::Subcommand;
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub enum S3KeyCommand {
    /// Make an access key; its secret is shown this once
    Create {
        /// The project's ref or slug
        project: String,
        /// Its name
        name: String,
        /// The role under whose policies requests with it run: service_role, authenticated or anon
        #[arg(long, default_value = "service_role")]
        role: String,
        /// The user that requests with it are of, by id
        #[arg(long, value_name = "ID")]
        user: Option<String>,
        #[arg(short, long, value_enum, default_value_t = Output::Table)]
        output: Output,
        #[command(flatten)]
        platform: PlatformArgs,
    },
    /// List the access keys of a project, without their secrets
    List(ProjectArgs),
    /// Revoke an access key: requests with it are refused from now on
    Revoke {
        /// The project's ref or slug
        project: String,
        /// The name or the access key
        key: String,
        #[command(flatten)]
        platform: PlatformArgs,
    },
}

const S3_KEY_COLUMNS: [&str; 5] = ["name", "access_key", "role", "subject", "created_at"];

pub async fn run(command: S3KeyCommand, surroundings: Surroundings) -> anyhow::Result<()> {
    match command {
        S3KeyCommand::Create { project, name, role, user, output, platform } => {
            let action = S3KeyAction::Create { name, role, subject: user };
            let made = perform(&platform, &surroundings, Operation::S3Keys { project, action }).await?;
            let made = made.as_object().context("the platform answered in another form")?;
            Ok(print_values(made, output)?)
        }
        S3KeyCommand::List(ProjectArgs { project, output, platform }) => {
            let operation = Operation::S3Keys { project, action: S3KeyAction::List };
            let all = perform(&platform, &surroundings, operation).await?;
            Ok(print_list(all.as_array().map_or(&[], Vec::as_slice), &S3_KEY_COLUMNS, output)?)
        }
        S3KeyCommand::Revoke { project, key, platform } => {
            let operation = Operation::S3Keys { project, action: S3KeyAction::Revoke { key } };
            let gone = perform(&platform, &surroundings, operation).await?;
            let name = gone.get("name").and_then(Value::as_str).unwrap_or_default();
            Ok(write(&format!("revoked {name}\n"))?)
        }
    }
}
