//! What a listing must say, worked out the slow way from all keys.

use std::collections::BTreeMap;

/// An object as a listing sees it.
#[derive(Debug, Clone)]
pub struct Object {
    pub key: String,
    /// Microseconds.
    pub created: i64,
    pub updated: i64,
}

/// What is listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The key, or the folder with its last delimiter.
    pub path: String,
    pub is_folder: bool,
}

fn common_prefix<'a>(key: &'a str, prefix: &str, delimiter: &str) -> Option<&'a str> {
    let rest = key.strip_prefix(prefix)?;
    let end = rest.find(delimiter).filter(|_| !delimiter.is_empty())?;
    Some(&key[..prefix.len() + end + delimiter.len()])
}

/// One level, in the order of bytes.
pub fn level(objects: &[Object], prefix: &str, delimiter: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = objects
        .iter()
        .filter(|object| object.key.starts_with(prefix))
        .map(|object| match common_prefix(&object.key, prefix, delimiter) {
            Some(folder) => Entry { path: folder.to_owned(), is_folder: true },
            None => Entry { path: object.key.clone(), is_folder: false },
        })
        .collect();
    entries.sort();
    entries.dedup();
    entries
}

/// One level by a time in milliseconds and then by path; a folder has the time of its oldest member.
pub fn level_by_time(objects: &[Object], prefix: &str, updated: bool) -> Vec<Entry> {
    let mut moments: BTreeMap<(String, bool), i64> = BTreeMap::new();
    for object in objects.iter().filter(|object| object.key.starts_with(prefix)) {
        match common_prefix(&object.key, prefix, "/") {
            Some(folder) => {
                let at = moments.entry((folder.to_owned(), true)).or_insert(object.created);
                *at = (*at).min(object.created);
            }
            None => {
                let at = if updated { object.updated } else { object.created };
                moments.insert((object.key.clone(), false), at);
            }
        }
    }
    let mut entries: Vec<(i64, Entry)> = moments
        .into_iter()
        .map(|((path, is_folder), at)| (at.div_euclid(1000), Entry { path, is_folder }))
        .collect();
    entries.sort();
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// The first API's listing by name: in lower case, relative to the prefix's last slash.
pub fn folded(objects: &[Object], prefix: &str, search: &str) -> Vec<Entry> {
    let sought = format!("{prefix}{search}").to_lowercase();
    let objects: Vec<Object> =
        objects.iter().map(|o| Object { key: o.key.to_lowercase(), ..o.clone() }).collect();
    let mut entries = Vec::new();
    let mut sorted = objects;
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    for object in sorted.iter().filter(|object| object.key.starts_with(&sought)) {
        let folder = common_prefix(&object.key, &sought, "/");
        let entry =
            Entry { path: relative(folder.unwrap_or(&object.key), prefix), is_folder: folder.is_some() };
        // Keys that only differ by case are several files, but one folder.
        if folder.is_none() || entries.last() != Some(&entry) {
            entries.push(entry);
        }
    }
    entries
}

/// The first API's listing by creation: folders by name, then files.
pub fn folded_by_time(objects: &[Object], prefix: &str, search: &str) -> Vec<Entry> {
    let sought = format!("{prefix}{search}").to_lowercase();
    let mut entries: Vec<Entry> =
        folded(objects, prefix, search).into_iter().filter(|entry| entry.is_folder).collect();
    let mut files: Vec<&Object> = objects
        .iter()
        .filter(|o| o.key.to_lowercase().starts_with(&sought))
        .filter(|o| common_prefix(&o.key.to_lowercase(), &sought, "/").is_none())
        .collect();
    files.sort_by(|a, b| (a.created, &a.key).cmp(&(b.created, &b.key)));
    entries.extend(
        files.iter().map(|o| Entry { path: relative(&o.key.to_lowercase(), prefix), is_folder: false }),
    );
    entries
}

fn relative(path: &str, prefix: &str) -> String {
    let start = prefix.rfind('/').map_or(0, |at| at + 1);
    path[start..].to_owned()
}
