//! Asking a running program.

use super::{Answer, MESSAGE_BYTES_MAX, OPERATION_TIMEOUT, Operation};
use anyhow::{Context, bail};
use serde_json::Value;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Has the program behind the socket perform an operation.
///
/// # Errors
/// What the program says went wrong; when it cannot be reached or does not answer.
pub async fn ask(socket: &Path, operation: &Operation) -> anyhow::Result<Value> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(&serde_json::to_vec(operation)?).await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.take(MESSAGE_BYTES_MAX).read_to_end(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(OPERATION_TIMEOUT, exchange)
        .await
        .context("the running Rowhouse does not answer")?
        .context("the running Rowhouse cannot be reached")?;
    match serde_json::from_slice(&answer)
        .context("the running Rowhouse did not answer; is it another version?")?
    {
        Answer::Done(value) => Ok(value),
        Answer::Failed(message) => bail!(message),
    }
}
