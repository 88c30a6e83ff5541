//! `supabase/config.toml`, the file of the official CLI, as far as the local stack has what it configures.
//!
//! The file's own defaults are those of the CLI. Keys that nothing here knows are named in a warning and ignored,
//! so that a file written for a newer CLI still works.

mod auth;
mod decisions;
mod duration;
mod external;
mod hooks;
mod known;
mod mail;
mod reader;
mod sessions;
mod sms;
mod sso;
mod storage;

pub use auth::AuthSection;
pub use mail::{CatcherSection, SmtpSection, TextSection};
pub use reader::ConfigError;
pub use storage::{BucketSection, StorageSection};

use reader::Reader;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where the file lies below the working directory.
pub const FILE: &str = "supabase/config.toml";

/// What the file says, or would say by default.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectConfig {
    pub project_id: Option<String>,
    pub api: ApiSection,
    pub db: DbSection,
    pub auth: AuthSection,
    pub storage: StorageSection,
    /// The studio's port; not opened yet.
    pub studio_port: u16,
    pub catcher: CatcherSection,
}

/// `[api]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiSection {
    pub enabled: bool,
    pub port: u16,
    pub schemas: Vec<String>,
    pub extra_search_path: Vec<String>,
    pub max_rows: u64,
}

/// `[db]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DbSection {
    pub port: u16,
    /// The major version of the remote database; a different local one is worth a warning.
    pub major_version: Option<u32>,
    pub migrations_enabled: bool,
    pub seed_enabled: bool,
    /// Patterns relative to the folder of the file.
    pub seed_paths: Vec<String>,
}

/// A file, read: what it says and what is worth telling about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    pub config: ProjectConfig,
    pub warnings: Vec<String>,
    /// The folder `supabase`, whether or not it exists.
    pub folder: PathBuf,
    /// The file as it is written.
    pub written: toml::Table,
}

/// Reads the file below `workdir`; without one, all defaults. `environment` resolves `env(NAME)`.
///
/// # Errors
/// When the file cannot be read, is not TOML, or has a value that makes no sense; the error names the field.
pub fn load(workdir: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, ConfigError> {
    let path = workdir.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(ConfigError::Unreadable { path, error }),
    };
    let mut written: toml::Table = text.parse().map_err(|error| ConfigError::Syntax(error).in_file(&path))?;
    mail::inline(&mut written, workdir, path.parent().unwrap_or(workdir))
        .map_err(|error| error.in_file(&path))?;
    let (config, warnings) = read(written.clone(), environment).map_err(|error| error.in_file(&path))?;
    let folder = path.parent().unwrap_or(workdir).to_owned();
    Ok(Loaded { config, warnings, folder, written })
}

#[cfg(test)]
fn parse(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(ProjectConfig, Vec<String>), ConfigError> {
    read(text.parse().map_err(ConfigError::Syntax)?, environment)
}

/// What a table of settings says, and what is worth telling about it.
///
/// # Errors
/// When a value makes no sense; the error names the field.
pub fn read(
    table: toml::Table,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(ProjectConfig, Vec<String>), ConfigError> {
    let reader = Reader::new(table, environment);
    let mut root = reader.root();
    let config = ProjectConfig {
        project_id: root.text("project_id")?,
        api: api(root.section("api")?)?,
        db: db(root.section("db")?)?,
        auth: auth::read(root.section("auth")?)?,
        storage: storage::read(root.section("storage")?)?,
        studio_port: port_of(root.section("studio")?, 54323)?,
        catcher: mail::catcher(root.section("inbucket")?, root.section("mailpit")?)?,
    };
    root.finish();
    Ok((config, reader.warnings()))
}

impl Default for ApiSection {
    fn default() -> Self {
        ApiSection {
            enabled: true,
            port: 54321,
            schemas: texts(&["public", "graphql_public"]),
            extra_search_path: texts(&["public", "extensions"]),
            max_rows: 1000,
        }
    }
}

fn api(mut section: reader::Section<'_>) -> Result<ApiSection, ConfigError> {
    let default = ApiSection::default();
    let api = ApiSection {
        enabled: section.flag("enabled")?.unwrap_or(default.enabled),
        port: section.port("port")?.unwrap_or(default.port),
        schemas: section.texts("schemas")?.unwrap_or(default.schemas),
        extra_search_path: section.texts("extra_search_path")?.unwrap_or(default.extra_search_path),
        max_rows: section.number("max_rows", 0, 1_000_000)?.unwrap_or(default.max_rows),
    };
    section.finish();
    Ok(api)
}

fn db(mut section: reader::Section<'_>) -> Result<DbSection, ConfigError> {
    let mut migrations = section.section("migrations")?;
    let mut seed = section.section("seed")?;
    let db = DbSection {
        port: section.port("port")?.unwrap_or(54322),
        major_version: section.number("major_version", 13, 99)?.map(|version| version as u32),
        migrations_enabled: migrations.flag("enabled")?.unwrap_or(true),
        seed_enabled: seed.flag("enabled")?.unwrap_or(true),
        seed_paths: seed.texts("sql_paths")?.unwrap_or_else(default_seed_paths),
    };
    section.port("shadow_port")?;
    for section in [section, migrations, seed] {
        section.finish();
    }
    Ok(db)
}

fn port_of(mut section: reader::Section<'_>, default: u16) -> Result<u16, ConfigError> {
    let port = section.port("port")?.unwrap_or(default);
    section.finish();
    Ok(port)
}

/// The patterns of seed files when the file names none.
pub fn default_seed_paths() -> Vec<String> {
    texts(&["./seed.sql"])
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests;
