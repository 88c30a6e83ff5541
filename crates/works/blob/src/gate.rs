//! Turns: so many at a time in all, and so many of them for one project.
//!
//! The share of a project is what keeps one that reads or writes a lot from taking every turn. Shares alone do not
//! keep a few projects together from it: so whoever waits for a client keeps a turn only while there are plenty
//! ([`Turn::is_tight`]).

use crate::Error;
use model::ProjectRef;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long one waits for a turn.
const WAIT: Duration = Duration::from_secs(20);

/// Where turns are given out.
#[derive(Debug)]
pub(crate) struct Gate {
    all: Arc<Semaphore>,
    total: usize,
    share: usize,
    wait: Duration,
    projects: Mutex<HashMap<ProjectRef, Arc<Semaphore>>>,
}

/// One turn. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    gate: Arc<Gate>,
    project: ProjectRef,
    permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Gate {
    pub(crate) fn new(total: usize, share: usize) -> Arc<Gate> {
        Gate::waiting(total, share, WAIT)
    }

    /// The same with another end of the wait.
    pub(crate) fn waiting(total: usize, share: usize, wait: Duration) -> Arc<Gate> {
        let all = Arc::new(Semaphore::new(total));
        Arc::new(Gate { all, total, share, wait, projects: Mutex::new(HashMap::new()) })
    }

    /// A turn for this project, when there is one.
    ///
    /// # Errors
    /// [`Error::Slow`] if none came free in time.
    pub(crate) async fn turn(self: &Arc<Self>, project: &ProjectRef) -> Result<Turn, Error> {
        // Made before anything is waited for, so that its end tidies up however the wait ends.
        let mut turn = Turn { gate: Arc::clone(self), project: project.clone(), permits: None };
        let own = {
            let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
            let share =
                projects.entry(project.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.share)));
            Arc::clone(share)
        };
        let wait = async {
            // First the project's own: whoever waits there must not keep a turn of all.
            let own = own.acquire_owned().await.map_err(|_| Error::Slow)?;
            let all = Arc::clone(&self.all).acquire_owned().await.map_err(|_| Error::Slow)?;
            Ok::<_, Error>((own, all))
        };
        turn.permits = Some(tokio::time::timeout(self.wait, wait).await.map_err(|_| Error::Slow)??);
        Ok(turn)
    }

    /// How many turns are taken.
    pub(crate) fn taken(&self) -> usize {
        self.total.saturating_sub(self.all.available_permits())
    }
}

impl Turn {
    /// Whether more than half of all turns, or of the project's, are taken: who has nothing to do now gives his back
    /// and asks again later. So those who wait for their clients never have more than half, however many they are.
    pub(crate) fn is_tight(&self) -> bool {
        let Some((own, all)) = &self.permits else { return false };
        let more = |semaphore: &Semaphore, of: usize| of - of / 2 > semaphore.available_permits();
        more(all.semaphore(), self.gate.total) || more(own.semaphore(), self.gate.share)
    }

    /// Whether no turn is left for anybody.
    pub(crate) fn is_last_of_all(&self) -> bool {
        self.permits.as_ref().is_some_and(|(_, all)| all.semaphore().available_permits() == 0)
    }

    /// Whether no turn is left for the project.
    pub(crate) fn is_last_of_own(&self) -> bool {
        self.permits.as_ref().is_some_and(|(own, _)| own.semaphore().available_permits() == 0)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.permits = None;
        let mut projects = self.gate.projects.lock().unwrap_or_else(PoisonError::into_inner);
        if projects.get(&self.project).is_some_and(|share| {
            Arc::strong_count(share) == 1 && share.available_permits() == self.gate.share
        }) {
            projects.remove(&self.project);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn project(letter: &str) -> ProjectRef {
        letter.repeat(ProjectRef::LENGTH).parse().expect("a ref")
    }

    #[tokio::test]
    async fn a_project_takes_no_more_than_its_share() {
        let gate = Gate::new(4, 2);
        let (a, b) = (project("a"), project("b"));
        let first = gate.turn(&a).await.expect("a turn");
        let _second = gate.turn(&a).await.expect("a turn");
        assert!(gate.turn(&a).now_or_never().is_none());
        let _other = gate.turn(&b).now_or_never().expect("at once").expect("a turn");
        assert_eq!(gate.taken(), 3);
        drop(first);
        gate.turn(&a).now_or_never().expect("at once").expect("a turn");
    }

    #[tokio::test]
    async fn all_projects_together_take_no_more_than_there_are() {
        let gate = Gate::new(2, 2);
        let turns = [gate.turn(&project("a")).await, gate.turn(&project("b")).await];
        assert!(gate.turn(&project("c")).now_or_never().is_none());
        drop(turns);
        assert!(gate.turn(&project("c")).now_or_never().is_some());
    }

    #[tokio::test]
    async fn it_is_tight_beyond_half_of_all_or_of_the_share() {
        let gate = Gate::new(4, 2);
        let first = gate.turn(&project("a")).await.expect("a turn");
        assert!(!first.is_tight(), "half of the share");
        let second = gate.turn(&project("a")).await.expect("a turn");
        assert!(second.is_tight() && second.is_last_of_own() && !second.is_last_of_all(), "all of the share");
        drop(second);
        let other = gate.turn(&project("b")).await.expect("a turn");
        assert!(!other.is_tight() && !first.is_tight(), "half of all");
        let third = gate.turn(&project("c")).await.expect("a turn");
        assert!(third.is_tight() && other.is_tight() && first.is_tight() && !third.is_last_of_all());
        let last = gate.turn(&project("d")).await.expect("a turn");
        assert!(last.is_last_of_all() && first.is_last_of_all() && !first.is_last_of_own());
    }

    #[tokio::test]
    async fn a_wait_ends_and_idle_projects_are_forgotten() {
        let gate = Gate::waiting(1, 1, Duration::from_millis(1));
        let turn = gate.turn(&project("a")).await.expect("a turn");
        assert!(matches!(gate.turn(&project("b")).await, Err(Error::Slow)));
        assert!(matches!(gate.turn(&project("a")).await, Err(Error::Slow)));
        drop(turn);
        assert!(gate.projects.lock().expect("no panic").is_empty());
        assert_eq!(gate.taken(), 0);
    }
}
