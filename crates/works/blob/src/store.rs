//! The one type for all places where bodies may be.

use crate::disk::{Disk, Durability, Shelf};
use crate::remote::Remote;
use crate::{Appender, Error, Found, Key, Reading, Writer, Written};
use model::ProjectRef;
use object_store::ObjectStore;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Where bodies are. Cheap to clone.
#[derive(Clone)]
pub struct Store(Place);

#[derive(Clone)]
enum Place {
    Disk(Disk),
    Remote(Remote),
}

impl Store {
    /// A directory of this machine. It is made if need be, and what a crash left in it long ago is removed.
    ///
    /// # Errors
    /// The directory cannot be made, opened or read.
    pub async fn disk(root: PathBuf, durability: Durability) -> Result<Store, Error> {
        Ok(Store::of_disk(Disk::open(root, durability).await?))
    }

    /// An object store that the caller has made. See [`crate::S3`], [`crate::Gcs`] and [`crate::Azure`] for the usual.
    pub fn remote(store: Arc<dyn ObjectStore>, prefix: &str) -> Store {
        Store::of_remote(Remote::new(store, prefix))
    }

    pub(crate) fn of_disk(disk: Disk) -> Store {
        Store(Place::Disk(disk))
    }

    pub(crate) fn of_remote(remote: Remote) -> Store {
        Store(Place::Remote(remote))
    }

    /// Begins to write a body. Its name must not have been used before.
    ///
    /// # Errors
    /// The place does not take bodies now.
    #[expect(clippy::unused_async, reason = "the same for every place")]
    pub async fn write(&self, key: &Key) -> Result<Writer, Error> {
        match &self.0 {
            Place::Disk(disk) => Ok(Writer::disk(disk.write(key))),
            Place::Remote(remote) => Ok(Writer::remote(remote.write(key))),
        }
    }

    /// Opens a body to read all or a range of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Range`] for a range that is not inside of it, or the place fails.
    pub async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Reading, Error> {
        match &self.0 {
            Place::Disk(disk) => {
                let (size, range, reading) = disk.read(key, range).await?;
                Ok(Reading::disk(size, range, reading))
            }
            Place::Remote(remote) => {
                let (size, range, reading) = remote.read(key, range).await?;
                Ok(Reading::remote(size, range, reading))
            }
        }
    }

    /// How long a body is.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the place fails.
    pub async fn size(&self, key: &Key) -> Result<u64, Error> {
        match &self.0 {
            Place::Disk(disk) => disk.size(key).await,
            Place::Remote(remote) => remote.size(key).await,
        }
    }

    /// Gives the bytes of a body a second name, which lives by itself.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the place fails.
    pub async fn copy(&self, from: &Key, to: &Key) -> Result<(), Error> {
        match &self.0 {
            Place::Disk(disk) => disk.copy(from, to).await,
            Place::Remote(remote) => remote.copy(from, to).await,
        }
    }

    /// Writes bodies, in this order, as one. The parts stay.
    ///
    /// # Errors
    /// [`Error::NotFound`] if a part is missing, or the place fails.
    pub async fn concat(&self, parts: &[Key], to: &Key) -> Result<Written, Error> {
        match &self.0 {
            Place::Disk(disk) => disk.concat(parts, to).await,
            Place::Remote(remote) => remote.concat(parts, to).await,
        }
    }

    /// Removes a body. One that is not there is fine.
    ///
    /// # Errors
    /// The place fails.
    pub async fn delete(&self, key: &Key) -> Result<(), Error> {
        match &self.0 {
            Place::Disk(disk) => disk.delete(key).await,
            Place::Remote(remote) => remote.delete(key).await,
        }
    }

    /// Removes everything of a project, unfinished bodies too.
    ///
    /// # Errors
    /// The place fails; some may be gone by then.
    pub async fn delete_project(&self, project: &ProjectRef) -> Result<(), Error> {
        match &self.0 {
            Place::Disk(disk) => disk.delete_project(project).await,
            Place::Remote(remote) => remote.delete_project(project).await,
        }
    }

    /// At most so many finished bodies of a project, in the order of their versions, from after the given one on.
    ///
    /// # Errors
    /// The place fails.
    pub async fn list(
        &self,
        project: &ProjectRef,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Found>, Error> {
        match &self.0 {
            Place::Disk(disk) => disk.list(project, after.map(Key::version), limit, Shelf::Body).await,
            Place::Remote(remote) => remote.list(project, after.map(Key::version), limit).await,
        }
    }

    /// The same of bodies that are appended to and not sealed.
    ///
    /// # Errors
    /// The place fails.
    pub async fn list_growing(
        &self,
        project: &ProjectRef,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Found>, Error> {
        match &self.0 {
            Place::Disk(disk) => disk.list(project, after.map(Key::version), limit, Shelf::Growing).await,
            Place::Remote(remote) => remote.list_growing(project, after.map(Key::version), limit).await,
        }
    }

    /// Begins to append to a growing body, which is made if the offset is 0. One at a time may do so.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Offset`] if the body is not as long as that, [`Error::Busy`] if somebody else
    /// is appending, or the place fails.
    pub async fn append(&self, key: &Key, offset: u64) -> Result<Appender, Error> {
        match &self.0 {
            Place::Disk(disk) => Ok(Appender::disk(disk.append(key, offset).await?)),
            Place::Remote(remote) => Ok(Appender::remote(remote.append(key, offset).await?)),
        }
    }

    /// How long a growing body is. Holds across restarts.
    ///
    /// # Errors
    /// [`Error::NotFound`], also if it has been sealed, or the place fails.
    pub async fn grown(&self, key: &Key) -> Result<u64, Error> {
        match &self.0 {
            Place::Disk(disk) => disk.grown(key).await,
            Place::Remote(remote) => remote.grown(key).await,
        }
    }

    /// Makes a finished body of a growing one. Again for one that is sealed already says the same.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Busy`] if somebody is appending, or the place fails.
    pub async fn seal(&self, key: &Key) -> Result<Written, Error> {
        match &self.0 {
            Place::Disk(disk) => disk.seal(key).await,
            Place::Remote(remote) => remote.seal(key).await,
        }
    }

    /// Removes a growing body. One that is not there is fine.
    ///
    /// # Errors
    /// The place fails.
    pub async fn discard(&self, key: &Key) -> Result<(), Error> {
        match &self.0 {
            Place::Disk(disk) => disk.discard(key).await,
            Place::Remote(remote) => remote.discard(key).await,
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            Place::Disk(_) => "Store(disk)",
            Place::Remote(_) => "Store(remote)",
        })
    }
}
