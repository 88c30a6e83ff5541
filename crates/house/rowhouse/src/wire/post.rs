//! When which project has mail to send: one task for all of them, so that a project that has none costs nothing.
//!
//! Auth rings when it has written a message; a sender that could not send everything says when to come again. A
//! project whose services have been dropped meanwhile is woken for it. What is forgotten, because the program ended
//! or too many projects had mail at once, is asked for when the project wakes.

use super::Wire;
use model::ProjectRef;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Projects that may wait for their mail to be sent.
const WAITING_MAX: usize = 100_000;
/// Projects whose mail is sent at a time.
const AT_A_TIME: usize = 32;
/// How many of them may be projects whose last delivery was slow, as those are whose mail server does not answer.
const SLOW_AT_A_TIME: usize = 8;
/// Deliveries that take longer are slow.
const SLOW: Duration = Duration::from_secs(10);
/// When a project that cannot be reached is tried again.
const UNREACHABLE_PAUSE: Duration = Duration::from_secs(60);
/// How long deliveries may take to end when the program does. A message that is being sent then is sent again.
const GOODBYE: Duration = Duration::from_secs(5);

/// The post office.
#[derive(Debug, Default)]
pub(super) struct Post {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    due: HashMap<ProjectRef, Instant>,
    /// Those whose mail is being sent.
    busy: HashSet<ProjectRef>,
    /// Those whose last delivery was slow.
    slow: HashSet<ProjectRef>,
}

impl State {
    /// Who is due first of those that may begin, and when.
    fn first(&self) -> Option<(ProjectRef, Instant)> {
        let slow_at_work = self.busy.iter().filter(|project| self.slow.contains(*project)).count();
        let has_room = |project: &ProjectRef| slow_at_work < SLOW_AT_A_TIME || !self.slow.contains(project);
        let may_begin = |project: &ProjectRef| !self.busy.contains(project) && has_room(project);
        let waiting = self.due.iter().filter(|(project, _)| may_begin(project));
        waiting.min_by_key(|(_, at)| **at).map(|(project, at)| (project.clone(), *at))
    }
}

/// A project's bell.
pub(super) struct Bell {
    post: Weak<Post>,
    project: ProjectRef,
}

impl std::fmt::Debug for Bell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bell({})", self.project)
    }
}

impl auth::Bell for Bell {
    fn ring(&self, after: Duration) {
        if let Some(post) = self.post.upgrade() {
            post.ring(&self.project, after);
        }
    }
}

impl storage::Bell for Bell {
    fn ring(&self) {
        auth::Bell::ring(self, Duration::ZERO);
    }
}

impl Post {
    pub(super) fn bell_of(self: &Arc<Self>, project: &ProjectRef) -> Bell {
        Bell { post: Arc::downgrade(self), project: project.clone() }
    }

    pub(super) fn bell(self: &Arc<Self>, project: &ProjectRef) -> Arc<dyn auth::Bell> {
        Arc::new(Bell { post: Arc::downgrade(self), project: project.clone() })
    }

    /// The project will have something to send after so long.
    pub(super) fn ring(&self, project: &ProjectRef, after: Duration) {
        let at = Instant::now() + after;
        {
            let mut state = self.state();
            let is_full = state.due.len() >= WAITING_MAX;
            match state.due.get_mut(project) {
                Some(due) => *due = at.min(*due),
                None if is_full => return,
                None => {
                    state.due.insert(project.clone(), at);
                }
            }
        }
        self.changed.notify_one();
    }

