//! What stands between us and a server and spoils things.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is done to connections.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// So many connections are answered with this status; those after them pass.
    Answers(u16, u64),
    /// Cut when the client has sent so many bytes.
    CutsRequests(usize),
    /// Cut when the server has sent so many bytes.
    CutsAnswers(usize),
    /// Taken and never answered.
    Swallows,
}

/// Starts a proxy; its port, and how many connections it has seen. It ends with the test's runtime.
pub async fn proxy(server: u16, fault: Fault) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let Ok((client, _)) = listener.accept().await else { return };
            let number = counter.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                // What goes wrong here is what the tests are about.
                let _ = spoil(client, server, fault, number).await;
            });
        }
    });
    (port, seen)
}

async fn spoil(mut client: TcpStream, server: u16, fault: Fault, number: u64) -> std::io::Result<()> {
    let (requests, answers) = match fault {
        Fault::Answers(status, count) if number < count => return refuse(client, status).await,
        Fault::Answers(..) => (usize::MAX, usize::MAX),
        Fault::CutsRequests(bytes) => (bytes, usize::MAX),
        Fault::CutsAnswers(bytes) => (usize::MAX, bytes),
        Fault::Swallows => {
            let mut buffer = [0; 4096];
            while client.read(&mut buffer).await? > 0 {}
            return Ok(());
        }
    };
    let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    tokio::select! {
        done = pass(&mut from_client, &mut to_server, requests) => done,
        done = pass(&mut from_server, &mut to_client, answers) => done,
    }
}

async fn pass(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut left: usize,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16_384];
    while left > 0 {
        let most = left.min(buffer.len());
        let length = from.read(&mut buffer[..most]).await?;
        if length == 0 {
            break;
        }
        to.write_all(&buffer[..length]).await?;
        left -= length;
    }
    Ok(())
}

/// Answers and closes. The request is read first, so that its end does not hide the answer.
async fn refuse(mut client: TcpStream, status: u16) -> std::io::Result<()> {
    let mut buffer = vec![0; 65_536];
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = client.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        head.extend_from_slice(&buffer[..length]);
    }
    let answer = format!("HTTP/1.1 {status} No\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await?;
    while client.read(&mut buffer).await? > 0 {}
    Ok(())
}
