//! The verifiers of each project's roles: read on its server by one session at a time, and remembered for when the
//! server sleeps.
//!
//! A reading answers all clients that waited for it, and nobody who came after it had begun: a changed password
//! counts at once. What is remembered decides only whether a sleeping server is woken; then it is read anew.

use crate::directory::{Directory, Refusal, Verifiers};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Projects that are remembered. One that is not is woken by anybody, once.
const PROJECTS_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// Clients of one project whose server is being found at a time.
const ROUTES_MAX: usize = 4;
/// Between two wakings for a wrong password: of one project, and of any.
const DOUBT_PROJECT: Duration = Duration::from_secs(3600);
const DOUBT_ANY: Duration = Duration::from_secs(10);

/// What is known of the roles of all projects.
pub(crate) struct Roles {
    projects: Mutex<LruCache<Arc<str>, Arc<ProjectRoles>>>,
    doubted: Mutex<Option<Instant>>,
    /// For a reading, those of others before it included.
    read_timeout: Duration,
}

/// What is known of the roles of one project, and who may ask its server.
pub(crate) struct ProjectRoles {
    pub(crate) project: Arc<str>,
    /// For finding the server, which may need sessions of the house's own.
    pub(crate) routes: Semaphore,
    /// One session of ours at a time, however many clients ask.
    turn: tokio::sync::Mutex<()>,
    last: Mutex<Option<Reading>>,
    doubted: Mutex<Option<Instant>>,
    read_timeout: Duration,
}

#[derive(Clone)]
struct Reading {
    begun: Instant,
    verifiers: Arc<Verifiers>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Roles {
    pub(crate) fn new(read_timeout: Duration) -> Roles {
        let projects = Mutex::new(LruCache::new(PROJECTS_MAX));
        Roles { projects, doubted: Mutex::default(), read_timeout }
    }

    /// Those of one project, which exists.
    pub(crate) fn of(&self, project: &Arc<str>) -> Arc<ProjectRoles> {
        let new = || {
            Arc::new(ProjectRoles {
                project: Arc::clone(project),
                routes: Semaphore::new(ROUTES_MAX),
                turn: tokio::sync::Mutex::default(),
                last: Mutex::default(),
                doubted: Mutex::default(),
                read_timeout: self.read_timeout,
            })
        };
        Arc::clone(lock(&self.projects).get_or_insert(Arc::clone(project), new))
    }

    /// Whether a sleeping server may be woken because a password does not fit what is remembered: it may have been
    /// changed behind our back. Seldom, since strangers would keep servers awake that way.
    pub(crate) fn may_doubt(&self, project: &ProjectRoles, now: Instant) -> bool {
        let (mut own, mut any) = (lock(&project.doubted), lock(&self.doubted));
        let since = |last: &Option<Instant>| last.map(|last| now.saturating_duration_since(last));
        if since(&own).is_some_and(|d| d < DOUBT_PROJECT) || since(&any).is_some_and(|d| d < DOUBT_ANY) {
            return false;
        }
        (*own, *any) = (Some(now), Some(now));
        true
    }
}

impl ProjectRoles {
    /// What the server says now, of this role in any case; `None` when it sleeps.
    pub(crate) async fn read(
        &self,
        directory: &dyn Directory,
        user: &str,
    ) -> Result<Option<Arc<Verifiers>>, Refusal> {
        let arrived = Instant::now();
        let read = async {
            let _turn = self.turn.lock().await;
            let last = lock(&self.last).clone();
            if let Some(last) = last.filter(|l| l.begun >= arrived && l.verifiers.tell_of(user)) {
                return Ok(Some(last.verifiers));
            }
            let begun = Instant::now();
            let Some(verifiers) = directory.verifiers(&self.project, user).await? else { return Ok(None) };
            let verifiers = Arc::new(verifiers);
            *lock(&self.last) = Some(Reading { begun, verifiers: Arc::clone(&verifiers) });
            Ok(Some(verifiers))
        };
        timeout(self.read_timeout, read).await.unwrap_or_else(|_| Err(Refusal::unavailable()))
    }

