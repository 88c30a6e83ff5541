//! Work that waits, taken in turns between owners.
//!
//! Each owner waits in a line of its own, and the lines are served in turn: who sends a thousand pictures waits for
//! them, and who sends one does not wait behind them. Of the line and of the threads no owner has more than it leaves to
//! others.

use std::collections::{HashMap, VecDeque};

/// Bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most that wait, of all owners.
    pub waiting: usize,
    /// Most that wait, of one owner.
    pub waiting_each: usize,
    /// Most that run at once, of all owners.
    pub running: usize,
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
        let left = self.bounds.waiting.saturating_sub(self.waiting);
        // Who waits already may have as much of the line as stays free then.
        if left == 0 || (of_owner > 0 && of_owner >= self.bounds.waiting_each.min(left - 1)) {
            return Err(work);
        }
        if of_owner == 0 {
            self.turn.push_back(owner.to_owned());
        }
        self.lines.entry(owner.to_owned()).or_default().push_back(work);
        self.waiting += 1;
        Ok(())
    }

    /// Takes the next work that `fits`; [`Queue::done`] must follow.
    pub fn pop(&mut self, fits: impl Fn(&str, &T) -> bool) -> Option<(String, T)> {
        let idle = self.bounds.running.saturating_sub(self.running.values().sum::<usize>());
        let may_run = |owner: &str| self.running.get(owner).is_none_or(|running| *running < idle);
        let (turn, place) =
            self.turn.iter().enumerate().filter(|(_, owner)| may_run(owner)).find_map(|(turn, owner)| {
                let place = self.lines.get(owner)?.iter().position(|work| fits(owner, work))?;
                Some((turn, place))
            })?;
        let owner = self.turn.remove(turn)?;
        let line = self.lines.get_mut(&owner)?;
        let work = line.remove(place)?;
        if line.is_empty() {
            self.lines.remove(&owner);
        } else {
            self.turn.push_back(owner.clone());
        }
        self.waiting -= 1;
        *self.running.entry(owner.clone()).or_default() += 1;
        Some((owner, work))
    }

    /// Puts back what could not be done yet; [`Queue::done`] must follow nevertheless.
    pub fn put_back(&mut self, owner: &str, work: T) {
        if !self.lines.contains_key(owner) {
            self.turn.push_back(owner.to_owned());
        }
        self.lines.entry(owner.to_owned()).or_default().push_front(work);
        self.waiting += 1;
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
        Queue::new(Bounds { waiting: 8, waiting_each: 4, running: 4 })
    }

    fn next(queue: &mut Queue<u32>) -> Option<u32> {
        queue.pop(|_, _| true).map(|(_, work)| work)
    }

    #[test]
    fn owners_take_turns_and_none_takes_all() {
        let mut queue = queue();
        for work in 1..=4 {
            queue.push("a", work).expect("room");
        }
        queue.push("b", 10).expect("room");
        let order: Vec<_> = std::iter::from_fn(|| next(&mut queue)).collect();
        assert_eq!(order, [1, 10, 2], "the third of a waits for the first two");
        queue.push("c", 20).expect("room");
        assert_eq!(next(&mut queue), Some(20), "who has nothing runs as long as a thread is idle");
        queue.done("c");
        queue.done("a");
        assert_eq!(next(&mut queue), Some(3));
        assert_eq!(next(&mut queue), None);
        assert_eq!(queue.waiting(), 1);
    }

    #[test]
    fn room_is_bounded() {
        let mut queue = queue();
        for work in 1..=4 {
            queue.push("a", work).expect("room");
        }
        assert_eq!(queue.push("a", 5), Err(5), "no more of one owner");
        queue.push("b", 5).expect("room");
        assert_eq!(queue.push("b", 6), Ok(()), "as many as stay free");
        assert_eq!(queue.push("b", 7), Err(7), "the rest is for those who have nothing there");
        queue.push("c", 7).expect("room");
        queue.push("d", 8).expect("room");
        assert_eq!(queue.push("e", 9), Err(9), "no more at all");
        queue.retain(|work| *work > 6);
        assert_eq!(queue.waiting(), 2);
        queue.push("a", 9).expect("room again");
        let order: Vec<_> = std::iter::from_fn(|| next(&mut queue)).collect();
        assert_eq!(order, [7, 8, 9]);
    }

    #[test]
    fn what_does_not_fit_yet_holds_nobody_up() {
        let mut queue = queue();
        for (owner, work) in [("a", 100), ("a", 1), ("b", 2)] {
            queue.push(owner, work).expect("room");
        }
        let (owner, large) = queue.pop(|_, _| true).expect("work");
        queue.put_back(&owner, large);
        queue.done(&owner);
        let small: Vec<_> =
            std::iter::from_fn(|| queue.pop(|_, work| *work < 100)).map(|(_, work)| work).collect();
        assert_eq!((small, queue.waiting()), (vec![2, 1], 1));
        assert_eq!(next(&mut queue), Some(100));
    }
}
