//! Copying between a client and its server until one of them is done.

use crate::directory::Refusal;
use crate::message;
use bytes::BytesMut;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// One per direction; a client that does not read stops its server, not us.
const BUFFER: usize = 16 * 1024;
/// For a client that does not read, when we shut down.
const GOODBYE: Duration = Duration::from_secs(3);

/// Follows the borders of messages in a byte stream, without keeping any of it.
#[derive(Debug, Default)]
struct Framing {
    header: [u8; 5],
    header_length: usize,
    body_left: usize,
    /// The last message said that the server waits for a command, outside of a transaction.
    idle: bool,
}

impl Framing {
    fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.body_left > 0 {
                if self.header[0] == b'Z' {
                    self.idle = bytes[0] == b'I';
                }
                let skipped = self.body_left.min(bytes.len());
                self.body_left -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let taken = (5 - self.header_length).min(bytes.len());
            self.header[self.header_length..self.header_length + taken].copy_from_slice(&bytes[..taken]);
            self.header_length += taken;
            bytes = &bytes[taken..];
            if self.header_length == 5 {
                let [_, a, b, c, d] = self.header;
                let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                (self.header_length, self.body_left, self.idle) = (0, length.saturating_sub(4), false);
            }
        }
    }

    /// Whether a message of ours would not fall into the middle of another.
    fn is_at_border(&self) -> bool {
        self.header_length == 0 && self.body_left == 0
    }
}

/// Copies until the server ends the session, the router shuts down, or the session was idle too long.
pub(crate) async fn splice(
    client: impl AsyncRead + AsyncWrite,
    server: impl AsyncRead + AsyncWrite,
    idle_timeout: Option<Duration>,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    let ((from_client, to_client), (from_server, to_server)) = (split(client), split(server));
    // Whether the client has sent something since the server last wrote.
    let asked = AtomicBool::new(false);
    let both = async {
        let up = up(from_client, to_server, &asked);
        let down = Down { client: to_client, asked: &asked, idle_timeout, shutdown }.run(from_server);
        tokio::pin!(up, down);
        tokio::select! {
            done = &mut down => done,
            done = &mut up => {
                done?;
                down.await
            }
        }
    };
    let late = async {
        shutdown.cancelled().await;
        sleep(GOODBYE).await;
    };
    tokio::select! {
        done = both => done,
        () = late => Ok(()),
    }
}

/// From the client to the server, until the client has nothing more to say. The server notices, and its last words
/// are still passed on.
async fn up(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    asked: &AtomicBool,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        asked.store(true, Ordering::Relaxed);
        to.write_all(&buffer[..length]).await?;
        to.flush().await?;
    }
}

/// From the server to the client.
struct Down<'a, W> {
    client: W,
    asked: &'a AtomicBool,
    idle_timeout: Option<Duration>,
    shutdown: &'a CancellationToken,
}

impl<W: AsyncWrite + Unpin> Down<'_, W> {
    async fn run(mut self, mut from: impl AsyncRead + Unpin) -> io::Result<()> {
        let (mut buffer, mut framing) = (vec![0; BUFFER], Framing { idle: true, ..Framing::default() });
        loop {
            let waits = framing.idle && framing.is_at_border();
            tokio::select! {
                length = from.read(&mut buffer) => {
                    let length = length?;
                    if length == 0 {
                        return self.client.shutdown().await;
                    }
                    self.asked.store(false, Ordering::Relaxed);
                    framing.advance(&buffer[..length]);
                    self.client.write_all(&buffer[..length]).await?;
                    self.client.flush().await?;
                }
                () = self.shutdown.cancelled() => {
                    let reason = Refusal::new("57P01", "terminating connection due to administrator command");
                    return self.end(&framing, &reason).await;
                }
                () = idle(self.idle_timeout), if waits => {
                    // When it has asked meanwhile, it is not idle: the answer is under way.
                    if !self.asked.load(Ordering::Relaxed) {
                        let reason = Refusal::new("57P05", "terminating connection due to idle-session timeout");
                        return self.end(&framing, &reason).await;
                    }
                }
            }
        }
    }

    async fn end(&mut self, framing: &Framing, reason: &Refusal) -> io::Result<()> {
        if framing.is_at_border() {
            let mut last = BytesMut::new();
            message::fatal(&mut last, reason);
            self.client.write_all(&last).await?;
        }
        self.client.shutdown().await
    }
}

async fn idle(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Says a last word to a client that is sent away. What it has sent meanwhile is read and thrown away for a moment:
/// closing with unread bytes would reset the connection, and the client might never see the word.
pub(crate) async fn say_goodbye(client: &mut (impl AsyncRead + AsyncWrite + Unpin), last: &[u8]) {
    let farewell = async {
        client.write_all(last).await?;
        client.shutdown().await?;
        let mut scrap = [0; 1024];
        for _ in 0..64 {
            if client.read(&mut scrap).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    // A client that is gone or does not listen needs no goodbye.
    let _ = timeout(GOODBYE, farewell).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    const READY: &[u8] = b"Z\0\0\0\x05I";

    #[test]
    fn borders_are_found_however_the_bytes_arrive() {
        let stream = [b"C\0\0\0\x0dSELECT 1\0".as_slice(), b"1\0\0\0\x04", READY].concat();
        for size in 1..=stream.len() {
            let mut framing = Framing::default();
            stream.chunks(size).for_each(|chunk| framing.advance(chunk));
            assert!(framing.is_at_border() && framing.idle, "{size}");
        }
        let mut framing = Framing::default();
        framing.advance(&stream[..stream.len() - 1]);
        assert!(!framing.is_at_border());
        framing.advance(b"T");
        assert!(framing.is_at_border() && !framing.idle, "in a transaction");
    }

    #[tokio::test]
    async fn both_ways_until_the_server_ends() {
        let ((mut client, near), (far, mut server)) = (duplex(64), duplex(64));
        let never = CancellationToken::new();
        let spliced = splice(near, far, None, &never);
        let talk = async {
            client.write_all(b"ping").await.unwrap();
            let mut four = [0; 4];
            server.read_exact(&mut four).await.unwrap();
            server.write_all(b"pong").await.unwrap();
            client.read_exact(&mut four).await.unwrap();
            assert_eq!(&four, b"pong");
            client.shutdown().await.unwrap();
            assert_eq!(server.read(&mut four).await.unwrap(), 0, "the end is passed on");
            server.write_all(b"bye").await.unwrap();
            drop(server);
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"bye");
        };
        let (done, ()) = tokio::join!(spliced, talk);
        done.unwrap();
    }

    #[tokio::test]
    async fn shutdown_is_announced_between_messages_only() {
        for (sent, announced) in [(READY, true), (&READY[..3], false)] {
            let ((mut client, near), (far, mut server)) = (duplex(1024), duplex(1024));
            let stop = CancellationToken::new();
            let talk = async {
                server.write_all(sent).await.unwrap();
                let mut read = vec![0; sent.len()];
                client.read_exact(&mut read).await.unwrap();
                stop.cancel();
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).await.unwrap();
                assert_eq!(String::from_utf8_lossy(&rest).contains("57P01"), announced);
            };
            let (done, ()) = tokio::join!(splice(near, far, None, &stop), talk);
            done.unwrap();
        }
    }
}
