//! The drop-in server: `cargo run -p rest --example rest -- [--dump-config] [CONFIG]`.

use rest::config::ServerConfig;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (options, paths): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let config = ServerConfig::load(paths.first().map(Into::into), std::env::vars()).await?;
    if options.iter().any(|option| option == "--dump-config") {
        let config = rest::standalone::complete(config).await?;
        print!("{}", config.dump());
        return Ok(());
    }
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        stop.cancel();
        Ok::<_, std::io::Error>(())
    });
    rest::standalone::run(config, shutdown).await?;
    Ok(())
}
