//! How much memory bodies of requests may take: all together, and those of one project.
//!
//! Services read a body whole before they can do anything with it. Without a budget some hundred large bodies would
//! take the memory of everybody's.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is counted in units of so many bytes. The first unit of a body is free: small bodies take no lock.
const UNIT: u64 = 64 * 1024;

/// The memory for the bodies of all requests of the process.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Semaphore>);

/// 512 MiB.
impl Default for Memory {
    fn default() -> Self {
        Memory::new(512 << 20)
    }
}

impl Memory {
    /// A budget of about so many bytes.
    pub fn new(bytes: u64) -> Memory {
        Memory(Arc::new(semaphore(bytes)))
    }

    /// The part that one project may take.
    pub fn share(&self, bytes: u64) -> Share {
        Share { all: Arc::clone(&self.0), own: Arc::new(semaphore(bytes)) }
    }
}

fn semaphore(bytes: u64) -> Semaphore {
    let units = usize::try_from(bytes / UNIT).unwrap_or(usize::MAX);
    Semaphore::new(units.clamp(1, Semaphore::MAX_PERMITS))
}

/// The memory of one project's requests, which is also everybody's.
#[derive(Debug, Clone)]
pub struct Share {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
}

impl Share {
    pub(crate) fn reservation(&self) -> Reservation {
        Reservation { share: self.clone(), seen: 0, taken: 0, permits: None }
    }
}

/// What one request has taken; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Reservation {
    share: Share,
    seen: u64,
    taken: u64,
    permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Reservation {
    /// Counts so many more bytes; false when there is no memory for them.
    pub(crate) fn take(&mut self, bytes: u64) -> bool {
        self.seen = self.seen.saturating_add(bytes);
        let wanted = self.seen / UNIT;
        let more = wanted.saturating_sub(self.taken);
        if more == 0 {
            return true;
        }
        let Ok(units) = u32::try_from(more) else { return false };
        // The project's own first: one that has used up its share takes nothing from the others, not for a moment.
        let Ok(own) = Arc::clone(&self.share.own).try_acquire_many_owned(units) else { return false };
        let Ok(all) = Arc::clone(&self.share.all).try_acquire_many_owned(units) else { return false };
        match &mut self.permits {
            None => self.permits = Some((own, all)),
            Some((own_before, all_before)) => {
                own_before.merge(own);
                all_before.merge(all);
            }
        }
        self.taken = wanted;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_keeps_to_its_share_and_all_to_theirs() {
        let memory = Memory::new(10 * UNIT);
        let (a, b) = (memory.share(6 * UNIT), memory.share(6 * UNIT));
        let (mut one, mut two, mut three) = (a.reservation(), a.reservation(), b.reservation());
        assert!(one.take(4 * UNIT));
        assert!(!two.take(3 * UNIT), "more than the project's share");
        assert!(three.take(6 * UNIT), "what was refused was not taken");
        assert!(!one.take(UNIT), "more than there is");
        drop(three);
        assert!(one.take(UNIT));
    }

    #[test]
    fn small_bodies_take_nothing() {
        let share = Memory::new(UNIT).share(UNIT);
        let mut full = share.reservation();
        assert!(full.take(UNIT));
        assert!(share.reservation().take(UNIT - 1));
        assert!(!share.reservation().take(UNIT));
    }
}
