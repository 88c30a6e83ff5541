//! Cancel requests: the keys that we hand to clients, and the sessions that they stand for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use subtle::ConstantTimeEq;

/// The keys of the sessions that are open; as many as there are sessions, which the router limits.
#[derive(Debug, Default)]
pub(crate) struct CancelKeys {
    sessions: Mutex<HashMap<i32, Session>>,
}

#[derive(Debug)]
struct Session {
    secret: i32,
    token: pg::CancelToken,
}

/// A key, valid until it is dropped.
#[derive(Debug)]
pub(crate) struct CancelKey {
    keys: Arc<CancelKeys>,
    pub(crate) process_id: i32,
    pub(crate) secret: i32,
}

impl CancelKeys {
    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new key for a server's session. `random` is asked until it gives a process number that is free.
    pub(crate) fn issue(
        self: &Arc<Self>,
        token: pg::CancelToken,
        mut random: impl FnMut() -> Option<[u8; 8]>,
    ) -> Option<CancelKey> {
        let mut sessions = self.lock();
        loop {
            let [a, b, c, d, e, f, g, h] = random()?;
            let (process_id, secret) =
                (i32::from_be_bytes([a & 0x7f, b, c, d]), i32::from_be_bytes([e, f, g, h]));
            if let Entry::Vacant(free) = sessions.entry(process_id) {
                free.insert(Session { secret, token });
                return Some(CancelKey { keys: Arc::clone(self), process_id, secret });
            }
        }
    }

    /// The session that the key was issued for.
    pub(crate) fn find(&self, process_id: i32, secret: i32) -> Option<pg::CancelToken> {
        let sessions = self.lock();
        let session = sessions.get(&process_id)?;
        bool::from(session.secret.ct_eq(&secret)).then(|| session.token.clone())
    }
}

impl Drop for CancelKey {
    fn drop(&mut self) {
        self.keys.lock().remove(&self.process_id);
    }
}