    /// What the server said when it was last asked, if that tells of this role.
    pub(crate) fn remembered(&self, user: &str) -> Option<Arc<Verifiers>> {
        let verifiers = Arc::clone(&lock(&self.last).as_ref()?.verifiers);
        verifiers.tell_of(user).then_some(verifiers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{RouteRequest, Target};
    use crate::scram::Verifier;
    use futures_util::future::BoxFuture;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A server that answers when it is allowed to.
    struct Slow {
        readings: AtomicUsize,
        allowed: Semaphore,
        complete: bool,
    }

    impl Directory for Slow {
        fn find<'a>(&'a self, _: &'a RouteRequest) -> BoxFuture<'a, Result<Arc<str>, Refusal>> {
            Box::pin(async { Err(Refusal::unknown_project()) })
        }

        fn route<'a>(&'a self, _: &'a RouteRequest) -> BoxFuture<'a, Result<Target, Refusal>> {
            Box::pin(async { Err(Refusal::unknown_project()) })
        }

        fn verifiers<'a>(
            &'a self,
            _: &'a str,
            user: &'a str,
        ) -> BoxFuture<'a, Result<Option<Verifiers>, Refusal>> {
            Box::pin(async move {
                self.readings.fetch_add(1, Ordering::Relaxed);
                self.allowed.acquire().await.unwrap().forget();
                let known = (user == "me").then(|| (user.to_owned(), Verifier::of_password("mine")));
                Ok(Some(Verifiers::new(known, self.complete)))
            })
        }
    }

    fn slow(complete: bool, allowed: usize) -> Slow {
        Slow { readings: AtomicUsize::new(0), allowed: Semaphore::new(allowed), complete }
    }

    fn roles(read_timeout: Duration) -> Arc<ProjectRoles> {
        Roles::new(read_timeout).of(&"one".into())
    }

    #[tokio::test]
    async fn all_who_wait_share_the_next_reading() {
        let (roles, server) = (roles(PATIENCE), slow(true, 0));
        let first = roles.read(&server, "me");
        let others = futures_util::future::join_all((0..500).map(|_| roles.read(&server, "you")));
        let allow = async {
            // By now the first is reading, and the others wait.
            assert_eq!(server.readings.load(Ordering::Relaxed), 1);
            server.allowed.add_permits(2);
        };
        let (first, others, ()) = tokio::join!(first, others, allow);
        assert!(first.unwrap().unwrap().of("me").is_some());
        assert!(others.iter().all(|o| o.as_ref().unwrap().as_ref().unwrap().of("you").is_none()));
        assert_eq!(server.readings.load(Ordering::Relaxed), 2, "one that they did not see begin, and one");
        assert_eq!(server.allowed.available_permits(), 0);
    }

    #[tokio::test]
    async fn a_reading_from_before_does_not_count() {
        let (roles, server) = (roles(PATIENCE), slow(true, 2));
        assert!(roles.remembered("me").is_none());
        roles.read(&server, "me").await.unwrap();
        roles.read(&server, "me").await.unwrap();
        assert_eq!(server.readings.load(Ordering::Relaxed), 2);
        assert!(roles.remembered("me").unwrap().of("me").is_some());
        assert!(roles.remembered("nobody").unwrap().of("nobody").is_none());
    }

    #[tokio::test]
    async fn an_incomplete_reading_tells_nothing_of_roles_that_it_leaves_out() {
        let (roles, server) = (roles(PATIENCE), slow(false, 1));
        roles.read(&server, "me").await.unwrap();
        assert!(roles.remembered("me").is_some() && roles.remembered("you").is_none());
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_not_waited_for() {
        let (roles, server) = (roles(Duration::ZERO), slow(true, 0));
        let refused = roles.read(&server, "me").await.unwrap_err();
        assert_eq!(refused, Refusal::unavailable());
        server.allowed.add_permits(1);
        assert!(roles.read(&server, "me").await.is_ok(), "its turn was given back");
    }

    #[test]
    fn doubts_are_rare() {
        let (roles, now) = (Roles::new(PATIENCE), Instant::now());
        let (one, two) = (roles.of(&"one".into()), roles.of(&"two".into()));
        assert!(roles.may_doubt(&one, now));
        assert!(!roles.may_doubt(&two, now + DOUBT_ANY / 2));
        assert!(roles.may_doubt(&two, now + DOUBT_ANY));
        let (soon, later) = (now + DOUBT_PROJECT / 2, now + DOUBT_PROJECT);
        assert!(!roles.may_doubt(&one, soon) && roles.may_doubt(&one, later));
    }
}
