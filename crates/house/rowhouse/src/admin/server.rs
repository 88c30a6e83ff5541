//! The running program's side.

use super::{Answer, MESSAGE_BYTES_MAX, OPERATION_TIMEOUT, Operation, READ_TIMEOUT};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many commands are at work at once.
const COMMANDS_MAX: usize = 16;
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Performs operations.
pub trait Perform: Send + Sync + 'static {
    fn perform(&self, operation: Operation) -> gateway::BoxFuture<'_, anyhow::Result<Value>>;
}

/// Listens until `stop` is cancelled, then lets operations at work finish. A socket that a dead program left
/// behind is replaced: the lock of the data directory says that it is dead.
///
/// # Errors
/// When the socket cannot be made.
pub async fn serve(
    socket: &Path,
    desk: Arc<dyn Perform>,
    stop: CancellationToken,
) -> anyhow::Result<TaskTracker> {
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    let tasks = TaskTracker::new();
    let places = Arc::new(tokio::sync::Semaphore::new(COMMANDS_MAX));
    let (tracker, socket) = (tasks.clone(), socket.to_owned());
    tasks.spawn(async move {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            };
            let desk = Arc::clone(&desk);
            tracker.spawn(async move {
                if let Err(error) = answer(stream, &*desk).await {
                    tracing::debug!(%error, "a command went away");
                }
                drop(place);
            });
        }
        let _ = std::fs::remove_file(&socket);
    });
    tasks.close();
    Ok(tasks)
}

async fn answer(mut stream: UnixStream, desk: &dyn Perform) -> anyhow::Result<()> {
    let mut request = Vec::new();
    let (reader, mut writer) = stream.split();
    tokio::time::timeout(READ_TIMEOUT, reader.take(MESSAGE_BYTES_MAX).read_to_end(&mut request)).await??;
    let answer = match serde_json::from_slice::<Operation>(&request) {
        Err(error) => Answer::Failed(format!("not an operation of this version: {error}")),
        Ok(operation) => match tokio::time::timeout(OPERATION_TIMEOUT, desk.perform(operation)).await {
            Ok(Ok(value)) => Answer::Done(value),
            Ok(Err(error)) => Answer::Failed(format!("{error:#}")),
            Err(_) => Answer::Failed("the operation took too long".to_owned()),
        },
    };
    writer.write_all(&serde_json::to_vec(&answer)?).await?;
    writer.shutdown().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::ask;

    struct Echo;

    impl Perform for Echo {
        fn perform(&self, operation: Operation) -> gateway::BoxFuture<'_, anyhow::Result<Value>> {
            Box::pin(async move {
                match operation {
                    Operation::ListProjects => anyhow::bail!("as asked"),
                    other => Ok(serde_json::to_value(other)?),
                }
            })
        }
    }

    #[tokio::test]
    async fn operations_travel_both_ways() {
        let dir = std::env::temp_dir().join(format!("rowhouse-admin-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let socket = dir.join("sock");
        std::fs::write(&socket, "left behind").unwrap();
        let stop = CancellationToken::new();
        let tasks = serve(&socket, Arc::new(Echo), stop.clone()).await.unwrap();
        let shown = ask(&socket, &Operation::ShowProject { project: "x".to_owned() }).await.unwrap();
        assert_eq!(shown, serde_json::json!({ "do": "show_project", "project": "x" }));
        let failed = ask(&socket, &Operation::ListProjects).await.unwrap_err();
        assert_eq!(failed.to_string(), "as asked");
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        stream.write_all(b"nonsense").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.contains("not an operation"), "{text}");
        stop.cancel();
        tasks.wait().await;
        assert!(ask(&socket, &Operation::Status).await.is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
