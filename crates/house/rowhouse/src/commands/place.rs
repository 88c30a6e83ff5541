//! Performing an operation where the platform is: in the program that runs it, or here, with the platform opened
//! for as long as it takes.

use crate::admin::{self, Operation, Perform};
use crate::cli::PlatformArgs;
use crate::data_dir::DataDir;
use crate::desk::Desk;
use crate::house::{PlatformPlan, Surroundings, last_addresses};
use serde_json::{Map, Value};

/// Performs an operation on the platform of a data directory.
///
/// # Errors
/// What the operation says; when the platform can neither be reached nor opened.
pub async fn perform(
    args: &PlatformArgs,
    surroundings: &Surroundings,
    operation: Operation,
) -> anyhow::Result<Value> {
    let data = DataDir::open(&args.data_dir())?;
    if data.running().is_some() {
        return admin::ask(&data.admin_socket(&surroundings.temp_dir)?, &operation).await;
    }
    let lock = data.lock()?;
    let plan = PlatformPlan {
        data: data.clone(),
        postgres: args.postgres.clone(),
        surroundings: surroundings.clone(),
        shard_capacity: platform::SHARD_CAPACITY,
        idle_sleep: None,
    };
    let platform = Box::pin(plan.open()).await?;
    let desk = Desk {
        platform: platform.clone(),
        addresses: last_addresses(&data),
        wire: None,
        local: None,
        values: Map::new(),
    };
    let done = desk.perform(operation).await;
    drop(desk);
    let closed = platform.shutdown().await;
    drop(lock);
    let value = done?;
    closed?;
    Ok(value)
}
