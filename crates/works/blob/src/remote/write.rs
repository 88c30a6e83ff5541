//! Writing: a small body in one request, a large one in parts of which some are on their way.

use super::{Remote, TIMEOUT, timely};
use crate::gate::Turn;
use crate::{Error, Key, Written};
use bytes::Bytes;
use md5::{Digest, Md5};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use std::sync::Arc;
use tokio::task::{JoinHandle, JoinSet};

/// Bytes of a part. Stores want at least 5 MiB, and some want all but the last alike.
pub(super) const PART: usize = 8 * 1024 * 1024;
/// Parts of a body, by S3's rules.
const PARTS_MAX: usize = 10_000;
/// Parts of one body on their way.
const FLIGHTS_MAX: usize = 2;
/// Up to this size a body is held without a turn: it costs no more memory than the request that brought it.
const LIGHT: usize = 256 * 1024;
/// Up to this size hashing takes less than going to another thread.
const HASHED_HERE: usize = 64 * 1024;

/// Writes a body to an object store.
pub(crate) struct RemoteWriter {
    remote: Remote,
    key: Key,
    path: Path,
    turn: Option<Turn>,
    pending: Pending,
    hash: Option<Hash>,
    size: u64,
    upload: Option<Upload>,
}

/// Bytes that are not sent yet.
#[derive(Default)]
pub(super) struct Pending {
    chunks: Vec<Bytes>,
    length: usize,
}

/// The hash of what has been pushed, perhaps still being made.
enum Hash {
    Here(Md5),
    Coming(JoinHandle<Md5>),
}

/// A body that goes up in parts. Dropped before it is complete, it is given up.
struct Upload {
    upload: Option<Box<dyn MultipartUpload>>,
    flights: JoinSet<object_store::Result<()>>,
    parts: usize,
}

impl Pending {
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.length += bytes.len();
        self.chunks.push(bytes);
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// So many bytes, or all if there are fewer.
    pub(super) fn take(&mut self, most: usize) -> Vec<Bytes> {
        let (mut taken, mut length) = (Vec::new(), 0);
        let mut rest = std::mem::take(&mut self.chunks).into_iter();
        for mut chunk in rest.by_ref() {
            if length + chunk.len() <= most {
                length += chunk.len();
                taken.push(chunk);
                continue;
            }
            let left = chunk.split_off(most - length);
            length = most;
            taken.push(chunk);
            self.chunks.push(left);
            break;
        }
        self.chunks.extend(rest);
        self.length -= length;
        taken
    }
}

impl Remote {
    pub(crate) fn write(&self, key: &Key) -> RemoteWriter {
        RemoteWriter {
            remote: self.clone(),
            key: key.clone(),
            path: self.body(key),
            turn: None,
            pending: Pending::default(),
            hash: Some(Hash::Here(Md5::new())),
            size: 0,
            upload: None,
        }
    }
}

impl RemoteWriter {
    pub(crate) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.size += bytes.len() as u64;
        self.pending.push(bytes);
        if self.pending.length() > LIGHT && self.turn.is_none() {
            self.turn = Some(self.remote.writers.turn(self.key.project()).await?);
        }
        // More than a part, not as much: the last part must not be empty.
        while self.pending.length() > PART {
            let chunks = self.pending.take(PART);
            self.hash(&chunks).await?;
            let mut upload = match self.upload.take() {
                Some(upload) => upload,
                None => Upload::new(&self.remote.store, &self.path).await?,
            };
            upload.part(chunks).await?;
            self.upload = Some(upload);
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<Written, Error> {
        let chunks = self.pending.take(PART);
        self.hash(&chunks).await?;
        match self.upload.take() {
            Some(mut upload) => {
                upload.part(chunks).await?;
                upload.complete().await?;
            }
            None => {
                let payload = PutPayload::from_iter(chunks);
                timely(self.remote.store.put(&self.path, payload)).await?;
            }
        }
        let md5 = self.hashed().await?;
        Ok(Written { size: self.size, md5: md5.finalize().into() })
    }

    async fn hashed(&mut self) -> Result<Md5, Error> {
        match self.hash.take() {
            Some(Hash::Here(md5)) => Ok(md5),
            Some(Hash::Coming(task)) => task.await.map_err(|error| Error::Io(std::io::Error::other(error))),
            None => Err(Error::Busy),
        }
    }

    async fn hash(&mut self, chunks: &[Bytes]) -> Result<(), Error> {
        let mut md5 = self.hashed().await?;
        if chunks.iter().map(Bytes::len).sum::<usize>() <= HASHED_HERE {
            chunks.iter().for_each(|chunk| md5.update(chunk));
            self.hash = Some(Hash::Here(md5));
        } else {
            let chunks = chunks.to_vec();
            self.hash = Some(Hash::Coming(tokio::task::spawn_blocking(move || {
                chunks.iter().for_each(|chunk| md5.update(chunk));
                md5
            })));
        }
        Ok(())
    }
}

impl Upload {
    async fn new(store: &Arc<dyn ObjectStore>, path: &Path) -> Result<Upload, Error> {
        let upload = timely(store.put_multipart(path)).await?;
        Ok(Upload { upload: Some(upload), flights: JoinSet::new(), parts: 0 })
    }

    async fn part(&mut self, chunks: Vec<Bytes>) -> Result<(), Error> {
        while self.flights.len() >= FLIGHTS_MAX {
            self.land().await?;
        }
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(Error::Full);
        }
        if let Some(upload) = &mut self.upload {
            self.flights.spawn(upload.put_part(PutPayload::from_iter(chunks)));
        }
        Ok(())
    }

    async fn land(&mut self) -> Result<(), Error> {
        match timely(async { Ok(self.flights.join_next().await) }).await? {
            Some(Ok(landed)) => landed.map_err(|error| super::error::said(&error)),
            Some(Err(stopped)) => Err(Error::Io(std::io::Error::other(stopped))),
            None => Ok(()),
        }
    }

    async fn complete(mut self) -> Result<(), Error> {
        while !self.flights.is_empty() {
            self.land().await?;
        }
        if let Some(upload) = &mut self.upload {
            timely(upload.complete()).await?;
        }
        self.upload = None;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.flights.abort_all();
        let Some(mut upload) = self.upload.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if !matches!(tokio::time::timeout(TIMEOUT, upload.abort()).await, Ok(Ok(()))) {
                tracing::warn!("parts of an upload that was given up remain in the object store");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_where_they_should() {
        let mut pending = Pending::default();
        for length in [3, 5, 0, 4] {
            pending.push(Bytes::from(vec![length; length as usize]));
        }
        let first: Vec<u8> = pending.take(7).concat();
        assert_eq!(first, [3, 3, 3, 5, 5, 5, 5]);
        assert_eq!(pending.length(), 5);
        assert_eq!(pending.take(5).concat(), [5, 4, 4, 4, 4]);
        assert_eq!(pending.length(), 0);
        assert!(pending.take(5).concat().is_empty());
    }
}
