//! `rowhouse projects …`

use super::place::perform;
use crate::admin::Operation;
use crate::cli::{ApiKeyCommand, EnvFormat, Output, ProjectArgs, ProjectsCommand};
use crate::house::Surroundings;
use crate::output::{print_list, print_values, write};
use anyhow::{Context, bail};
use serde_json::Value;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const COLUMNS: [&str; 7] = ["ref", "name", "tenancy", "app_id", "shard", "status", "created_at"];

pub async fn run(command: ProjectsCommand, surroundings: Surroundings) -> anyhow::Result<()> {
    match command {
        ProjectsCommand::Create { name, tenancy, output, platform } => {
            let made = perform(&platform, &surroundings, Operation::CreateProject { name, tenancy }).await?;
            print(&made, output)
        }
        ProjectsCommand::List { output, platform } => {
            let all = perform(&platform, &surroundings, Operation::ListProjects).await?;
            Ok(print_list(all.as_array().map_or(&[], Vec::as_slice), &COLUMNS, output)?)
        }
        ProjectsCommand::Show(ProjectArgs { project, output, platform }) => {
            print(&perform(&platform, &surroundings, Operation::ShowProject { project }).await?, output)
        }
        ProjectsCommand::Usage { project, days, output, platform } => {
            let operation = Operation::ProjectUsage { project, days };
            print(&perform(&platform, &surroundings, operation).await?, output)
        }
        ProjectsCommand::Users(command) => super::users::run(command, surroundings).await,
        ProjectsCommand::Keys(args) => super::keys::run(args, surroundings).await,
        ProjectsCommand::ApiKeys(command) => api_key(command, surroundings).await,
        ProjectsCommand::S3Keys(command) => super::s3_keys::run(command, surroundings).await,
        ProjectsCommand::Settings(command) => super::settings::run(command, surroundings).await,
        ProjectsCommand::Hook(command) => super::hook::run(command, surroundings).await,
        ProjectsCommand::Delete { project, yes, platform } => {
            if !yes {
                confirm(&project)?;
            }
            let gone = perform(&platform, &surroundings, Operation::DeleteProject { project }).await?;
            let name = gone.get("ref").and_then(Value::as_str).unwrap_or_default();
            Ok(write(&format!("deleted {name}\n"))?)
        }
        ProjectsCommand::Env { project, format, write: file, platform } => {
            let format = match format {
                EnvFormat::Vite => "vite",
                EnvFormat::Next => "next",
                EnvFormat::Plain => "plain",
            };
            let operation = Operation::ProjectEnvironment { project, format: format.to_owned() };
            let text = perform(&platform, &surroundings, operation).await?;
            let text = text.as_str().unwrap_or_default();
            match file {
                Some(file) => write_private(&file, text),
                None => Ok(write(text)?),
            }
        }
    }
}

const KEY_COLUMNS: [&str; 6] = ["name", "type", "prefix", "settings", "enabled", "inserted_at"];

async fn api_key(command: ApiKeyCommand, surroundings: Surroundings) -> anyhow::Result<()> {
    match command {
        ApiKeyCommand::Create { project, name, secret, settings, claims, output, platform } => {
            let claims = claims.into_iter().map(|(name, value)| (name, json_or_text(value))).collect();
            let operation = Operation::CreateKey { project, name, secret, settings, claims };
            print(&perform(&platform, &surroundings, operation).await?, output)
        }
        ApiKeyCommand::List(ProjectArgs { project, output, platform }) => {
            let all = perform(&platform, &surroundings, Operation::ListKeys { project }).await?;
            Ok(print_list(all.as_array().map_or(&[], Vec::as_slice), &KEY_COLUMNS, output)?)
        }
        ApiKeyCommand::Delete { project, key, platform } => {
            let gone = perform(&platform, &surroundings, Operation::DeleteKey { project, key }).await?;
            let name = gone.get("name").and_then(Value::as_str).unwrap_or_default();
            Ok(write(&format!("deleted {name}\n"))?)
        }
    }
}

/// A claim's value: JSON where it is written like it.
fn json_or_text(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

fn print(value: &Value, output: Output) -> anyhow::Result<()> {
    let values = value.as_object().context("the platform answered in another form")?;
    Ok(print_values(values, output)?)
}

fn confirm(project: &str) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        bail!("this deletes {project} with all its data; say --yes if you mean it");
    }
    eprint!("This deletes {project} with all its data. Type its name again: ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim() != project {
        bail!("not deleted");
    }
    Ok(())
}

/// Environment files hold keys: they are for their owner's eyes.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let what = || format!("{} cannot be written", path.display());
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).and_then(|mut file| file.write_all(text.as_bytes())).with_context(what)
}
