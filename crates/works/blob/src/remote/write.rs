//! Writing: a small body in one request, a large one in parts of which some are on their way.

use super::held::Held;
use super::{Remote, TIMEOUT, timely};
use crate::gate::Turn;
use crate::{Error, Key, Written};
use bytes::Bytes;
use md5::{Digest, Md5};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// Bytes of a part. Stores want at least 5 MiB, and some want all but the last alike.
pub(super) const PART: usize = 8 * 1024 * 1024;
/// Parts of a body, by S3's rules.
const PARTS_MAX: usize = 10_000;
/// How long a body may take: stores say of it that it is as old as its beginning, and what is a day old and has no
/// row is swept.
const LIFE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// Parts of one body on their way.
const FLIGHTS_MAX: usize = 2;
/// Up to this size hashing takes less than going to another thread.
const HASHED_HERE: usize = 64 * 1024;

/// Writes a body to an object store.
pub(crate) struct RemoteWriter {
    remote: Remote,
    path: Path,
    held: Held,
    hash: Option<Hash>,
    size: u64,
    upload: Option<Upload>,
    since: Instant,
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

impl Remote {
    pub(crate) fn write(&self, key: &Key) -> RemoteWriter {
        RemoteWriter {
            remote: self.clone(),
            path: self.body(key),
            held: Held::new(&self.parts, key),
            hash: Some(Hash::Here(Md5::new())),
            size: 0,
            upload: None,
            since: Instant::now(),
        }
    }
}

impl RemoteWriter {
    pub(crate) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        if self.since.elapsed() > LIFE_MAX {
            return Err(Error::Slow);
        }
        self.size += bytes.len() as u64;
        self.held.push(bytes).await?;
        // More than a part, not as much: the last part must not be empty.
        while self.held.length() > PART {
            let (chunks, turn) = self.held.take(PART).await?;
            self.hash(&chunks).await?;
            let mut upload = match self.upload.take() {
                Some(upload) => upload,
                None => Upload::new(&self.remote.store, &self.path).await?,
            };
            upload.part(chunks, turn).await?;
            self.upload = Some(upload);
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<Written, Error> {
        let (chunks, turn) = self.held.take(PART).await?;
        self.hash(&chunks).await?;
        match self.upload.take() {
            Some(mut upload) => {
                upload.part(chunks, turn).await?;
                upload.complete().await?;
            }
            None => {
                let payload = PutPayload::from_iter(chunks);
                timely(self.remote.store.put(&self.path, payload)).await?;
                drop(turn);
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

    async fn part(&mut self, chunks: Vec<Bytes>, turn: Option<Turn>) -> Result<(), Error> {
        while self.flights.len() >= FLIGHTS_MAX {
            self.land().await?;
        }
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(Error::Full);
        }
        if let Some(upload) = &mut self.upload {
            let put = upload.put_part(PutPayload::from_iter(chunks));
            self.flights.spawn(async move {
                let landed = put.await;
                drop(turn);
                landed
            });
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
