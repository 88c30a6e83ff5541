//! Performing an operation where the platform is: in the program that runs it, or here, with the platform opened
//! for as long as it takes.

use crate::admin::{self, Operation, Perform, Teller};
use crate::cli::PlatformArgs;
use crate::data_dir::DataDir;
use crate::desk::Desk;
use crate::files::{self, FilesArgs};
use crate::house::{PlatformPlan, Signals, Surroundings, last_addresses};
use crate::machinery::{ScannerArgs, machinery};
use crate::wire::{Addresses, PoolSizes, Wire, WireSettings};
use anyhow::bail;
use gateway::ProjectLimits;
use model::SystemClock;
use platform::Platform;
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What an operation needs that works on files, where no program runs that has it.
#[derive(Debug, Clone, Copy)]
pub struct FileArgs<'a> {
    pub files: &'a FilesArgs,
    pub scanner: &'a ScannerArgs,
}

/// Performs an operation on the platform of a data directory.
///
/// # Errors
/// What the operation says; when the platform can neither be reached nor opened.
pub async fn perform(
    args: &PlatformArgs,
    surroundings: &Surroundings,
    operation: Operation,
) -> anyhow::Result<Value> {
    perform_telling(args, None, surroundings, operation, &mut |_| ()).await
}

/// The same, with a place for files, and hearing how it goes.
///
/// # Errors
/// As [`perform`].
pub async fn perform_telling(
    args: &PlatformArgs,
    files: Option<FileArgs<'_>>,
    surroundings: &Surroundings,
    operation: Operation,
    hear: &mut (dyn FnMut(Value) + Send),
) -> anyhow::Result<Value> {
    let data = DataDir::open(&args.data_dir())?;
    if data.running().is_some() {
        return admin::follow(&data.admin_socket(&surroundings.temp_dir)?, &operation, hear).await;
    }
    let lock = data.lock()?;
    if let Some(args) = files {
        files::check(&data, args.files)?;
    }
    let plan = PlatformPlan {
        data: data.clone(),
        postgres: args.postgres.clone(),
        surroundings: surroundings.clone(),
        shard_capacity: platform::SHARD_CAPACITY,
        idle_sleep: None,
    };
    let platform = Box::pin(plan.open()).await?;
    let done = Box::pin(here(&data, &platform, files, operation, hear)).await;
    let closed = platform.shutdown().await;
    drop(lock);
    let value = done?;
    closed?;
    Ok(value)
}

/// Performs an operation on the open platform.
async fn here(
    data: &DataDir,
    platform: &Platform,
    files: Option<FileArgs<'_>>,
    operation: Operation,
    hear: &mut (dyn FnMut(Value) + Send),
) -> anyhow::Result<Value> {
    let addresses = last_addresses(data);
    let stop = CancellationToken::new();
    let wire = match files {
        Some(args) => Some(wire(data, platform, args, &addresses, stop.clone()).await?),
        None => None,
    };
    let desk =
        Desk { platform: platform.clone(), addresses, wire: wire.clone(), local: None, values: Map::new() };
    let done = if operation.is_long() {
        Box::pin(interruptible(&desk, operation, hear)).await
    } else {
        desk.perform(operation, Teller::unheard()).await
    };
    stop.cancel();
    if let Some(wire) = wire {
        wire.close();
    }
    done
}

/// Performs a long operation until it ends or the operator has enough of it: the servers are stopped in order then.
async fn interruptible(
    desk: &Desk,
    operation: Operation,
    hear: &mut (dyn FnMut(Value) + Send),
) -> anyhow::Result<Value> {
    let mut signals = Signals::new()?;
    let (teller, mut told) = Teller::new();
    let mut work = desk.perform(operation, teller);
    loop {
        tokio::select! {
            biased;
            signal = signals.wait() => bail!("stopped ({signal}); do it again to go on"),
            Some(value) = told.recv() => hear(value),
            done = &mut work => {
                while let Ok(value) = told.try_recv() {
                    hear(value);
                }
                return done;
            }
        }
    }
}

/// The services of projects, without a door to them.
async fn wire(
    data: &DataDir,
    platform: &Platform,
    args: FileArgs<'_>,
    addresses: &Addresses,
    stop: CancellationToken,
) -> anyhow::Result<Wire> {
    let settings = WireSettings {
        default_project: addresses.default_project.clone(),
        addresses: addresses.clone(),
        limits: ProjectLimits::default(),
        body_memory: gateway::Memory::default(),
        pools: PoolSizes::default(),
        files: machinery(data, args.files, args.scanner).await?,
        limits_clients: false,
        outbound: outbound::Client::new(outbound::Reach::Public)?,
        local_mail: None,
        idle: None,
        schema_bytes: usize::MAX,
    };
    Ok(Wire::new(platform.clone(), settings, Arc::new(SystemClock), stop))
}
