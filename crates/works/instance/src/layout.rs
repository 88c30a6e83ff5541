//! Where everything lies, and that PostgreSQL's user can get there.

use crate::conf::PORT;
use crate::error::Error;
use crate::name::InstanceName;
use crate::settings::Settings;
use crate::tree;
use crate::user::ServerUser;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The longest path that the address of a Unix socket can hold.
const SOCKET_PATH_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Begins the names of directories that are not finished, or no longer wanted.
const UNFINISHED: &str = ".new-";
const UNWANTED: &str = ".gone-";

/// The paths of one data directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    base: PathBuf,
    temp_dir: PathBuf,
    user: ServerUser,
}

impl Layout {
    /// Makes the directories and clears away what a killed process left unfinished. Blocks.
    pub(crate) fn prepare(settings: &Settings, user: &ServerUser) -> Result<Layout, Error> {
        let what = || format!("data directory {}", settings.data_dir.display());
        fs::create_dir_all(&settings.data_dir).map_err(Error::io(what()))?;
        let data_dir = fs::canonicalize(&settings.data_dir).map_err(Error::io(what()))?;
        if user.is_other && !user.can_pass(&data_dir).map_err(Error::io(what()))? {
            let mode = fs::metadata(&data_dir).map_err(Error::io(what()))?.mode() | 0o011;
            fs::set_permissions(&data_dir, fs::Permissions::from_mode(mode & 0o7777))
                .map_err(Error::io(what()))?;
        }
        let base = base(&data_dir, settings, user).map_err(Error::io(what()))?;
        // One's own directory for temporary files may be closed to everybody else.
        let temp_dir =
            if reaches(user, &settings.temp_dir) { settings.temp_dir.clone() } else { "/tmp".into() };
        let layout = Layout { base, temp_dir, user: user.clone() };
        let mode = if user.is_other { 0o711 } else { 0o700 };
        for dir in ["template", "instances", "run"] {
            let path = layout.base.join(dir);
            tree::make_dir(&path, mode).map_err(Error::io(path.display().to_string()))?;
        }
        for dir in [layout.base.clone(), layout.templates(), layout.base.join("instances")] {
            sweep(&dir).map_err(Error::io(dir.display().to_string()))?;
        }
        Ok(layout)
    }

    pub(crate) fn templates(&self) -> PathBuf {
        self.base.join("template")
    }

    /// The directory of one instance.
    pub(crate) fn home(&self, name: &InstanceName) -> PathBuf {
        if name.is_system() {
            self.base.join(name.as_str())
        } else {
            self.base.join("instances").join(name.as_str())
        }
    }

    /// The server's own directory.
    pub(crate) fn data(&self, name: &InstanceName) -> PathBuf {
        self.home(name).join("data")
    }

    pub(crate) fn log(&self, name: &InstanceName) -> PathBuf {
        self.home(name).join("server.log")
    }

    /// Instances that exist, in no order. Blocks.
    pub(crate) fn names(&self) -> io::Result<Vec<InstanceName>> {
        let mut names: Vec<InstanceName> = fs::read_dir(self.base.join("instances"))?
            .filter_map(Result::ok)
            .filter_map(|e| e.file_name().to_str()?.parse().ok())
            .collect();
        let system = InstanceName::system();
        if self.home(&system).is_dir() {
            names.push(system);
        }
        Ok(names)
    }

    /// The private directory of a server's socket, made if needed: under `run`, or in the directory for
    /// temporary files when that path is too long for a socket. Blocks.
    pub(crate) fn socket_dir(&self, key: &str) -> Result<PathBuf, Error> {
        let dir = self.socket_path(key);
        self.make_socket_dir(&dir).map_err(Error::io(format!("socket directory {}", dir.display())))?;
        Ok(dir)
    }

    fn socket_path(&self, key: &str) -> PathBuf {
        let dir = self.base.join("run").join(key);
        let length = dir.as_os_str().len() + format!("/.s.PGSQL.{PORT}").len();
        if length <= SOCKET_PATH_MAX {
            return dir;
        }
        let mut hash = Sha256::new();
        hash.update(dir.as_os_str().as_bytes());
        self.temp_dir.join(format!("rowhouse-{}", &hex::encode(hash.finalize())[..16]))
    }

