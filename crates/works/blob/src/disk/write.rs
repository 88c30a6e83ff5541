//! Writing: a small body in one call, a large one in pieces that are written and hashed while the next is received.

use super::tree::{Temporary, Tree};
use super::{Call, Disk};
use crate::gate::Turn;
use crate::pending::Pending;
use crate::{Error, Key, Written};
use bytes::Bytes;
use md5::{Digest, Md5};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Up to this size a body is written in one call.
const SMALL: usize = 256 * 1024;
/// Bytes of a piece.
pub(super) const PIECE: usize = 512 * 1024;

/// Writes a body to a temporary file.
pub(crate) struct DiskWriter {
    disk: Disk,
    key: Key,
    pending: Pending,
    sink: Option<Call<Sink>>,
}

/// The file and what is known of its bytes.
#[derive(Debug)]
struct Sink {
    file: Temporary,
    md5: Md5,
    size: u64,
    /// Nothing while the file is closed.
    turn: Option<Turn>,
}

impl Disk {
    /// A writer. Nothing is on disk before there is enough for a call.
    pub(crate) fn write(&self, key: &Key) -> DiskWriter {
        DiskWriter { disk: self.clone(), key: key.clone(), pending: Pending::default(), sink: None }
    }
}

impl DiskWriter {
    pub(crate) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.pending.push(bytes);
        let enough = if self.sink.is_none() { SMALL + 1 } else { PIECE };
        if self.pending.length() < enough {
            return Ok(());
        }
        let sink = self.sink().await?;
        let chunks = self.pending.take_all();
        let tree = Arc::clone(&self.disk.tree);
        let write = move || {
            let mut sink = sink.written(&tree, &chunks)?;
            sink.rest();
            Ok(sink)
        };
        self.sink = Some(self.disk.start(self.key.project(), write).await?);
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<Written, Error> {
        let sink = self.sink().await?;
        let chunks = self.pending.take_all();
        let (tree, key) = (Arc::clone(&self.disk.tree), self.key.clone());
        let finish = move || {
            let sink = sink.written(&tree, &chunks)?;
            let written = Written { size: sink.size, md5: sink.md5.finalize().into() };
            tree.publish(sink.file, &key)?;
            Ok(written)
        };
        self.disk.call(self.key.project(), finish).await
    }

    /// The file after what has been written so far, or the turn to open one.
    async fn sink(&mut self) -> Result<Begun, Error> {
        match self.sink.take() {
            Some(call) => {
                let mut sink = call.end().await?;
                if sink.turn.is_none() {
                    sink.turn = Some(self.disk.turn(&self.key).await?);
                }
                Ok(Begun::Open(sink))
            }
            None => Ok(Begun::New(self.disk.turn(&self.key).await?)),
        }
    }
}

/// A file, or the right to open one.
enum Begun {
    New(Turn),
    Open(Sink),
}

impl Begun {
    /// Writes and hashes. Blocks.
    fn written(self, tree: &Arc<Tree>, chunks: &[Bytes]) -> Result<Sink, Error> {
        tree.room()?;
        let mut sink = match self {
            Begun::Open(sink) => sink,
            Begun::New(turn) => {
                Sink { file: Temporary::new(tree)?, md5: Md5::new(), size: 0, turn: Some(turn) }
            }
        };
        for chunk in chunks {
            sink.file.file()?.write_all_at(chunk, sink.size)?;
            sink.md5.update(chunk);
            sink.size += chunk.len() as u64;
        }
        Ok(sink)
    }
}

impl Sink {
    /// Closes the file until the client has sent more, where others need the turn.
    fn rest(&mut self) {
        if self.turn.as_ref().is_some_and(Turn::is_tight) {
            self.file.close();
            self.turn = None;
        }
    }
}
