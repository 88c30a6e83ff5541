//! Removing what no longer counts: what a crash left behind, and projects that were deleted.

use super::{Disk, run};
use crate::Error;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A temporary file as old as this belongs to nobody who still runs. Where nobody else runs, all of them do not.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);
/// Files removed in one call to the disk.
const BATCH: usize = 1000;
/// Directories inside of each other: project, fan, nothing.
const DEPTH_MAX: usize = 4;

impl Disk {
    /// Removes temporary files that are nobody's, and, while others begin to work, what is left of deleted projects.
    pub(super) async fn clean(&self) -> Result<(), Error> {
        let tree = Arc::clone(&self.tree);
        let old = if tree.is_alone() { None } else { Some(OLD) };
        let gone = run(move || old_files_removed(tree.temporary(), old)).await?;
        if !gone.is_empty() {
            let disk = self.clone();
            tokio::spawn(async move {
                for name in gone {
                    if let Err(error) = disk.remove_aside(name).await {
                        tracing::warn!(%error, "files of a deleted project are still there");
                    }
                }
            });
        }
        Ok(())
    }

    /// Removes a directory among the temporary files, some of it in each call.
    pub(super) async fn remove_aside(&self, name: CString) -> Result<(), Error> {
        loop {
            let (tree, name) = (Arc::clone(&self.tree), name.clone());
            let mut left = BATCH;
            if run(move || emptied(tree.temporary(), &name, &mut left, DEPTH_MAX)).await? {
                return Ok(());
            }
        }
    }
}

/// Removes files, only old ones if that is said; returns the directories that were set aside.
fn old_files_removed(temporary: BorrowedFd<'_>, old: Option<Duration>) -> Result<Vec<CString>, Error> {
    let mut gone = Vec::new();
    for entry in Dir::read_from(temporary)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = match rustix::fs::statat(temporary, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            other => other?,
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            gone.push(name.to_owned());
            continue;
        }
        let changed = Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
        let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + changed).unwrap_or_default();
        if old.is_none_or(|old| age > old) {
            absent(rustix::fs::unlinkat(temporary, name, AtFlags::empty()))?;
        }
    }
    Ok(gone)
}

/// Removes a directory with all that is in it. False if it had to stop because so many files are enough.
fn emptied(parent: BorrowedFd<'_>, name: &CStr, left: &mut usize, depth: usize) -> Result<bool, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(true),
        other => other?,
    };
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let inner = entry.file_name();
        if inner == c"." || inner == c".." {
            continue;
        }
        if *left == 0 {
            return Ok(false);
        }
        match rustix::fs::unlinkat(&directory, inner, AtFlags::empty()) {
            // What Linux says of a directory, and what POSIX does.
            Err(Errno::ISDIR | Errno::PERM) if depth > 0 => {
                if !emptied(directory.as_fd(), inner, left, depth - 1)? {
                    return Ok(false);
                }
            }
            other => absent(other)?,
        }
        *left = left.saturating_sub(1);
    }
    absent(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR))?;
    Ok(true)
}

/// Another process may have been faster.
fn absent(removed: Result<(), Errno>) -> Result<(), Error> {
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
