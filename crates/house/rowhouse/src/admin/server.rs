//! The running program's side.

use super::{Answer, MESSAGE_BYTES_MAX, OPERATION_TIMEOUT, Operation, READ_TIMEOUT, Teller};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::WriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How many commands are at work at once.
const COMMANDS_MAX: usize = 16;
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// How long whoever asked may take to hear a word.
const HEAR_TIMEOUT: Duration = Duration::from_secs(60);

/// Performs operations.
pub trait Perform: Send + Sync + 'static {
    fn perform(&self, operation: Operation, teller: Teller) -> gateway::BoxFuture<'_, anyhow::Result<Value>>;
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
            let (desk, stop) = (Arc::clone(&desk), stop.clone());
            tracker.spawn(async move {
                if let Err(error) = answer(stream, &*desk, stop).await {
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

async fn answer(mut stream: UnixStream, desk: &dyn Perform, stop: CancellationToken) -> anyhow::Result<()> {
    let mut request = Vec::new();
    let (reader, mut writer) = stream.split();
    tokio::time::timeout(READ_TIMEOUT, reader.take(MESSAGE_BYTES_MAX).read_to_end(&mut request)).await??;
    let answer = match serde_json::from_slice::<Operation>(&request) {
        Err(error) => Answer::Failed(format!("not an operation of this version: {error}")),
        Ok(operation) => perform(operation, desk, &mut writer, stop).await?,
    };
    say(&mut writer, &answer).await?;
    writer.shutdown().await?;
    Ok(())
}

/// Performs an operation and passes on what it tells. It ends when nobody listens.
async fn perform(
    operation: Operation,
    desk: &dyn Perform,
    writer: &mut WriteHalf<'_>,
    stop: CancellationToken,
) -> anyhow::Result<Answer> {
    // Only those that can be done again are cut off; the others are finished.
    let stop = if operation.is_long() { stop } else { CancellationToken::new() };
    let (teller, mut told) = Teller::new();
    let mut work = desk.perform(operation, teller);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                return Ok(Answer::Failed("Rowhouse is stopping; do it again to go on".to_owned()));
            }
            Some(value) = told.recv() => say(writer, &Answer::Told(value)).await?,
            done = &mut work => {
                while let Ok(value) = told.try_recv() {
                    say(writer, &Answer::Told(value)).await?;
                }
                return Ok(match done {
                    Ok(value) => Answer::Done(value),
                    Err(error) => Answer::Failed(format!("{error:#}")),
                });
            }
            () = tokio::time::sleep(OPERATION_TIMEOUT) => {
                return Ok(Answer::Failed("the operation took too long".to_owned()));
            }
        }
    }
}

async fn say(writer: &mut WriteHalf<'_>, answer: &Answer) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    Ok(tokio::time::timeout(HEAR_TIMEOUT, writer.write_all(&line)).await??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{ask, follow};
    use crate::importing::FilesImport;

    struct Echo;

    impl Perform for Echo {
        fn perform(
            &self,
            operation: Operation,
            teller: Teller,
        ) -> gateway::BoxFuture<'_, anyhow::Result<Value>> {
            Box::pin(async move {
                match operation {
                    Operation::Status => {
                        for n in 0..100 {
                            assert!(teller.tell(n.into()).await);
                        }
                        Ok(Value::Null)
                    }
                    Operation::ImportFiles(_) => {
                        while teller.tell("a line".into()).await {}
                        std::future::pending().await
                    }
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
        let mut heard = Vec::new();
        let done = follow(&socket, &Operation::Status, &mut |value| heard.push(value)).await.unwrap();
        assert!(done.is_null() && heard == (0..100).map(Value::from).collect::<Vec<_>>());
        let long = Operation::ImportFiles(FilesImport::default());
        let mut lines = 0;
        let mut count = |_| {
            lines += 1;
            stop.cancel();
        };
        let ended = follow(&socket, &long, &mut count).await;
        assert!(ended.unwrap_err().to_string().contains("stopping"));
        assert!(lines > 0);
        tasks.wait().await;
        assert!(ask(&socket, &Operation::Status).await.is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
