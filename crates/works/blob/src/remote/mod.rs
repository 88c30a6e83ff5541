//! Bodies in an object store elsewhere: Amazon's S3 and what speaks its protocol, Google's, Azure's.
//!
//! `<prefix>/bodies/<project>/<version>`, and for bodies that grow by appending one object for every stretch:
//! `<prefix>/growing/<project>/<version>/<offset>`. An object appears when all of it has been received, so also here
//! there is all of a body or nothing. What a crash leaves behind are parts of uploads that nobody can see: a
//! lifecycle rule of the bucket should remove those after a day.

mod connect;
mod error;
mod grow;
mod held;
mod http;
mod reading;
mod settings;
mod write;

pub(crate) use grow::RemoteAppender;
pub(crate) use reading::RemoteReading;
pub use settings::{Azure, Gcs, S3};
pub(crate) use write::RemoteWriter;

use crate::claim::Claims;
use crate::gate::Gate;
use crate::{Error, Found, Key, Written};
pub(crate) use error::said;
use futures_util::{StreamExt, TryStreamExt};
use model::ProjectRef;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long one operation may take, the tries that failed included.
const TIMEOUT: Duration = Duration::from_secs(150);
/// Readings at a time, each a connection, and how many of them for one project.
const READINGS_MAX: usize = 1024;
const READINGS_SHARE: usize = 64;
/// Parts of bodies that are filled or on their way, each some megabytes of memory, how many of them for one project,
/// and how long one waits for the right to fill one: a slow client loses it after less.
const PARTS_MAX: usize = 64;
const PARTS_SHARE: usize = 8;
const PART_WAIT: Duration = Duration::from_secs(40);
/// The longest body that stores copy by themselves.
const COPY_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// A store elsewhere. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    pub(crate) readings: Arc<Gate>,
    parts: Arc<Gate>,
    claims: Arc<Claims>,
}

/// Waits for an operation, but not for ever.
pub(crate) async fn timely<T>(operation: impl Future<Output = object_store::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(TIMEOUT, operation).await {
        Ok(result) => result.map_err(|error| said(&error)),
        Err(_) => Err(Error::Slow),
    }
}

impl Remote {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Remote {
        let readings = Gate::new(READINGS_MAX, READINGS_SHARE);
        let parts = Gate::waiting(PARTS_MAX, PARTS_SHARE, PART_WAIT);
        Remote { store, prefix: Path::from(prefix), readings, parts, claims: Arc::default() }
    }

    fn bodies(&self, project: &ProjectRef) -> Path {
        self.prefix.clone().join("bodies").join(project.as_str())
    }

    fn body(&self, key: &Key) -> Path {
        self.bodies(key.project()).join(key.version().to_string())
    }

    pub(crate) async fn size(&self, key: &Key) -> Result<u64, Error> {
        Ok(timely(self.store.head(&self.body(key))).await?.size)
    }

    pub(crate) async fn copy(&self, from: &Key, to: &Key) -> Result<(), Error> {
        let copied = timely(self.store.copy(&self.body(from), &self.body(to))).await;
        if matches!(copied, Err(Error::Remote(_))) && self.size(from).await? > COPY_MAX {
            return self.concat(std::slice::from_ref(from), to).await.map(drop);
        }
        copied
    }

    /// The bytes pass here: not every store can put objects together by itself, and their hash is wanted.
    pub(crate) async fn concat(&self, parts: &[Key], to: &Key) -> Result<Written, Error> {
        let paths: Vec<Path> = parts.iter().map(|part| self.body(part)).collect();
        self.concat_paths(&paths, to).await
    }

    async fn concat_paths(&self, paths: &[Path], to: &Key) -> Result<Written, Error> {
        let mut writer = self.write(to);
        for path in paths {
            let mut stream = timely(self.store.get(path)).await?.into_stream();
            while let Some(bytes) = stream.try_next().await.map_err(|error| said(&error))? {
                writer.push(bytes).await?;
            }
        }
        writer.finish().await
    }

    pub(crate) async fn delete(&self, key: &Key) -> Result<(), Error> {
        absent(timely(self.store.delete(&self.body(key))).await)
    }

    pub(crate) async fn delete_project(&self, project: &ProjectRef) -> Result<(), Error> {
        self.delete_below(&self.bodies(project), None).await?;
        self.delete_below(&self.growths(project), None).await
    }

    /// Deletes all objects below a prefix, perhaps all but one, some at a time.
    async fn delete_below(&self, prefix: &Path, kept: Option<&Path>) -> Result<(), Error> {
        const BATCH: usize = 500;
        loop {
            let found = self.found(prefix, None, BATCH).await?;
            let last = found.len() < BATCH;
            let paths: Vec<_> = found
                .into_iter()
                .map(|meta| meta.location)
                .filter(|path| Some(path) != kept)
                .map(Ok)
                .collect();
            let paths = futures_util::stream::iter(paths);
            let mut deleted = self.store.delete_stream(paths.boxed());
            while let Some(one) =
                tokio::time::timeout(TIMEOUT, deleted.next()).await.map_err(|_| Error::Slow)?
            {
                absent(one.map(drop).map_err(|error| said(&error)))?;
            }
            if last {
                return Ok(());
            }
        }
    }

    async fn found(
        &self,
        prefix: &Path,
        after: Option<&Path>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let stream = match after {
            Some(after) => self.store.list_with_offset(Some(prefix), after),
            None => self.store.list(Some(prefix)),
        };
        timely(stream.take(limit).try_collect()).await
    }

    pub(crate) async fn list(
        &self,
        project: &ProjectRef,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Found>, Error> {
        let prefix = self.bodies(project);
        let after = after.map(|after| prefix.clone().join(after.to_string()));
        let found = self.found(&prefix, after.as_ref(), limit).await?;
        let named = |meta: ObjectMeta| {
            let version = Uuid::try_parse(meta.location.filename()?).ok()?;
            let modified = meta.last_modified.into();
            Some(Found { key: Key::new(project, version), size: meta.size, modified })
        };
        Ok(found.into_iter().filter_map(named).collect())
    }
}

/// What is not there need not be deleted.
fn absent(deleted: Result<(), Error>) -> Result<(), Error> {
    match deleted {
        Err(Error::NotFound) => Ok(()),
        other => other,
    }
}
