//! A bucket of S3 or of what speaks its protocol.

use super::{Opened, Reading, Seen, SourceFile};
use crate::remote::{said, timely};
use crate::{Error, S3};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::path::Path;
use object_store::{Attribute, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};
use std::sync::Arc;
use std::time::Duration;

/// How long the next piece of a file, or the next page of a list, may take.
const TIMEOUT: Duration = Duration::from_secs(150);

/// A place in a bucket. Cheap to clone.
#[derive(Clone)]
pub(super) struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// A file that is being read.
pub(super) struct BucketReading {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    left: u64,
}

/// A list that goes on.
pub(super) struct BucketWalk {
    stream: BoxStream<'static, object_store::Result<ObjectMeta>>,
    prefix: Path,
}

impl Bucket {
    pub(super) fn new(settings: &S3) -> Result<Bucket, Error> {
        let prefix = Path::parse(&settings.prefix)
            .map_err(|_| Error::Remote("its prefix is not one of a bucket".to_owned()))?;
        Ok(Bucket { store: settings.connect()?, prefix })
    }

    pub(super) fn folder(&self, name: &str) -> Result<Bucket, Error> {
        Ok(Bucket { store: Arc::clone(&self.store), prefix: self.path(name)? })
    }

    /// The name of a file, as it is: nothing in it is escaped. One that cannot be asked for is not there.
    fn path(&self, path: &str) -> Result<Path, Error> {
        let whole =
            if self.prefix.is_root() { path.to_owned() } else { [self.prefix.as_ref(), "/", path].concat() };
        match Path::parse(&whole) {
            Ok(parsed) if parsed.as_ref() == whole => Ok(parsed),
            _ => Err(Error::NotFound),
        }
    }

    pub(super) async fn folders(&self) -> Result<Vec<String>, Error> {
        let listed = timely(self.store.list_with_delimiter(Some(&self.prefix))).await?;
        let names = listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned));
        Ok(names.collect())
    }

    pub(super) async fn size(&self, path: &str) -> Result<u64, Error> {
        Ok(timely(self.store.head(&self.path(path)?)).await?.size)
    }

    pub(super) async fn read(&self, path: &str) -> Result<Opened, Error> {
        let path = self.path(path)?;
        let found = timely(self.store.get_opts(&path, GetOptions::default())).await?;
        let noted = |attribute| {
            let value = found.attributes.get(&attribute)?.as_ref().trim().to_owned();
            (!value.is_empty()).then_some(value)
        };
        Ok(Opened {
            size: found.meta.size,
            modified: found.meta.last_modified.into(),
            content_type: noted(Attribute::ContentType),
            cache_control: noted(Attribute::CacheControl),
            etag: found.meta.e_tag.as_deref().map(|tag| tag.trim_matches('"').to_owned()),
            reading: Reading::Bucket(BucketReading { left: found.meta.size, stream: found.into_stream() }),
        })
    }

    pub(super) fn walk(&self) -> BucketWalk {
        // Asked again at its end, it says again that it is the end.
        let stream = self.store.list(Some(&self.prefix)).fuse().boxed();
        BucketWalk { stream, prefix: self.prefix.clone() }
    }
}

impl BucketReading {
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let piece = tokio::time::timeout(TIMEOUT, self.stream.next()).await.map_err(|_| Error::Slow)?;
        let piece = piece.transpose().map_err(|error| said(&error))?;
        let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if length > self.left || (piece.is_none() && self.left > 0) {
            return Err(Error::Remote("a file ended elsewhere than it said".to_owned()));
        }
        self.left -= length;
        Ok(piece)
    }
}

impl BucketWalk {
    pub(super) async fn next(&mut self) -> Result<Option<Seen>, Error> {
        let next = tokio::time::timeout(TIMEOUT, self.stream.next()).await.map_err(|_| Error::Slow)?;
        let Some(meta) = next.transpose().map_err(|error| said(&error))? else { return Ok(None) };
        let path = meta.location.as_ref();
        let inner = path.strip_prefix(self.prefix.as_ref()).unwrap_or(path).trim_start_matches('/');
        let (path, modified) = (inner.to_owned(), meta.last_modified.into());
        Ok(Some(Seen::File(SourceFile { path, size: meta.size, modified })))
    }
}
