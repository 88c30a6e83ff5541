//! How many answers of one pool may be poured out at a time, where several projects share it.
//!
//! An answer that is poured keeps its connection for as long as its client takes to read it, which is for the client
//! to say. So only some of a shared pool's connections may be kept in this way. An answer that finds no turn free is
//! read to its end at once, which frees the connection as soon as PostgreSQL has sent it, and waits in memory for its
//! client; and since a client can let it wait, too, all that waits in this way has a limit as well.

use super::encoding::Encoding;
use super::stream::{Content, end, piece};
use bytes::Bytes;
use pg::{Begun, Error, PooledConnection, Remainder};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What memory is counted in.
const KIB: usize = 1024;

/// The turns of one pool's answers. Clones share them.
#[derive(Debug, Clone)]
pub struct Pours {
    turns: Arc<Semaphore>,
    /// In KiB.
    memory: Arc<Semaphore>,
}

/// The right to pour an answer, held until its connection is free.
pub(super) type Turn = OwnedSemaphorePermit;

impl Pours {
    /// At most `turns` answers are poured out at a time, and those that find no turn take no more than `memory_max`
    /// bytes together.
    pub fn new(turns: usize, memory_max: usize) -> Self {
        let memory = (memory_max / KIB).min(Semaphore::MAX_PERMITS);
        Pours { turns: Arc::new(Semaphore::new(turns)), memory: Arc::new(Semaphore::new(memory)) }
    }

    /// A turn, if one is free.
    pub(super) fn turn(&self) -> Option<Turn> {
        Arc::clone(&self.turns).try_acquire_owned().ok()
    }

    /// Reads the rest of an answer to its end and ends its transaction.
    ///
    /// # Errors
    /// What the server reports, and [`Error::AnswerTooLarge`] or [`Error::PoolTimeout`] where the answer, or all that
    /// wait, would be too large. Then the transaction is undone.
    pub(super) async fn collect(
        &self,
        mut connection: PooledConnection,
        begun: &Begun,
        first: Content,
        bytes_max: usize,
    ) -> Result<Content, Error> {
        let mut encoding = Encoding::of_rest(begun);
        let mut held = Held { bytes: Vec::new(), memory: None };
        if let Remainder::Value(bytes) = begun.rest {
            let length = usize::try_from(encoding.decoded_length(bytes)).unwrap_or(usize::MAX);
            self.reserve(&mut held, length, bytes_max)?;
        }
        if let Content::Whole(bytes) = first {
            self.push(&mut held, &bytes, bytes_max)?;
        }
        while let Some(piece) = piece(&mut connection, &mut encoding).await? {
            self.push(&mut held, &piece, bytes_max)?;
        }
        end(&mut connection).await?;
        Ok(Content::Collected(Bytes::from_owner(held)))
    }

    fn push(&self, held: &mut Held, piece: &[u8], bytes_max: usize) -> Result<(), Error> {
        let length = held.bytes.len().saturating_add(piece.len());
        self.reserve(held, length, bytes_max)?;
        held.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Makes room for so many bytes in all.
    fn reserve(&self, held: &mut Held, length: usize, bytes_max: usize) -> Result<(), Error> {
        if length > bytes_max {
            return Err(Error::AnswerTooLarge { bytes_max });
        }
        let has = held.memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = length.div_ceil(KIB).saturating_sub(has);
        if missing == 0 {
            return Ok(());
        }
        // As when all connections are taken: there is no room now.
        let missing = u32::try_from(missing).map_err(|_| Error::AnswerTooLarge { bytes_max })?;
        let more =
            Arc::clone(&self.memory).try_acquire_many_owned(missing).map_err(|_| Error::PoolTimeout)?;
        match &mut held.memory {
            Some(memory) => memory.merge(more),
            none => *none = Some(more),
        }
        held.bytes.reserve_exact(length.saturating_sub(held.bytes.len()));
        Ok(())
    }
}

/// Bytes and the room that they take, free again when the last of the answer is gone.
struct Held {
    bytes: Vec<u8>,
    memory: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_in_memory_has_a_limit_and_room_comes_back() {
        let pours = Pours::new(1, 8 * KIB);
        let held = || Held { bytes: Vec::new(), memory: None };
        let (mut one, mut other) = (held(), held());
        pours.push(&mut one, &[0; 3 * KIB], 6 * KIB).unwrap();
        pours.push(&mut one, &[0; 100], 6 * KIB).unwrap();
        assert!(matches!(pours.push(&mut one, &[0; 4 * KIB], 6 * KIB), Err(Error::AnswerTooLarge { .. })));
        pours.push(&mut other, &[0; 4 * KIB], 6 * KIB).unwrap();
        assert!(matches!(pours.push(&mut other, &[0; KIB], 6 * KIB), Err(Error::PoolTimeout)));
        let body = Bytes::from_owner(one);
        let rest = body.slice(10..);
        drop(body);
        assert!(pours.push(&mut other, &[0; KIB], 6 * KIB).is_err(), "a piece of it is still there");
        drop(rest);
        pours.push(&mut other, &[0; KIB], 6 * KIB).unwrap();
        assert_eq!(other.bytes.len(), 5 * KIB);
    }
}
