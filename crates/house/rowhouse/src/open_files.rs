//! How many files and sockets the program may have open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Nobody needs more: connections and files have limits of their own below this.
const ENOUGH: u64 = 65_536;
/// For databases, logs and whatever else is neither a client's connection nor a file of storage's.
const OWN: u64 = 256;

/// Takes as much as the system lets this process have: what a shell grants at first is often only 1,024.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
    if limit.current.is_some_and(|now| now < wanted)
        && let Err(error) =
            setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum })
    {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

/// How many of at most `most` connections of clients fit into half of what may be open; the rest is for files and
/// databases.
pub fn connections(most: usize) -> usize {
    fitting(getrlimit(Resource::Nofile).current, most)
}

fn fitting(limit: Option<u64>, most: usize) -> usize {
    let fit = limit.map_or(u64::MAX, |limit| (limit / 2).saturating_sub(OWN).max(OWN / 4));
    usize::try_from(fit).unwrap_or(usize::MAX).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files_and_databases() {
        assert_eq!(fitting(Some(1024), 10_000), 256);
        assert_eq!(fitting(Some(65_536), 10_000), 10_000);
        assert_eq!(fitting(Some(256), 10_000), 64);
        assert_eq!(fitting(None, 10_000), 10_000);
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        raise();
        let limit = getrlimit(Resource::Nofile);
        let most = limit.maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
        assert!(limit.current.is_none_or(|now| now >= most));
    }
}
