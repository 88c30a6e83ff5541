//! Finding PostgreSQL's programs: where we are told, in PATH, in the usual places.

use crate::error::Error;
use crate::settings::Settings;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// The major versions that Rowhouse is made for, oldest first.
pub const SUPPORTED_MAJORS: std::ops::RangeInclusive<u32> = 15..=18;

const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Where packages put the programs; `*` stands for the version.
const USUAL_PLACES: &[&str] = &[
    "/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
    "/usr/pgsql-*/bin",                                   // Red Hat and kin (PGDG)
    "/usr/libexec/postgresql*",                           // Alpine
    "/opt/homebrew/opt/postgresql@*/bin",                 // Homebrew on Apple silicon
    "/usr/local/opt/postgresql@*/bin",                    // Homebrew on Intel
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",    // Homebrew on Linux
    "/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
    "/opt/local/lib/postgresql*/bin",                     // MacPorts
    "/usr/local/pgsql/bin",                               // built from source
    "/usr/bin",                                           // Arch, Fedora's own packages
];

/// One installed PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The directory of `postgres` and `initdb`.
    pub bin: PathBuf,
    pub major: u32,
    /// What `postgres -V` says after the name: `15.18 (Debian …)`.
    pub version: String,
}

impl Installation {
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// All supported installations, the preferred one first: `--pg-bin` alone if given, else the one in PATH, else the
/// newest. The others serve instances that an older version made.
///
/// # Errors
/// When there is none; the message says how to install one.
pub async fn find(settings: &Settings) -> Result<Vec<Installation>, Error> {
    if let Some(dir) = &settings.pg_bin {
        return Ok(vec![explicit(dir).await?]);
    }
    let in_path: Vec<PathBuf> =
        settings.search_path.iter().flat_map(|p| std::env::split_paths(p).collect::<Vec<_>>()).collect();
    let usual =
        tokio::task::spawn_blocking(|| USUAL_PLACES.iter().flat_map(|p| expand(p)).collect::<Vec<_>>());
    let usual = usual.await.unwrap_or_default();
    let mut found: Vec<Installation> = Vec::new();
    let mut unsupported = Vec::new();
    let (mut from_path, mut seen) = (0, HashSet::new());
    for (candidate, is_in_path) in in_path.iter().map(|p| (p, true)).chain(usual.iter().map(|p| (p, false))) {
        let Some(bin) = programs(candidate).await else { continue };
        if !seen.insert(bin.clone()) {
            continue;
        }
        let Some(installation) = examine(bin).await else { continue };
        if SUPPORTED_MAJORS.contains(&installation.major) {
            found.push(installation);
            from_path += usize::from(is_in_path);
        } else {
            unsupported.push(format!("version {} in {}", installation.major, installation.bin.display()));
        }
    }
    found[from_path..].sort_by_key(|f| std::cmp::Reverse(f.major));
    if found.is_empty() {
        let seen = if unsupported.is_empty() {
            String::new()
        } else {
            format!("; found {}", unsupported.join(", "))
        };
        return Err(Error::NotFound { versions: supported(), seen });
    }
    Ok(found)
}

fn supported() -> String {
    format!("{} to {}", SUPPORTED_MAJORS.start(), SUPPORTED_MAJORS.end())
}

async fn explicit(dir: &Path) -> Result<Installation, Error> {
    let refused = |reason: String| Error::BadBin { dir: dir.to_owned(), reason };
    let missing = || refused("no working postgres and initdb there".to_owned());
    let bin = programs(dir).await.ok_or_else(missing)?;
    let installation = examine(bin).await.ok_or_else(missing)?;
    if !SUPPORTED_MAJORS.contains(&installation.major) {
        return Err(refused(format!("version {}, but Rowhouse needs {}", installation.major, supported())));
    }
    Ok(installation)
}

/// Where the programs in `dir` really are, if they are there. Links are followed, because the server finds its
/// libraries relative to its program.
async fn programs(dir: &Path) -> Option<PathBuf> {
    let postgres = tokio::fs::canonicalize(dir.join("postgres")).await.ok()?;
    let bin = postgres.parent()?.to_owned();
    tokio::fs::metadata(bin.join("initdb")).await.ok()?;
    Some(bin)
}

/// Asks the programs for their version.
async fn examine(bin: PathBuf) -> Option<Installation> {
    let mut command = Command::new(bin.join("postgres"));
    command.arg("-V").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(VERSION_TIMEOUT, command.output()).await.ok()?.ok()?;
    let (major, version) = parse_version(&String::from_utf8_lossy(&output.stdout))?;
    Some(Installation { bin, major, version })
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`; development versions read `18beta1`.
fn parse_version(text: &str) -> Option<(u32, String)> {
    let version = text.trim().strip_prefix("postgres (PostgreSQL) ")?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, version.to_owned()))
}

/// The existing directories that a pattern with at most one `*` names, newest version first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some(star) = pattern.find('*') else { return vec![PathBuf::from(pattern)] };
    let slash = pattern[..star].rfind('/').map_or(0, |i| i + 1);
    let (parent, prefix) = (&pattern[..slash], &pattern[slash..star]);
    let rest = pattern[star + 1..].trim_start_matches('/');
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let version = |name: &OsStr| name.to_str()?.strip_prefix(prefix).map(str::to_owned);
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|e| Some((version(&e.file_name())?, e.path())))
        .map(|(v, path)| {
            let digits: String = v.chars().take_while(char::is_ascii_digit).collect();
            (digits.parse().unwrap_or(0), if rest.is_empty() { path } else { path.join(rest) })
        })
        .collect();
    found.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    found.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_the_server_prints_them() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(parse_version(debian).map(|v| v.0), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1").map(|v| v.0), Some(18));
        assert_eq!(parse_version("bash 5"), None);
    }

    #[tokio::test]
    async fn a_wrong_directory_is_named() {
        let settings = Settings { pg_bin: Some("/nonexistent".into()), ..Settings::new("/nonexistent") };
        let error = find(&settings).await.unwrap_err().to_string();
        assert!(error.contains("--pg-bin /nonexistent"), "{error}");
    }

    #[test]
    fn the_error_says_how_to_install() {
        let error = Error::NotFound { versions: supported(), seen: String::new() }.to_string();
        for part in ["15 to 18", "apt-get install postgresql", "brew install postgresql@17", "--pg-bin"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_pattern_without_matches_is_empty() {
        assert!(expand("/nonexistent/postgresql/*/bin").is_empty());
    }
}
