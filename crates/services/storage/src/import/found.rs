//! Files that have no row: each key becomes an object of the newest version that lies there.

use super::copy::{Hurt, hashed};
use super::facts::Facts;
use super::rows::{FLAT_SEPARATOR, as_version};
use super::{Kind, Layout, Run, Stop, one_more};
use crate::names::{BucketName, ObjectKey};
use crate::store::import as store;
use blob::{Seen, SourceFile, Walk};
use futures_util::{Stream, stream};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::SystemTime;
use uuid::Uuid;

/// Versions of one key that are told apart; of more, the oldest are forgotten.
const VERSIONS_MAX: usize = 64;
/// The longest note of an upload that is read.
const NOTE_BYTES_MAX: u64 = 1 << 20;
/// What the reference puts beside bodies: the state of resumable uploads, and what one has begun with.
const BESIDE: [&str; 3] = [".json", ".info", ".part"];

/// What a walk has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A key with the versions that lie there, the newest first.
    Key { name: String, versions: Vec<Version> },
    /// What cannot be an object.
    Odd { path: String, what: &'static str },
}

/// A file that may be the body of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    path: String,
    version: Option<Uuid>,
    size: u64,
    modified: SystemTime,
    /// Whether the state of a resumable upload lies beside it.
    has_note: bool,
}

/// Puts the versions of a key together: they lie in one folder, and what lies in a folder comes together.
#[derive(Debug)]
struct Groups {
    layout: Layout,
    /// The folders on the way, each in the one before.
    open: Vec<Group>,
    ready: VecDeque<Found>,
}

#[derive(Debug)]
struct Group {
    folder: String,
    versions: Vec<Version>,
    notes: Vec<Uuid>,
}

impl Group {
    fn close(mut self) -> Option<Found> {
        for version in &mut self.versions {
            version.has_note = version.version.is_some_and(|version| self.notes.contains(&version));
        }
        self.versions.sort_by_key(|version| std::cmp::Reverse((version.modified, version.version)));
        (!self.versions.is_empty()).then_some(Found::Key { name: self.folder, versions: self.versions })
    }
}

impl Groups {
    fn new(layout: Layout) -> Groups {
        Groups { layout, open: Vec::new(), ready: VecDeque::new() }
    }

    /// The folder, after those are closed that it does not lie in.
    fn folder(&mut self, path: &str) -> &mut Group {
        let holds =
            |folder: &str| path == folder || path.strip_prefix(folder).is_some_and(|r| r.starts_with('/'));
        while self.open.last().is_some_and(|group| !holds(&group.folder)) {
            self.close();
        }
        if self.open.last().is_none_or(|group| group.folder != path) {
            self.open.push(Group { folder: path.to_owned(), versions: Vec::new(), notes: Vec::new() });
        }
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    fn close(&mut self) {
        if let Some(found) = self.open.pop().and_then(Group::close) {
            self.ready.push_back(found);
        }
    }

    fn push(&mut self, file: SourceFile) {
        let SourceFile { path, size, modified } = file;
        let Some((folder, name)) = path.rsplit_once('/') else {
            self.ready.push_back(Found::Odd { path, what: "it lies in no bucket" });
            return;
        };
        let is_in_key = folder.contains('/');
        let beside = BESIDE.iter().find_map(|end| as_version(name.strip_suffix(end)?));
        let version = as_version(name).filter(|_| is_in_key);
        if self.layout == Layout::Plain || (version.is_none() && beside.is_none()) {
            let is_flat = name.rsplit_once(FLAT_SEPARATOR).is_some_and(|(_, v)| as_version(v).is_some());
            self.ready.push_back(if is_flat && self.layout == Layout::Versions {
                Found::Odd { path, what: "files of this layout need their rows" }
            } else {
                let only = Version { path: path.clone(), version: None, size, modified, has_note: false };
                Found::Key { name: path, versions: vec![only] }
            });
            return;
        }
        let group = self.folder(folder);
        if let Some(version) = version {
            let file =
                Version { path: path.clone(), version: Some(version), size, modified, has_note: false };
            group.versions.push(file);
        } else if let Some(note) = beside.filter(|_| name.ends_with(".json")) {
            group.notes.push(note);
        }
        // All of one key, and only when somebody left thousands of them.
        if group.versions.len() > VERSIONS_MAX * 2 {
            group.versions.sort_by_key(|version| std::cmp::Reverse(version.modified));
            group.versions.truncate(VERSIONS_MAX);
        }
        if group.notes.len() > VERSIONS_MAX * 2 {
            group.notes.remove(0);
        }
    }
}

impl Run<'_> {
    /// What lies in the source.
    pub(super) fn files(&self) -> impl Stream<Item = Result<Found, Stop>> {
        let state = (self.source.walk(), Groups::new(self.plan.layout));
        stream::try_unfold(state, async |(mut walk, mut groups): (Walk, Groups)| {
            loop {
                if let Some(found) = groups.ready.pop_front() {
                    return Ok(Some((found, (walk, groups))));
                }
                match walk.next().await.map_err(Stop::Source)? {
                    Some(Seen::File(file)) => groups.push(file),
                    Some(Seen::Odd { path, what }) => groups.ready.push_back(Found::Odd { path, what }),
                    None if groups.open.is_empty() => return Ok(None),
                    None => groups.close(),
                }
            }
        })
    }

