//! Settings of the drop-in server, which a project of the platform does not have.

use super::Settings;
use super::file;
use super::read;
use super::source::{ConfigError, Sources};
use std::path::PathBuf;

/// Where the drop-in server listens and which database it serves.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// `db-uri`.
    pub db_uri: String,
    /// `server-host`: a name or address, or `!4`, `*4`, `!6`, `*6`, `*`: all addresses.
    pub host: String,
    /// `server-port`.
    pub port: u16,
    /// `server-reuseport`.
    pub reuse_port: bool,
    /// `server-unix-socket`, instead of host and port.
    pub unix_socket: Option<PathBuf>,
    /// `server-unix-socket-mode`.
    pub unix_socket_mode: u32,
    /// `admin-server-host`.
    pub admin_host: String,
    /// `admin-server-port`: without it there is no admin server.
    pub admin_port: Option<u16>,
    /// `admin-server-unix-socket`.
    pub admin_unix_socket: Option<PathBuf>,
    /// `admin-server-unix-socket-mode`.
    pub admin_unix_socket_mode: u32,
}

/// The drop-in server's whole configuration, with the sources to read it from again.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The API's settings.
    pub settings: Settings,
    /// The server's settings.
    pub server: ServerSettings,
    path: Option<PathBuf>,
    env: Vec<(String, String)>,
    sources: Sources,
}

impl ServerConfig {
    /// Reads a configuration file, if any, and the environment.
    ///
    /// # Errors
    /// The file cannot be read, is not of the format, or has a setting that is not valid.
    pub async fn load(
        path: Option<PathBuf>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let env: Vec<(String, String)> = env.into_iter().collect();
        let values = match &path {
            Some(path) => {
                let text = read_text(path).await?;
                let variable =
                    |name: &str| env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
                file::parse(&text, &variable).map_err(|error| ConfigError(error.to_string()))?
            }
            None => Default::default(),
        };
        let sources = Sources::new(values, env.clone());
        let settings = read::settings(&sources, secret(&sources).await?)?;
        let server = read::server(&sources, uri(&sources).await?)?;
        Ok(ServerConfig { settings, server, path, env, sources })
    }

    /// Reads file and environment again. The database's address stays as it is.
    ///
    /// # Errors
    /// As [`ServerConfig::load`].
    pub async fn reload(&self) -> Result<Self, ConfigError> {
        let mut new = Self::load(self.path.clone(), self.env.clone()).await?;
        new.server.db_uri.clone_from(&self.server.db_uri);
        Ok(new)
    }

    /// The database's address. What `db-uri` leaves out comes from libpq's variables (`PGHOST`, `PGPORT`,
    /// `PGUSER`, `PGPASSWORD`, `PGDATABASE`), as users of the reference expect.
    ///
    /// # Errors
    /// `db-uri` is not a connection string.
    pub fn database(&self) -> Result<pg::Config, pg::Error> {
        let uri = &self.server.db_uri;
        let is_url = uri.starts_with("postgresql://") || uri.starts_with("postgres://");
        // libpq takes a word that is neither for the database's name.
        let uri = if is_url || uri.contains('=') { uri.clone() } else { format!("dbname='{uri}'") };
        let mut database = pg::Config::from_url(&complete(&uri, &self.env))?;
        if !self.settings.db_prepared_statements {
            database.statement_cache = 0;
        }
        Ok(database)
    }

    /// The same with the settings that the database keeps.
    ///
    /// # Errors
    /// One of them is not valid.
    pub async fn with_database(
        mut self,
        settings: Vec<(String, String)>,
        roles: Vec<super::RoleSettings>,
    ) -> Result<Self, ConfigError> {
        self.sources.database = settings.into_iter().collect();
        self.settings = read::settings(&self.sources, secret(&self.sources).await?)?;
        self.settings.role_settings = roles;
        Ok(self)
    }
}

/// Adds to a connection string what it leaves out and the environment has.
fn complete(uri: &str, env: &[(String, String)]) -> String {
    let variables = [
        ("PGHOST", "host"),
        ("PGPORT", "port"),
        ("PGUSER", "user"),
        ("PGPASSWORD", "password"),
        ("PGDATABASE", "dbname"),
    ];
    let url = uri.split_once("://").map(|(_, rest)| rest);
    let mut out = uri.to_owned();
    for (variable, key) in variables {
        let Some((_, value)) = env.iter().find(|(name, value)| name == variable && !value.is_empty()) else {
            continue;
        };
        let given = match url {
            Some(rest) => url_has(rest, key),
            None => uri.split_whitespace().any(|word| word.starts_with(&format!("{key}="))),
        };
        if given {
            continue;
        }
        if url.is_some() {
            out.push(if out.contains('?') { '&' } else { '?' });
            let encoded = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            out.push_str(&format!("{key}={encoded}"));
        } else {
            out.push_str(&format!(" {key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'")));
        }
    }
    out
}

/// Whether a URL (without its scheme) says something about a key.
fn url_has(rest: &str, key: &str) -> bool {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (credentials, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    let part = match key {
        "host" => host,
        "port" => port,
        "user" => user,
        "password" => password,
        _ => path,
    };
    !part.is_empty() || query.split('&').any(|pair| pair.split('=').next() == Some(key))
}

async fn read_file(path: &std::path::Path) -> Result<Vec<u8>, ConfigError> {
    tokio::fs::read(path).await.map_err(|error| ConfigError(format!("{}: {error}", path.display())))
}

async fn read_text(path: &std::path::Path) -> Result<String, ConfigError> {
    let bytes = read_file(path).await?;
    String::from_utf8(bytes).map_err(|_| ConfigError(format!("{}: not UTF-8", path.display())))
}

/// A secret may be any bytes when it comes from a file.
async fn secret(sources: &Sources) -> Result<Option<Vec<u8>>, ConfigError> {
    let Some(text) = sources.text("jwt-secret") else { return Ok(None) };
    let Some(path) = text.strip_prefix('@') else { return Ok(Some(text.into_bytes())) };
    let mut bytes = read_file(path.as_ref()).await?;
    if bytes.ends_with(b"\n") {
        bytes.pop();
    }
    Ok(Some(bytes))
}

async fn uri(sources: &Sources) -> Result<String, ConfigError> {
    let text = sources.text("db-uri").unwrap_or_else(|| "postgresql://".into());
    match text.strip_prefix('@') {
        Some(path) => Ok(read_text(path.as_ref()).await?.trim().to_owned()),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(uri: &str, expected: &str) {
        let env = [("PGHOST", "/run/x"), ("PGUSER", "me"), ("PGDATABASE", "d"), ("PGPORT", "")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(complete(uri, &env), expected);
    }

    #[test]
    fn the_environment_completes_the_uri() {
        check("postgresql://", "postgresql://?host=%2Frun%2Fx&user=me&dbname=d");
        check("postgresql://a:b@h:1/x", "postgresql://a:b@h:1/x");
        check("postgresql://h/x?user=u", "postgresql://h/x?user=u");
        check("host=h dbname=x", "host=h dbname=x user='me'");
    }
}
