//! Memory for work, of which nobody gets more while somebody with less of it waits.
//!
//! Whoever wants some stands in a line. Who has least comes first, and among those who have as much, who came first:
//! an owner with many large pictures waits for one with a single one, and a large picture is not passed by small
//! ones for ever.

use std::collections::{HashMap, VecDeque};

/// What is free, who has how much, and who waits.
pub(crate) struct Shares {
    free: u64,
    taken: HashMap<String, u64>,
    line: VecDeque<(u64, String)>,
    next: u64,
}

impl Shares {
    pub fn new(bytes: u64) -> Self {
        Self { free: bytes, taken: HashMap::new(), line: VecDeque::new(), next: 0 }
    }

    /// Takes a place in the line; [`Shares::leave`] must follow.
    pub fn enter(&mut self, owner: &str) -> u64 {
        self.next += 1;
        self.line.push_back((self.next, owner.to_owned()));
        self.next
    }

    pub fn leave(&mut self, place: u64) {
        self.line.retain(|(other, _)| *other != place);
    }

    /// Takes memory, if there is enough and nobody in the line comes before this place.
    pub fn take(&mut self, place: u64, bytes: u64) -> bool {
        let Some(owner) = self.line.iter().find(|(other, _)| *other == place).map(|(_, owner)| owner.clone())
        else {
            return false;
        };
        let own = (self.of(&owner), place);
        let is_first = self.line.iter().all(|(other, owner)| own <= (self.of(owner), *other));
        if !is_first || bytes > self.free {
            return false;
        }
        self.free -= bytes;
        *self.taken.entry(owner).or_default() += bytes;
        true
    }

    pub fn give_back(&mut self, owner: &str, bytes: u64) {
        self.free += bytes;
        if let Some(taken) = self.taken.get_mut(owner) {
            *taken = taken.saturating_sub(bytes);
            if *taken == 0 {
                self.taken.remove(owner);
            }
        }
    }

    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.line.len()
    }

    fn of(&self, owner: &str) -> u64 {
        self.taken.get(owner).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_less_comes_first() {
        let mut shares = Shares::new(10);
        let first = shares.enter("a");
        assert!(shares.take(first, 7));
        shares.leave(first);
        let second = shares.enter("a");
        let other = shares.enter("b");
        assert!(!shares.take(other, 4), "there is not so much");
        assert!(!shares.take(second, 3), "b has less");
        shares.give_back("a", 7);
        assert!(!shares.take(other, 4), "now both have nothing, and a was there before");
        assert!(shares.take(second, 3));
        shares.leave(second);
        assert!(shares.take(other, 4));
        shares.leave(other);
        shares.give_back("a", 3);
        shares.give_back("b", 4);
        assert!(shares.taken.is_empty() && shares.line.is_empty() && shares.free == 10);
    }

    #[test]
    fn small_ones_do_not_pass_a_large_one_for_ever() {
        let mut shares = Shares::new(10);
        let running = shares.enter("a");
        assert!(shares.take(running, 5));
        shares.leave(running);
        let large = shares.enter("b");
        let small = shares.enter("c");
        assert!(!shares.take(large, 8) && !shares.take(small, 1));
        // Who gives up lets others go on.
        shares.leave(large);
        assert!(shares.take(small, 1));
        assert!(!shares.take(small + 1, 1), "nobody is there");
    }
}
