//! Bodies that are passed on as they come from the database.
//!
//! A task reads the connection's answer piece by piece and hands each to the response, which takes the next when the
//! client has taken the last: a client that reads slowly slows down PostgreSQL, and one that has not read 256 KB within
//! the stall timeout is given up, as one that has gone away.
//!
//! What becomes of the transaction then: a read is cancelled and its connection closed. A write has run to its end
//! before its first byte was sent, so it is committed, whether or not its client reads the answer. And the last piece
//! is held back until the commit has succeeded: a body that is complete tells of a transaction that was kept.

use super::encoding::Encoding;
use super::pours::Turn;
use crate::config::Settings;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use pg::{Begun, Error, Part, PooledConnection, Remainder};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// Pieces that wait for the client.
const PIECES: usize = 4;
/// Rows are gathered up to this many bytes.
const PIECE_BYTES: usize = 32 * 1024;
/// A client must take this many bytes within the stall timeout.
const PROGRESS_BYTES: usize = 256 * 1024;
/// How long an answer may stream, however steady its client: a connection of the project's waits for it meanwhile.
const STREAM_MAX: Duration = Duration::from_secs(600);
/// How long what is left of a write's answer may take when nobody reads it.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// A body.
#[derive(Debug)]
pub enum Content {
    Whole(Bytes),
    /// One that was to be streamed, and was read to its end instead.
    Collected(Bytes),
    Streamed(Flow),
}

impl Default for Content {
    fn default() -> Self {
        Content::Whole(Bytes::new())
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Content::Whole(bytes)
    }
}

/// A body whose pieces are still to come.
#[derive(Debug)]
pub struct Flow {
    length: Option<u64>,
    pieces: mpsc::Receiver<Piece>,
}

/// A piece of a body. Only after the last is the body complete: where they just cease, it is broken off.
#[derive(Debug)]
enum Piece {
    More(Bytes),
    Last(Bytes),
    Broken(Error),
}

impl Content {
    /// How many bytes it has, when that is known beforehand.
    pub fn length(&self) -> Option<u64> {
        match self {
            Content::Whole(bytes) | Content::Collected(bytes) => Some(bytes.len() as u64),
            Content::Streamed(flow) => flow.length,
        }
    }
}

impl From<Content> for Body {
    fn from(content: Content) -> Self {
        match content {
            Content::Whole(bytes) | Content::Collected(bytes) => Body::from(bytes),
            Content::Streamed(flow) => Body::from_stream(stream::unfold(Some(flow.pieces), next)),
        }
    }
}

/// The next bytes of a body; without a receiver it has ended.
async fn next(
    pieces: Option<mpsc::Receiver<Piece>>,
) -> Option<(Result<Bytes, Error>, Option<mpsc::Receiver<Piece>>)> {
    let mut pieces = pieces?;
    Some(match pieces.recv().await {
        Some(Piece::More(bytes)) => (Ok(bytes), Some(pieces)),
        Some(Piece::Last(bytes)) => (Ok(bytes), None),
        Some(Piece::Broken(error)) => (Err(error), None),
        None => (Err(Error::Timeout), None),
    })
}

/// What pours an answer out.
pub(super) struct Pour<'a> {
    pub connection: PooledConnection,
    /// Where several projects share the connections.
    pub turn: Option<Turn>,
    /// The transaction has changed something.
    pub keeps: bool,
    pub settings: &'a Settings,
}

impl Pour<'_> {
    /// Starts to pour out what is left behind `first`.
    pub(super) fn start(self, begun: &Begun, first: Content) -> Content {
        let encoding = Encoding::of_rest(begun);
        let length = match begun.rest {
            Remainder::Value(bytes) => Some(encoding.decoded_length(bytes)),
            Remainder::Rows | Remainder::Nothing => None,
        };
        let (sender, pieces) = mpsc::channel(PIECES);
        let task = Pouring {
            connection: self.connection,
            turn: self.turn,
            keeps: self.keeps,
            encoding,
            out: Out {
                sender,
                stall: self.settings.stream_stall_timeout,
                end: Instant::now() + STREAM_MAX,
                waited: Duration::ZERO,
                taken: 0,
            },
        };
        let first = match first {
            Content::Whole(bytes) | Content::Collected(bytes) => bytes,
            Content::Streamed(_) => Bytes::new(),
        };
        // It ends with the answer, or soon after the response is dropped: every wait in it is bounded or ends then.
        tokio::spawn(task.run(first));
        Content::Streamed(Flow { length, pieces })
    }
}

