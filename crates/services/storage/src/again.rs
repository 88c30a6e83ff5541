//! Reads that meet a write: between the look at the row and the opening of its body an object may be overwritten, and
//! the body be gone. The row names another one by then, so that the read is done again.

use crate::refusal::Outcome;

/// How often a read is done once more; a body that is really lost is said to be so after that.
const AGAIN_MAX: usize = 3;

/// What `once` answers, as soon as it is not that the body is gone.
pub(crate) async fn read<T, F: Future<Output = Outcome<T>>>(mut once: impl FnMut() -> F) -> Outcome<T> {
    let mut again = 0;
    loop {
        match once().await {
            Err(refused) if refused.is_body_gone() && again < AGAIN_MAX => again += 1,
            done => return done,
        }
    }
}
