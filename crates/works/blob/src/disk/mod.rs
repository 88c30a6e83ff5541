//! Bodies on a local disk.
//!
//! `<root>/<project>/<first two hex digits>/<version>`; what is not finished is `<root>/.temporary/<random>`, and
//! bodies that grow by appending are `<root>/<project>/growing/<version>`. A body gets its name by a rename, after
//! its bytes are on disk: under its name there is all of it or nothing, whenever the machine stops.

mod buffers;
mod clean;
mod concat;
mod grow;
mod list;
mod read;
mod space;
mod tree;
mod write;

pub(crate) use grow::DiskAppender;
pub(crate) use read::DiskReading;
pub(crate) use write::DiskWriter;

use crate::claim::Claims;
use crate::gate::{Gate, Turn};
use crate::{Error, Key};
use buffers::Buffers;
use model::ProjectRef;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
pub(crate) use tree::Shelf;
use tree::Tree;

/// Calls to the disk at a time, each of which holds a thread, and how many of them for one project.
const CALLS_MAX: usize = 64;
const CALLS_SHARE: usize = 16;
/// How long one call may wait for its thread, and how long it may take.
const CALL_WAIT: Duration = Duration::from_secs(30);
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// How long calls that hash and copy much wait for each other.
const HEAVY_WAIT: Duration = Duration::from_secs(120);
/// Bytes hashed in one call to the disk.
const STRETCH: u64 = 4 * 1024 * 1024;
/// Files open at a time, whatever the system allows, which part of them is for one project, and the fewest.
const OPEN_MAX: usize = 4096;
const OPEN_MIN: usize = 64;
const SHARE: usize = 16;
const SHARE_MIN: usize = 4;

/// When a finished body is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before its writer is told so.
    Fsync,
    /// When the system gets to it. For tests, and for data that can be made again.
    PageCache,
}

/// A directory with bodies. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Disk {
    tree: Arc<Tree>,
    open: Arc<Gate>,
    calls: Arc<Gate>,
    /// Calls that keep a core busy.
    heavy: Arc<Gate>,
    claims: Arc<Claims>,
    buffers: Arc<Buffers>,
    hashes: Arc<grow::Hashes>,
}

impl Disk {
    /// Opens the directory, making it if need be, and removes what a crash left behind long ago.
    pub(crate) async fn open(root: PathBuf, durability: Durability) -> Result<Disk, Error> {
        let open = open_files_max();
        Disk::with(root, durability, Gate::new(open, (open / SHARE).max(SHARE_MIN))).await
    }

    pub(crate) async fn with(root: PathBuf, durability: Durability, open: Arc<Gate>) -> Result<Disk, Error> {
        let tree = run(move || Tree::open(&root, durability == Durability::Fsync)).await?;
        let heavy = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        let disk = Disk {
            tree: Arc::new(tree),
            open,
            calls: Gate::waiting(CALLS_MAX, CALLS_SHARE, CALL_WAIT),
            heavy: Gate::waiting(heavy, (heavy / 2).max(1), HEAVY_WAIT),
            claims: Arc::default(),
            buffers: Buffers::new(),
            hashes: Arc::default(),
        };
        disk.clean().await?;
        Ok(disk)
    }

    /// Says for an hour that the file system is full, or that it is not.
    #[cfg(test)]
    pub(crate) fn pretend_full(&self, is_full: bool) {
        self.tree.space.pretend(is_full);
    }

    /// A turn to have a file open.
    async fn turn(&self, key: &Key) -> Result<Turn, Error> {
        self.open.turn(key.project()).await
    }

    /// Starts a call on a thread where it may block.
    async fn start<T: Send + 'static>(
        &self,
        project: &ProjectRef,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<Call<T>, Error> {
        let turn = self.calls.turn(project).await?;
        Ok(Call(tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        })))
    }

    /// Makes a call and waits for it.
    async fn call<T: Send + 'static>(
        &self,
        project: &ProjectRef,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.start(project, work).await?.end().await
    }

    /// The same of a call that hashes a stretch of bytes: half of the cores are left to the others.
    async fn heavy_call<T: Send + 'static>(
        &self,
        project: &ProjectRef,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let turn = self.heavy.turn(project).await?;
        let work = move || {
            let result = work();
            drop(turn);
            result
        };
        self.call(project, work).await
    }

    /// How long a finished body is.
    pub(crate) async fn size(&self, key: &Key) -> Result<u64, Error> {
        let (tree, name) = (Arc::clone(&self.tree), key.clone());
        self.call(key.project(), move || Ok(tree.stat(&name, Shelf::Body)?.0)).await
    }

    /// A second name for the same bytes, which never change; a copy where the file system has no such thing.
    pub(crate) async fn copy(&self, from: &Key, to: &Key) -> Result<(), Error> {
        let (tree, source, target) = (Arc::clone(&self.tree), from.clone(), to.clone());
        match self.call(to.project(), move || tree.link(&source, &target)).await? {
            tree::Linked::Done => Ok(()),
            tree::Linked::Impossible => self.concat(std::slice::from_ref(from), to).await.map(drop),
        }
    }

    /// Removes a body. One that is not there is fine.
    pub(crate) async fn delete(&self, key: &Key) -> Result<(), Error> {
        self.remove(key, Shelf::Body).await
    }

    async fn remove(&self, key: &Key, shelf: Shelf) -> Result<(), Error> {
        let (tree, name) = (Arc::clone(&self.tree), key.clone());
        self.call(key.project(), move || tree.remove(&name, shelf)).await
    }

    /// Removes all that a project has.
    pub(crate) async fn delete_project(&self, project: &ProjectRef) -> Result<(), Error> {
        let (tree, name) = (Arc::clone(&self.tree), project.clone());
        match self.call(project, move || tree.set_aside(&name)).await? {
            Some(name) => self.remove_aside(name).await,
            None => Ok(()),
        }
    }
}

/// A call that has begun. It goes on when this is dropped; its result is then dropped where it may block.
#[derive(Debug)]
struct Call<T>(JoinHandle<Result<T, Error>>);

impl<T> Call<T> {
    async fn end(self) -> Result<T, Error> {
        match tokio::time::timeout(CALL_TIMEOUT, self.0).await {
            Ok(Ok(result)) => result,
            Ok(Err(stopped)) => Err(Error::Io(std::io::Error::other(stopped))),
            Err(_) => Err(Error::Slow),
        }
    }
}

async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    Call(tokio::task::spawn_blocking(work)).end().await
}

/// Half of what the process may have open; connections need the rest.
fn open_files_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let half = limit.map_or(OPEN_MAX, |limit| usize::try_from(limit / 2).unwrap_or(OPEN_MAX));
    half.clamp(OPEN_MIN, OPEN_MAX)
}
