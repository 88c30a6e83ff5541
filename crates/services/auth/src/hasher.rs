//! Password hashes, computed on threads of their own at a low priority: never more of them at once than there are cores, and those of
//! one project never ahead of another's by more than its own places.

use crate::foreign_hash::ForeignHash;
use crate::refusal::{Outcome, internal, refuse};
use bcrypt::{HashParts, Version};
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The cost of new hashes, which is what the reference writes.
const COST: u32 = 10;

/// The costs that hashes from elsewhere may have. Each step doubles the work: the largest that bcrypt knows
/// takes a core for a day.
const COSTS: RangeInclusive<u32> = 4..=12;

/// What the column holds.
const HASH_BYTES_MAX: usize = 255;

/// How long a request waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// A hash that no password has: what is compared for users who do not exist, so that they take as long.
const NOBODY: &str = "$2a$10$7EqJtq98hPqEX7fNZaFWoOhi5Xe6Gq4oVbS9Y5wQF1QmFJ4yqYQ2W";

/// Shared by all projects of the process.
static SLOTS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(cores())));

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Hashes and compares the passwords of one project.
///
/// Slots are given in the order of asking, so who waits here waits for what the other projects have in work,
/// not for what they have in their queues.
#[derive(Debug)]
pub(crate) struct Hasher {
    places: Arc<Semaphore>,
    wait_max: Duration,
}

impl Hasher {
    pub(crate) fn new() -> Hasher {
        let cores = cores();
        let places = (cores / 2).max(2).min(cores);
        Hasher { places: Arc::new(Semaphore::new(places)), wait_max: WAIT_MAX }
    }

    /// Hashes a password.
    pub(crate) async fn hash(&self, password: &str) -> Outcome<String> {
        let password = password.to_owned();
        self.blocking(move || bcrypt::hash_with_result(password, COST))
            .await?
            .map(|parts| parts.format_for_version(Version::TwoA))
            .map_err(|e| internal("Error hashing password", e))
    }

    /// Whether a password is the one that was hashed. Without a hash, or with one that is no such hash, the
    /// answer is no, after the same time.
    pub(crate) async fn verify(&self, password: &str, hash: Option<&str>) -> Outcome<bool> {
        let known = hash.filter(|hash| is_hash(hash));
        let is_known = known.is_some();
        let hash = known.unwrap_or(NOBODY).to_owned();
        let password = password.to_owned();
        // A password with a null character matches nothing.
        let same = self.blocking(move || match ForeignHash::parse(&hash) {
            Some(foreign) => foreign.verify(password.as_bytes()),
            None => bcrypt::verify(password, &hash).unwrap_or(false),
        });
        let same = same.await?;
        Ok(is_known && same)
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
        let turn = tokio::time::timeout(self.wait_max, self.turn()).await;
        let busy = |_| refuse(503, "unexpected_failure", "Too many passwords are being checked, try again");
        let permits = turn.map_err(busy)??;
        let (answer, result) = tokio::sync::oneshot::channel();
        // The permits go with the work, which goes on when the request is given up.
        let work = move || {
            yield_to_others();
            let result = work();
            drop(permits);
            // Nobody may be waiting any more.
            let _ = answer.send(result);
        };
        // A thread of its own: its priority cannot be raised again. It takes a thousandth of the work's time to make.
        let thread = std::thread::Builder::new().name("password".to_owned());
        thread.spawn(work).map_err(|e| internal("Error hashing password", e))?;
        result.await.map_err(|e| internal("Error hashing password", e))
    }

    /// A place of the project, then a slot of the process.
    async fn turn(&self) -> Outcome<[OwnedSemaphorePermit; 2]> {
        let closed = |e| internal("Error hashing password", e);
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(closed)?;
        let slot = Arc::clone(&SLOTS).acquire_owned().await.map_err(closed)?;
        Ok([slot, place])
    }
}

/// Lowers the priority of this thread. Hashing wants a core for as long as a hundred reads of the data API take: the
/// short work goes first, so that many logins at once do not hold it up.
#[cfg(target_os = "linux")]
fn yield_to_others() {
    /// Against a thread of normal priority this leaves a quarter of the core: enough that logins come through on a
    /// machine that is never idle.
    const NICENESS: i32 = 5;
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!("a thread that hashes keeps its priority: {error}");
    }
}

/// Elsewhere a priority is the whole process's.
#[cfg(not(target_os = "linux"))]
fn yield_to_others() {}

/// Whether a hash should be made anew: one of another kind, one that is cheap to try, or dearer than ours.
pub(crate) fn is_outdated(hash: &str) -> bool {
    cost(hash).map_or_else(|| ForeignHash::parse(hash).is_some(), |cost| cost != COST)
}

/// Whether a text is a hash that [`Hasher::verify`] understands and can afford.
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() <= HASH_BYTES_MAX
        && cost(text).map_or_else(|| ForeignHash::parse(text).is_some(), |cost| COSTS.contains(&cost))
}

fn cost(hash: &str) -> Option<u32> {
    hash.parse::<HashParts>().ok().map(|parts| parts.get_cost())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hashes_have_the_references_form_and_verify() {
        let hasher = Hasher::new();
        let hashed = hasher.hash("secret").await.unwrap();
        assert!(hashed.starts_with("$2a$10$"));
        assert!(hasher.verify("secret", Some(&hashed)).await.unwrap());
        assert!(!hasher.verify("Secret", Some(&hashed)).await.unwrap());
        assert!(!hasher.verify("secret", None).await.unwrap());
        assert!(!hasher.verify("secret", Some("not a hash")).await.unwrap());
        assert!(!is_outdated(&hashed) && is_outdated(&hashed.replace("$10$", "$04$")));
        assert!(is_hash(&hashed) && is_hash(NOBODY) && !is_hash("x"));
        // Nobody's is as dear as anybody's, and is computed: an error would be found at once.
        assert!(cost(NOBODY) == Some(COST) && matches!(bcrypt::verify("secret", NOBODY), Ok(false)));
    }

    #[tokio::test]
    async fn hashes_that_would_take_hours_are_none() {
        let dear = NOBODY.replace("$10$", "$31$");
        assert!(!is_hash(&dear) && !is_hash(&NOBODY.replace("$10$", "$13$")));
        assert!(is_hash(&NOBODY.replace("$10$", "$12$")) && is_hash(&NOBODY.replace("$10$", "$04$")));
        // It would not return before the test's end if the hash were computed.
        assert!(!Hasher::new().verify("secret", Some(&dear)).await.unwrap());
    }

    #[tokio::test]
    async fn a_project_that_is_busy_refuses_in_time_and_holds_up_no_other() {
        let (mut busy, other) = (Hasher::new(), Hasher::new());
        busy.wait_max = Duration::ZERO;
        let places = u32::try_from(busy.places.available_permits()).unwrap();
        let all = Arc::clone(&busy.places).acquire_many_owned(places).await.unwrap();
        let refused = busy.verify("secret", None).await.unwrap_err();
        assert_eq!(refused.fault.status.as_u16(), 503);
        assert!(!other.verify("secret", None).await.unwrap());
        drop(all);
        busy.wait_max = WAIT_MAX;
        assert!(!busy.verify("secret", None).await.unwrap());
    }
}
