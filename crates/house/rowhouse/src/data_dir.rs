//! The directory that holds everything, and the lock by which one program at a time works on it.

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A path of a Unix socket may have 107 bytes; with some to spare.
const SOCKET_PATH_MAX: usize = 100;
/// How long a stopping program may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_POLL: Duration = Duration::from_millis(20);

/// A data directory.
#[derive(Debug, Clone)]
pub struct DataDir {
    path: PathBuf,
}

/// The lock on a data directory, for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl DataDir {
    /// The directory, made when it is missing; its parents too.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path) -> anyhow::Result<DataDir> {
        let what = || format!("the data directory {} cannot be made", path.display());
        std::fs::create_dir_all(path).with_context(what)?;
        DataDir::existing(path).with_context(what)
    }

    /// The directory, if it is there.
    ///
    /// # Errors
    /// When it is not.
    pub fn existing(path: &Path) -> anyhow::Result<DataDir> {
        let path = path.canonicalize().with_context(|| format!("there is no {}", path.display()))?;
        Ok(DataDir { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn log_file(&self) -> PathBuf {
        self.path.join("rowhouse.log")
    }

    fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Takes the lock and leaves our process number in it.
    ///
    /// # Errors
    /// When another program has it; the error names that program.
    pub fn lock(&self) -> anyhow::Result<Lock> {
        let path = self.lock_file();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let who = read_pid(&mut file).map(|pid| format!(" (process {pid})")).unwrap_or_default();
            bail!(
                "Rowhouse already runs on {}{who}; stop it first: rowhouse stop --data {}",
                self.path.display(),
                self.path.display()
            );
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Lock { _file: file })
    }

    /// The process that has the lock, if one has.
    pub fn running(&self) -> Option<u32> {
        let mut file = File::open(self.lock_file()).ok()?;
        // A lock of our own, shared and dropped at once, fails exactly when somebody has it.
        if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
            return None;
        }
        Some(read_pid(&mut file).unwrap_or(0))
    }

    /// Tells the program that has the lock to stop, and waits until it has. Whether there was one.
    ///
    /// # Errors
    /// When it does not belong to us, or does not stop.
    pub async fn stop_running(&self) -> anyhow::Result<bool> {
        let Some(number) = self.running() else { return Ok(false) };
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw).context("the lock names no process")?;
        kill_process(pid, Signal::TERM)
            .with_context(|| format!("process {number} cannot be told to stop"))?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.running().is_some() {
            if Instant::now() > deadline {
                bail!(
                    "process {number} has not stopped within {} s; end it with: kill -9 {number}",
                    STOP_TIMEOUT.as_secs()
                );
            }
            tokio::time::sleep(STOP_POLL).await;
        }
        Ok(true)
    }

    /// Where the running program takes commands. Its directory is made, open to nobody else; when the data
    /// directory's path is too long for a socket, one in `temp` that is named after it.
    ///
    /// # Errors
    /// When the directory cannot be made or belongs to somebody else.
    pub fn admin_socket(&self, temp: &Path) -> anyhow::Result<PathBuf> {
        let mut dir = self.path.join("admin");
        if dir.as_os_str().len() + "/sock".len() > SOCKET_PATH_MAX {
            let mut hasher = DefaultHasher::new();
            self.path.hash(&mut hasher);
            dir = temp.join(format!(
                "rowhouse-{}-{:016x}",
                rustix::process::getuid().as_raw(),
                hasher.finish()
            ));
        }
        match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("{} cannot be made", dir.display()));
            }
            _ => {}
        }
        let found = std::fs::symlink_metadata(&dir)?;
        let is_ours =
            found.is_dir() && found.uid() == rustix::process::getuid().as_raw() && found.mode() & 0o077 == 0;
        if !is_ours && rustix::process::getuid().as_raw() != 0 {
            bail!("{} belongs to another user or is open to others", dir.display());
        }
        Ok(dir.join("sock"))
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> DataDir {
        let dir = std::env::temp_dir().join(format!("rowhouse-dir-{}-{name}", std::process::id()));
        DataDir::open(&dir).unwrap()
    }

    #[test]
    fn one_program_at_a_time() {
        let dir = scratch("lock");
        assert_eq!(dir.running(), None);
        let lock = dir.lock().unwrap();
        assert_eq!(dir.running(), Some(std::process::id()));
        let refused = dir.lock().unwrap_err().to_string();
        assert!(refused.contains("already runs") && refused.contains("rowhouse stop"), "{refused}");
        drop(lock);
        assert_eq!(dir.running(), None);
        drop(dir.lock().unwrap());
        std::fs::remove_dir_all(dir.path()).unwrap();
    }

    #[test]
    fn long_paths_get_a_short_socket() {
        let dir = scratch(&"x".repeat(100));
        let temp = std::env::temp_dir();
        let socket = dir.admin_socket(&temp).unwrap();
        assert!(socket.starts_with(&temp) && socket.as_os_str().len() < 107, "{}", socket.display());
        assert_eq!(dir.admin_socket(&temp).unwrap(), socket);
        std::fs::remove_dir_all(dir.path()).unwrap();
        std::fs::remove_dir_all(socket.parent().unwrap()).unwrap();
    }
}
