//! How many sessions a project has, and may have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts sessions by project; a project without any is not kept.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    taken: Mutex<HashMap<Arc<str>, usize>>,
}

/// A session's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    project: Arc<str>,
}

impl Seats {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more session, unless the project has `max`.
    pub(crate) fn take(self: &Arc<Self>, project: &Arc<str>, max: usize) -> Option<Seat> {
        let mut taken = self.lock();
        let now = taken.get(project).copied().unwrap_or(0);
        if now >= max {
            return None;
        }
        taken.insert(Arc::clone(project), now + 1);
        Some(Seat { seats: Arc::clone(self), project: Arc::clone(project) })
    }

    pub(crate) fn of(&self, project: &str) -> usize {
        self.lock().get(project).copied().unwrap_or(0)
    }

    pub(crate) fn total(&self) -> usize {
        self.lock().values().sum()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        match taken.get_mut(&self.project) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.project)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_limited_by_project_and_given_back() {
        let (seats, one, two) = (Arc::new(Seats::default()), Arc::from("one"), Arc::from("two"));
        let (first, second) = (seats.take(&one, 2), seats.take(&one, 2));
        assert!(first.is_some() && second.is_some() && seats.take(&one, 2).is_none());
        assert!(seats.take(&two, 2).is_some(), "another project is not concerned");
        drop(first);
        assert_eq!((seats.of("one"), seats.of("two"), seats.total()), (1, 0, 1));
        drop(second);
        assert!(seats.lock().is_empty());
    }
}