    /// Makes an object of what was found, unless its key has a row.
    pub(super) async fn found(&self, found: Found) -> Result<(), Stop> {
        let (name, versions) = match found {
            Found::Odd { path, what } => return self.trouble(Kind::Skipped, path, what).await,
            Found::Key { name, versions } => (name, versions),
        };
        let (bucket, key) = name.split_once('/').unwrap_or((&name, ""));
        let (Ok(bucket), Ok(key)) = (BucketName::parse_new(bucket), self.storage.key(key)) else {
            return self.trouble(Kind::Skipped, name, "its name cannot be that of an object").await;
        };
        let [rows] = self.ask([store::version_of(bucket.as_str(), key.as_str())]).await?;
        if !rows.is_empty() {
            return Ok(());
        }
        let mut left = versions.len() as u64;
        for version in versions {
            left -= 1;
            if self.is_finished(&version).await? {
                self.tally.superseded.fetch_add(left, Ordering::Relaxed);
                return self.make(&bucket, &key, version).await;
            }
            one_more(&self.tally.unfinished);
        }
        Ok(())
    }

    /// Whether a body is all there: an upload in pieces leaves a note of how long it is to be.
    async fn is_finished(&self, version: &Version) -> Result<bool, Stop> {
        if !version.has_note {
            return Ok(true);
        }
        let path = [&*version.path, ".json"].concat();
        let Ok(mut opened) = self.open(&[path]).await? else { return Ok(true) };
        let mut text = Vec::new();
        while opened.size <= NOTE_BYTES_MAX {
            let Some(piece) = opened.next().await.map_err(Stop::Source)? else { break };
            text.extend_from_slice(&piece);
        }
        let note: Value = serde_json::from_slice(&text).unwrap_or_default();
        Ok(note.get("size").and_then(Value::as_u64) == Some(version.size))
    }

    async fn make(&self, bucket: &BucketName, key: &ObjectKey, file: Version) -> Result<(), Stop> {
        if self.plan.check {
            one_more(&self.tally.created);
            self.copied(file.size);
            return Ok(());
        }
        let (version, facts) = match self.body_of(&file).await? {
            Ok(body) => body,
            // It was removed meanwhile.
            Err(Hurt::Absent) => return Ok(()),
            Err(Hurt::Failed(why)) => {
                let name = [bucket.as_str(), "/", key.as_str()].concat();
                return self.trouble(Kind::Failed, name, why).await;
            }
        };
        let (bucket, key) = (bucket.as_str(), key.as_str());
        let metadata = facts.metadata(key);
        let at = metadata.get("lastModified").and_then(Value::as_str).unwrap_or_default().to_owned();
        let (text, metadata) = (version.to_string(), metadata.to_string());
        let new = store::New { bucket, key, version: &text, metadata: &metadata, at: &at };
        let steps = [store::bucket(bucket), store::object(&new), store::version_of(bucket, key)];
        let [_, made, now] = self.ask(steps).await?;
        if !made.is_empty() {
            one_more(&self.tally.created);
            self.copied(facts.size);
            return Ok(());
        }
        one_more(&self.tally.changed);
        // Perhaps another import was faster: then its row names this very body.
        if now.first().and_then(|row| row.text(0)) != Some(&*text) {
            self.storage.forget_body(version).await;
        }
        Ok(())
    }

