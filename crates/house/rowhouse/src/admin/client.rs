//! Asking a running program.

use super::{Answer, MESSAGE_BYTES_MAX, OPERATION_TIMEOUT, Operation};
use anyhow::{Context, bail};
use serde_json::Value;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// Has the program behind the socket perform an operation.
///
/// # Errors
/// What the program says went wrong; when it cannot be reached or does not answer.
pub async fn ask(socket: &Path, operation: &Operation) -> anyhow::Result<Value> {
    follow(socket, operation, &mut |_| ()).await
}

/// The same, hearing how it goes.
///
/// # Errors
/// As [`ask`].
pub async fn follow(
    socket: &Path,
    operation: &Operation,
    hear: &mut (dyn FnMut(Value) + Send),
) -> anyhow::Result<Value> {
    let begin = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(&serde_json::to_vec(operation)?).await?;
        stream.shutdown().await?;
        anyhow::Ok(stream)
    };
    let stream = in_time(begin).await?.context("the running Rowhouse cannot be reached")?;
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let read = async { (&mut lines).take(MESSAGE_BYTES_MAX).read_until(b'\n', &mut line).await };
        in_time(read).await?.context("the running Rowhouse cannot be reached")?;
        let said = serde_json::from_slice(&line);
        match said.context("the running Rowhouse did not answer; is it another version?")? {
            Answer::Told(value) => hear(value),
            Answer::Done(value) => return Ok(value),
            Answer::Failed(message) => bail!(message),
        }
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::time::timeout(OPERATION_TIMEOUT, work).await.context("the running Rowhouse does not answer")
}
