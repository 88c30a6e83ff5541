//! Bodies that are received in several requests. Objects cannot be appended to, so each stretch is one; they are put
//! together when the body is sealed.

use super::write::{PART, Pending};
use super::{Remote, timely};
use crate::{Error, Found, Key, Written};
use bytes::Bytes;
use md5::{Digest, Md5};
use model::ProjectRef;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt, PutPayload};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// An empty object that says that the body exists. After all digits.
const BEGUN: &str = "begun";
/// Stretches that one body may consist of.
const STRETCHES_MAX: usize = 100_000;
/// How often, and how long apart, another tries to append whose predecessor is about to end.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Bodies that this process is appending to.
#[derive(Debug, Default)]
pub(super) struct Appending(Mutex<HashSet<Key>>);

/// The right to append to a body.
struct Claim {
    appending: Arc<Appending>,
    key: Key,
}

impl Claim {
    fn new(appending: &Arc<Appending>, key: &Key) -> Result<Claim, Error> {
        let mut claimed = appending.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !claimed.insert(key.clone()) {
            return Err(Error::Busy);
        }
        Ok(Claim { appending: Arc::clone(appending), key: key.clone() })
    }

    async fn patiently(appending: &Arc<Appending>, key: &Key) -> Result<Claim, Error> {
        for _ in 0..TRIES {
            if let Ok(claim) = Claim::new(appending, key) {
                return Ok(claim);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::Busy)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.appending.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Appends to a growing body.
pub(crate) struct RemoteAppender {
    remote: Remote,
    path: Path,
    pending: Pending,
    length: u64,
    new: bool,
    /// Stretches that were written, and how long the body was before.
    written: Vec<Path>,
    before: u64,
    _claim: Claim,
}

/// The stretches of a body, in order.
struct Stretches {
    paths: Vec<Path>,
    length: u64,
}

impl Remote {
    pub(super) fn growths(&self, project: &ProjectRef) -> Path {
        self.prefix.clone().join("growing").join(project.as_str())
    }

    fn growth(&self, key: &Key) -> Path {
        self.growths(key.project()).join(key.version().to_string())
    }

    /// What there is of a body. A stretch that does not follow another is of an attempt that failed.
    async fn stretches(&self, key: &Key) -> Result<Stretches, Error> {
        let mut found = self.found(&self.growth(key), None, STRETCHES_MAX).await?;
        if found.is_empty() {
            return Err(Error::NotFound);
        }
        found.sort_by(|a, b| a.location.cmp(&b.location));
        let mut stretches = Stretches { paths: Vec::new(), length: 0 };
        for meta in found {
            if offset(&meta) == Some(stretches.length) && meta.size > 0 {
                stretches.length += meta.size;
                stretches.paths.push(meta.location);
            }
        }
        Ok(stretches)
    }

    pub(crate) async fn grown(&self, key: &Key) -> Result<u64, Error> {
        Ok(self.stretches(key).await?.length)
    }

    pub(crate) async fn append(&self, key: &Key, offset: u64) -> Result<RemoteAppender, Error> {
        let claim = Claim::patiently(&self.appending, key).await?;
        let (length, new) = match self.stretches(key).await {
            Ok(stretches) => (stretches.length, false),
            Err(Error::NotFound) if offset == 0 => (0, true),
            Err(error) => return Err(error),
        };
        if length != offset {
            return Err(Error::Offset { length });
        }
        Ok(RemoteAppender {
            remote: self.clone(),
            path: self.growth(key),
            pending: Pending::default(),
            length,
            new,
            written: Vec::new(),
            before: length,
            _claim: claim,
        })
    }

    pub(crate) async fn seal(&self, key: &Key) -> Result<Written, Error> {
        let _claim = Claim::new(&self.appending, key)?;
        match self.stretches(key).await {
            Ok(stretches) => {
                let written = self.concat_paths(&stretches.paths, key).await?;
                self.delete_below(&self.growth(key)).await?;
                Ok(written)
            }
            Err(Error::NotFound) => self.looked_at(key).await,
            Err(error) => Err(error),
        }
    }

    /// What is known of a finished body, by reading it.
    async fn looked_at(&self, key: &Key) -> Result<Written, Error> {
        use futures_util::TryStreamExt;
        let mut stream = timely(self.store.get(&self.body(key))).await?.into_stream();
        let (mut size, mut md5) = (0, Md5::new());
        while let Some(bytes) = stream.try_next().await.map_err(|error| super::error::said(&error))? {
            size += bytes.len() as u64;
            md5.update(&bytes);
        }
        Ok(Written { size, md5: md5.finalize().into() })
    }

    pub(crate) async fn discard(&self, key: &Key) -> Result<(), Error> {
        self.delete_below(&self.growth(key)).await
    }

    pub(crate) async fn list_growing(
        &self,
        project: &ProjectRef,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Found>, Error> {
        let prefix = self.growths(project);
        // After everything of that body: digits, and a word with b.
        let after = after.map(|after| prefix.clone().join(after.to_string()).join("z"));
        let mut bodies: Vec<Found> = Vec::new();
        for meta in self.found(&prefix, after.as_ref(), STRETCHES_MAX).await? {
            let mut names = meta.location.parts().rev().skip(1);
            let version = names.next().and_then(|name| Uuid::try_parse(name.as_ref()).ok());
            let Some(version) = version else { continue };
            let (key, modified) = (Key::new(project, version), meta.last_modified.into());
            if let Some(found) = bodies.last_mut().filter(|found| found.key == key) {
                found.size += meta.size;
                found.modified = found.modified.max(modified);
            } else if bodies.len() == limit {
                break;
            } else {
                bodies.push(Found { key, size: meta.size, modified });
            }
        }
        Ok(bodies)
    }
}

impl RemoteAppender {
    pub(crate) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.pending.push(bytes);
        while self.pending.length() >= PART {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.begin().await?;
        let chunks = self.pending.take(PART);
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let path = self.path.clone().join(format!("{:020}", self.length));
        timely(self.remote.store.put(&path, PutPayload::from_iter(chunks))).await?;
        self.written.push(path);
        self.length += length as u64;
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), Error> {
        if self.new {
            timely(self.remote.store.put(&self.path.clone().join(BEGUN), PutPayload::new())).await?;
            self.new = false;
        }
        Ok(())
    }

    pub(crate) async fn sync(mut self) -> Result<u64, Error> {
        self.begin().await?;
        while self.pending.length() > 0 {
            self.flush().await?;
        }
        Ok(self.length)
    }

    /// Removes what was written. The last stretch goes first: those that are left always follow each other.
    pub(crate) async fn undo(mut self) -> Result<u64, Error> {
        while let Some(path) = self.written.pop() {
            timely(self.remote.store.delete(&path)).await?;
        }
        Ok(self.before)
    }
}

/// Where in the body an object belongs.
fn offset(meta: &ObjectMeta) -> Option<u64> {
    meta.location.filename()?.parse().ok()
}