    /// Has mail sent as it becomes due, until `stop` is cancelled.
    pub(super) async fn run(self: Arc<Self>, wire: Wire, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let slots = Arc::new(Semaphore::new(AT_A_TIME));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let project = tokio::select! {
                () = stop.cancelled() => break,
                project = self.next() => project,
            };
            let (post, wire, stop) = (Arc::clone(&self), wire.clone(), stop.clone());
            tasks.spawn(async move {
                let _slot = slot;
                let began = Instant::now();
                let again = tokio::select! {
                    () = stop.cancelled() => None,
                    again = wire.deliver(&project) => again,
                };
                post.ended(&project, began.elapsed());
                if let Some(after) = again {
                    post.ring(&project, after);
                }
                post.changed.notify_one();
            });
        }
        tasks.close();
        let _ = tokio::time::timeout(GOODBYE, tasks.wait()).await;
    }

    /// A delivery has ended that took so long.
    fn ended(&self, project: &ProjectRef, took: Duration) {
        let mut state = self.state();
        state.busy.remove(project);
        if took < SLOW {
            state.slow.remove(project);
        } else if state.slow.len() < WAITING_MAX {
            state.slow.insert(project.clone());
        }
    }

    /// Waits for a project that is due, and counts it as busy.
    async fn next(&self) -> ProjectRef {
        loop {
            let first = {
                let mut state = self.state();
                match state.first() {
                    Some((project, at)) if at <= Instant::now() => {
                        state.due.remove(&project);
                        state.busy.insert(project.clone());
                        return project;
                    }
                    first => first.map(|(_, at)| at),
                }
            };
            match first {
                None => self.changed.notified().await,
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, self.changed.notified()).await;
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    /// Sends a project's mail. When to come again.
    async fn deliver(&self, project: &ProjectRef) -> Option<Duration> {
        let lookup = gateway::Lookup::Ref(project.clone());
        match self.find(lookup).await {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(_) => return Some(UNREACHABLE_PAUSE),
        }
        let home = self.tenants().get(project).map(|known| Arc::clone(&known.home))?;
        match home.running().await {
            Ok(running) => {
                let mail = running.auth.deliver().await;
                let events = running.storage.deliver_events().await;
                [mail, events].into_iter().flatten().min()
            }
            Err(_) => Some(UNREACHABLE_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(letter: char) -> ProjectRef {
        letter.to_string().repeat(20).parse().unwrap()
    }

    #[tokio::test]
    async fn projects_come_in_the_order_they_rang_and_one_at_a_time() {
        let post = Arc::new(Post::default());
        let (a, b, far) = (project('a'), project('b'), project('c'));
        post.ring(&far, Duration::from_secs(86_400));
        post.ring(&b, Duration::from_secs(86_400));
        post.bell(&a).ring(Duration::ZERO);
        assert_eq!(post.next().await, a);
        // Sooner is sooner; later does not put off.
        post.ring(&b, Duration::ZERO);
        post.ring(&b, Duration::from_secs(86_400));
        assert_eq!(post.next().await, b);
        // While its mail is being sent, more of it waits for its end.
        post.ring(&a, Duration::ZERO);
        post.ring(&b, Duration::ZERO);
        post.state().busy.remove(&b);
        assert_eq!(post.next().await, b);
        post.state().busy.remove(&a);
        assert_eq!(post.next().await, a);
        assert_eq!(post.state().due.keys().collect::<Vec<_>>(), [&far]);
    }

    #[tokio::test]
    async fn slow_mail_servers_hold_up_one_another_only() {
        let post = Arc::new(Post::default());
        let tarpits: Vec<_> = ('a'..='l').map(project).collect();
        for tarpit in &tarpits {
            post.ring(tarpit, Duration::ZERO);
            assert_eq!(&post.next().await, tarpit);
        }
        for tarpit in &tarpits {
            post.ended(tarpit, SLOW);
            post.ring(tarpit, Duration::ZERO);
        }
        for tarpit in &tarpits[..SLOW_AT_A_TIME] {
            assert_eq!(&post.next().await, tarpit);
        }
        assert_eq!(post.state().first(), None, "the slow ones have no more than their part");
        post.ring(&project('z'), Duration::ZERO);
        assert_eq!(post.next().await, project('z'));
        // One that was quick again is like all others.
        post.ended(&tarpits[0], Duration::ZERO);
        assert_eq!(post.next().await, tarpits[SLOW_AT_A_TIME]);
        post.ring(&tarpits[0], Duration::ZERO);
        assert_eq!(post.next().await, tarpits[0]);
    }
}
