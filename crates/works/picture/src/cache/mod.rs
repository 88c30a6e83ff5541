//! Rendered pictures on disk, within a budget.
//!
//! A file is written beside its place and renamed, and says how long it is and what its digest is, so that a crash
//! leaves either a whole picture or one that is recognised as broken and removed. The index lives in memory and is
//! rebuilt from the folder, oldest use first. When room is needed it is taken from the owner who uses most: nobody can
//! push out the pictures of somebody smaller.

mod file;
mod index;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::{Options, Rendered};
use index::Index;

/// Most files touched at once.
const AT_ONCE: usize = 16;

/// How much disk a [`Cache`] may use.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// For all owners, in bytes.
    pub total: u64,
    /// For one owner, in bytes.
    pub each: u64,
}

/// Names one rendered picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    owner: [u8; 16],
    name: [u8; 32],
}

impl Key {
    /// The picture that `options` make of `version` of a source of `owner`.
    pub fn new(owner: &str, version: &str, options: &Options) -> Self {
        let mut digest = Sha256::new();
        for part in [owner, version, &options.key()] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Self { owner: owner_digest(owner), name: digest.finalize().into() }
    }

    fn path(&self, root: &Path) -> PathBuf {
        root.join(hex::encode(self.owner)).join(hex::encode(self.name))
    }
}

fn owner_digest(owner: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(owner).into();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}

/// Rendered pictures on disk. Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    index: Mutex<Index>,
    at_once: Arc<Semaphore>,
    written: AtomicU64,
}

impl Cache {
    /// Opens the cache in a folder of its own, which is made if missing.
    pub async fn open(root: PathBuf, budget: Budget) -> std::io::Result<Self> {
        let (root, index) = blocking(move || {
            let mut index = Index::new(budget);
            let mut evicted = Vec::new();
            for found in file::scan(&root)? {
                evicted.extend(index.insert(found.key, found.size));
            }
            file::remove(&root, &evicted);
            Ok((root, index))
        })
        .await?;
        let shared = Shared {
            root,
            index: Mutex::new(index),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            written: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The most memory that a picture takes, if it is here.
    pub fn size(&self, key: &Key) -> Option<u64> {
        self.index().size(key)
    }

    /// The picture, if it is here and not larger than `most`, as [`Cache::size`] said.
    pub async fn get(&self, key: &Key, most: u64) -> Option<Rendered> {
        if !self.index().touch(key) {
            return None;
        }
        let (shared, key) = (Arc::clone(&self.shared), *key);
        let read = self
            .with_disk(move || {
                let path = key.path(&shared.root);
                let read = file::read(&path, most);
                if !matches!(read, Ok(Some(_))) {
                    // Broken or gone: forgotten in both places.
                    shared.lock().remove(&key);
                    let _ = std::fs::remove_file(path);
                }
                read
            })
            .await;
        match read {
            Ok(rendered) => rendered,
            Err(cause) => {
                tracing::debug!(%cause, "a cached picture could not be read");
                None
            }
        }
    }

    /// Keeps a picture. That it cannot be kept is no error: it was only a copy.
    pub async fn put(&self, key: &Key, rendered: &Rendered) {
        let size = file::size(rendered);
        if !self.index().fits(size) {
            return;
        }
        let number = self.shared.written.fetch_add(1, Ordering::Relaxed);
        let (shared, key, rendered) = (Arc::clone(&self.shared), *key, rendered.clone());
        let written = self
            .with_disk(move || {
                file::write(&shared.root, &key.path(&shared.root), number, &rendered)?;
                let evicted = shared.lock().insert(key, size);
                file::remove(&shared.root, &evicted);
                Ok(())
            })
            .await;
        if let Err(cause) = written {
            tracing::warn!(%cause, "a picture could not be cached");
        }
    }

    /// Forgets everything of an owner.
    pub async fn forget(&self, owner: &str) {
        let owner = owner_digest(owner);
        self.index().forget(&owner);
        let shared = Arc::clone(&self.shared);
        let folder = shared.root.join(hex::encode(owner));
        let removed = self
            .with_disk(move || match std::fs::remove_dir_all(folder) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(cause),
                _ => Ok(()),
            })
            .await;
        if let Err(cause) = removed {
            tracing::warn!(%cause, "cached pictures could not be removed");
        }
    }

    /// Bytes in use, rounded up to whole blocks.
    pub fn bytes(&self) -> u64 {
        self.index().total()
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.shared.lock()
    }

    async fn with_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> std::io::Result<T> {
        let permit = Arc::clone(&self.shared.at_once).acquire_owned().await.map_err(std::io::Error::other)?;
        blocking(move || {
            let _permit = permit;
            work()
        })
        .await
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

#[cfg(test)]
mod tests;
