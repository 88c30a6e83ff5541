//! Files that another program keeps: read, never written. For moving here from there.
//!
//! A file is named by its path from a folder on, the parts put together with slashes. A tree of a disk is read
//! without following links, and only plain files count; whoever put what into it, nothing outside of it is reached.

mod bucket;
mod tree;

use crate::{Error, S3};
use bucket::{Bucket, BucketReading, BucketWalk};
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::mpsc;
use tree::{Tree, TreeReading};

/// Folders that are named at most when somebody asks which there are.
const FOLDERS_MAX: usize = 1000;

/// A folder with files of another program. Cheap to clone.
#[derive(Clone)]
pub struct Source(Place);

#[derive(Clone)]
enum Place {
    Tree(Arc<Tree>),
    Bucket(Bucket),
}

/// A file that is open.
pub struct Opened {
    /// Its length in bytes when it was opened.
    pub size: u64,
    /// When it was changed last.
    pub modified: SystemTime,
    /// The type that was noted with it.
    pub content_type: Option<String>,
    /// What was noted with it for caches.
    pub cache_control: Option<String>,
    /// The tag of its bytes as the place itself knows it, without quotes.
    pub etag: Option<String>,
    reading: Reading,
}

enum Reading {
    Tree(TreeReading),
    Bucket(BucketReading),
}

/// What a walk comes across.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A plain file.
    File(SourceFile),
    /// Something that is not read, and why.
    Odd {
        /// Its path; characters that are none are replaced.
        path: String,
        /// What it is.
        what: &'static str,
    },
}

/// A file that a walk has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was changed last.
    pub modified: SystemTime,
}

/// The files below a folder, one after the other. What lies in a folder comes together.
pub struct Walk(Walking);

enum Walking {
    Tree(mpsc::Receiver<Result<Seen, Error>>),
    Bucket(BucketWalk),
}

impl Source {
    /// A directory of this machine.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn tree(root: PathBuf) -> Result<Source, Error> {
        Ok(Source(Place::Tree(Arc::new(Tree::open(root).await?))))
    }

    /// What a bucket has below the prefix of these settings.
    ///
    /// # Errors
    /// The settings make no sense.
    pub fn bucket(settings: &S3) -> Result<Source, Error> {
        Ok(Source(Place::Bucket(Bucket::new(settings)?)))
    }

    /// The names of the folders in this one, in order; no more than a thousand.
    ///
    /// # Errors
    /// The place fails.
    pub async fn folders(&self) -> Result<Vec<String>, Error> {
        let mut names = match &self.0 {
            Place::Tree(tree) => tree.folders(FOLDERS_MAX).await?,
            Place::Bucket(bucket) => bucket.folders().await?,
        };
        names.sort();
        names.truncate(FOLDERS_MAX);
        Ok(names)
    }

    /// A folder in this one.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn folder(&self, name: &str) -> Result<Source, Error> {
        match &self.0 {
            Place::Tree(tree) => Ok(Source(Place::Tree(Arc::new(tree.folder(name).await?)))),
            Place::Bucket(bucket) => Ok(Source(Place::Bucket(bucket.folder(name)?))),
        }
    }

    /// How long a file is.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for what is no plain file, or the place fails.
    pub async fn size(&self, path: &str) -> Result<u64, Error> {
        match &self.0 {
            Place::Tree(tree) => tree.size(path).await,
            Place::Bucket(bucket) => bucket.size(path).await,
        }
    }

    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for what is no plain file, or the place fails.
    pub async fn open(&self, path: &str) -> Result<Opened, Error> {
        match &self.0 {
            Place::Tree(tree) => tree.read(path).await,
            Place::Bucket(bucket) => bucket.read(path).await,
        }
    }

    /// All files below, however many: they are looked for while the walk goes on.
    pub fn walk(&self) -> Walk {
        match &self.0 {
            Place::Tree(tree) => Walk(Walking::Tree(tree.walk())),
            Place::Bucket(bucket) => Walk(Walking::Bucket(bucket.walk())),
        }
    }
}

impl Opened {
    /// The next bytes; nothing at the end.
    ///
    /// # Errors
    /// The place fails.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match &mut self.reading {
            Reading::Tree(reading) => reading.next().await,
            Reading::Bucket(reading) => reading.next().await,
        }
    }
}

impl Walk {
    /// The next thing; nothing at the end.
    ///
    /// # Errors
    /// The place fails, or a part of it cannot be read.
    pub async fn next(&mut self) -> Result<Option<Seen>, Error> {
        match &mut self.0 {
            Walking::Tree(seen) => seen.recv().await.transpose(),
            Walking::Bucket(walk) => walk.next().await,
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            Place::Tree(_) => "Source(tree)",
            Place::Bucket(_) => "Source(bucket)",
        })
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("size", &self.size).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Walk")
    }
}
