//! The parser of first packets, for the fuzz targets in `fuzz/`.

use crate::startup;
use tokio::io::AsyncRead;

/// Reads one first packet; whether there was one.
pub async fn startup(mut stream: impl AsyncRead + Unpin) -> bool {
    startup::read(&mut stream).await.is_ok()
}
