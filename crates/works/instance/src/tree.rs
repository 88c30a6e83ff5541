//! Directories as wholes: copied, given away, made durable, removed. All of it blocks; callers run it on a
//! blocking thread.

use crate::user::ServerUser;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes a directory with exactly this mode (whatever the umask), unless it is there.
pub(crate) fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(mode)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(e) => Err(e),
    }
}

/// Writes a new private file.
pub(crate) fn write_private(path: &Path, text: &str, owner: &ServerUser) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    owner.own(path)
}

/// Copies a directory of plain files and directories; what is not one of these is refused. The copy belongs to
/// `owner`. File systems that can share blocks between copies do so.
pub(crate) fn copy(from: &Path, to: &Path, owner: &ServerUser) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target, owner)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
            owner.own(&target)?;
        } else {
            let text = format!("{} is neither a file nor a directory", entry.path().display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
    }
    owner.own(to)
}

/// Makes everything in the directory durable. One call for the whole file system where there is one: calling
/// fsync on each of a thousand small files takes ten times as long.
pub(crate) fn sync(dir: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        rustix::fs::syncfs(File::open(dir)?)?;
        Ok(())
    }
    #[cfg(not(target_os = "linux"))]
    {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                sync(&entry.path())?;
            } else {
                File::open(entry.path())?.sync_all()?;
            }
        }
        File::open(dir)?.sync_all()
    }
}

/// Puts a finished directory where it belongs, durably.
pub(crate) fn publish(from: &Path, to: &Path) -> io::Result<()> {
    sync(from)?;
    fs::rename(from, to)?;
    match to.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Removes a directory; that it is not there is fine.
pub(crate) fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Opens a log for appending, put aside first if it is too long.
pub(crate) fn open_log(path: &Path, bytes_max: u64) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|m| m.len() > bytes_max) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Cuts the log of a running server. The server appends to an open file, so the file is copied and emptied; what
/// it writes between the two is lost.
pub(crate) fn cut_log(path: &Path, bytes_max: u64) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|m| m.len() > bytes_max) {
        fs::copy(path, path.with_extension("log.1"))?;
        OpenOptions::new().write(true).open(path)?.set_len(0)?;
    }
    Ok(())
}

/// The last lines of a log, without statements.
pub(crate) fn log_tail(path: &Path) -> String {
    const BYTES: u64 = 4096;
    const LINES: usize = 15;
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
        let mut bytes = Vec::new();
        file.take(BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|l| !reveals(l)).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Whether a line of the log could hold a statement, and with it a password.
fn reveals(line: &str) -> bool {
    let line = line.to_ascii_uppercase();
    ["STATEMENT:", "QUERY:", "PASSWORD '"].iter().any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_do_not_leave_the_log() {
        assert!(reveals("2026-01-01 ERROR STATEMENT:  alter role a password 'x'"));
        assert!(reveals("alter role a Password 'x'"));
        assert!(!reveals("FATAL:  lock file \"postmaster.pid\" already exists"));
    }
}
