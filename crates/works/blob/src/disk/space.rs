//! Room that is left alone: the file system is PostgreSQL's as well, which stops when it is full.

use crate::Error;
use rustix::fs::StatVfs;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer of the file system is taken for true.
const HOLDS: Duration = Duration::from_secs(1);
/// The part of the file system, and of its names, that stays free; no more bytes than this.
const PART: u64 = 20;
const BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// What the file system said last.
#[derive(Debug, Default)]
pub(super) struct Space(Mutex<Option<(Instant, bool)>>);

impl Space {
    /// Whether there is room for more. Blocks.
    ///
    /// # Errors
    /// [`Error::Full`] if there is none.
    pub(super) fn check(&self, root: impl AsFd) -> Result<(), Error> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.filter(|(at, _)| at.elapsed() < HOLDS).map(|(_, is_scarce)| is_scarce);
        let is_scarce = match known {
            Some(is_scarce) => is_scarce,
            None => {
                let is_scarce = is_scarce(&rustix::fs::fstatvfs(root)?);
                if is_scarce && !last.is_some_and(|(_, before)| before) {
                    tracing::error!("the file system of the files is nearly full: no more are taken");
                }
                *last = Some((Instant::now(), is_scarce));
                is_scarce
            }
        };
        if is_scarce { Err(Error::Full) } else { Ok(()) }
    }

    /// Says so for an hour.
    #[cfg(test)]
    pub(super) fn pretend(&self, is_scarce: bool) {
        let later = Instant::now() + Duration::from_secs(3600);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((later, is_scarce));
    }
}

fn is_scarce(stat: &StatVfs) -> bool {
    let total = stat.f_blocks.saturating_mul(stat.f_frsize);
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    // Some file systems do not count names.
    let names = stat.f_files > 0 && stat.f_favail < stat.f_files / PART;
    names || free < (total / PART).min(BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1024 * 1024 * 1024;

    fn stat(total: u64, free: u64, files: u64, free_files: u64) -> StatVfs {
        let mut stat = rustix::fs::statvfs("/").expect("a file system");
        (stat.f_frsize, stat.f_blocks, stat.f_bavail) = (4096, total / 4096, free / 4096);
        (stat.f_files, stat.f_favail) = (files, free_files);
        stat
    }

    #[test]
    fn a_part_stays_free_but_not_much_of_large_disks() {
        for (total, free, scarce) in [
            (GIB, GIB / 19, false),
            (GIB, GIB / 21, true),
            (4096 * GIB, 3 * GIB, false),
            (4096 * GIB, GIB, true),
        ] {
            assert_eq!(is_scarce(&stat(total, free, 0, 0)), scarce, "{free} of {total}");
        }
        assert!(is_scarce(&stat(GIB, GIB, 1000, 49)) && !is_scarce(&stat(GIB, GIB, 1000, 51)));
    }
}
