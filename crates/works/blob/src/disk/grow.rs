//! Bodies that are received in several requests, perhaps with a restart in between.
//!
//! What is known of such a body is the length of its file; nothing else has to be kept.

use super::tree::Shelf;
use super::write::Pending;
use super::{Call, Disk};
use crate::gate::Turn;
use crate::{Error, Key, Written};
use bytes::Bytes;
use md5::{Digest, Md5};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Growing bodies whose hash so far is remembered. That of others is made from the file when they are sealed.
const HASHES_MAX: usize = 1024;
/// How often, and how long apart, another tries to append whose predecessor is about to end.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes hashed in one call to the disk.
const STRETCH: u64 = 32 * 1024 * 1024;

/// Hashes of the beginnings of growing bodies.
#[derive(Debug, Default)]
pub(super) struct Hashes(Mutex<VecDeque<(Key, u64, Md5)>>);

impl Hashes {
    fn put(&self, key: &Key, length: u64, md5: Md5) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(other, ..)| other != key);
        if kept.len() >= HASHES_MAX {
            kept.pop_front();
        }
        kept.push_back((key.clone(), length, md5));
    }

    /// The hash of the first so many bytes, if that is the one that is known.
    fn take(&self, key: &Key, length: u64) -> Option<Md5> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(other, ..)| other == key)?;
        kept.remove(at).filter(|(_, known, _)| *known == length).map(|(.., md5)| md5)
    }
}

/// Appends to a growing body.
pub(crate) struct DiskAppender {
    disk: Disk,
    key: Key,
    pending: Pending,
    tail: Option<End>,
    /// How long the body was.
    before: u64,
}

/// Where the end of the file is.
enum End {
    Here(Tail),
    InCall(Call<Tail>),
}

impl End {
    async fn come(self) -> Result<Tail, Error> {
        match self {
            End::Here(tail) => Ok(tail),
            End::InCall(call) => call.end().await,
        }
    }
}

/// The end of the file. Who has it has the file's lock.
#[derive(Debug)]
struct Tail {
    file: File,
    length: u64,
    md5: Option<Md5>,
    _turn: Turn,
}

impl Disk {
    /// How long a growing body is.
    pub(crate) async fn grown(&self, key: &Key) -> Result<u64, Error> {
        let (tree, key) = (Arc::clone(&self.tree), key.clone());
        self.call(move || Ok(tree.stat(&key, Shelf::Growing)?.0)).await
    }

    /// Begins to append to a growing body, which is made if the offset is 0.
    pub(crate) async fn append(&self, key: &Key, offset: u64) -> Result<DiskAppender, Error> {
        let mut turn = self.turn(key).await?;
        for _ in 0..TRIES {
            let (disk, name) = (self.clone(), key.clone());
            match self.call(move || disk.tail(&name, offset, turn)).await? {
                Ok(tail) => {
                    let tail = Some(End::Here(tail));
                    let (disk, key) = (self.clone(), key.clone());
                    return Ok(DiskAppender { disk, key, pending: Pending::default(), tail, before: offset });
                }
                Err(again) => turn = again,
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::Busy)
    }

    /// Opens the end of a file, or gives the turn back if somebody else has it. Blocks.
    fn tail(&self, key: &Key, offset: u64, turn: Turn) -> Result<Result<Tail, Turn>, Error> {
        let file = self.tree.growing(key, offset == 0)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(Err(turn)),
            Err(error) => return Err(error.into()),
        }
        // Who had the lock before may have sealed or discarded it, and then this is no longer the file.
        if !self.tree.is_growing(key, &file)? {
            return Ok(Err(turn));
        }
        let length = file.metadata()?.len();
        if length != offset {
            return Err(Error::Offset { length });
        }
        let md5 = if offset == 0 { Some(Md5::new()) } else { self.hashes.take(key, offset) };
        Ok(Ok(Tail { file, length, md5, _turn: turn }))
    }

