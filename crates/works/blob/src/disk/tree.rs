//! The directories, and the steps by which a body gets and loses its name. Everything here blocks.
//!
//! Every step is taken from one open directory to the next and never through a symbolic link, so that nothing
//! outside of the root can be reached, whoever put what into it.

use super::space::Space;
use crate::{Error, Key};
use model::ProjectRef;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

const TEMPORARY: &str = ".temporary";
const GROWING: &str = "growing";
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);
const PRIVATE_DIRECTORY: Mode = Mode::RWXU;

/// The two places of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// Finished bodies.
    Body,
    /// Bodies that are appended to.
    Growing,
}

/// The root.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    temporary: OwnedFd,
    fsync: bool,
    pub(super) space: Space,
    /// Whether nobody else has the root open.
    is_alone: bool,
}

/// How a hard link went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Linked {
    Done,
    /// The file system has none, or not so many of one file.
    Impossible,
}

impl Tree {
    pub(super) fn open(path: &Path, fsync: bool) -> Result<Tree, Error> {
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(path)?;
        // The root itself may be reached through a link: the operator chose it.
        let root = rustix::fs::open(path, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty())?;
        let temporary = directory(&root, TEMPORARY, Some(fsync))?;
        // Held as long as the directory is open, which is as long as this lives.
        let is_alone = rustix::fs::flock(&temporary, FlockOperation::NonBlockingLockExclusive).is_ok();
        Ok(Tree { root, temporary, fsync, space: Space::default(), is_alone })
    }

    /// Whether all temporary files that are there when this is opened are nobody's.
    pub(super) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// Refuses to write more when the file system is nearly full.
    pub(super) fn room(&self) -> Result<(), Error> {
        self.space.check(&self.root)
    }

