//! What lookups of projects found, also when it was nothing. Bounded, and emptied by what the database announces.

use crate::resolve::{Lookup, Resolved};
use lru::LruCache;
use model::ProjectRef;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many projects are kept.
const PROJECTS_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// How many names of projects are kept.
const NAMES_MAX: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");
/// How many names that mean nothing are kept. Anybody can invent them, so they have a place of their own, where they
/// push out each other only.
const NOTHINGS_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

/// What the cache knows of a lookup.
#[derive(Debug)]
pub(crate) enum Known {
    Project(Arc<Resolved>),
    /// The lookup means no project.
    Nothing,
    /// Ask the database, then tell what it said with this number.
    Unknown(u64),
}

struct Entries {
    names: LruCache<Lookup, ProjectRef>,
    nothings: LruCache<Lookup, ()>,
    projects: LruCache<ProjectRef, Arc<Resolved>>,
}

pub(crate) struct LookupCache {
    entries: Mutex<Entries>,
    /// Counts announcements: an answer that was asked for before the last one is not kept.
    generation: AtomicU64,
    /// Whether announcements arrive. While they do not, nothing is kept.
    listening: AtomicBool,
}

impl Default for LookupCache {
    fn default() -> Self {
        let entries = Entries {
            names: LruCache::new(NAMES_MAX),
            nothings: LruCache::new(NOTHINGS_MAX),
            projects: LruCache::new(PROJECTS_MAX),
        };
        LookupCache {
            entries: Mutex::new(entries),
            generation: AtomicU64::new(0),
            listening: AtomicBool::new(false),
        }
    }
}

impl LookupCache {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Both maps are valid whatever panicked in between: at worst an entry is missing.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, lookup: &Lookup) -> Known {
        let unknown = || Known::Unknown(self.generation.load(Ordering::Acquire));
        if !self.listening.load(Ordering::Acquire) {
            return unknown();
        }
        let mut entries = self.entries();
        let Some(reference) = entries.names.get(lookup).cloned() else {
            return if entries.nothings.get(lookup).is_some() { Known::Nothing } else { unknown() };
        };
        match entries.projects.get(&reference) {
            Some(project) => Known::Project(Arc::clone(project)),
            None => unknown(),
        }
    }

    /// Keeps an answer, if nothing was announced since `generation`.
    pub(crate) fn put(&self, lookup: Lookup, found: Option<&Arc<Resolved>>, generation: u64) {
        let mut entries = self.entries();
        if !self.listening.load(Ordering::Acquire) || self.generation.load(Ordering::Acquire) != generation {
            return;
        }
        let Some(project) = found else {
            entries.names.pop(&lookup);
            entries.nothings.put(lookup, ());
            return;
        };
        entries.nothings.pop(&lookup);
        entries.names.put(lookup, project.project.reference.clone());
        entries.projects.put(project.project.reference.clone(), Arc::clone(project));
    }

    /// Drops what is known of a project, and all that is known to be nothing.
    pub(crate) fn forget(&self, reference: &str) {
        let mut entries = self.entries();
        self.generation.fetch_add(1, Ordering::AcqRel);
        let stale: Vec<Lookup> = entries
            .names
            .iter()
            .filter(|(_, found)| found.as_str() == reference)
            .map(|(lookup, _)| lookup.clone())
            .collect();
        for lookup in stale {
            entries.names.pop(&lookup);
        }
        entries.nothings.clear();
        if let Ok(reference) = reference.parse() {
            entries.projects.pop(&reference);
        }
    }

    /// Says whether announcements arrive from now on. What was kept before is dropped.
    pub(crate) fn set_listening(&self, listening: bool) {
        let mut entries = self.entries();
        self.generation.fetch_add(1, Ordering::AcqRel);
        entries.names.clear();
        entries.nothings.clear();
        entries.projects.clear();
        self.listening.store(listening, Ordering::Release);
    }
}
