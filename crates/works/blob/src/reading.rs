//! Reading a body: what goes out as the body of an HTTP answer.

use crate::Error;
use crate::disk::DiskReading;
use crate::remote::RemoteReading;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The bytes of a body or of a range of it. A body of HTTP with a known length.
#[must_use]
pub struct Reading {
    size: u64,
    left: u64,
    place: Option<Place>,
}

enum Place {
    Disk(Box<DiskReading>),
    Remote(Box<RemoteReading>),
}

impl Reading {
    pub(crate) fn disk(size: u64, range: Range<u64>, reading: DiskReading) -> Reading {
        Reading { size, left: range.end - range.start, place: Some(Place::Disk(Box::new(reading))) }
    }

    pub(crate) fn remote(size: u64, range: Range<u64>, reading: Option<RemoteReading>) -> Reading {
        let place = reading.map(|reading| Place::Remote(Box::new(reading)));
        Reading { size, left: range.end - range.start, place }
    }

    /// How long the whole body is, whatever range of it is read.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many bytes are still to come.
    pub fn left(&self) -> u64 {
        self.left
    }
}

impl Body for Reading {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.left == 0 {
            self.place = None;
        }
        let piece = match &mut self.place {
            Some(Place::Disk(reading)) => ready!(reading.poll_piece(context)),
            Some(Place::Remote(reading)) => ready!(reading.poll_piece(context)),
            None => return Poll::Ready(None),
        };
        let piece = match piece {
            Some(Ok(piece)) if piece.len() as u64 <= self.left => piece,
            Some(Err(error)) => {
                self.place = None;
                return Poll::Ready(Some(Err(error)));
            }
            // A body never changes: one that is shorter or longer than it said is broken, not finished.
            _ => {
                self.place = None;
                return Poll::Ready(Some(Err(Error::Io(std::io::ErrorKind::UnexpectedEof.into()))));
            }
        };
        self.left -= piece.len() as u64;
        if self.left == 0 {
            self.place = None;
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("size", &self.size).field("left", &self.left).finish_non_exhaustive()
    }
}
