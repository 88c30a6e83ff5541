//! Bodies that are received in several requests, perhaps with a restart in between.
//!
//! What is known of such a body is the length of its file; nothing else has to be kept.

use super::tree::{Shelf, Tree};
use super::write::PIECE;
use super::{Call, Disk, STRETCH};
use crate::claim::{Claim, PAUSE, TRIES};
use crate::gate::Turn;
use crate::pending::Pending;
use crate::{Error, Key, Written};
use bytes::Bytes;
use md5::{Digest, Md5};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// Growing bodies whose hash so far is remembered. That of others is made from the file when they are sealed.
const HASHES_MAX: usize = 1024;

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
    pending: Pending,
    tail: Option<End>,
    /// How long the body was.
    before: u64,
}

/// Where the end of the file is.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each upload under way, mostly in the large form"
)]
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

/// The end of the file. Who has it has the right to append, and the file's lock while it is open.
#[derive(Debug)]
struct Tail {
    key: Key,
    length: u64,
    md5: Option<Md5>,
    /// Nothing while the client takes its time and others need the turn.
    open: Option<Open>,
    _claim: Claim,
}

impl Disk {
    /// How long a growing body is.
    pub(crate) async fn grown(&self, key: &Key) -> Result<u64, Error> {
        let (tree, name) = (Arc::clone(&self.tree), key.clone());
        self.call(key.project(), move || Ok(tree.stat(&name, Shelf::Growing)?.0)).await
    }

