//! `rowhouse serve`: the platform.

use crate::cli::ServeArgs;
use crate::data_dir::DataDir;
use crate::desk::Desk;
use crate::house::{
    Door, FrontPlan, House, PlatformPlan, Signals, Surroundings, public_url, remember_addresses,
};
use crate::open_files;
use crate::wire::{Addresses, PoolSizes, WireSettings};
use gateway::{Limits, ProjectLimits, Settings as GatewaySettings};
use platform::Platform;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// How long services of a project are kept without a request, where servers never sleep.
const SERVICES_IDLE: Duration = Duration::from_secs(300);

pub async fn run(args: ServeArgs, surroundings: Surroundings) -> anyhow::Result<()> {
    let begun = Instant::now();
    let signals = Signals::new()?;
    let data = DataDir::open(&args.data)?;
    let lock = data.lock()?;
    let doors = open_doors(&args).await?;
    let plan = PlatformPlan {
        data,
        postgres: args.postgres.clone(),
        surroundings,
        shard_capacity: args.shard_capacity,
        idle_sleep: seconds(args.idle_sleep),
    };
    let platform = Box::pin(plan.open()).await?;
    let (house, values) = match Box::pin(open(&args, &plan, platform.clone(), doors)).await {
        Ok(opened) => opened,
        Err(error) => {
            platform.shutdown().await?;
            return Err(error);
        }
    };
    drop(platform);
    let shown = Value::Object(values).to_string();
    tracing::info!(ms = begun.elapsed().as_millis(), addresses = shown, "ready");
    house.run(signals).await?;
    drop(lock);
    Ok(())
}

/// The port of the API, and those for PostgreSQL clients.
async fn open_doors(args: &ServeArgs) -> anyhow::Result<(TcpListener, Vec<TcpListener>)> {
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
    Ok((api, databases))
}

/// A time of which 0 means never.
fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds)).filter(|time| !time.is_zero())
}

/// What projects may have called.
fn reach(args: &ServeArgs) -> outbound::Reach {
    if args.outbound_anywhere { outbound::Reach::Anywhere } else { outbound::Reach::Public }
}

async fn open(
    args: &ServeArgs,
    plan: &PlatformPlan,
    platform: Platform,
    (api, databases): (TcpListener, Vec<TcpListener>),
) -> anyhow::Result<(House, Map<String, Value>)> {
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
        database_tls: Some(identity(args, &plan.data)?),
        database_idle: seconds(args.db_idle),
        gateway: GatewaySettings {
            base_domains,
            trust_forwarded: args.trust_forwarded,
            keyless_auth: false,
            limits: Limits {
                connections_max: open_files::connections(Limits::default().connections_max),
                ..Limits::default()
            },
        },
        wire: WireSettings {
            default_project: None,
            addresses: addresses.clone(),
            limits: ProjectLimits::default(),
            body_memory: gateway::Memory::default(),
            pools: PoolSizes::default(),
            files: crate::machinery::machinery(&plan.data, &args.files, &args.scanner).await?,
            limits_clients: true,
            outbound: outbound::Client::new(reach(args))?,
            local_mail: None,
            // Services are dropped in any case: what they remember would add up over thousands of projects.
            idle: Some(seconds(args.idle_sleep).unwrap_or(SERVICES_IDLE)),
            schema_bytes: usize::try_from(args.schema_cache).unwrap_or(usize::MAX).saturating_mul(1 << 20),
        },
    };
    let house = House::open(platform.clone(), &plan.data, front)?;
    remember_addresses(&plan.data, &addresses)?;
    crate::files::remember(&plan.data, &args.files)?;
    let wire = Some(house.wire().clone());
    let desk = Desk { platform, addresses, wire, local: None, values: values.clone() };
    house.take_commands(&plan.data, &plan.surroundings.temp_dir, desk).await?;
    Ok((house, values))
}

fn values(addresses: &Addresses, api: SocketAddr, databases: &[TcpListener]) -> Map<String, Value> {
    let ports: Vec<_> =
        databases.iter().filter_map(|listener| Some(listener.local_addr().ok()?.port())).collect();
    let values = json!({
        "PUBLIC_URL": addresses.public_url,
        "LISTEN": api.to_string(),
        "DB_PORTS": ports.iter().map(u16::to_string).collect::<Vec<_>>().join(","),
    });
    values.as_object().cloned().unwrap_or_default()
}

/// The certificate that the operator gave, or one of our own: clients that do not check it are better off with it
/// than without.
fn identity(args: &ServeArgs, data: &DataDir) -> anyhow::Result<pgwire::Identity> {
    if let (Some(certificate), Some(key)) = (&args.db_tls_cert, &args.db_tls_key) {
        return Ok(pgwire::Identity::from_files(certificate, key)?);
    }
    let mut names = vec!["localhost".to_owned()];
    names.extend(
        args.base_domain
            .iter()
            .flat_map(|domain| [domain.clone(), format!("*.{domain}"), format!("db.{domain}")]),
    );
    Ok(pgwire::Identity::self_signed(data.path(), &names)?)
}
