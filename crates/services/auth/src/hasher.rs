//! Password hashes, computed on blocking threads and never more of them at once than there are cores.

use crate::refusal::{Outcome, internal};
use bcrypt::Version;
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;

/// The cost of new hashes, which is what the reference writes.
const COST: u32 = 10;

/// A hash that no password has: what is compared for users who do not exist, so that they take as long.
const NOBODY: &str = "$2a$10$7EqJtq98hPqEX7fNZaFWoOhi5Xe6Gq4oVbS9Y5wQF1QmFJ4yqYQ2W";

/// Shared by all projects of the process.
static SLOTS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    Arc::new(Semaphore::new(cores))
});

/// Hashes a password.
pub(crate) async fn hash(password: &str) -> Outcome<String> {
    let password = password.to_owned();
    blocking(move || bcrypt::hash_with_result(password, COST))
        .await?
        .map(|parts| parts.format_for_version(Version::TwoA))
        .map_err(|e| internal("Error hashing password", e))
}

/// Whether a password is the one that was hashed. Without a hash the answer is no, after the same time.
pub(crate) async fn verify(password: &str, hash: Option<&str>) -> Outcome<bool> {
    let known = hash.is_some();
    let hash = hash.unwrap_or(NOBODY).to_owned();
    let password = password.to_owned();
    // A hash of another kind, and a password with a null character, match nothing.
    let same = blocking(move || bcrypt::verify(password, &hash).unwrap_or(false)).await?;
    Ok(known && same)
}

/// Whether a hash should be made anew: one that is cheap to try, or dearer than ours.
pub(crate) fn is_outdated(hash: &str) -> bool {
    hash.parse::<bcrypt::HashParts>().is_ok_and(|parts| parts.get_cost() != COST)
}

/// Whether a text is a hash that [`verify`] understands.
pub(crate) fn is_hash(text: &str) -> bool {
    text.parse::<bcrypt::HashParts>().is_ok()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
    let slot = Arc::clone(&SLOTS).acquire_owned().await.map_err(|e| internal("Error hashing password", e))?;
    // The slot goes with the work, which goes on when the request is given up.
    let work = move || {
        let result = work();
        drop(slot);
        result
    };
    tokio::task::spawn_blocking(work).await.map_err(|e| internal("Error hashing password", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hashes_have_the_references_form_and_verify() {
        let hashed = hash("secret").await.unwrap();
        assert!(hashed.starts_with("$2a$10$"));
        assert!(verify("secret", Some(&hashed)).await.unwrap());
        assert!(!verify("Secret", Some(&hashed)).await.unwrap());
        assert!(!verify("secret", None).await.unwrap());
        assert!(!verify("secret", Some("not a hash")).await.unwrap());
        assert!(!is_outdated(&hashed) && is_outdated(&hashed.replace("$10$", "$04$")));
        assert!(is_hash(&hashed) && is_hash(NOBODY) && !is_hash("x"));
    }
}