    pub(super) fn temporary(&self) -> BorrowedFd<'_> {
        self.temporary.as_fd()
    }

    /// The directory of a project, if it has one.
    pub(super) fn project(&self, project: &ProjectRef) -> Result<OwnedFd, Error> {
        directory(&self.root, project.as_str(), None)
    }

    /// A directory inside of a project's.
    pub(super) fn inner(project: &OwnedFd, name: &str) -> Result<OwnedFd, Error> {
        directory(project, name, None)
    }

    fn shelf(&self, key: &Key, shelf: Shelf, make: bool) -> Result<OwnedFd, Error> {
        let make = make.then_some(self.fsync);
        let project = directory(&self.root, key.project().as_str(), make)?;
        match shelf {
            Shelf::Body => directory(&project, &fan(key.version()), make),
            Shelf::Growing => directory(&project, GROWING, make),
        }
    }

    /// Opens a finished body.
    pub(super) fn file(&self, key: &Key) -> Result<File, Error> {
        let directory = self.shelf(key, Shelf::Body, false)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(directory, name(key), flags, Mode::empty())?;
        Ok(File::from(file))
    }

    /// Opens a growing body for reading and writing; makes it if asked to.
    pub(super) fn growing(&self, key: &Key, make: bool) -> Result<File, Error> {
        let directory = self.shelf(key, Shelf::Growing, make)?;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let flags = if make { flags | OFlags::CREATE } else { flags };
        let file = rustix::fs::openat(&directory, name(key), flags, PRIVATE)?;
        if make {
            self.settle(&directory)?;
        }
        Ok(File::from(file))
    }

    /// The size and the time of the last change of a name.
    pub(super) fn stat(&self, key: &Key, shelf: Shelf) -> Result<(u64, SystemTime), Error> {
        let directory = self.shelf(key, shelf, false)?;
        stat(&directory, &name(key))
    }

    /// Whether this is the file that grows under this name.
    pub(super) fn is_growing(&self, key: &Key, file: &File) -> Result<bool, Error> {
        let directory = self.shelf(key, Shelf::Growing, false)?;
        let open = rustix::fs::fstat(file)?;
        match rustix::fs::statat(directory, name(key), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) => Ok(named.st_ino == open.st_ino && named.st_dev == open.st_dev),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the finished temporary file its name.
    pub(super) fn publish(&self, mut temporary: Temporary, key: &Key) -> Result<(), Error> {
        if self.fsync {
            temporary.file()?.sync_all()?;
        }
        let directory = self.shelf(key, Shelf::Body, true)?;
        rustix::fs::renameat(&self.temporary, temporary.name(), &directory, name(key))?;
        temporary.left = None;
        self.settle(&directory)
    }

    /// Gives a grown body its place among the finished ones.
    pub(super) fn seal(&self, key: &Key) -> Result<(), Error> {
        let from = self.shelf(key, Shelf::Growing, false)?;
        let to = self.shelf(key, Shelf::Body, true)?;
        rustix::fs::renameat(&from, name(key), &to, name(key))?;
        self.settle(&to)?;
        self.settle(&from)
    }

    /// Gives a body a second name.
    pub(super) fn link(&self, from: &Key, to: &Key) -> Result<Linked, Error> {
        let source = self.shelf(from, Shelf::Body, false)?;
        // Before the target's directories are made: a source that is gone leaves no trace.
        stat(&source, &name(from))?;
        let target = self.shelf(to, Shelf::Body, true)?;
        match rustix::fs::linkat(source, name(from), &target, name(to), AtFlags::empty()) {
            Ok(()) => self.settle(&target).map(|()| Linked::Done),
            Err(Errno::MLINK | Errno::XDEV | Errno::PERM | Errno::NOTSUP | Errno::NOSYS) => {
                Ok(Linked::Impossible)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a name. None is fine.
    pub(super) fn remove(&self, key: &Key, shelf: Shelf) -> Result<(), Error> {
        let removed = self
            .shelf(key, shelf, false)
            .and_then(|directory| Ok(rustix::fs::unlinkat(directory, name(key), AtFlags::empty())?));
        match removed {
            Err(Error::NotFound) => Ok(()),
            other => other,
        }
    }

    /// Puts all of a project where it no longer counts, and says under which name.
    pub(super) fn set_aside(&self, project: &ProjectRef) -> Result<Option<CString>, Error> {
        let name = format!("gone-{}", Uuid::new_v4());
        match rustix::fs::renameat(&self.root, project.as_str(), &self.temporary, &name) {
            Ok(()) => {
                self.settle(&self.root)?;
                Ok(CString::new(name).ok())
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes sure that the bytes of a file last.
    pub(super) fn settle_file(&self, file: &File) -> Result<(), Error> {
        if self.fsync {
            file.sync_data()?;
        }
        Ok(())
    }

    /// Makes sure that the names in a directory last.
    fn settle(&self, directory: &OwnedFd) -> Result<(), Error> {
        if self.fsync {
            rustix::fs::fsync(directory)?;
        }
        Ok(())
    }
}

/// A file without a name of its own yet. Removed when it is dropped before [`Tree::publish`].
#[derive(Debug)]
pub(super) struct Temporary {
    file: Option<File>,
    left: Option<Left>,
}

/// What has to be removed.
#[derive(Debug)]
struct Left {
    tree: Arc<Tree>,
    name: String,
}

impl Temporary {
    pub(super) fn new(tree: &Arc<Tree>) -> Result<Temporary, Error> {
        let name = Uuid::new_v4().to_string();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&tree.temporary, &name, flags, PRIVATE)?;
        Ok(Temporary { file: Some(File::from(file)), left: Some(Left { tree: Arc::clone(tree), name }) })
    }

    /// The file, opened again if need be.
    pub(super) fn file(&mut self) -> Result<&File, Error> {
        let file = match (self.file.take(), &self.left) {
            (Some(file), _) => file,
            (None, Some(left)) => {
                let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                File::from(rustix::fs::openat(&left.tree.temporary, &left.name, flags, Mode::empty())?)
            }
            (None, None) => return Err(Error::NotFound),
        };
        Ok(self.file.insert(file))
    }

    /// Closes the file for the time being.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    fn name(&self) -> &str {
        self.left.as_ref().map_or("", |left| &left.name)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let Some(left) = self.left.take() else { return };
        // Removing a large file takes its time. Whether the thread gets to it or not, `left` is dropped.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(left))),
            Err(_) => drop(left),
        }
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Err(error) = rustix::fs::unlinkat(&self.tree.temporary, &self.name, AtFlags::empty())
            && error != Errno::NOENT
        {
            tracing::warn!(%error, "a temporary file of the storage remains until it is a day old");
        }
    }
}

/// The size and the time of the last change of a file's name.
pub(super) fn stat(directory: &OwnedFd, name: &str) -> Result<(u64, SystemTime), Error> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let seconds = Duration::from_secs(u64::try_from(stat.st_ctime).unwrap_or(0));
    Ok((u64::try_from(stat.st_size).unwrap_or(0), SystemTime::UNIX_EPOCH + seconds))
}

/// The directory of a version, one of 256.
pub(super) fn fan(version: Uuid) -> String {
    format!("{:02x}", version.as_bytes()[0])
}

/// The names that a directory of bodies may have.
pub(super) fn growing_name() -> &'static str {
    GROWING
}

fn name(key: &Key) -> String {
    key.version().to_string()
}

/// Opens a directory in a directory, making it first if `make` is given, which also says whether that is to last.
fn directory(parent: &OwnedFd, name: &str, make: Option<bool>) -> Result<OwnedFd, Error> {
    match (rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()), make) {
        (Ok(directory), _) => Ok(directory),
        (Err(Errno::NOENT), Some(fsync)) => {
            match rustix::fs::mkdirat(parent, name, PRIVATE_DIRECTORY) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            // Also when another has just made it: who returns first must not be ahead of the disk.
            if fsync {
                rustix::fs::fsync(parent)?;
            }
            Ok(rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?)
        }
        (Err(error), _) => Err(error.into()),
    }
}
