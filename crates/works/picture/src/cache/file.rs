//! One cached picture as a file, and the folder of them.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::Key;
use crate::{Format, Rendered};

const MAGIC: [u8; 4] = *b"RPC1";
/// Magic, format, the digest of the picture, its length.
const HEADER: usize = 4 + 4 + 32 + 8;
/// The folder of files being written.
const UNFINISHED: &str = "unfinished";
const FORMATS: [Format; 5] = [Format::Jpeg, Format::Png, Format::Gif, Format::Webp, Format::Avif];

/// How long the file of a picture is.
pub(super) fn size(rendered: &Rendered) -> u64 {
    (HEADER + rendered.bytes.len()) as u64
}

/// Writes the file beside its place and moves it there.
pub(super) fn write(root: &Path, path: &Path, number: u64, rendered: &Rendered) -> io::Result<()> {
    let Some(format) = FORMATS.iter().position(|f| f.content_type() == rendered.content_type) else {
        return Err(io::Error::other("not a format of ours"));
    };
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&MAGIC);
    header[4] = format as u8;
    header[8..40].copy_from_slice(&Sha256::digest(&rendered.bytes));
    header[40..].copy_from_slice(&(rendered.bytes.len() as u64).to_le_bytes());
    let unfinished = root.join(UNFINISHED).join(number.to_string());
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&header)?;
        file.write_all(&rendered.bytes)?;
        drop(file);
        if let Some(folder) = path.parent() {
            private(folder)?;
        }
        fs::rename(&unfinished, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// Reads a picture of at most `most` bytes and notes its use in the file's time; none if the file is not whole.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Option<Rendered>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > most {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    Read::take(&file, most).read_to_end(&mut bytes)?;
    let Some((header, body)) = bytes.split_at_checked(HEADER) else { return Ok(None) };
    let whole = header[..4] == MAGIC
        && header[40..] == (body.len() as u64).to_le_bytes()
        && header[8..40] == Sha256::digest(body)[..];
    let Some(format) = FORMATS.get(usize::from(header[4])).filter(|_| whole) else { return Ok(None) };
    // The order of use survives a restart; without, it is a bit older.
    let _ = file.set_modified(SystemTime::now());
    let content_type = format.content_type();
    Ok(Some(Rendered { bytes: bytes::Bytes::from(bytes).slice(HEADER..), content_type }))
}

/// Makes a folder that no other user of the machine may look into: pictures of private buckets are in it.
fn private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A file found in the folder.
pub(super) struct Found {
    pub key: Key,
    pub size: u64,
    used: SystemTime,
}

/// What is there, least recently used first. Makes the folders, and empties that of unfinished files.
pub(super) fn scan(root: &Path) -> io::Result<Vec<Found>> {
    private(root)?;
    // Earlier versions let others in.
    fs::set_permissions(root, Permissions::from_mode(0o700))?;
    let unfinished = root.join(UNFINISHED);
    private(&unfinished)?;
    for entry in fs::read_dir(&unfinished)? {
        let _ = fs::remove_file(entry?.path());
    }
    let mut found = Vec::new();
    for folder in fs::read_dir(root)? {
        let folder = folder?;
        let Some(owner) = digest(&folder.file_name()) else { continue };
        for entry in fs::read_dir(folder.path())? {
            let entry = entry?;
            let Some(name) = digest(&entry.file_name()) else { continue };
            let metadata = entry.metadata()?;
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            found.push(Found { key: Key { owner, name }, size: metadata.len(), used });
        }
    }
    found.sort_by_key(|found| found.used);
    Ok(found)
}

fn digest<const N: usize>(name: &std::ffi::OsStr) -> Option<[u8; N]> {
    let mut digest = [0; N];
    hex::decode_to_slice(name.to_str()?, &mut digest).ok()?;
    Some(digest)
}

/// Removes the files of evicted pictures.
pub(super) fn remove(root: &Path, keys: &[Key]) {
    for key in keys {
        // A file that stays behind is found again at the next start.
        let _ = fs::remove_file(key.path(root));
    }
}
