//! The program: its commands, and the wiring of all crates into a running house.

mod admin;
mod cli;
mod commands;
mod config;
mod data_dir;
mod desk;
mod directory;
mod files;
mod house;
mod importing;
mod keyring;
mod local;
mod logs;
mod machinery;
mod mailroom;
mod migrations;
mod moving;
mod open_files;
mod output;
mod rehearsal;
mod s3_keys;
mod seeding;
mod tuning;
mod wire;

use clap::Parser;
use cli::Cli;
use house::Surroundings;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let surroundings = Surroundings {
        search_path: std::env::var_os("PATH"),
        temp_dir: std::env::temp_dir(),
        master_key: std::env::var("ROWHOUSE_MASTER_KEY").ok().filter(|key| !key.is_empty()),
    };
    match logs::start(cli.log.as_deref(), commands::default_log(&cli.command))
        .map(|()| open_files::raise())
        .and_then(|()| run(cli, surroundings))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, without those that the text before them has already told.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text {
        text if text.is_empty() => cause,
        text if text.contains(&cause) => text,
        text => format!("{text}: {cause}"),
    })
}

fn run(cli: Cli, surroundings: Surroundings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(Box::pin(commands::run(cli, surroundings)));
    // Whatever still runs was told to stop and had its time.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done
}
