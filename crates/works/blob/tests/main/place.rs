//! A directory of a test, removed with it, and other things that tests need.

use blob::{Durability, Key, Store};
use bytes::Bytes;
use http_body_util::BodyExt;
use model::ProjectRef;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A directory that lives as long as its test.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Directory {
        let path = std::env::temp_dir().join(format!("blob-{}", Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub async fn store(&self) -> Store {
        Store::disk(self.0.join("files"), Durability::Fsync).await.unwrap()
    }

    /// Names of all files, directories left out, relative to the root of the store.
    pub fn files(&self) -> Vec<String> {
        let (mut found, mut todo) = (Vec::new(), vec![self.0.join("files")]);
        while let Some(directory) = todo.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    todo.push(entry.path());
                } else {
                    let path = entry.path();
                    let path = path.strip_prefix(self.0.join("files")).unwrap();
                    found.push(path.to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        found
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn project(letter: &str) -> ProjectRef {
    letter.repeat(ProjectRef::LENGTH).parse().unwrap()
}

/// A new name in a project.
pub fn key(project: &ProjectRef) -> Key {
    Key::new(project, Uuid::new_v4())
}

/// Bytes that look random, so that a piece in the wrong place is seen.
pub fn noise(length: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    Bytes::from(bytes)
}

/// Writes a body in pieces of this size.
pub async fn put(store: &Store, key: &Key, bytes: &Bytes, piece: usize) -> blob::Written {
    let mut writer = store.write(key).await.unwrap();
    for at in (0..bytes.len()).step_by(piece) {
        writer.push(bytes.slice(at..bytes.len().min(at + piece))).await.unwrap();
    }
    writer.finish().await.unwrap()
}

/// Reads all or a range of a body.
pub async fn get(
    store: &Store,
    key: &Key,
    range: Option<std::ops::Range<u64>>,
) -> Result<Bytes, blob::Error> {
    let reading = store.read(key, range).await?;
    Ok(reading.collect().await?.to_bytes())
}

pub fn md5(bytes: &[u8]) -> [u8; 16] {
    use md5::Digest;
    md5::Md5::digest(bytes).into()
}
