//! What auth has counted of projects, kept while their services are not running: nobody gets round a limit by waiting
//! until a project is dropped as idle, or by a change of its settings.

use auth::Counters;
use lru::LruCache;
use model::ProjectRef;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Projects whose counters are kept; beyond it those of the one that was used longest ago are forgotten.
const PROJECTS_MAX: NonZeroUsize = NonZeroUsize::new(8192).expect("not zero");
/// What the projects without services may have counted together, at about a hundred bytes each.
const RESTING_MAX: usize = 200_000;
/// The pause between two looks at what makes no difference any more.
const PAUSE: Duration = Duration::from_secs(60);

/// The counters of all projects.
#[derive(Debug)]
pub(super) struct Shelf {
    projects: Mutex<LruCache<ProjectRef, Arc<Counters>>>,
    swept: Mutex<Option<Instant>>,
    resting_max: usize,
}

impl Default for Shelf {
    fn default() -> Self {
        Shelf::new(PROJECTS_MAX, RESTING_MAX)
    }
}

impl Shelf {
    fn new(projects_max: NonZeroUsize, resting_max: usize) -> Shelf {
        let mut projects = LruCache::unbounded();
        projects.resize(projects_max);
        Shelf { projects: Mutex::new(projects), swept: Mutex::default(), resting_max }
    }

    /// The counters of a project, which go on where they were.
    pub(super) fn of(&self, project: &ProjectRef) -> Arc<Counters> {
        Arc::clone(self.projects().get_or_insert(project.clone(), Arc::default))
    }

    /// Forgets what makes no difference any more, now and then.
    pub(super) fn sweep(&self, now: SystemTime) {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.is_none_or(|at| at.elapsed() >= PAUSE) {
            *swept = Some(Instant::now());
            drop(swept);
            self.settle(now);
        }
    }

    fn settle(&self, now: SystemTime) {
        // Those that nobody but the shelf has.
        let resting: Vec<(ProjectRef, Arc<Counters>)> = {
            let projects = self.projects();
            let resting = projects.iter().filter(|(_, counters)| Arc::strong_count(counters) == 1);
            resting.map(|(project, counters)| (project.clone(), Arc::clone(counters))).collect()
        };
        let mut total = 0;
        // The latest used first: those for which there is no room were used before them.
        for (project, counters) in resting {
            let left = counters.settle(now);
            total += left;
            if left == 0 || total > self.resting_max {
                let mut projects = self.projects();
                // Ours is the second; who has a third has begun to use them.
                if Arc::strong_count(&counters) <= 2 {
                    projects.pop(&project);
                }
            }
        }
    }

    fn projects(&self) -> MutexGuard<'_, LruCache<ProjectRef, Arc<Counters>>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(letter: char) -> ProjectRef {
        letter.to_string().repeat(20).parse().unwrap()
    }

    #[test]
    fn counters_are_kept_while_they_make_a_difference() {
        let shelf = Shelf::new(PROJECTS_MAX, 100);
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let used = shelf.of(&project('a'));
        used.note_guess("a factor", start);
        drop(used);
        let held = shelf.of(&project('b'));
        drop(shelf.of(&project('c')));
        shelf.settle(start + Duration::from_secs(3600));
        let known = |letter| shelf.projects().contains(&project(letter));
        assert_eq!(['a', 'b', 'c'].map(known), [true, true, false]);
        assert!(Arc::ptr_eq(&held, &shelf.of(&project('b'))));
        drop(held);
        shelf.settle(start + Duration::from_secs(2 * 86_400));
        assert_eq!(['a', 'b'].map(known), [false, false]);
    }

    #[test]
    fn those_used_longest_ago_make_room() {
        let shelf = Shelf::new(NonZeroUsize::new(3).unwrap(), 3);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for letter in ['a', 'b', 'c', 'd'] {
            let counters = shelf.of(&project(letter));
            counters.note_guess("one", now);
            counters.note_guess("two", now);
        }
        let known = |letter| shelf.projects().contains(&project(letter));
        assert_eq!(['a', 'b', 'c', 'd'].map(known), [false, true, true, true]);
        shelf.settle(now);
        assert_eq!(['b', 'c', 'd'].map(known), [false, false, true]);
    }
}