    /// Begins to append to a growing body, which is made if the offset is 0.
    pub(crate) async fn append(&self, key: &Key, offset: u64) -> Result<DiskAppender, Error> {
        let claim = Claim::patiently(&self.claims, key).await?;
        let mut turn = self.turn(key).await?;
        for _ in 0..TRIES {
            let (tree, name) = (Arc::clone(&self.tree), key.clone());
            let lock = move || {
                let locked = locked(&tree, &name, offset == 0, turn)?;
                // Nobody knows when the client sends something.
                Ok(locked.map(|(open, length)| (Some(open).filter(|(_, turn)| !turn.is_tight()), length)))
            };
            match self.call(key.project(), lock).await? {
                Ok((open, length)) => {
                    if length != offset {
                        return Err(Error::Offset { length });
                    }
                    let md5 = if offset == 0 { Some(Md5::new()) } else { self.hashes.take(key, offset) };
                    let key = key.clone();
                    let tail = Some(End::Here(Tail { key, length, md5, open, _claim: claim }));
                    let (disk, pending) = (self.clone(), Pending::default());
                    return Ok(DiskAppender { disk, pending, tail, before: offset });
                }
                Err(again) => turn = again,
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::Busy)
    }

    /// Makes a finished body of a growing one. Repeatable: one that is sealed already is only looked at.
    pub(crate) async fn seal(&self, key: &Key) -> Result<Written, Error> {
        let claim = Claim::new(&self.claims, key)?;
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
        let (file, growing, size, known) = self.call(key.project(), open).await?;
        let file = Arc::new(file);
        let md5 = match known {
            Some(md5) => md5,
            None => self.hashed(key, &file, size).await?,
        };
        if growing {
            let (disk, name) = (self.clone(), key.clone());
            let seal = move || {
                // Whoever wrote the last bytes may have been killed before they were on the disk.
                disk.tree.settle_file(&file)?;
                // The lock lasts until the file has its name.
                let seal = disk.tree.seal(&name);
                drop((file, turn, claim));
                seal
            };
            self.call(key.project(), seal).await?;
        }
        Ok(Written { size, md5: md5.finalize().into() })
    }

    async fn hashed(&self, key: &Key, file: &Arc<File>, size: u64) -> Result<Md5, Error> {
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
            md5 = self.heavy_call(key.project(), hash).await?;
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

/// A file that nobody else appends to, and the turn it holds.
type Open = (File, Turn);

/// Opens a growing body for whoever may append to it and says how long it is, or gives the turn back if another
/// process appends. Blocks.
fn locked(tree: &Tree, key: &Key, make: bool, turn: Turn) -> Result<Result<(Open, u64), Turn>, Error> {
    let file = tree.growing(key, make)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(Err(turn)),
        Err(error) => return Err(error.into()),
    }
    // Who had the lock before may have sealed or discarded it, and then this is no longer the file.
    if !tree.is_growing(key, &file)? {
        return Ok(Err(turn));
    }
    let length = file.metadata()?.len();
    Ok(Ok(((file, turn), length)))
}

impl DiskAppender {
    pub(crate) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.pending.push(bytes);
        if self.pending.length() >= PIECE { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let (mut tail, turn) = self.tail().await?;
        let chunks = self.pending.take_all();
        let (tree, project) = (Arc::clone(&self.disk.tree), tail.key.project().clone());
        let write = move || {
            tree.room()?;
            tail.open(&tree, turn)?;
            tail.append(&chunks)?;
            tail.rest();
            Ok(tail)
        };
        self.tail = Some(End::InCall(self.disk.start(&project, write).await?));
        Ok(())
    }

    /// The end of the file, and a turn if it has to be opened again.
    async fn tail(&mut self) -> Result<(Tail, Option<Turn>), Error> {
        let tail = self.tail.take().ok_or(Error::Busy)?.come().await?;
        let turn = if tail.open.is_none() { Some(self.disk.turn(&tail.key).await?) } else { None };
        Ok((tail, turn))
    }

    /// Writes what was pushed and returns the length of the body, durable.
    pub(crate) async fn sync(mut self) -> Result<u64, Error> {
        let (mut tail, turn) = self.tail().await?;
        let chunks = self.pending.take_all();
        let (disk, project) = (self.disk.clone(), tail.key.project().clone());
        let sync = move || {
            if !chunks.is_empty() {
                disk.tree.room()?;
            }
            tail.open(&disk.tree, turn)?;
            tail.append(&chunks)?;
            if let Some((file, _)) = &tail.open {
                disk.tree.settle_file(file)?;
            }
            if let Some(md5) = tail.md5 {
                disk.hashes.put(&tail.key, tail.length, md5);
            }
            Ok(tail.length)
        };
        self.disk.call(&project, sync).await
    }
}

impl DiskAppender {
    /// Cuts off what was written, durably.
    pub(crate) async fn undo(mut self) -> Result<u64, Error> {
        let (mut tail, turn) = self.tail().await?;
        let (disk, before, project) = (self.disk.clone(), self.before, tail.key.project().clone());
        let cut = move || {
            tail.open(&disk.tree, turn)?;
            if let Some((file, _)) = &tail.open {
                file.set_len(before)?;
                disk.tree.settle_file(file)?;
            }
            Ok(before)
        };
        self.disk.call(&project, cut).await
    }
}

impl Tail {
    /// Opens the file again if it was closed. Blocks.
    fn open(&mut self, tree: &Tree, turn: Option<Turn>) -> Result<(), Error> {
        let open = match (self.open.take(), turn) {
            (Some(open), _) => open,
            (None, Some(turn)) => {
                let (open, length) = locked(tree, &self.key, false, turn)?.map_err(|_| Error::Busy)?;
                // Another process has been here.
                if length != self.length {
                    return Err(Error::Busy);
                }
                open
            }
            (None, None) => return Err(Error::Busy),
        };
        self.open = Some(open);
        Ok(())
    }

    /// Writes and hashes. Blocks.
    fn append(&mut self, chunks: &[Bytes]) -> Result<(), Error> {
        let (file, _) = self.open.as_ref().ok_or(Error::Busy)?;
        for chunk in chunks {
            file.write_all_at(chunk, self.length)?;
            if let Some(md5) = &mut self.md5 {
                md5.update(chunk);
            }
            self.length += chunk.len() as u64;
        }
        Ok(())
    }

    /// Closes the file until the client has sent more, where others need the turn.
    fn rest(&mut self) {
        if self.open.as_ref().is_some_and(|(_, turn)| turn.is_tight()) {
            self.open = None;
        }
    }
}
