//! Writing: a small body in one call, a large one in pieces that are written and hashed while the next is received.

use super::tree::{Temporary, Tree};
use super::{Call, Disk};
use crate::gate::Turn;
use crate::{Error, Key, Written};
use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};
use std::io::Write;
use std::sync::Arc;

/// Up to this size a body is written in one call.
const SMALL: usize = 256 * 1024;
/// Bytes of a piece.
const PIECE: usize = 512 * 1024;
/// Pushed bytes shorter than this are put together; longer ones are kept as they came.
const CRUMB: usize = 4 * 1024;

/// Bytes that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    chunks: Vec<Bytes>,
    crumbs: BytesMut,
    length: usize,
}

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
    _turn: Turn,
}

impl Pending {
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.length += bytes.len();
        if bytes.len() < CRUMB {
            self.crumbs.extend_from_slice(&bytes);
        } else {
            self.flush();
            self.chunks.push(bytes);
        }
    }

    fn flush(&mut self) {
        if !self.crumbs.is_empty() {
            self.chunks.push(self.crumbs.split().freeze());
        }
    }

    pub(super) fn take(&mut self) -> Vec<Bytes> {
        self.flush();
        self.length = 0;
        std::mem::take(&mut self.chunks)
    }

    /// Whether there is a piece to be written.
    pub(super) fn is_piece(&self) -> bool {
        self.length >= PIECE
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }
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
        let enough = if self.sink.is_none() { self.pending.length > SMALL } else { self.pending.is_piece() };
        if !enough {
            return Ok(());
        }
        let sink = self.sink().await?;
        let chunks = self.pending.take();
        let tree = Arc::clone(&self.disk.tree);
        self.sink = Some(self.disk.start(move || sink.written(&tree, &chunks)).await?);
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<Written, Error> {
        let sink = self.sink().await?;
        let chunks = self.pending.take();
        let (tree, key) = (Arc::clone(&self.disk.tree), self.key.clone());
        let finish = move || {
            let sink = sink.written(&tree, &chunks)?;
            let written = Written { size: sink.size, md5: sink.md5.finalize().into() };
            tree.publish(sink.file, &key)?;
            Ok(written)
        };
        self.disk.call(finish).await
    }

    /// The file after what has been written so far, or the turn to open one.
    async fn sink(&mut self) -> Result<Begun, Error> {
        match self.sink.take() {
            Some(call) => Ok(Begun::Open(call.end().await?)),
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
        let mut sink = match self {
            Begun::Open(sink) => sink,
            Begun::New(turn) => Sink { file: Temporary::new(tree)?, md5: Md5::new(), size: 0, _turn: turn },
        };
        for chunk in chunks {
            sink.file.file.write_all(chunk)?;
            sink.md5.update(chunk);
            sink.size += chunk.len() as u64;
        }
        Ok(sink)
    }
}
