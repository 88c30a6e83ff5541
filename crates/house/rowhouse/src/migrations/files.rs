//! The files on disk.

use super::split::split;
use std::path::{Path, PathBuf};

/// One migration: a file named `<version>_<name>.sql`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Digits; as text, because their number tells versions apart.
    pub version: String,
    pub name: String,
    pub path: PathBuf,
    pub statements: Vec<String>,
}

/// One seed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedFile {
    /// As it is recorded: relative to the working directory, with `supabase/` in front.
    pub recorded_path: String,
    pub path: PathBuf,
    pub text: String,
    pub statements: Vec<String>,
}

/// A file or folder that cannot be read, or two migrations of one version.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{} and {} have the same version; rename one of them", .0.display(), .1.display())]
    SameVersion(PathBuf, PathBuf),
}

/// The migrations of a folder in the order of their versions, and the names of the SQL files that are none. A
/// folder that is not there holds none.
///
/// # Errors
/// When something cannot be read, or two files have the same version.
pub fn migrations_in(folder: &Path) -> Result<(Vec<Migration>, Vec<String>), FileError> {
    let mut migrations: Vec<Migration> = Vec::new();
    let mut skipped = Vec::new();
    for path in sql_files(folder)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        match parse_name(&name) {
            Some((version, name)) => {
                let statements = split(&read(&path)?);
                migrations.push(Migration { version, name, path, statements });
            }
            None => skipped.push(name),
        }
    }
    migrations.sort_by(|a, b| a.version.cmp(&b.version));
    for pair in migrations.windows(2) {
        if pair[0].version == pair[1].version {
            return Err(FileError::SameVersion(pair[0].path.clone(), pair[1].path.clone()));
        }
    }
    Ok((migrations, skipped))
}

/// `20240101120000_create_todos.sql` → version and name.
fn parse_name(file: &str) -> Option<(String, String)> {
    let (version, name) = file.strip_suffix(".sql")?.split_once('_')?;
    let is_version = !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit());
    is_version.then(|| (version.to_owned(), name.to_owned()))
}

fn sql_files(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let unreadable = |error| FileError::Unreadable { path: folder.to_owned(), error };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "sql") && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String, FileError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| FileError::Unreadable { path: path.to_owned(), error })?;
    // Editors on Windows put a byte order mark in front, which is no SQL.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}

/// The seed files that the patterns name, in their order, each once; and the patterns that name none. Patterns
/// are relative to `folder` (the folder `supabase`) and may have `*` and `?` in their last part.
///
/// # Errors
/// When a file cannot be read.
pub fn seeds_in(folder: &Path, patterns: &[String]) -> Result<(Vec<SeedFile>, Vec<String>), FileError> {
    let mut seeds: Vec<SeedFile> = Vec::new();
    let mut without = Vec::new();
    for pattern in patterns {
        let relative = pattern.strip_prefix("./").unwrap_or(pattern);
        let found = matching(folder, relative)?;
        if found.is_empty() {
            without.push(pattern.clone());
        }
        for name in found {
            let recorded_path = format!("supabase/{name}");
            if seeds.iter().any(|seed| seed.recorded_path == recorded_path) {
                continue;
            }
            let path = folder.join(&name);
            let text = read(&path)?;
            let statements = split(&text);
            seeds.push(SeedFile { recorded_path, path, text, statements });
        }
    }
    Ok((seeds, without))
}

/// Names relative to `folder` that match.
fn matching(folder: &Path, pattern: &str) -> Result<Vec<String>, FileError> {
    let (directory, last) =
        pattern.rsplit_once('/').map_or(("", pattern), |(directory, last)| (directory, last));
    let paths = sql_files(&folder.join(directory))?;
    let names = paths.iter().filter_map(|path| path.file_name()?.to_str());
    let matching = names.filter(|name| glob(last.as_bytes(), name.as_bytes()));
    Ok(matching
        .map(|name| if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") })
        .collect())
}

/// Whether `name` matches a pattern of `*`, `?` and plain bytes.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some(b'*'), _) => glob(&pattern[1..], name) || (!name.is_empty() && glob(pattern, &name[1..])),
        (Some(b'?'), Some(_)) => glob(&pattern[1..], &name[1..]),
        (Some(a), Some(b)) if a == b => glob(&pattern[1..], &name[1..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_migrations() {
        let parsed = |name| parse_name(name).map(|(version, name)| format!("{version}|{name}"));
        assert_eq!(parsed("00001_initial_schema.sql").as_deref(), Some("00001|initial_schema"));
        assert_eq!(parsed("20240101_.sql").as_deref(), Some("20240101|"));
        for name in ["initial.sql", "1.sql", "_x.sql", "a1_x.sql", "1_x.txt"] {
            assert_eq!(parsed(name), None, "{name}");
        }
    }

    #[test]
    fn patterns() {
        let matches = |pattern: &str, name: &str| glob(pattern.as_bytes(), name.as_bytes());
        assert!(
            matches("*.sql", "a.sql") && matches("seed?.sql", "seed1.sql") && matches("seed.sql", "seed.sql")
        );
        assert!(!matches("*.sql", "a.sq") && !matches("seed.sql", "seed2.sql") && !matches("?", ""));
    }

    #[test]
    fn a_missing_folder_holds_nothing() {
        let missing = Path::new("/nonexistent/supabase");
        assert_eq!(migrations_in(missing).unwrap().0, []);
        let (seeds, without) = seeds_in(missing, &["./seed.sql".to_owned()]).unwrap();
        assert_eq!((seeds.len(), without.len()), (0, 1));
    }
}