    /// The body of a file, here: under the version it had there where that is free.
    async fn body_of(&self, file: &Version) -> Result<Result<(Uuid, Facts), Hurt>, Stop> {
        let paths = [file.path.clone()];
        let opened = match self.open(&paths).await? {
            Ok(opened) => opened,
            Err(hurt) => return Ok(Err(hurt)),
        };
        // What is to be scanned is never taken for something that was.
        let mut version = if self.storage.scanner()?.is_none() { file.version } else { None };
        if let Some(taken) = version
            && self.stored(taken).await?.is_some()
        {
            // Killed between body and row, an import finds its own body. One that a row names, or other bytes, are
            // somebody else's.
            let there = match hashed(self.open(&paths).await?).await {
                Ok(there) => there,
                Err(hurt) => return Ok(Err(hurt)),
            };
            let here = self.facts(taken).await?;
            let [named] = self.ask([store::named(&taken.to_string())]).await?;
            if named.is_empty() && (here.md5, here.size) == (there, opened.size) {
                let (content_type, cache_control) = (opened.content_type, opened.cache_control);
                let modified = Some(opened.modified);
                return Ok(Ok((taken, Facts { content_type, cache_control, modified, ..here })));
            }
            version = None;
        }
        let version = version.unwrap_or_else(Uuid::new_v4);
        Ok(self.copy(opened, version).await?.map(|facts| (version, facts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const A: &str = "00000000-0000-4000-8000-00000000000a";
    const B: &str = "00000000-0000-4000-8000-00000000000b";

    fn grouped(layout: Layout, files: &[(&str, u64)]) -> Vec<(String, Vec<String>)> {
        let mut groups = Groups::new(layout);
        for (path, seconds) in files {
            let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(*seconds);
            groups.push(SourceFile { path: (*path).to_owned(), size: 1, modified });
        }
        while !groups.open.is_empty() {
            groups.close();
        }
        let shown = |found: Found| match found {
            Found::Key { name, versions } => {
                let mark = |v: &Version| [v.path.as_str(), if v.has_note { " noted" } else { "" }].concat();
                (name, versions.iter().map(mark).collect())
            }
            Found::Odd { path, what } => (path, vec![what.to_owned()]),
        };
        groups.ready.into_iter().map(shown).collect()
    }

    fn key(name: &str, versions: &[String]) -> (String, Vec<String>) {
        (name.to_owned(), versions.to_vec())
    }

    #[test]
    fn versions_of_a_key_come_together_also_when_it_is_a_folder_too() {
        let [a, b] = [A, B].map(|version| format!("b/k/{version}"));
        let inner = format!("b/k/in.txt/{A}");
        let files = [(&*a, 1), (&*inner, 5), (&*b, 2)];
        let expected = [key("b/k/in.txt", std::slice::from_ref(&inner)), key("b/k", &[b.clone(), a.clone()])];
        assert_eq!(grouped(Layout::Versions, &files), expected);
        let beside = format!("{a}.json");
        let info = format!("{b}.info");
        let noted = [key("b/k", &[b.clone(), format!("{a} noted")])];
        assert_eq!(grouped(Layout::Versions, &[(&*beside, 3), (&*a, 1), (&*b, 2), (&*info, 1)]), noted);
    }

    #[test]
    fn files_without_versions() {
        let in_bucket = format!("b/{A}");
        assert_eq!(
            grouped(Layout::Versions, &[("b/a.txt", 1), (&*in_bucket, 1), ("stray", 1)]),
            [
                key("b/a.txt", &["b/a.txt".to_owned()]),
                key(&in_bucket, std::slice::from_ref(&in_bucket)),
                key("stray", &["it lies in no bucket".to_owned()])
            ]
        );
        let flat = format!("b/a.txt-$v-{A}");
        assert!(grouped(Layout::Versions, &[(&*flat, 1)])[0].1[0].contains("need their rows"));
        let deep = format!("b/k/{A}");
        assert_eq!(
            grouped(Layout::Plain, &[(&*deep, 1), (&*flat, 1)]),
            [key(&deep, std::slice::from_ref(&deep)), key(&flat, std::slice::from_ref(&flat))]
        );
    }
}