struct Pouring {
    connection: PooledConnection,
    turn: Option<Turn>,
    keeps: bool,
    encoding: Encoding,
    out: Out,
}

impl Pouring {
    async fn run(mut self, first: Bytes) {
        let mut held = first;
        loop {
            let piece = tokio::select! {
                biased;
                () = self.out.sender.closed(), if !self.keeps => return,
                piece = piece(&mut self.connection, &mut self.encoding) => piece,
            };
            match piece {
                Ok(Some(piece)) => {
                    if !self.out.send(Piece::More(std::mem::replace(&mut held, piece))).await {
                        return self.abandon().await;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!("an answer broke off: {error}");
                    self.out.send(Piece::Broken(error)).await;
                    return;
                }
            }
        }
        let end = end(&mut self.connection).await;
        let last = match end {
            Err(error) if self.keeps => {
                tracing::warn!("a transaction was undone after its answer had begun: {error}");
                Piece::Broken(error)
            }
            // What was read has been read, whatever the end of its transaction says.
            Ok(()) | Err(_) => Piece::Last(held),
        };
        let Pouring { connection, turn, mut out, .. } = self;
        drop((connection, turn));
        out.send(last).await;
    }

    /// Nobody reads any more. The connection of a read is closed, which the pool does to one in the middle of an
    /// exchange, cancelling the statement.
    async fn abandon(mut self) {
        tracing::debug!("a client went away or stopped reading in the middle of its answer");
        if !self.keeps {
            return;
        }
        match timeout(DRAIN_TIMEOUT, end(&mut self.connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("a transaction was undone after its client had gone: {error}"),
            Err(_) => tracing::warn!("a transaction was undone: its answer did not end"),
        }
    }
}

/// Comes to the end of the exchange and of the transaction.
pub(super) async fn end(connection: &mut PooledConnection) -> Result<(), Error> {
    connection.finish().await?;
    if connection.in_transaction() {
        connection.query("commit", &[]).await?;
    }
    Ok(())
}

/// The next bytes of the body; rows are gathered, as lines.
pub(super) async fn piece(
    connection: &mut PooledConnection,
    encoding: &mut Encoding,
) -> Result<Option<Bytes>, Error> {
    let mut lines = BytesMut::new();
    loop {
        match connection.part().await? {
            Some(Part::Bytes(bytes)) => return Ok(Some(encoding.decode(bytes))),
            Some(Part::Row(row)) => {
                lines.extend_from_slice(row.bytes(0).unwrap_or_default());
                lines.extend_from_slice(b"\n");
                if lines.len() >= PIECE_BYTES {
                    return Ok(Some(lines.freeze()));
                }
            }
            None => return Ok((!lines.is_empty()).then(|| lines.freeze())),
        }
    }
}

/// The way to the response.
struct Out {
    sender: mpsc::Sender<Piece>,
    stall: Duration,
    /// When the client has to have taken all of it.
    end: Instant,
    /// Since the client last made progress.
    waited: Duration,
    taken: usize,
}

impl Out {
    /// Hands a piece over; whether somebody took it in time.
    async fn send(&mut self, piece: Piece) -> bool {
        let bytes = match &piece {
            Piece::More(bytes) | Piece::Last(bytes) => bytes.len(),
            Piece::Broken(_) => 0,
        };
        let begin = Instant::now();
        let left = self.stall.saturating_sub(self.waited).min(self.end.saturating_duration_since(begin));
        let sent = matches!(timeout(left, self.sender.send(piece)).await, Ok(Ok(())));
        self.waited += begin.elapsed();
        self.taken += bytes;
        if self.taken >= PROGRESS_BYTES {
            (self.waited, self.taken) = (Duration::ZERO, 0);
        }
        sent
    }
}
