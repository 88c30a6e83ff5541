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
use std::task::{Context, Poll, ready};
use tokio_util::task::AbortOnDropHandle;

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
    key: Key,
    /// Nothing while it is being read from, and where others need the turn more while the client takes its time.
    file: Option<Opened>,
    /// What has been read already, from the call that opened the file.
    first: Option<Bytes>,
    /// From where the next call reads, and where it ends.
    next: Range<u64>,
    ahead: Option<Ahead>,
}

/// A piece, and the file if it stays open.
type Read = (Bytes, Option<Opened>);
type Ahead = Pin<Box<dyn Future<Output = Result<Read, Error>> + Send>>;

/// An open file and the turn it holds.
struct Opened {
    file: File,
    turn: Turn,
}

impl Disk {
    /// Opens a body; returns its whole size, the range that is read and the reading.
    pub(crate) async fn read(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<(u64, Range<u64>, DiskReading), Error> {
        let turn = self.turn(key).await?;
        let (disk, name) = (self.clone(), key.clone());
        self.call(key.project(), move || disk.opened(name, range, turn)).await
    }

    fn opened(
        self,
        key: Key,
        range: Option<Range<u64>>,
        turn: Turn,
    ) -> Result<(u64, Range<u64>, DiskReading), Error> {
        let file = self.tree.file(&key)?;
        let size = file.metadata()?.len();
        let range = match range {
            None => 0..size,
            Some(range) if range.start <= range.end && range.end <= size => range,
            Some(_) => return Err(Error::Range),
        };
        let length = range.end - range.start;
        let (first, file) = if length <= SMALL {
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            file.read_exact_at(&mut bytes, range.start)?;
            ((!bytes.is_empty()).then(|| Bytes::from(bytes)), None)
        } else {
            if length >= LONG {
                // Only a hint: a file system that does not take it is none the worse.
                let _ = rustix::fs::fadvise(&file, range.start, None, Advice::Sequential);
            }
            let (first, file) = self.piece(Opened { file, turn }, &range)?;
            (Some(first), file)
        };
        let read = first.as_ref().map_or(0, |first| first.len() as u64);
        let next = range.start + read..range.end;
        Ok((size, range, DiskReading { disk: self, key, file, first, next, ahead: None }))
    }

    /// Reads the first piece of a range that is not empty. The file stays open if there is more to read and there
    /// are turns enough: nobody knows when the client asks for more. Blocks.
    fn piece(&self, opened: Opened, range: &Range<u64>) -> Result<Read, Error> {
        let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let is_tight = opened.turn.is_tight();
        let bytes = if is_tight || self.open.taken() > MANY {
            let mut bytes = vec![0; left.min(PIECE_OF_MANY)];
            opened.file.read_exact_at(&mut bytes, range.start)?;
            Bytes::from(bytes)
        } else {
            let mut buffer = self.buffers.take();
            opened.file.read_exact_at(buffer.memory(left.min(BUFFER)), range.start)?;
            buffer.into_bytes()
        };
        // Asked anew: only so are those who stay open never too many.
        let stays = bytes.len() < left && !opened.turn.is_tight();
        Ok((bytes, stays.then_some(opened)))
    }

    /// Opens a body once more to read the next piece of it.
    async fn reopened(self, key: Key, range: Range<u64>) -> Result<Read, Error> {
        let turn = self.turn(&key).await?;
        let (disk, name) = (self.clone(), key.clone());
        let read = move || disk.piece(Opened { file: disk.tree.file(&name)?, turn }, &range);
        self.call(key.project(), read).await
    }
}

impl DiskReading {
    /// Begins to read the next piece where the file is open.
    fn look_ahead(&mut self) {
        if self.ahead.is_some() || self.next.is_empty() {
            return;
        }
        let Some(opened) = self.file.take() else { return };
        let (disk, project, range) = (self.disk.clone(), self.key.project().clone(), self.next.clone());
        self.ahead = Some(Box::pin(async move {
            let reader = disk.clone();
            let call: Call<Read> = disk.start(&project, move || reader.piece(opened, &range)).await?;
            call.end().await
        }));
    }

    /// The next piece. The one after it is being read by then.
    pub(crate) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        let piece = match (self.first.take(), self.ahead.as_mut()) {
            (Some(first), _) => Ok(first),
            (None, Some(ahead)) => {
                let read = ready!(ahead.as_mut().poll(context));
                self.ahead = None;
                read.map(|(piece, file)| {
                    self.next.start += piece.len() as u64;
                    self.file = file;
                    piece
                })
            }
            (None, None) if self.next.is_empty() => return Poll::Ready(None),
            (None, None) => {
                self.look_ahead();
                if self.ahead.is_none() {
                    // A task of its own: whoever is given a turn must use it, whether somebody polls or not.
                    let read = self.disk.clone().reopened(self.key.clone(), self.next.clone());
                    let read = AbortOnDropHandle::new(tokio::spawn(read));
                    self.ahead = Some(Box::pin(async {
                        read.await.map_err(|stopped| Error::Io(std::io::Error::other(stopped)))?
                    }));
                }
                return self.poll_piece(context);
            }
        };
        if piece.is_err() {
            self.next.start = self.next.end;
        }
        self.look_ahead();
        if let Some(ahead) = self.ahead.as_mut() {
            // Only begun by being polled. A piece that is there at once waits for the next call.
            if let Poll::Ready(read) = ahead.as_mut().poll(context) {
                self.ahead = Some(Box::pin(std::future::ready(read)));
            }
        }
        Poll::Ready(Some(piece))
    }
}