    /// Others may have made a directory of the same name in the directory for temporary files: ours is no link,
    /// belongs to the server's user and is closed to everybody else.
    fn make_socket_dir(&self, dir: &Path) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => {
                fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
                return self.user.own(dir);
            }
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            Err(_) => {}
        }
        let meta = fs::symlink_metadata(dir)?;
        let ours = meta.uid() == self.user.uid || meta.uid() == rustix::process::geteuid().as_raw();
        if !meta.is_dir() || !ours || meta.mode() & 0o077 != 0 {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "exists and is not ours: remove it"));
        }
        self.user.own(dir)
    }

    /// Removes a server's socket directory. Blocks.
    pub(crate) fn remove_socket_dir(&self, key: &str) -> io::Result<()> {
        tree::remove(&self.socket_path(key))
    }
}

/// The sibling under which a directory is made before it gets its name.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    sibling(path, UNFINISHED)
}

/// The sibling to which a directory is moved before it is removed.
pub(crate) fn unwanted(path: &Path) -> PathBuf {
    sibling(path, UNWANTED)
}

fn sibling(path: &Path, prefix: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(prefix);
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}

fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)?.filter_map(Result::ok) {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(UNFINISHED) || name.starts_with(UNWANTED) {
            // A killed process may have left a server that still runs in there.
            crate::orphan::kill_all_in(&entry.path().join("data"));
            tree::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Whether the user may pass through all directories on the way, this one included.
fn reaches(user: &ServerUser, dir: &Path) -> bool {
    dir.ancestors().all(|dir| user.can_pass(dir).unwrap_or(false))
}

/// The data directory itself, or a directory elsewhere when the server's user cannot get to it. Once chosen, the
/// other place is remembered by a link and never given up.
fn base(data_dir: &Path, settings: &Settings, user: &ServerUser) -> io::Result<PathBuf> {
    let link = data_dir.join("postgres");
    if fs::symlink_metadata(&link).is_ok_and(|m| m.is_symlink()) {
        let target = fs::read_link(&link)?;
        fs::create_dir_all(&target)?;
        return Ok(target);
    }
    if reaches(user, data_dir) {
        return Ok(data_dir.to_owned());
    }
    fs::create_dir_all(&settings.spare_root)?;
    fs::set_permissions(&settings.spare_root, fs::Permissions::from_mode(0o711))?;
    let spare = settings.spare_root.join(uuid::Uuid::new_v4().simple().to_string());
    tree::make_dir(&spare, 0o711)?;
    fs::write(spare.join("origin"), data_dir.as_os_str().as_bytes())?;
    symlink(&spare, &link)?;
    tracing::info!(
        data = %data_dir.display(), servers = %spare.display(),
        "PostgreSQL's user cannot reach the data directory; the servers' files are kept elsewhere"
    );
    Ok(spare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(base: &str) -> Layout {
        let user = ServerUser { name: None, uid: 1, gid: 1, is_other: false };
        Layout { base: base.into(), temp_dir: "/tmp".into(), user }
    }

    #[test]
    fn a_long_socket_path_moves_to_the_temporary_directory() {
        let short = layout("/data").socket_path("abcdefghijklmnopqrst");
        assert_eq!(short, Path::new("/data/run/abcdefghijklmnopqrst"));
        let long = layout(&format!("/{}", "d".repeat(90))).socket_path("abcdefghijklmnopqrst");
        assert!(long.starts_with("/tmp") && long.as_os_str().len() < 60, "{}", long.display());
        assert_ne!(long, layout(&format!("/{}", "d".repeat(90))).socket_path("system"));
    }

    #[test]
    fn the_system_instance_lies_apart() {
        assert_eq!(layout("/d").data(&InstanceName::system()), Path::new("/d/system/data"));
    }
}
