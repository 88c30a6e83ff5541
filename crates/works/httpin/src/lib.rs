//! What clients write into request lines, made acceptable to hyper.
//!
//! `curl 'http://…/todos?select=data->>name'` sends the `>` as it is, and PostgREST's own documentation tells
//! people to. The `http` crate refuses such a target, and hyper answers 400 before anyone sees the request.
//! [`Lenient`] wraps a connection and escapes those characters, in request lines only. It follows the framing of
//! HTTP/1.1 just far enough to know where the next request line starts; whenever that is not beyond doubt it
//! steps aside for the rest of the connection and leaves judgement to hyper.

mod framing;

use framing::Framing;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection whose request lines may hold characters that should have been escaped.
#[derive(Debug)]
pub struct Lenient<S> {
    stream: S,
    framing: Framing,
    /// What did not fit into the reader's buffer after escaping, and how much of it has been handed over.
    pending: Vec<u8>,
    handed: usize,
}

impl<S> Lenient<S> {
    /// A connection that starts with a request line.
    pub fn new(stream: S) -> Self {
        Lenient { stream, framing: Framing::default(), pending: Vec::new(), handed: 0 }
    }

    /// Hands over as much of what is pending as fits.
    fn hand_over(&mut self, buffer: &mut ReadBuf<'_>) {
        let rest = &self.pending[self.handed..];
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        self.handed += length;
        if self.handed == self.pending.len() {
            self.pending.clear();
            self.handed = 0;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.pending.is_empty() {
            self.hand_over(buffer);
            return Poll::Ready(Ok(()));
        }
        let start = buffer.filled().len();
        let this = &mut *self;
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {}
            other => return other,
        }
        if let Some(escaped) = this.framing.take(&buffer.filled()[start..]) {
            buffer.set_filled(start);
            this.pending = escaped;
            this.hand_over(buffer);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lenient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What a reader with a buffer of this size sees of some bytes.
    async fn through(input: &[u8], buffer: usize) -> Vec<u8> {
        let (mut client, server) = tokio::io::duplex(input.len().max(1));
        client.write_all(input).await.unwrap();
        drop(client);
        let mut lenient = Lenient::new(server);
        let mut seen = Vec::new();
        let mut part = vec![0; buffer];
        loop {
            match lenient.read(&mut part).await.unwrap() {
                0 => return seen,
                length => seen.extend_from_slice(&part[..length]),
            }
        }
    }

    #[tokio::test]
    async fn only_request_lines_change_whatever_the_buffer() {
        let input = b"POST /t?select=a->>\"b\" HTTP/1.1\r\nX: a>b\r\nContent-Length: 4\r\n\r\n>\"<>GET /\xc3\xa9?a=<1 HTTP/1.1\r\n\r\n";
        let expected = b"POST /t?select=a-%3E%3E%22b%22 HTTP/1.1\r\nX: a>b\r\nContent-Length: 4\r\n\r\n>\"<>GET /%C3%A9?a=%3C1 HTTP/1.1\r\n\r\n";
        for buffer in [1, 2, 3, 7, 64, 4096] {
            assert_eq!(through(input, buffer).await, expected, "{buffer}");
        }
    }
}
