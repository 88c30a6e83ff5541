//! Reading: one answer of the store from beginning to end, or, where many read at a time, a piece for each answer.

use super::error::said;
use super::{Remote, timely};
use crate::gate::Turn;
use crate::{Error, Key};
use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange};
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio_util::task::AbortOnDropHandle;

/// Bytes that are asked for at once by those who keep no answer open.
const PIECE: u64 = 256 * 1024;

/// What is being read.
pub(crate) struct RemoteReading {
    remote: Remote,
    key: Key,
    /// What has not been given out yet, but for what is in the source.
    next: Range<u64>,
    source: Source,
}

/// Where the next bytes come from.
enum Source {
    /// An answer that is on its way, a turn for as long.
    Open(Open),
    /// Bytes that are here; after them the store has to be asked again.
    Here(Bytes),
    Coming(AbortOnDropHandle<Result<Source, Error>>),
}

struct Open {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    turn: Turn,
}

impl Open {
    /// The source of the next bytes. An answer stays open only if there are turns enough: nobody knows when the
    /// client asks for more.
    async fn source(self) -> Result<Source, Error> {
        if !self.turn.is_tight() {
            return Ok(Source::Open(self));
        }
        self.piece().await
    }

    /// Takes a piece and gives the turn back.
    async fn piece(mut self) -> Result<Source, Error> {
        let mut piece = BytesMut::new();
        let read = async {
            while (piece.len() as u64) < PIECE
                && let Some(bytes) = self.stream.try_next().await?
            {
                piece.extend_from_slice(&bytes);
            }
            Ok(())
        };
        timely(read).await?;
        Ok(Source::Here(piece.freeze()))
    }
}

impl Remote {
    pub(crate) async fn read(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<(u64, Range<u64>, Option<RemoteReading>), Error> {
        if let Some(range) = &range
            && range.is_empty()
        {
            let size = self.size(key).await?;
            let inside = range.start == range.end && range.end <= size;
            return if inside { Ok((size, range.clone(), None)) } else { Err(Error::Range) };
        }
        let turn = self.readings.turn(key.project()).await?;
        let options = GetOptions { range: range.clone().map(GetRange::Bounded), ..GetOptions::default() };
        let path = self.body(key);
        let found = timely(self.store.get_opts(&path, options)).await?;
        if range.is_some_and(|range| range != found.range) {
            return Err(Error::Range);
        }
        let (size, range) = (found.meta.size, found.range.clone());
        let source = Open { stream: found.into_stream(), turn }.source().await?;
        let reading = RemoteReading { remote: self.clone(), key: key.clone(), next: range.clone(), source };
        Ok((size, range, Some(reading)))
    }

    /// Asks for the next piece, or for all the rest if there are turns enough.
    async fn asked_again(self, key: Key, range: Range<u64>) -> Result<Source, Error> {
        let turn = self.readings.turn(key.project()).await?;
        let end = if turn.is_tight() { range.end.min(range.start + PIECE) } else { range.end };
        let range = Some(GetRange::Bounded(range.start..end));
        let options = GetOptions { range, ..GetOptions::default() };
        let path = self.body(&key);
        let found = timely(self.store.get_opts(&path, options)).await?;
        let is_piece = found.range.end - found.range.start <= PIECE;
        let open = Open { stream: found.into_stream(), turn };
        // A piece ends before the body does, so it must not be taken for an answer that goes on to the end.
        if is_piece { open.piece().await } else { open.source().await }
    }
}

impl RemoteReading {
    pub(crate) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            match &mut self.source {
                Source::Open(open) => {
                    let Some(piece) = ready!(open.stream.poll_next_unpin(context)) else {
                        return Poll::Ready(None);
                    };
                    let bytes = piece.map_err(|error| said(&error))?;
                    self.next.start += bytes.len() as u64;
                    if open.turn.is_tight() {
                        self.source = Source::Here(Bytes::new());
                    }
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Source::Here(bytes) if !bytes.is_empty() => {
                    let bytes = std::mem::take(bytes);
                    self.next.start += bytes.len() as u64;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                Source::Here(_) if self.next.start >= self.next.end => return Poll::Ready(None),
                Source::Here(_) => {
                    // A task of its own: whoever is given a turn must use it, whether somebody polls or not.
                    let asked = self.remote.clone().asked_again(self.key.clone(), self.next.clone());
                    self.source = Source::Coming(AbortOnDropHandle::new(tokio::spawn(asked)));
                }
                Source::Coming(coming) => {
                    let source = ready!(Pin::new(coming).poll(context));
                    self.source = source.map_err(|stopped| Error::Io(std::io::Error::other(stopped)))??;
                }
            }
        }
    }
}
