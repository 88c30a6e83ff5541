//! `postmaster.pid`: who serves a data directory, and how far it has come.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// A process number that no system hands out: written over one that was reused by another program, so that
/// PostgreSQL sees a dead server but still checks its shared memory.
pub(crate) const NOBODY: i32 = i32::MAX;

/// The lines that we use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: i32,
    pub(crate) port: Option<u16>,
    pub(crate) socket_dir: Option<PathBuf>,
    /// `starting`, `ready`, `stopping`, `standby`; empty while there is no line for it.
    pub(crate) status: String,
}

pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

/// The file as it is now; `None` if there is none or it makes no sense.
pub(crate) async fn read(data: &Path) -> Option<PidFile> {
    parse(&tokio::fs::read_to_string(path(data)).await.ok()?)
}

/// Line 1 process, 2 data directory, 3 start time, 4 port, 5 socket directory, 6 address, 7 memory key, 8 status.
fn parse(text: &str) -> Option<PidFile> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let line = |n: usize| lines.get(n - 1).copied().unwrap_or_default();
    Some(PidFile {
        // A single-user server writes its number negated.
        pid: line(1).parse::<i32>().ok().and_then(i32::checked_abs).filter(|pid| *pid > 1)?,
        port: line(4).parse().ok(),
        socket_dir: Some(line(5)).filter(|l| !l.is_empty()).map(PathBuf::from),
        status: line(8).to_owned(),
    })
}

/// Replaces the process number by one that is certainly dead.
pub(crate) async fn disown(data: &Path) -> std::io::Result<()> {
    let text = tokio::fs::read_to_string(path(data)).await?;
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    tokio::fs::write(path(data), format!("{NOBODY}\n{rest}")).await
}

/// Whether this process is alive and a PostgreSQL server of this very directory. A number alone proves nothing:
/// the system reuses them.
pub(crate) async fn serves(pid: i32, data: &Path) -> bool {
    if cfg!(target_os = "linux") {
        return is_postgres_in(pid, data);
    }
    let mut ps = tokio::process::Command::new("ps");
    ps.args(["-o", "command=", "-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let Ok(Ok(output)) = tokio::time::timeout(Duration::from_secs(5), ps.output()).await else {
        return false;
    };
    let command = String::from_utf8_lossy(&output.stdout).into_owned();
    command.contains("postgres") && command.contains(&*data.to_string_lossy())
}

/// Linux: every process of a server works in its data directory. A process that has ended but was not yet
/// collected by its parent has no directory any more.
pub(crate) fn is_postgres_in(pid: i32, data: &Path) -> bool {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let here = std::fs::canonicalize(data)
        .is_ok_and(|data| std::fs::read_link(proc.join("cwd")).is_ok_and(|c| c == data));
    here && std::fs::read_to_string(proc.join("comm")).is_ok_and(|c| c.trim_end() == "postgres")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_running_server() {
        let text = "4711\n/d/data\n1700000000\n5432\n/d/run\n\n  53 9\nready   \n";
        let file = parse(text).unwrap();
        assert_eq!((file.pid, file.port, file.status.as_str()), (4711, Some(5432), "ready"));
        assert_eq!(file.socket_dir.as_deref(), Some(Path::new("/d/run")));
    }

    #[test]
    fn half_a_file_and_nonsense() {
        assert_eq!(parse("4711\n").map(|f| (f.pid, f.status)), Some((4711, String::new())));
        for bad in ["", "x", "0", "1", "-1", "99999999999"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn another_program_does_not_serve() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(!serves(own, &std::env::current_dir().unwrap()).await);
        assert!(!serves(NOBODY, Path::new("/")).await);
    }
}
