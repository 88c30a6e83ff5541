//! What a client has sent of a part that is not full yet. Parts are megabytes, so the right to fill one is a turn.
//!
//! A slow client keeps its turn while there are others left. When the last one is taken, for the project or for all,
//! whoever fills a part too slowly loses it with all that is in it: otherwise a few clients that send a byte now and
//! then would keep everybody from uploading.

use crate::gate::{Gate, Turn};
use crate::pending::Pending;
use crate::{Error, Key};
use bytes::Bytes;
use model::ProjectRef;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// Up to this size bytes are held without a turn: it costs no more memory than the request that brought them.
const LIGHT: usize = 256 * 1024;
/// How often it is looked at a part that is being filled.
const LOOK: Duration = Duration::from_secs(5);
/// The bytes per second that it needs to get when others of the same project wait, and when everybody does.
const PACE_OF_OWN: u64 = 16 * 1024;
const PACE_OF_ALL: u64 = 128 * 1024;

/// Bytes that are held until they are a part.
pub(super) struct Held {
    gate: Arc<Gate>,
    project: ProjectRef,
    filling: Arc<Mutex<Filling>>,
    watch: Option<AbortOnDropHandle<()>>,
}

#[derive(Default)]
struct Filling {
    pending: Pending,
    turn: Option<Turn>,
    is_lost: bool,
}

impl Held {
    pub(super) fn new(gate: &Arc<Gate>, key: &Key) -> Held {
        let (gate, project) = (Arc::clone(gate), key.project().clone());
        Held { gate, project, filling: Arc::default(), watch: None }
    }

    pub(super) async fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.turn_for(self.length() + bytes.len()).await?;
        let mut filling = self.filling();
        if filling.is_lost {
            return Err(Error::Slow);
        }
        filling.pending.push(bytes);
        Ok(())
    }

    pub(super) fn length(&self) -> usize {
        self.filling().pending.length()
    }

    /// So many bytes, or all if there are fewer, and the turn that they hold until they are sent.
    pub(super) async fn take(&mut self, most: usize) -> Result<(Vec<Bytes>, Option<Turn>), Error> {
        self.turn_for(self.length()).await?;
        self.watch = None;
        let mut filling = self.filling();
        if filling.is_lost {
            return Err(Error::Slow);
        }
        Ok((filling.pending.take(most), filling.turn.take()))
    }

    /// Waits for a turn if that many bytes need one.
    async fn turn_for(&mut self, length: usize) -> Result<(), Error> {
        if length <= LIGHT || self.filling().turn.is_some() {
            return Ok(());
        }
        let turn = self.gate.turn(&self.project).await?;
        self.filling().turn = Some(turn);
        let watched = watched(Arc::clone(&self.filling));
        self.watch = Some(AbortOnDropHandle::new(tokio::spawn(watched)));
        Ok(())
    }

    fn filling(&self) -> MutexGuard<'_, Filling> {
        locked(&self.filling)
    }
}

fn locked(filling: &Mutex<Filling>) -> MutexGuard<'_, Filling> {
    filling.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the bytes away when others wait for the turn and the client is slow.
async fn watched(filling: Arc<Mutex<Filling>>) {
    let since = Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        if !look(&filling, since) {
            return;
        }
    }
}

/// False if there is nothing to be watched any more.
fn look(filling: &Mutex<Filling>, since: Instant) -> bool {
    let mut filling = locked(filling);
    let Some(turn) = &filling.turn else { return false };
    let pace = match (turn.is_last_of_all(), turn.is_last_of_own()) {
        (true, _) => PACE_OF_ALL,
        (false, true) => PACE_OF_OWN,
        (false, false) => 0,
    };
    let is_slow = (filling.pending.length() as u64) < pace.saturating_mul(since.elapsed().as_secs());
    if is_slow {
        *filling = Filling { is_lost: true, ..Filling::default() };
    }
    !is_slow
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(letter: &str) -> Key {
        Key::new(&letter.repeat(ProjectRef::LENGTH).parse().expect("a ref"), uuid::Uuid::nil())
    }

    fn bytes(length: usize) -> Bytes {
        Bytes::from(vec![0; length])
    }

    /// As [`watched`], but everything is late at once.
    fn looked_at(held: &Held) {
        let late = Instant::now().checked_sub(Duration::from_secs(1000)).expect("long ago");
        look(&held.filling, late);
    }

    #[tokio::test]
    async fn little_is_held_without_a_turn() {
        let gate = Gate::new(1, 1);
        let mut held = Held::new(&gate, &key("a"));
        held.push(bytes(LIGHT)).await.expect("little");
        assert_eq!(gate.taken(), 0);
        held.push(bytes(1)).await.expect("a turn");
        assert_eq!(gate.taken(), 1);
        let (chunks, turn) = held.take(usize::MAX).await.expect("the bytes");
        assert_eq!(chunks.concat().len(), LIGHT + 1);
        assert_eq!((gate.taken(), held.length()), (1, 0), "held until they are sent");
        drop(turn);
        assert_eq!(gate.taken(), 0);
    }

    #[tokio::test]
    async fn who_is_slow_keeps_a_turn_only_while_there_are_others() {
        let gate = Gate::new(2, 2);
        let (mut slow, mut other) = (Held::new(&gate, &key("a")), Held::new(&gate, &key("b")));
        slow.push(bytes(LIGHT + 1)).await.expect("a turn");
        looked_at(&slow);
        slow.push(bytes(1)).await.expect("nobody else wants it");
        other.push(bytes(LIGHT + 1)).await.expect("the last turn");
        looked_at(&slow);
        assert_eq!(gate.taken(), 1);
        assert!(matches!(slow.push(bytes(1)).await, Err(Error::Slow)));
        assert!(matches!(slow.take(1).await, Err(Error::Slow)), "nothing is left out in the middle");
    }
}
