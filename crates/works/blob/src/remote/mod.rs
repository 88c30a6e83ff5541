//! Bodies in an object store elsewhere: Amazon's S3 and what speaks its protocol, Google's, Azure's.
//!
//! `<prefix>/bodies/<project>/<version>`, and for bodies that grow by appending one object for every stretch:
//! `<prefix>/growing/<project>/<version>/<offset>`. An object appears when all of it has been received, so also here
//! there is all of a body or nothing. What a crash leaves behind are parts of uploads that nobody can see: a
//! lifecycle rule of the bucket should remove those after a day.

mod connect;
mod error;
mod grow;
mod http;
mod settings;
mod write;

pub(crate) use grow::RemoteAppender;
pub use settings::{Azure, Gcs, S3};
pub(crate) use write::RemoteWriter;

use crate::gate::{Gate, Turn};
use crate::{Error, Found, Key, Written};
use bytes::Bytes;
use error::said;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use model::ProjectRef;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use uuid::Uuid;

/// How long one operation may take, the tries that failed included.
const TIMEOUT: Duration = Duration::from_secs(150);
/// Readings at a time, each a connection, and how many of them for one project.
const READINGS_MAX: usize = 1024;
const READINGS_SHARE: usize = 256;
/// Large bodies being written at a time, each some megabytes of memory, and how many of them for one project.
const WRITERS_MAX: usize = 24;
const WRITERS_SHARE: usize = 6;
/// The longest body that stores copy by themselves.
const COPY_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// A store elsewhere. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    readings: Arc<Gate>,
    writers: Arc<Gate>,
    appending: Arc<grow::Appending>,
}

/// What is being read.
pub(crate) struct RemoteReading {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    _turn: Turn,
}

impl RemoteReading {
    pub(crate) fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        self.stream.poll_next_unpin(context).map_err(|error| said(&error))
    }
}

/// Waits for an operation, but not for ever.
async fn timely<T>(operation: impl Future<Output = object_store::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(TIMEOUT, operation).await {
        Ok(result) => result.map_err(|error| said(&error)),
        Err(_) => Err(Error::Slow),
    }
}

impl Remote {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Remote {
        Remote {
            store,
            prefix: Path::from(prefix),
            readings: Gate::new(READINGS_MAX, READINGS_SHARE),
            writers: Gate::new(WRITERS_MAX, WRITERS_SHARE),
            appending: Arc::default(),
        }
    }

    fn bodies(&self, project: &ProjectRef) -> Path {
        self.prefix.clone().join("bodies").join(project.as_str())
    }

    fn body(&self, key: &Key) -> Path {
        self.bodies(key.project()).join(key.version().to_string())
    }

    pub(crate) async fn read(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<(u64, Range<u64>, Option<RemoteReading>), Error> {
        if let Some(range) = &range
            && range.is_empty()
        {
            let size = self.size(key).await?;
            let inside = range.start == range.end && range.end <= size;
            return if inside { Ok((size, range.clone(), None)) } else { Err(Error::Range) };
        }
        let turn = self.readings.turn(key.project()).await?;
        let options = GetOptions { range: range.clone().map(GetRange::Bounded), ..GetOptions::default() };
        let path = self.body(key);
        let found = timely(self.store.get_opts(&path, options)).await?;
        if range.is_some_and(|range| range != found.range) {
            return Err(Error::Range);
        }
        let (size, range) = (found.meta.size, found.range.clone());
        Ok((size, range, Some(RemoteReading { stream: found.into_stream(), _turn: turn })))
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
        self.delete_below(&self.bodies(project)).await?;
        self.delete_below(&self.growths(project)).await
    }

    /// Deletes all objects below a prefix, some at a time.
    async fn delete_below(&self, prefix: &Path) -> Result<(), Error> {
        const BATCH: usize = 500;
        loop {
            let found = self.found(prefix, None, BATCH).await?;
            let last = found.len() < BATCH;
            let paths = futures_util::stream::iter(found.into_iter().map(|meta| Ok(meta.location)));
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
