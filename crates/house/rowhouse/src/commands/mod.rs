//! The commands, one file each.

mod doctor;
mod entities;
pub mod hook;
pub mod keys;
mod local;
mod place;
mod projects;
mod rest;
pub mod s3_keys;
mod serve;
mod settings;
mod start;
pub mod storage;
pub mod users;

use crate::cli::{Cli, Command, DbCommand};
use crate::house::Surroundings;

/// What a command writes to its log unless told otherwise.
pub fn default_log(command: &Command) -> &'static str {
    match command {
        Command::Start(_) | Command::Serve(_) | Command::Rest(_) => "info",
        _ => "warn",
    }
}

/// Runs a command.
///
/// # Errors
/// What went wrong, for the operator.
pub async fn run(cli: Cli, surroundings: Surroundings) -> anyhow::Result<()> {
    match cli.command {
        Command::Start(args) => Box::pin(start::run(args, surroundings)).await,
        Command::Stop(args) => local::stop(&args).await,
        Command::Status(args) => local::status(&args, &surroundings).await,
        Command::Db(DbCommand::Reset(args)) => Box::pin(local::reset(args, surroundings)).await,
        Command::Serve(args) => Box::pin(serve::run(args, surroundings)).await,
        Command::Projects(command) => Box::pin(projects::run(command, surroundings)).await,
        Command::Storage(command) => Box::pin(storage::run(command, surroundings)).await,
        Command::Entities(command) => Box::pin(entities::run(command, surroundings)).await,
        Command::Rest(args) => Box::pin(rest::run(args)).await,
        Command::Doctor(args) => Box::pin(doctor::run(args, surroundings)).await,
    }
}
