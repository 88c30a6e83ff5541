//! `rowhouse serve`: the platform.

use crate::cli::ServeArgs;
use crate::data_dir::DataDir;
use crate::desk::Desk;
use crate::house::{Door, FrontPlan, House, PlatformPlan, Surroundings, public_url, remember_addresses};
use crate::wire::{Addresses, PoolSizes, WireSettings};
use gateway::{Limits, ProjectLimits, Settings as GatewaySettings};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub async fn run(args: ServeArgs, surroundings: Surroundings) -> anyhow::Result<()> {
    let begun = Instant::now();
    let data = DataDir::open(&args.data)?;
    let lock = data.lock()?;
    let port = args.api_port.unwrap_or(args.listen.port());
    let api = Door {
        address: SocketAddr::new(args.listen.ip(), port),
        setting: "--listen ADDRESS:PORT or --api-port PORT".to_owned(),
    };
    let api = api.open().await?;
    let mut databases = Vec::new();
    for port in &args.db_port {
        let address = SocketAddr::new(args.listen.ip(), *port);
        databases.push(Door { address, setting: "--db-port PORT".to_owned() }.open().await?);
    }
    let idle = Some(Duration::from_secs(args.idle_sleep)).filter(|idle| !idle.is_zero());
    let plan = PlatformPlan {
        data: data.clone(),
        postgres: args.postgres.clone(),
        surroundings: surroundings.clone(),
        shard_capacity: args.shard_capacity,
        idle_sleep: idle,
    };
    let platform = Box::pin(plan.open()).await?;
    let base_domains: Vec<String> = args.base_domain.iter().map(|name| name.to_lowercase()).collect();
    let url = args.public_url.clone().map_or_else(|| api.local_addr().map(public_url), Ok)?;
    let addresses = Addresses {
        public_url: url.trim_end_matches('/').to_owned(),
        base_domain: base_domains.first().cloned(),
        default_project: None,
    };
    let values = values(&addresses, api.local_addr()?, &databases);
    let front = FrontPlan {
        api,
        databases,
        gateway: GatewaySettings {
            base_domains,
            trust_forwarded: args.trust_forwarded,
            limits: Limits::default(),
        },
        wire: WireSettings {
            default_project: None,
            addresses: addresses.clone(),
            limits: ProjectLimits::default(),
            pools: PoolSizes::default(),
            idle,
        },
    };
    let house = House::open(platform.clone(), &data, front)?;
    remember_addresses(&data, &addresses)?;
    let desk =
        Desk { platform, addresses, wire: Some(house.wire().clone()), local: None, values: values.clone() };
    house.take_commands(&data, &surroundings.temp_dir, desk).await?;
    let shown = Value::Object(values).to_string();
    tracing::info!(ms = begun.elapsed().as_millis(), addresses = shown, "ready");
    let signal = House::wait_for_stop().await?;
    tracing::info!(signal, "stopping");
    house.close().await?;
    drop(lock);
    Ok(())
}

fn values(
    addresses: &Addresses,
    api: SocketAddr,
    databases: &[tokio::net::TcpListener],
) -> Map<String, Value> {
    let ports: Vec<_> =
        databases.iter().filter_map(|listener| Some(listener.local_addr().ok()?.port())).collect();
    let values = json!({
        "PUBLIC_URL": addresses.public_url,
        "LISTEN": api.to_string(),
        "DB_PORTS": ports.iter().map(u16::to_string).collect::<Vec<_>>().join(","),
    });
    values.as_object().cloned().unwrap_or_default()
}
