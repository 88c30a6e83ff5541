//! The operating system's user that PostgreSQL runs as. PostgreSQL refuses root; as root we give its processes
//! and files to an unprivileged user, otherwise they are ours.

use crate::error::Error;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// Tried in this order when we are root and no user was named.
const CANDIDATES: &[&str] = &["postgres", "rowhouse"];

/// Who runs the servers and owns their files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUser {
    pub name: Option<String>,
    pub uid: u32,
    pub gid: u32,
    /// Whether this is not the user that we run as.
    pub is_other: bool,
}

impl ServerUser {
    /// The named user, or the best one there is.
    ///
    /// # Errors
    /// When there is none, or we have no right to become the named one.
    pub async fn choose(run_as: Option<&str>) -> Result<ServerUser, Error> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if uid != 0 {
            return match run_as {
                Some(name) if look_up(name).await.is_none_or(|found| found.0 != uid) => {
                    Err(Error::User(format!("only root can run PostgreSQL as another user (here: {name})")))
                }
                _ => Ok(ServerUser { name: run_as.map(str::to_owned), uid, gid, is_other: false }),
            };
        }
        let names = run_as.as_slice();
        for name in if names.is_empty() { CANDIDATES } else { names } {
            match look_up(name).await {
                Some((0, _)) => {
                    return Err(Error::User("PostgreSQL refuses to run as root: name another user".into()));
                }
                Some((uid, gid)) => {
                    return Ok(ServerUser { name: Some((*name).to_owned()), uid, gid, is_other: true });
                }
                None => {}
            }
        }
        Err(Error::User(match run_as {
            Some(name) => format!("there is no user {name} to run PostgreSQL as"),
            None => "PostgreSQL refuses to run as root, and there is no user postgres or rowhouse to run it as.\n  \
                     Make one (useradd --system --shell /usr/sbin/nologin rowhouse), or start Rowhouse as an \
                     ordinary user"
                .to_owned(),
        }))
    }

    /// Makes a process run as this user, without the groups of root.
    pub(crate) fn apply(&self, command: &mut Command) {
        if self.is_other {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives a file or directory to this user.
    pub(crate) fn own(&self, path: &Path) -> io::Result<()> {
        if self.is_other { std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }

    /// Whether this user may pass through the directory.
    pub(crate) fn can_pass(&self, dir: &Path) -> io::Result<bool> {
        if !self.is_other {
            return Ok(true);
        }
        let meta = std::fs::metadata(dir)?;
        let bit = match () {
            () if meta.uid() == self.uid => 0o100,
            () if meta.gid() == self.gid => 0o010,
            () => 0o001,
        };
        Ok(meta.mode() & bit != 0)
    }
}

/// User and group number, from the system's own tool: users may live in a directory service.
async fn look_up(name: &str) -> Option<(u32, u32)> {
    if name.is_empty() || name.starts_with('-') {
        return None;
    }
    let (uid, gid) = tokio::join!(id("-u", name), id("-g", name));
    Some((uid?, gid?))
}

async fn id(which: &str, name: &str) -> Option<u32> {
    let mut command = Command::new("id");
    command.args([which, name]).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output =
        tokio::time::timeout(std::time::Duration::from_secs(10), command.output()).await.ok()?.ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unknown_user_is_refused_by_name() {
        let error = ServerUser::choose(Some("no-such-user-here")).await.unwrap_err();
        assert!(error.to_string().contains("no-such-user-here"), "{error}");
    }

    #[tokio::test]
    async fn names_that_look_like_options_are_not_looked_up() {
        assert_eq!(look_up("-G").await, None);
        assert_eq!(look_up("root").await, Some((0, 0)));
    }
}
