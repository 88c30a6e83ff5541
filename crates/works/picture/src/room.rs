//! Memory for sources, shared so that no owner can take it all.

use std::collections::HashMap;

/// Bytes that are taken, of all and of each owner.
pub(crate) struct Room {
    most: u64,
    each: u64,
    taken: u64,
    by_owner: HashMap<String, u64>,
}

impl Room {
    pub fn new(most: u64, each: u64) -> Self {
        Self { most, each, taken: 0, by_owner: HashMap::new() }
    }

    /// Takes room; false if there is none. An owner's first source always fits into its share.
    pub fn take(&mut self, owner: &str, bytes: u64) -> bool {
        let of_owner = self.by_owner.get(owner).copied().unwrap_or_default();
        let over_share = of_owner > 0 && of_owner.saturating_add(bytes) > self.each;
        if over_share || self.taken.saturating_add(bytes) > self.most {
            return false;
        }
        self.taken += bytes;
        *self.by_owner.entry(owner.to_owned()).or_default() += bytes;
        true
    }

    pub fn give_back(&mut self, owner: &str, bytes: u64) {
        self.taken -= bytes;
        if let Some(of_owner) = self.by_owner.get_mut(owner) {
            *of_owner -= bytes;
            if *of_owner == 0 {
                self.by_owner.remove(owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_owner_takes_it_all() {
        let mut room = Room::new(10, 5);
        assert!(room.take("a", 3) && room.take("a", 2));
        assert!(!room.take("a", 1), "over the share");
        assert!(room.take("b", 4));
        assert!(!room.take("c", 2), "over all");
        room.give_back("a", 3);
        assert!(room.take("c", 2) && room.take("a", 2));
        for (owner, bytes) in [("a", 4), ("b", 4), ("c", 2)] {
            room.give_back(owner, bytes);
        }
        assert!(room.by_owner.is_empty() && room.taken == 0);
        assert!(room.take("a", 8), "a single one may be larger than the share");
    }
}
