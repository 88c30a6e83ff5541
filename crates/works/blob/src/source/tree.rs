//! A directory of this machine. Every step is taken from one open directory to the next, never through a link.

use super::{Opened, Reading, Seen, SourceFile};
use crate::Error;
use bytes::{Bytes, BytesMut};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

/// How long one call to the disk may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of a piece.
const PIECE: usize = 512 * 1024;
/// Files that a walk is ahead of whoever asks for them.
const AHEAD: usize = 256;
/// Folders in each other that a walk enters; each is held open.
const DEPTH_MAX: usize = 128;
/// The longest note that is read.
const NOTE_BYTES_MAX: usize = 4096;
/// Where the reference notes what it knows of a file.
const CONTENT_TYPE: &str = "user.supabase.content-type";
const CACHE_CONTROL: &str = "user.supabase.cache-control";
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Without waiting: what looks like a file may be a pipe.
const PLAIN: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// A directory that is open.
pub(super) struct Tree(Arc<OwnedFd>);

/// A file that is being read.
pub(super) struct TreeReading {
    file: tokio::fs::File,
    left: u64,
}

impl Tree {
    pub(super) async fn open(root: PathBuf) -> Result<Tree, Error> {
        // The root itself may be reached through a link: whoever names it chose it.
        let open = move || Ok(rustix::fs::open(root, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty())?);
        Ok(Tree(Arc::new(call(open).await?)))
    }

    pub(super) async fn folder(&self, name: &str) -> Result<Tree, Error> {
        let (root, name) = (Arc::clone(&self.0), name.to_owned());
        Ok(Tree(Arc::new(call(move || directory(&*root, &name)).await?)))
    }

    pub(super) async fn folders(&self, most: usize) -> Result<Vec<String>, Error> {
        let root = Arc::clone(&self.0);
        let list = move || {
            let mut names = Vec::new();
            for entry in Dir::read_from(&*root)? {
                let entry = entry?;
                let is_folder = kind(&*root, entry.file_name(), entry.file_type())? == FileType::Directory;
                match entry.file_name().to_str() {
                    Ok("." | "..") => {}
                    Ok(name) if is_folder && names.len() < most => names.push(name.to_owned()),
                    _ => {}
                }
            }
            Ok(names)
        };
        call(list).await
    }

    pub(super) async fn size(&self, path: &str) -> Result<u64, Error> {
        let (root, path) = (Arc::clone(&self.0), path.to_owned());
        call(move || Ok(size_of(&plain(&root, &path)?.1))).await
    }

    pub(super) async fn read(&self, path: &str) -> Result<Opened, Error> {
        let (root, path) = (Arc::clone(&self.0), path.to_owned());
        let open = move || {
            let (file, stat) = plain(&root, &path)?;
            let (content_type, cache_control) = (note(&file, CONTENT_TYPE)?, note(&file, CACHE_CONTROL)?);
            Ok((file, stat, content_type, cache_control))
        };
        let (file, stat, content_type, cache_control) = call(open).await?;
        let mut file = tokio::fs::File::from_std(File::from(file));
        file.set_max_buf_size(PIECE);
        let size = size_of(&stat);
        let reading = Reading::Tree(TreeReading { file, left: size });
        Ok(Opened { size, modified: modified(&stat), content_type, cache_control, etag: None, reading })
    }

    /// A thread walks as far ahead as it may. It ends when nobody listens.
    pub(super) fn walk(&self) -> mpsc::Receiver<Result<Seen, Error>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let root = Arc::clone(&self.0);
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = walk(&root, &sender) {
                // Nobody may listen any more.
                let _ = sender.blocking_send(Err(error));
            }
        }));
        receiver
    }
}

impl TreeReading {
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let mut piece = BytesMut::with_capacity(PIECE.min(usize::try_from(self.left).unwrap_or(PIECE) + 1));
        let read = tokio::time::timeout(TIMEOUT, self.file.read_buf(&mut piece));
        let read = read.await.map_err(|_| Error::Slow)?? as u64;
        if read > self.left || (read == 0 && self.left > 0) {
            return Err(Error::Io(std::io::Error::other("the file changes while it is read")));
        }
        self.left -= read;
        Ok((read > 0).then(|| piece.freeze()))
    }
}

async fn call<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::time::timeout(TIMEOUT, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(result)) => result,
        Ok(Err(stopped)) => Err(Error::Io(std::io::Error::other(stopped))),
        Err(_) => Err(Error::Slow),
    }
}

/// A directory in a directory.
fn directory(parent: impl AsFd, name: &str) -> Result<OwnedFd, Error> {
    if name == "." || name == ".." || name.contains('/') {
        return Err(Error::NotFound);
    }
    rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()).map_err(absent)
}

