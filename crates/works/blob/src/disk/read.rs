//! Reading: a small body in one call, a large one in large pieces of which one is read ahead.

use super::buffers::BUFFER;
use super::{Call, Disk};
use crate::gate::Turn;
use crate::{Error, Key};
use bytes::Bytes;
use rustix::fs::Advice;
use std::fs::File;
use std::future::Future;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Up to this size a body is read in the call that opens it.
const SMALL: u64 = 64 * 1024;
/// From this size on the system is told to read far ahead.
const LONG: u64 = 1024 * 1024;
/// Pieces when so many readings are going on that large ones would take too much memory.
const MANY: usize = 256;
const PIECE_OF_MANY: usize = 64 * 1024;

/// What is being read of a file.
pub(crate) struct DiskReading {
    disk: Disk,
    file: Option<Arc<Opened>>,
    /// What has been read already, from the call that opened the file.
    first: Option<Bytes>,
    /// From where the next call reads, and where it ends.
    next: Range<u64>,
    ahead: Option<Ahead>,
}

type Ahead = Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send>>;

/// An open file and the turn it holds.
struct Opened {
    file: File,
    _turn: Turn,
}

impl Disk {
    /// Opens a body; returns its whole size, the range that is read and the reading.
    pub(crate) async fn read(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<(u64, Range<u64>, DiskReading), Error> {
        let turn = self.turn(key).await?;
        let (disk, key) = (self.clone(), key.clone());
        self.call(move || disk.opened(&key, range, turn)).await
    }

    fn opened(
        self,
        key: &Key,
        range: Option<Range<u64>>,
        turn: Turn,
    ) -> Result<(u64, Range<u64>, DiskReading), Error> {
        let file = self.tree.file(key)?;
        let size = file.metadata()?.len();
        let range = match range {
            None => 0..size,
            Some(range) if range.start <= range.end && range.end <= size => range,
            Some(_) => return Err(Error::Range),
        };
        let length = range.end - range.start;
        if length <= SMALL {
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            file.read_exact_at(&mut bytes, range.start)?;
            let first = (!bytes.is_empty()).then(|| Bytes::from(bytes));
            let next = range.end..range.end;
            let reading = DiskReading { disk: self, file: None, first, next, ahead: None };
            return Ok((size, range, reading));
        }
        if length >= LONG {
            // Only a hint: a file system that does not take it is none the worse.
            let _ = rustix::fs::fadvise(&file, range.start, None, Advice::Sequential);
        }
        let opened = Arc::new(Opened { file, _turn: turn });
        let first = self.piece(&opened, &range)?;
        let next = range.start + first.len() as u64..range.end;
        let reading = DiskReading { disk: self, file: Some(opened), first: Some(first), next, ahead: None };
        Ok((size, range, reading))
    }

    /// Reads the first piece of a range that is not empty. Blocks.
    fn piece(&self, opened: &Opened, range: &Range<u64>) -> Result<Bytes, Error> {
        let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        if self.open.taken() > MANY {
            let mut bytes = vec![0; left.min(PIECE_OF_MANY)];
            opened.file.read_exact_at(&mut bytes, range.start)?;
            return Ok(Bytes::from(bytes));
        }
        let mut buffer = self.buffers.take();
        opened.file.read_exact_at(buffer.memory(left.min(BUFFER)), range.start)?;
        Ok(buffer.into_bytes())
    }
}

impl DiskReading {
    /// Begins to read the next piece, if there is one and nothing is being read.
    fn look_ahead(&mut self) {
        if self.ahead.is_some() || self.next.is_empty() {
            return;
        }
        let Some(file) = &self.file else { return };
        let (disk, file, range) = (self.disk.clone(), Arc::clone(file), self.next.clone());
        self.ahead = Some(Box::pin(async move {
            let reader = disk.clone();
            let call: Call<Bytes> = disk.start(move || reader.piece(&file, &range)).await?;
            call.end().await
        }));
    }

    /// The next piece. The one after it is being read by then.
    pub(crate) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let piece = match (self.first.take(), self.ahead.as_mut()) {
            (Some(first), _) => Ok(first),
            (None, Some(ahead)) => {
                let piece = ready!(ahead.as_mut().poll(context));
                self.ahead = None;
                if let Ok(piece) = &piece {
                    self.next.start += piece.len() as u64;
                }
                piece
            }
            (None, None) if self.next.is_empty() => return Poll::Ready(None),
            (None, None) => {
                self.look_ahead();
                return self.poll_piece(context);
            }
        };
        if piece.is_err() {
            self.next.start = self.next.end;
        }
        self.look_ahead();
        if let Some(ahead) = self.ahead.as_mut() {
            // Only begun by being polled. A piece that is there at once waits for the next call.
            if let Poll::Ready(piece) = ahead.as_mut().poll(context) {
                self.ahead = Some(Box::pin(std::future::ready(piece)));
            }
        }
        if self.next.is_empty() && self.ahead.is_none() {
            self.file = None;
        }
        Poll::Ready(Some(piece))
    }
}