    /// Makes a finished body of a growing one. Repeatable: one that is sealed already is only looked at.
    pub(crate) async fn seal(&self, key: &Key) -> Result<Written, Error> {
        let turn = self.turn(key).await?;
        let (disk, name) = (self.clone(), key.clone());
        let open = move || match disk.tree.growing(&name, false) {
            Ok(file) => {
                rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
                    .map_err(|error| if error == Errno::WOULDBLOCK { Error::Busy } else { error.into() })?;
                let length = file.metadata()?.len();
                let md5 = disk.hashes.take(&name, length);
                Ok((file, true, length, md5))
            }
            Err(Error::NotFound) => {
                let file = disk.tree.file(&name)?;
                let length = file.metadata()?.len();
                Ok((file, false, length, None))
            }
            Err(error) => Err(error),
        };
        let (file, growing, size, known) = self.call(open).await?;
        let file = Arc::new(file);
        let md5 = match known {
            Some(md5) => md5,
            None => self.hashed(&file, size).await?,
        };
        if growing {
            let (disk, name) = (self.clone(), key.clone());
            let seal = move || {
                // The lock lasts until the file has its name.
                let seal = disk.tree.seal(&name);
                drop((file, turn));
                seal
            };
            self.call(seal).await?;
        }
        Ok(Written { size, md5: md5.finalize().into() })
    }

    async fn hashed(&self, file: &Arc<File>, size: u64) -> Result<Md5, Error> {
        let (mut md5, mut at) = (Md5::new(), 0);
        while at < size {
            let (file, disk, end) = (Arc::clone(file), self.clone(), size.min(at + STRETCH));
            let hash = move || {
                let mut buffer = disk.buffers.take();
                while at < end {
                    let left = usize::try_from(end - at).unwrap_or(usize::MAX);
                    let memory = buffer.memory(left.min(super::buffers::BUFFER));
                    file.read_exact_at(memory, at)?;
                    md5.update(&*memory);
                    at += memory.len() as u64;
                }
                Ok(md5)
            };
            md5 = self.call(hash).await?;
            at = end;
        }
        Ok(md5)
    }

    /// Removes a growing body. One that is not there is fine.
    pub(crate) async fn discard(&self, key: &Key) -> Result<(), Error> {
        drop(self.hashes.take(key, 0));
        self.remove(key, Shelf::Growing).await
    }
}

impl DiskAppender {
    pub(crate) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.pending.push(bytes);
        if self.pending.is_piece() { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let tail = self.tail.take().ok_or(Error::Busy)?.come().await?;
        let chunks = self.pending.take();
        self.tail = Some(End::InCall(self.disk.start(move || tail.written(&chunks)).await?));
        Ok(())
    }

    /// Writes what was pushed and returns the length of the body, durable.
    pub(crate) async fn sync(mut self) -> Result<u64, Error> {
        if !self.pending.is_empty() {
            self.flush().await?;
        }
        let tail = self.tail.take().ok_or(Error::Busy)?.come().await?;
        let disk = self.disk.clone();
        let key = self.key.clone();
        let sync = move || {
            disk.tree.settle_file(&tail.file)?;
            if let Some(md5) = tail.md5 {
                disk.hashes.put(&key, tail.length, md5);
            }
            Ok(tail.length)
        };
        self.disk.call(sync).await
    }
}

impl DiskAppender {
    /// Cuts off what was written, durably.
    pub(crate) async fn undo(mut self) -> Result<u64, Error> {
        let tail = self.tail.take().ok_or(Error::Busy)?.come().await?;
        let (disk, before) = (self.disk.clone(), self.before);
        let cut = move || {
            tail.file.set_len(before)?;
            disk.tree.settle_file(&tail.file)?;
            Ok(before)
        };
        self.disk.call(cut).await
    }
}

impl Tail {
    /// Writes and hashes. Blocks.
    fn written(mut self, chunks: &[Bytes]) -> Result<Tail, Error> {
        for chunk in chunks {
            self.file.write_all_at(chunk, self.length)?;
            if let Some(md5) = &mut self.md5 {
                md5.update(chunk);
            }
            self.length += chunk.len() as u64;
        }
        Ok(self)
    }
}
