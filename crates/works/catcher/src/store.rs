//! The messages: a folder with a file each, and in memory what lists show.

use crate::message::{Envelope, Summary};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use time::OffsetDateTime;

/// How much is kept; the oldest message goes first.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub messages: usize,
    /// Of all messages together.
    pub bytes: u64,
    /// Of one.
    pub message_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { messages: 1000, bytes: 256 << 20, message_bytes: 25 << 20 }
    }
}

/// The catcher. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catcher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    bounds: Bounds,
    state: Mutex<State>,
    /// One writer at a time: the order of files is that of the list.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The newest first.
    messages: VecDeque<Arc<Kept>>,
    bytes: u64,
}

/// A message as lists show it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) id: String,
    pub(crate) summary: Summary,
    read: std::sync::atomic::AtomicBool,
}

impl Kept {
    pub(crate) fn is_read(&self) -> bool {
        self.read.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Catcher {
    /// The messages of a folder, which is made when it is missing. What cannot be read is left alone.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(folder: &Path, bounds: Bounds) -> io::Result<Catcher> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut state = State::default();
        let mut names: Vec<String> =
            fs::read_dir(folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort_unstable();
        for name in &names {
            let path = folder.join(name);
            if name.ends_with(".part") {
                // Left behind by a program that was killed while it wrote.
                fs::remove_file(&path)?;
                continue;
            }
            let Some(id) = name.strip_suffix(".eml").and_then(|name| name.split_once('-')).map(|(_, id)| id)
            else {
                continue;
            };
            match fs::read(&path).ok().and_then(|bytes| split(&bytes)) {
                Some((envelope, raw)) => {
                    let read = folder.join(format!("{name}.read")).exists();
                    state.push(id.to_owned(), Summary::of(&envelope, &raw), read);
                }
                None => tracing::warn!(file = %path.display(), "not a message of the mail catcher"),
            }
        }
        let inner = Inner {
            folder: folder.to_owned(),
            bounds,
            state: Mutex::new(state),
            writing: tokio::sync::Mutex::default(),
        };
        Ok(Catcher { inner: Arc::new(inner) })
    }

    /// Keeps a message; when it is full, the oldest goes.
    ///
    /// # Errors
    /// When it is too large or cannot be written.
    pub async fn add(&self, from: &str, to: &[String], raw: Vec<u8>) -> io::Result<String> {
        if raw.len() > self.inner.bounds.message_bytes {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the message is too large"));
        }
        let writing = self.inner.writing.lock().await;
        let at = OffsetDateTime::from(SystemTime::now());
        let envelope = Envelope { from: from.to_owned(), to: to.to_vec(), at };
        let id = new_id();
        let kept = Summary::of(&envelope, &raw);
        let path = self.inner.folder.join(file_name(&envelope, &id));
        blocking(move || write(&path, &envelope, &raw)).await?;
        let gone = {
            let mut state = self.state();
            state.push(id.clone(), kept, false);
            state.over(self.inner.bounds)
        };
        self.remove_files(gone).await?;
        drop(writing);
        Ok(id)
    }

    /// All messages, the newest first.
    pub(crate) fn all(&self) -> Vec<Arc<Kept>> {
        self.state().messages.iter().cloned().collect()
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Kept>> {
        self.state().messages.iter().find(|kept| kept.id == id).cloned()
    }

    /// The message itself.
    pub(crate) async fn raw(&self, kept: &Kept) -> io::Result<Vec<u8>> {
        let path = self.path(kept);
        let bytes = blocking(move || fs::read(path)).await?;
        split(&bytes).map(|(_, raw)| raw).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Notes that messages have been read, or have not.
    pub(crate) async fn mark(&self, kept: &[Arc<Kept>], read: bool) -> io::Result<()> {
        let mut paths = Vec::new();
        for kept in kept.iter().filter(|kept| kept.is_read() != read) {
            kept.read.store(read, std::sync::atomic::Ordering::Relaxed);
            let mut name = self.path(kept).into_os_string();
            name.push(".read");
            paths.push(PathBuf::from(name));
        }
        blocking(move || {
            for path in paths {
                if read {
                    File::create(path)?;
                } else {
                    gone(fs::remove_file(path))?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Takes messages away.
    pub(crate) async fn remove(&self, kept: &[Arc<Kept>]) -> io::Result<()> {
        {
            let mut state = self.state();
            for kept in kept {
                state.messages.retain(|known| known.id != kept.id);
            }
            state.bytes = state.messages.iter().map(|kept| kept.summary.size).sum();
        }
        self.remove_files(kept.to_vec()).await
    }

    async fn remove_files(&self, kept: Vec<Arc<Kept>>) -> io::Result<()> {
        let paths: Vec<PathBuf> = kept.iter().map(|kept| self.path(kept)).collect();
        blocking(move || {
            for path in paths {
                let mut mark = path.clone().into_os_string();
                mark.push(".read");
                gone(fs::remove_file(mark))?;
                gone(fs::remove_file(path))?;
            }
            Ok(())
        })
        .await
    }

    fn path(&self, kept: &Kept) -> PathBuf {
        self.inner.folder.join(file_name(&kept.summary.envelope, &kept.id))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How large a message may be.
    pub(crate) fn message_bytes(&self) -> usize {
        self.inner.bounds.message_bytes
    }
}

impl State {
    fn push(&mut self, id: String, summary: Summary, read: bool) {
        self.bytes += summary.size;
        self.messages.push_front(Arc::new(Kept { id, summary, read: read.into() }));
    }

    /// Takes out what there is no room for.
    fn over(&mut self, bounds: Bounds) -> Vec<Arc<Kept>> {
        let mut gone = Vec::new();
        while self.messages.len() > 1 && (self.messages.len() > bounds.messages || self.bytes > bounds.bytes)
        {
            if let Some(oldest) = self.messages.pop_back() {
                self.bytes = self.bytes.saturating_sub(oldest.summary.size);
                gone.push(oldest);
            }
        }
        gone
    }
}

impl mail::Inbox for Catcher {
    fn keep<'a>(
        &'a self,
        from: &'a str,
        to: &'a str,
        message: Vec<u8>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move {
            let kept = self.add(from, &[to.to_owned()], message).await;
            kept.map(drop).map_err(|error| format!("the mail catcher: {error}"))
        })
    }
}

/// A file that is not there is gone.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Its names sort by time.
fn file_name(envelope: &Envelope, id: &str) -> String {
    format!("{:020}-{id}.eml", envelope.at.unix_timestamp_nanos().max(0) / 1000)
}

/// A file with the envelope on its first line and then the message. It is there whole or not at all.
fn write(path: &Path, envelope: &Envelope, raw: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = File::create(&part)?;
    serde_json::to_writer(&mut file, envelope)?;
    file.write_all(b"\n")?;
    file.write_all(raw)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn split(bytes: &[u8]) -> Option<(Envelope, Vec<u8>)> {
    let end = bytes.iter().position(|b| *b == b'\n')?;
    Some((serde_json::from_slice(&bytes[..end]).ok()?, bytes[end + 1..].to_vec()))
}

/// 22 letters and digits, as Mailpit's.
fn new_id() -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    token::random_bytes::<22>().iter().map(|byte| char::from(LETTERS[usize::from(*byte) % 62])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("rowhouse-mail-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn mail(subject: &str) -> Vec<u8> {
        format!("From: a@b.c\r\nTo: d@e.f\r\nSubject: {subject}\r\n\r\nHello\r\n").into_bytes()
    }

    fn subjects(catcher: &Catcher) -> Vec<String> {
        catcher.all().iter().map(|kept| kept.summary.subject.clone()).collect()
    }

    #[tokio::test]
    async fn messages_survive_in_order_and_within_bounds() {
        let folder = folder("bounds");
        let bounds = Bounds { messages: 3, bytes: 10_000, message_bytes: 1000 };
        let catcher = Catcher::open(&folder, bounds).unwrap();
        for n in 0..5 {
            catcher.add("a@b.c", &["d@e.f".to_owned()], mail(&n.to_string())).await.unwrap();
        }
        assert!(catcher.add("a@b.c", &[], vec![0; 1001]).await.is_err());
        assert_eq!(subjects(&catcher), ["4", "3", "2"]);
        let newest = catcher.all()[0].clone();
        catcher.mark(&[newest], true).await.unwrap();
        fs::write(folder.join("half.part"), b"x").unwrap();
        fs::write(folder.join("00-broken.eml"), b"x").unwrap();
        let again = Catcher::open(&folder, bounds).unwrap();
        assert_eq!(subjects(&again), ["4", "3", "2"]);
        assert_eq!(again.all().iter().map(|kept| kept.is_read()).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(again.raw(&again.all()[1]).await.unwrap(), mail("3"));
        again.remove(&again.all()).await.unwrap();
        assert!(subjects(&Catcher::open(&folder, bounds).unwrap()).is_empty());
        assert!(!folder.join("half.part").exists());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn bytes_are_bounded_too() {
        let folder = folder("bytes");
        let bounds = Bounds { messages: 100, bytes: 200, message_bytes: 1000 };
        let catcher = Catcher::open(&folder, bounds).unwrap();
        for n in 0..9 {
            catcher.add("a@b.c", &[], mail(&n.to_string())).await.unwrap();
        }
        assert!(catcher.all().len() <= 4 && subjects(&catcher)[0] == "8", "{:?}", subjects(&catcher));
        fs::remove_dir_all(&folder).unwrap();
    }
}