/// Opens a plain file. Parts without a name count for nothing, as in every path.
fn plain(root: &OwnedFd, path: &str) -> Result<(OwnedFd, Stat), Error> {
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let name = parts.pop().filter(|name| *name != "." && *name != "..").ok_or(Error::NotFound)?;
    let mut folder: Option<OwnedFd> = None;
    for part in parts {
        folder = Some(directory(folder.as_ref().unwrap_or(root), part)?);
    }
    let file = rustix::fs::openat(folder.as_ref().unwrap_or(root), name, PLAIN, Mode::empty());
    let file = file.map_err(absent)?;
    let stat = rustix::fs::fstat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((file, stat)),
        _ => Err(Error::NotFound),
    }
}

/// What names nothing, is a link, or cannot be a name: there is no such file.
fn absent(error: Errno) -> Error {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::INVAL | Errno::NXIO => {
            Error::NotFound
        }
        other => other.into(),
    }
}

fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

fn modified(stat: &Stat) -> SystemTime {
    let seconds = Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
    let nanos = Duration::from_nanos(stat.st_mtime_nsec);
    SystemTime::UNIX_EPOCH + seconds + nanos
}

/// What is noted with a file. Not every file system keeps notes.
fn note(file: &OwnedFd, name: &str) -> Result<Option<String>, Error> {
    let mut buffer = vec![0; NOTE_BYTES_MAX];
    match rustix::fs::fgetxattr(file, name, &mut buffer[..]) {
        Ok(length) => {
            buffer.truncate(length);
            Ok(String::from_utf8(buffer).ok().filter(|text| !text.trim().is_empty()))
        }
        Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE | Errno::NOSYS) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The kind of an entry, which not every file system says with its name.
fn kind(parent: impl AsFd, name: &CStr, said: FileType) -> Result<FileType, Error> {
    if said != FileType::Unknown {
        return Ok(said);
    }
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode)),
        Err(Errno::NOENT) => Ok(FileType::Unknown),
        Err(error) => Err(error.into()),
    }
}

/// A folder on the way of a walk.
struct Level {
    folder: OwnedFd,
    entries: Dir,
    path: String,
}

/// What an entry of a folder is to a walk.
enum Step {
    Seen(Seen),
    Into(Level),
    /// It is gone, or none at all.
    Nothing,
}

impl Level {
    fn new(folder: OwnedFd, path: String) -> Result<Level, Error> {
        Ok(Level { entries: Dir::read_from(&folder)?, folder, path })
    }

    /// The next entry; nothing at the end. `enters` is whether folders are opened.
    fn next(&mut self, enters: bool) -> Result<Option<Step>, Error> {
        let Some(entry) = self.entries.read() else { return Ok(None) };
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            return Ok(Some(Step::Nothing));
        }
        let kind = kind(&self.folder, name, entry.file_type())?;
        let path = [&*self.path, &*name.to_string_lossy()].concat();
        let odd = |path, what| Step::Seen(Seen::Odd { path, what });
        Ok(Some(match (kind, name.to_str()) {
            (FileType::Unknown, _) => Step::Nothing,
            (FileType::Symlink, _) => odd(path, "it is a symbolic link"),
            (_, Err(_)) => odd(path, "its name is not UTF-8"),
            (FileType::Directory, Ok(_)) if !enters => odd(path, "it lies in too many folders"),
            (FileType::Directory, Ok(name)) => gone(self.enter(name, path))?,
            (FileType::RegularFile, Ok(name)) => gone(self.file(name, path))?,
            _ => odd(path, "it is no plain file"),
        }))
    }

    fn enter(&self, name: &str, path: String) -> Result<Step, Error> {
        Ok(Step::Into(Level::new(directory(&self.folder, name)?, path + "/")?))
    }

    fn file(&self, name: &str, path: String) -> Result<Step, Error> {
        let stat = rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Step::Seen(Seen::File(SourceFile { path, size: size_of(&stat), modified: modified(&stat) })))
    }
}

/// What was removed meanwhile is nothing.
fn gone(step: Result<Step, Error>) -> Result<Step, Error> {
    match step {
        Err(Error::NotFound) => Ok(Step::Nothing),
        other => other,
    }
}

/// Walks in depth, the folders on the way open. Ends early when nobody listens.
fn walk(root: &OwnedFd, sender: &mpsc::Sender<Result<Seen, Error>>) -> Result<(), Error> {
    let mut levels = vec![Level::new(root.try_clone()?, String::new())?];
    loop {
        let enters = levels.len() < DEPTH_MAX;
        let Some(level) = levels.last_mut() else { return Ok(()) };
        match level.next(enters)? {
            Some(Step::Into(inner)) => levels.push(inner),
            Some(Step::Seen(seen)) => {
                if sender.blocking_send(Ok(seen)).is_err() {
                    return Ok(());
                }
            }
            Some(Step::Nothing) => {}
            None => drop(levels.pop()),
        }
    }
}
