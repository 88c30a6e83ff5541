//! How a page of a level is read: the short way where the level is flat, the long one where it has folders.
//!
//! The short way tells by itself whether its rows are the page, so both give the same. Which of them is tried first
//! is remembered of some levels: without it a page with folders would be read twice each time.

use crate::Storage;
use crate::db::{Place, Results, Scope, Step, Work};
use crate::refusal::Outcome;
use crate::store::entry::Entry;
use pg::Rows;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// A page of a level, to be read.
pub(crate) struct Asked<'a> {
    pub(crate) bucket: &'a str,
    /// What the names of the level begin with.
    pub(crate) prefix: &'a str,
    /// Whether levels are told apart: if not, nothing is a folder.
    pub(crate) by_level: bool,
    /// The rows if nothing is in a folder, nothing if there is no such way. Those which the page passes over
    /// answer by a seventh column whether one of them is.
    pub(crate) flat: Option<Step>,
    /// Whether the page passes over some.
    pub(crate) skips: bool,
    /// The page in any case.
    pub(crate) leaping: Step,
}

impl Asked<'_> {
    /// Whether these are not the page.
    fn has_folders(&self, rows: &Rows) -> bool {
        // No name of the level has more segments than its prefix.
        let slashes = slashes(self.prefix);
        let lies_below = |row: &pg::Row| {
            slashes_of(row.bytes(0).unwrap_or_default()) > slashes || row.bytes(SKIPPED_FOLDER) == Some(&[1])
        };
        self.by_level && rows.iter().any(lies_below)
    }
}

/// The column that says whether a folder is among what a page passes over.
const SKIPPED_FOLDER: usize = 6;

/// How many slashes a text has.
pub(crate) fn slashes(text: &str) -> usize {
    slashes_of(text.as_bytes())
}

fn slashes_of(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'/').count()
}

/// A page as it was read.
pub(crate) struct Found {
    pub(crate) results: Results,
    place: Place,
    /// Whether the rows are those of the table as they are.
    pub(crate) is_flat: bool,
}

impl Found {
    pub(crate) fn entries(&self) -> Outcome<impl ExactSizeIterator<Item = Entry<'_>>> {
        Ok(self.results.of(self.place)?.iter().map(Entry::of))
    }
}

/// Runs what the work says already and then, as the caller, what was asked for.
pub(crate) async fn read(
    storage: &Storage,
    scope: &Scope,
    mut work: Work,
    mut asked: Asked<'_>,
) -> Outcome<Found> {
    let level = storage.levels.level(asked.bucket, asked.prefix);
    let flat = asked.flat.take();
    let knows_flat = flat.is_some();
    if let Some(flat) = flat.filter(|_| !asked.by_level || !level.had_folders()) {
        let mut work = work.clone();
        work.plan_once();
        let place = work.caller(flat);
        let results = storage.db.run(scope, work).await?;
        let rows = results.of(place)?;
        if asked.has_folders(rows) {
            level.learn(true);
        } else if !asked.skips || !rows.is_empty() {
            return Ok(Found { results, place, is_flat: true });
        }
    }
    let place = work.caller(asked.leaping);
    let results = storage.db.run(scope, work).await?;
    let found = Found { results, place, is_flat: false };
    if knows_flat {
        level.learn(found.entries()?.any(|entry| entry.is_folder()));
    }
    Ok(found)
}

/// Of which levels the last page had folders. Levels may be mistaken for one another: that only costs time.
#[derive(Debug)]
pub(crate) struct Levels([AtomicU64; Levels::WORDS]);

impl Default for Levels {
    fn default() -> Levels {
        Levels([const { AtomicU64::new(0) }; Levels::WORDS])
    }
}

impl Levels {
    const WORDS: usize = 64;

    fn level(&self, bucket: &str, prefix: &str) -> Level<'_> {
        let mut hasher = DefaultHasher::new();
        (bucket, prefix).hash(&mut hasher);
        let hash = hasher.finish();
        Level { word: &self.0[(hash >> 6) as usize % Levels::WORDS], bit: 1 << (hash % 64) }
    }
}

/// What is known of a level.
struct Level<'a> {
    word: &'a AtomicU64,
    bit: u64,
}

impl Level<'_> {
    fn had_folders(&self) -> bool {
        self.word.load(Ordering::Relaxed) & self.bit != 0
    }

    fn learn(&self, has_folders: bool) {
        if has_folders != self.had_folders() {
            if has_folders {
                self.word.fetch_or(self.bit, Ordering::Relaxed);
            } else {
                self.word.fetch_and(!self.bit, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_remembered_and_forgotten() {
        let levels = Levels::default();
        assert!(!levels.level("b", "a/").had_folders());
        levels.level("b", "a/").learn(true);
        assert!(levels.level("b", "a/").had_folders());
        let others = (0..100).filter(|n| levels.level("b", &format!("{n}/")).had_folders()).count();
        assert!(others < 5, "{others} are taken for it");
        levels.level("b", "a/").learn(false);
        assert!(!levels.level("b", "a/").had_folders());
    }
}
