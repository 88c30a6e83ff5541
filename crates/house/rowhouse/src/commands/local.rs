//! `rowhouse stop`, `status` and `db reset`: commands on the program of a folder.

use crate::admin::{self, Operation, Perform, Teller};
use crate::cli::{LOCAL_DATA, PlaceArgs, ResetArgs, StatusArgs};
use crate::config;
use crate::data_dir::DataDir;
use crate::desk::Desk;
use crate::house::{PlatformPlan, Surroundings, last_addresses};
use crate::local::LocalProject;
use crate::output::{print_values, write};
use anyhow::{Context, bail};
use serde_json::{Map, Value};

pub async fn stop(args: &PlaceArgs) -> anyhow::Result<()> {
    let stopped = match DataDir::existing(&args.data_dir()) {
        Ok(data) => data.stop_running().await?,
        Err(_) => false,
    };
    Ok(write(if stopped { "stopped\n" } else { "nothing was running\n" })?)
}

pub async fn status(args: &StatusArgs, surroundings: &Surroundings) -> anyhow::Result<()> {
    let data_dir = args.place.data_dir();
    let data = DataDir::existing(&data_dir).ok().filter(|data| data.running().is_some());
    let Some(data) = data else {
        bail!("nothing runs on {}; start it with: rowhouse start", data_dir.display())
    };
    let socket = data.admin_socket(&surroundings.temp_dir)?;
    let status = admin::ask(&socket, &Operation::Status).await.context("Rowhouse is starting or stopping")?;
    let values = status.get("values").and_then(Value::as_object).context("it answered in another form")?;
    Ok(print_values(values, args.output)?)
}

pub async fn reset(args: ResetArgs, surroundings: Surroundings) -> anyhow::Result<()> {
    let data = DataDir::open(&args.workdir.join(LOCAL_DATA))?;
    let report = if data.running().is_some() {
        admin::ask(&data.admin_socket(&surroundings.temp_dir)?, &Operation::ResetDatabase).await?
    } else {
        Box::pin(reset_here(&args, &data, surroundings)).await?
    };
    Ok(write(&told(&report))?)
}

async fn reset_here(args: &ResetArgs, data: &DataDir, surroundings: Surroundings) -> anyhow::Result<Value> {
    let lock = data.lock()?;
    let workdir = args.workdir.canonicalize()?;
    let loaded = config::load(&workdir, &|name| std::env::var(name).ok())?;
    let plan = PlatformPlan {
        data: data.clone(),
        postgres: args.postgres.clone(),
        surroundings,
        shard_capacity: platform::SHARD_CAPACITY,
        idle_sleep: None,
    };
    let platform = Box::pin(plan.open()).await?;
    let desk = Desk {
        platform: platform.clone(),
        addresses: last_addresses(data),
        wire: None,
        local: Some(LocalProject::new(&workdir, loaded)),
        values: Map::new(),
    };
    let done = desk.perform(Operation::ResetDatabase, Teller::unheard()).await;
    drop(desk);
    let closed = platform.shutdown().await;
    drop(lock);
    let report = done?;
    closed?;
    Ok(report)
}

/// What a reset did, in lines.
fn told(report: &Value) -> String {
    let list = |name: &str| report.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut text = String::new();
    for (label, name) in [("applied", "migrations"), ("seeded", "seeds"), ("warning:", "warnings")] {
        for item in list(name) {
            text.push_str(&format!("{label} {}\n", item.as_str().unwrap_or_default()));
        }
    }
    text.push_str("the database is as new\n");
    text
}
