//! Bodies that are received in several requests. Objects cannot be appended to, so each stretch is one; they are put
//! together when the body is sealed.

use super::held::Held;
use super::write::PART;
use super::{Remote, timely};
use crate::claim::Claim;
use crate::{Error, Found, Key, Written};
use bytes::Bytes;
use md5::{Digest, Md5};
use model::ProjectRef;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt, PutPayload};
use uuid::Uuid;

/// An empty object that says that the body exists. After all digits.
const BEGUN: &str = "begun";
/// An empty object that says that the body is finished: stretches beside it are only not deleted yet.
const SEALED: &str = "sealed";
/// Stretches that one body may consist of.
const STRETCHES_MAX: usize = 100_000;
/// Objects that are listed at a time.
const LISTED_MAX: usize = 10_000;

/// Appends to a growing body.
pub(crate) struct RemoteAppender {
    remote: Remote,
    path: Path,
    held: Held,
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

    /// What there is of a body; nothing if nobody has begun it. A stretch that does not follow another is of an
    /// attempt that failed.
    async fn stretches(&self, key: &Key) -> Result<Option<Stretches>, Error> {
        let mut found = self.found(&self.growth(key), None, STRETCHES_MAX).await?;
        if found.is_empty() {
            return Ok(None);
        }
        if found.iter().any(|meta| meta.location.filename() == Some(SEALED)) {
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
        Ok(Some(stretches))
    }

    pub(crate) async fn grown(&self, key: &Key) -> Result<u64, Error> {
        Ok(self.stretches(key).await?.ok_or(Error::NotFound)?.length)
    }

    pub(crate) async fn append(&self, key: &Key, offset: u64) -> Result<RemoteAppender, Error> {
        let claim = Claim::patiently(&self.claims, key).await?;
        let (length, new) = match self.stretches(key).await? {
            Some(stretches) => (stretches.length, false),
            None if offset == 0 => (0, true),
            None => return Err(Error::NotFound),
        };
        if length != offset {
            return Err(Error::Offset { length });
        }
        Ok(RemoteAppender {
            remote: self.clone(),
            path: self.growth(key),
            held: Held::new(&self.parts, key),
            length,
            new,
            written: Vec::new(),
            before: length,
            _claim: claim,
        })
    }

    pub(crate) async fn seal(&self, key: &Key) -> Result<Written, Error> {
        let _claim = Claim::new(&self.claims, key)?;
        let stretches = match self.stretches(key).await {
            Ok(stretches) => stretches,
            Err(Error::NotFound) => None,
            Err(error) => return Err(error),
        };
        let Some(stretches) = stretches else {
            let written = self.looked_at(key).await?;
            self.tidied(key).await;
            return Ok(written);
        };
        let written = self.concat_paths(&stretches.paths, key).await?;
        // Before any stretch is deleted: what is left of them must not be taken for the beginning of the body.
        timely(self.store.put(&self.growth(key).join(SEALED), PutPayload::new())).await?;
        self.tidied(key).await;
        Ok(written)
    }

    /// Deletes the stretches of a finished body, the mark that it is finished last. The body is there in any case.
    async fn tidied(&self, key: &Key) {
        let growth = self.growth(key);
        let mark = growth.clone().join(SEALED);
        let deleted = async {
            self.delete_below(&growth, Some(&mark)).await?;
            self.delete_below(&growth, None).await
        };
        if let Err(error) = deleted.await {
            tracing::warn!(%error, %key, "stretches of a finished upload remain in the object store");
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
        self.delete_below(&self.growth(key), None).await
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
        let mut after = after;
        let mut bodies: Vec<Found> = Vec::new();
        loop {
            let page = self.found(&prefix, after.as_ref(), LISTED_MAX).await?;
            let is_last = page.len() < LISTED_MAX;
            after = page.last().map(|meta| meta.location.clone());
            for meta in page {
                let mut names = meta.location.parts().rev().skip(1);
                let version = names.next().and_then(|name| Uuid::try_parse(name.as_ref()).ok());
                let Some(version) = version else { continue };
                let (key, modified) = (Key::new(project, version), meta.last_modified.into());
                if let Some(found) = bodies.last_mut().filter(|found| found.key == key) {
                    found.size += meta.size;
                    found.modified = found.modified.max(modified);
                } else if bodies.len() == limit {
                    return Ok(bodies);
                } else {
                    bodies.push(Found { key, size: meta.size, modified });
                }
            }
            if is_last {
                return Ok(bodies);
            }
        }
    }
}

impl RemoteAppender {
    pub(crate) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.held.push(bytes).await?;
        while self.held.length() >= PART {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.begin().await?;
        let (chunks, turn) = self.held.take(PART).await?;
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let path = self.path.clone().join(format!("{:020}", self.length));
        timely(self.remote.store.put(&path, PutPayload::from_iter(chunks))).await?;
        drop(turn);
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
        while self.held.length() > 0 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;
    use std::sync::Arc;

    #[tokio::test]
    async fn an_end_that_was_cut_short_does_not_begin_anew() {
        let remote = Remote::new(Arc::new(InMemory::new()), "");
        let key = Key::new(&"a".repeat(20).parse().expect("a ref"), Uuid::nil());
        let mut writer = remote.write(&key);
        writer.push(Bytes::from_static(b"all of it")).await.expect("pushed");
        let written = writer.finish().await.expect("finished");
        // All but the first stretch are still there.
        for (name, bytes) in [("00000000000000000004", "of it"), (BEGUN, ""), (SEALED, "")] {
            let path = remote.growth(&key).join(name);
            remote.store.put(&path, PutPayload::from_static(bytes.as_bytes())).await.expect("put");
        }
        assert!(matches!(remote.grown(&key).await, Err(Error::NotFound)));
        assert!(matches!(remote.append(&key, 0).await.map(drop), Err(Error::NotFound)));
        assert_eq!(remote.seal(&key).await.expect("sealed"), written);
        assert!(remote.found(&remote.growth(&key), None, 10).await.expect("a list").is_empty());
        assert_eq!(remote.size(&key).await.expect("the body"), written.size);
    }
}
