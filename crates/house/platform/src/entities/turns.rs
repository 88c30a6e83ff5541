//! Whose turn it is to change an app's tables: one change an app at a time, and the others wait here rather than on
//! a connection that all apps of the shard share.

use crate::Error;
use model::AppId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;

/// How long a change waits for the one before it.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// One lock an app, for as long as somebody holds or wants it.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<AppId, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for the app's turn; it ends when the value is dropped.
    ///
    /// # Errors
    /// [`Error::Busy`] when it does not come in time.
    pub(super) async fn take(&self, app: AppId) -> Result<OwnedMutexGuard<()>, Error> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            match turns.get(&app).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    let turn = Arc::default();
                    turns.insert(app, Arc::downgrade(&turn));
                    turn
                }
            }
        };
        tokio::time::timeout(WAIT_MAX, turn.lock_owned()).await.map_err(|_| Error::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_an_app_and_nothing_is_kept() {
        let turns = Turns::default();
        let first = turns.take(AppId(1)).await.unwrap();
        let _other = turns.take(AppId(2)).await.unwrap();
        assert!(tokio::time::timeout(Duration::ZERO, turns.take(AppId(1))).await.is_err());
        drop(first);
        drop(turns.take(AppId(1)).await.unwrap());
        let _third = turns.take(AppId(3)).await.unwrap();
        assert_eq!(turns.0.lock().unwrap().len(), 2);
    }
}
