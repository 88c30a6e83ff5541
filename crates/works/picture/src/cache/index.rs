//! Which pictures there are, how large, and in what order they were last used. No disk here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Budget, Key};

/// Files take whole blocks; counting them so also bounds the number of entries.
const BLOCK: u64 = 4096;

pub(super) struct Index {
    budget: Budget,
    entries: HashMap<Key, Entry>,
    owners: HashMap<[u8; 16], Owner>,
    /// The owners by what they use.
    by_use: BTreeSet<(u64, [u8; 16])>,
    total: u64,
    clock: u64,
}

struct Entry {
    size: u64,
    used: u64,
}

#[derive(Default)]
struct Owner {
    bytes: u64,
    /// Names by last use.
    by_age: BTreeMap<u64, [u8; 32]>,
}

impl Index {
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            entries: HashMap::new(),
            owners: HashMap::new(),
            by_use: BTreeSet::new(),
            total: 0,
            clock: 0,
        }
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether a file of `size` can be kept at all.
    pub fn fits(&self, size: u64) -> bool {
        blocks(size) <= self.budget.total.min(self.budget.each)
    }

    /// How much disk a picture takes, if it is here.
    pub fn size(&self, key: &Key) -> Option<u64> {
        self.entries.get(key).map(|entry| entry.size)
    }

    /// Notes a use; false if the picture is not here.
    pub fn touch(&mut self, key: &Key) -> bool {
        self.clock += 1;
        let Some(entry) = self.entries.get_mut(key) else { return false };
        if let Some(owner) = self.owners.get_mut(&key.owner) {
            owner.by_age.remove(&entry.used);
            owner.by_age.insert(self.clock, key.name);
        }
        entry.used = self.clock;
        true
    }

    /// Adds a picture, as used just now; what must go for it is returned.
    pub fn insert(&mut self, key: Key, size: u64) -> Vec<Key> {
        self.remove(&key);
        self.clock += 1;
        let size = blocks(size);
        self.entries.insert(key, Entry { size, used: self.clock });
        self.owners.entry(key.owner).or_default().by_age.insert(self.clock, key.name);
        self.grow(&key.owner, size);
        let mut evicted = Vec::new();
        while self.owners.get(&key.owner).is_some_and(|owner| owner.bytes > self.budget.each) {
            evicted.extend(self.evict(&key.owner));
        }
        while self.total > self.budget.total {
            let Some((_, largest)) = self.by_use.last().copied() else { break };
            evicted.extend(self.evict(&largest));
        }
        evicted
    }

    pub fn remove(&mut self, key: &Key) {
        let Some(entry) = self.entries.remove(key) else { return };
        if let Some(owner) = self.owners.get_mut(&key.owner) {
            owner.by_age.remove(&entry.used);
        }
        self.shrink(&key.owner, entry.size);
    }

    pub fn forget(&mut self, owner: &[u8; 16]) {
        while self.evict(owner).is_some() {}
    }

    fn evict(&mut self, owner: &[u8; 16]) -> Option<Key> {
        let name = self.owners.get(owner)?.by_age.first_key_value().map(|(_, name)| *name)?;
        let key = Key { owner: *owner, name };
        self.remove(&key);
        Some(key)
    }

    fn grow(&mut self, owner: &[u8; 16], size: u64) {
        self.total += size;
        self.change(owner, |bytes| bytes + size);
    }

    fn shrink(&mut self, owner: &[u8; 16], size: u64) {
        self.total -= size;
        self.change(owner, |bytes| bytes - size);
    }

    fn change(&mut self, name: &[u8; 16], to: impl FnOnce(u64) -> u64) {
        let Some(owner) = self.owners.get_mut(name) else { return };
        self.by_use.remove(&(owner.bytes, *name));
        owner.bytes = to(owner.bytes);
        if owner.bytes == 0 {
            self.owners.remove(name);
        } else {
            self.by_use.insert((owner.bytes, *name));
        }
    }
}

fn blocks(size: u64) -> u64 {
    size.div_ceil(BLOCK).max(1) * BLOCK
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(owner: u8, name: u8) -> Key {
        Key { owner: [owner; 16], name: [name; 32] }
    }

    fn index(total: u64, each: u64) -> Index {
        Index::new(Budget { total: total * BLOCK, each: each * BLOCK })
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut index = index(10, 3);
        for name in 1..=3 {
            assert!(index.insert(key(1, name), 1).is_empty());
        }
        assert!(index.touch(&key(1, 1)));
        assert_eq!(index.insert(key(1, 4), BLOCK + 1), [key(1, 2), key(1, 3)]);
        assert!(index.touch(&key(1, 1)));
        assert!(!index.touch(&key(1, 2)));
        assert_eq!(index.total(), 3 * BLOCK);
    }

    #[test]
    fn room_is_taken_from_the_largest_owner() {
        let mut index = index(6, 6);
        index.insert(key(2, 1), 1);
        for name in 1..=5 {
            assert!(index.insert(key(1, name), 1).is_empty());
        }
        assert_eq!(index.insert(key(1, 6), 1), [key(1, 1)], "not the older one of the smaller owner");
        assert_eq!(index.insert(key(3, 1), 1), [key(1, 2)]);
        assert!(index.touch(&key(2, 1)));
    }

    #[test]
    fn replacing_forgetting_and_the_impossible() {
        let mut index = index(6, 2);
        index.insert(key(1, 1), 1);
        index.insert(key(1, 1), 2 * BLOCK);
        assert_eq!(index.total(), 2 * BLOCK);
        assert!(index.fits(2 * BLOCK) && !index.fits(2 * BLOCK + 1));
        index.insert(key(2, 1), 1);
        index.forget(&[1; 16]);
        assert_eq!(index.total(), BLOCK);
        assert!(!index.touch(&key(1, 1)) && index.touch(&key(2, 1)));
        index.forget(&[2; 16]);
        assert!(index.owners.is_empty() && index.by_use.is_empty() && index.entries.is_empty());
    }
}
