//! Work that waits, taken in turns between owners.
//!
//! Each owner waits in a line of its own, and the lines are served in turn: who sends a thousand pictures waits for
//! them, and who sends one does not wait behind them. No owner runs more than its share at once.

use std::collections::{HashMap, VecDeque};

/// Bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most that wait, of all owners.
    pub waiting: usize,
    /// Most that wait, of one owner.
    pub waiting_each: usize,
    /// Most that run at once, of one owner.
    pub running_each: usize,
}

/// What waits and what runs.
pub(crate) struct Queue<T> {
    bounds: Bounds,
    lines: HashMap<String, VecDeque<T>>,
    /// Owners with a line, next first.
    turn: VecDeque<String>,
    running: HashMap<String, usize>,
    waiting: usize,
}

impl<T> Queue<T> {
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, lines: HashMap::new(), turn: VecDeque::new(), running: HashMap::new(), waiting: 0 }
    }

    /// Puts work at the end of its owner's line; gives it back when there is no room.
    pub fn push(&mut self, owner: &str, work: T) -> Result<(), T> {
        let of_owner = self.lines.get(owner).map_or(0, VecDeque::len);
        if self.waiting >= self.bounds.waiting || of_owner >= self.bounds.waiting_each {
            return Err(work);
        }
        if of_owner == 0 {
            self.turn.push_back(owner.to_owned());
        }
        self.lines.entry(owner.to_owned()).or_default().push_back(work);
        self.waiting += 1;
        Ok(())
    }

    /// Takes the next work; [`Queue::done`] must follow.
    pub fn pop(&mut self) -> Option<(String, T)> {
        let each = self.bounds.running_each;
        let next = self.turn.iter().position(|owner| self.running.get(owner).is_none_or(|n| *n < each))?;
        let owner = self.turn.remove(next)?;
        let line = self.lines.get_mut(&owner)?;
        let work = line.pop_front()?;
        if line.is_empty() {
            self.lines.remove(&owner);
        } else {
            self.turn.push_back(owner.clone());
        }
        self.waiting -= 1;
        *self.running.entry(owner.clone()).or_default() += 1;
        Some((owner, work))
    }

    /// Notes that work of `owner` has ended.
    pub fn done(&mut self, owner: &str) {
        if let Some(running) = self.running.get_mut(owner) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(owner);
            }
        }
    }

    /// Drops what nobody wants any more.
    pub fn retain(&mut self, wanted: impl Fn(&T) -> bool) {
        for line in self.lines.values_mut() {
            line.retain(&wanted);
        }
        self.lines.retain(|_, line| !line.is_empty());
        self.turn.retain(|owner| self.lines.contains_key(owner));
        self.waiting = self.lines.values().map(VecDeque::len).sum();
    }

    pub fn waiting(&self) -> usize {
        self.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Queue<u32> {
        Queue::new(Bounds { waiting: 6, waiting_each: 4, running_each: 2 })
    }

    #[test]
    fn owners_take_turns_and_none_takes_all() {
        let mut queue = queue();
        for work in 1..=4 {
            queue.push("a", work).expect("room");
        }
        queue.push("b", 10).expect("room");
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(_, work)| work).collect();
        assert_eq!(order, [1, 10, 2], "the third of a waits for the first two");
        queue.done("a");
        assert_eq!(queue.pop().map(|(_, work)| work), Some(3));
        assert_eq!(queue.pop(), None);
        assert_eq!(queue.waiting(), 1);
    }

    #[test]
    fn room_is_bounded() {
        let mut queue = queue();
        for work in 0..4 {
            queue.push("a", work).expect("room");
        }
        assert_eq!(queue.push("a", 5), Err(5), "no more of one owner");
        queue.push("b", 5).expect("room");
        queue.push("c", 6).expect("room");
        assert_eq!(queue.push("d", 7), Err(7), "no more at all");
        queue.retain(|work| *work > 4);
        assert_eq!(queue.waiting(), 2);
        queue.push("a", 8).expect("room again");
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(_, work)| work).collect();
        assert_eq!(order, [5, 6, 8]);
    }
}
