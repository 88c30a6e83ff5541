//! `rowhouse rest`: the data API alone.

use crate::cli::RestArgs;
use crate::house::Signals;
use crate::output::write;
use rest::config::ServerConfig;
use tokio_util::sync::CancellationToken;

pub async fn run(args: RestArgs) -> anyhow::Result<()> {
    // Variables that are no text cannot be settings.
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let config = ServerConfig::load(args.config, std::env::vars_os().filter_map(text)).await?;
    if args.dump_config {
        return Ok(write(&config.dump())?);
    }
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let mut signals = Signals::new()?;
    let signals = tokio::spawn(async move {
        signals.wait().await;
        stopped.cancel();
    });
    let done = Box::pin(rest::standalone::run(config, stop)).await;
    signals.abort();
    Ok(done?)
}
