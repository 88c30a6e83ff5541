//! The drop-in server: `cargo run -p rest --example rest -- CONFIG`.

use rest::config::ServerConfig;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).map(Into::into);
    let config = ServerConfig::load(path, std::env::vars()).await?;
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        // Without the handler the signal ends the process, which is as good.
        let _ = tokio::signal::ctrl_c().await;
        stop.cancel();
    });
    rest::standalone::run(config, shutdown).await?;
    Ok(())
}
