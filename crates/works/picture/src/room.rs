//! Memory that owners share, so that none of them can take it all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Bytes that may be taken, by all owners together. Cheap to clone.
///
/// An owner may have as much as stays free for others: alone half of all, and each of nine who want everything a tenth,
/// with a tenth left for whoever comes next. Only what an owner takes first may be more, up to three quarters of all.
#[derive(Clone, Debug)]
pub struct Room {
    most: u64,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: u64,
    by_owner: HashMap<String, u64>,
}

impl Room {
    /// A room of which nothing is taken.
    pub fn new(most: u64) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// The most that an owner's first may take.
    pub(crate) fn largest(most: u64) -> u64 {
        most - most / 4
    }

    /// Takes room until the place is dropped; none if the owner may not have so much now.
    pub fn take(&self, owner: &str, bytes: u64) -> Option<Place> {
        let mut taken = self.lock();
        if !self.has(&taken, owner, bytes) {
            return None;
        }
        taken.all += bytes;
        *taken.by_owner.entry(owner.to_owned()).or_default() += bytes;
        Some(Place { room: self.clone(), owner: owner.to_owned(), bytes })
    }

    /// Whether there is room now.
    pub(crate) fn fits(&self, owner: &str, bytes: u64) -> bool {
        self.has(&self.lock(), owner, bytes)
    }

    fn has(&self, taken: &Taken, owner: &str, bytes: u64) -> bool {
        let Some(all) = taken.all.checked_add(bytes).filter(|all| *all <= self.most) else { return false };
        let of_owner = taken.by_owner.get(owner).copied().unwrap_or_default();
        of_owner + bytes <= self.most - all || (of_owner == 0 && all <= Self::largest(self.most))
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of a [`Room`], given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    room: Room,
    owner: String,
    bytes: u64,
}

impl Place {
    /// How much it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that keep the place for as long as anybody has a part of them.
    pub fn hold(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Held { bytes, _place: self })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.lock();
        taken.all -= self.bytes;
        if let Some(of_owner) = taken.by_owner.get_mut(&self.owner) {
            *of_owner -= self.bytes;
            if *of_owner == 0 {
                taken.by_owner.remove(&self.owner);
            }
        }
    }
}

struct Held {
    bytes: Bytes,
    _place: Place,
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
    fn there_is_always_room_for_whoever_comes_next() {
        let room = Room::new(1000);
        let mut places = Vec::new();
        for owner in 0..9 {
            let owner = owner.to_string();
            while let Some(place) = room.take(&owner, 10) {
                places.push(place);
            }
        }
        let free = 1000 - room.lock().all;
        assert!(free > 0, "nine who take all they can get");
        assert!(room.take("newcomer", 1).is_some());
        drop(places);
        assert!(room.lock().by_owner.is_empty() && room.lock().all == 0);
    }

    #[test]
    fn an_owner_s_first_may_be_large() {
        let room = Room::new(100);
        assert!(room.take("a", 76).is_none());
        let large = room.take("a", 75).expect("three quarters");
        assert!(room.take("a", 1).is_none(), "has more than stays free");
        assert!(room.take("b", 13).is_none(), "not over three quarters");
        let small = room.take("b", 12).expect("as much as stays free then");
        assert!(!room.fits("b", 1) && room.fits("c", 6));
        drop(large);
        assert!(room.fits("b", 1));
        drop(small);
    }

    #[test]
    fn bytes_keep_their_place() {
        let room = Room::new(100);
        let bytes = room.take("a", 10).expect("room").hold(Bytes::from_static(b"0123456789"));
        let part = bytes.slice(3..5);
        drop(bytes);
        assert_eq!((&part[..], room.lock().all), (&b"34"[..], 10));
        drop(part);
        assert_eq!(room.lock().all, 0);
    }
}
