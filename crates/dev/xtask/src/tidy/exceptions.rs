//! The list of sizes above the limits that are borne for now. It may only shrink: an entry is the measured
//! size, growth fails, and an entry that is no longer needed, or too generous, fails as well.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Finding;
use crate::process::root;

const FILE: &str = "crates/dev/xtask/tidy_exceptions.txt";

pub struct Exceptions(Vec<Entry>);

struct Entry {
    /// `crates/x/src/y.rs` for a file, `crates/x/src/y.rs#name` for a function.
    subject: String,
    lines: usize,
    /// What was measured, when the subject was met above the limit.
    met: Option<usize>,
}

impl Exceptions {
    pub fn read() -> Result<Self> {
        let path: PathBuf = root().join(FILE);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
        let mut entries = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (lines, subject) = line.split_once(' ').context("an exception is `LINES SUBJECT`")?;
            entries.push(Entry { subject: subject.trim().to_owned(), lines: lines.parse()?, met: None });
        }
        Ok(Self(entries))
    }

    /// Whether a subject above its limit is excepted at this size.
    pub fn allows(&mut self, subject: &str, lines: usize) -> bool {
        match self.0.iter_mut().find(|entry| entry.subject == subject) {
            Some(entry) => {
                entry.met = Some(lines);
                lines <= entry.lines
            }
            None => false,
        }
    }

    pub fn stale(&self) -> Vec<Finding> {
        let stale = self.0.iter().filter_map(|entry| match entry.met {
            None => Some(format!("{} no longer needs an exception: remove the line", entry.subject)),
            Some(lines) if lines < entry.lines => Some(format!("{} has shrunk: say {lines}", entry.subject)),
            Some(_) => None,
        });
        stale.map(|message| Finding::new(FILE, message)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_only_shrinks() {
        let entry = |subject: &str, lines| Entry { subject: subject.to_owned(), lines, met: None };
        let mut list = Exceptions(vec![entry("a.rs", 900), entry("b.rs", 900), entry("c.rs", 900)]);
        assert!(list.allows("a.rs", 900));
        assert!(list.allows("b.rs", 850));
        assert!(!list.allows("a.rs", 901));
        assert!(!list.allows("d.rs", 801));
        assert!(list.allows("a.rs", 900));
        assert_eq!(list.stale().len(), 2, "b has shrunk, c is gone");
    }
}
