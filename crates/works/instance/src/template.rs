//! Prepared data directories, from which new servers are copied.
//!
//! `initdb` runs once per major version; each template is a copy of its result in which the caller's SQL has run.
//! A template is known by the hash of what went into it, made under another name, and renamed when it is complete
//! and durable: one that is found is one that can be used.

use crate::conf;
use crate::error::{Error, blocking};
use crate::find::Installation;
use crate::layout::{Layout, unfinished, unwanted};
use crate::name::InstanceName;
use crate::server::{Launch, server_command};
use crate::settings::{Settings, Tuning};
use crate::tree;
use crate::user::ServerUser;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Changes whenever this file makes templates differently.
const FORMAT: &str = "1";
const INITDB_TIMEOUT: Duration = Duration::from_secs(120);
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(120);

/// For the time of bootstrapping; the result is made durable as a whole afterwards.
const QUICK: &[(&str, &str)] =
    &[("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off"), ("autovacuum", "off")];

/// SQL for one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    pub database: String,
    /// Any number of statements; together they are one transaction, so `create database` stands alone.
    pub sql: String,
}

impl Script {
    pub fn new(database: &str, sql: impl Into<String>) -> Self {
        Script { database: database.to_owned(), sql: sql.into() }
    }
}

/// What a template shall contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateSpec {
    /// For example `project`; part of the directory's name.
    pub name: InstanceName,
    /// Run in this order by the superuser, each in a session of its own.
    pub scripts: Vec<Script>,
    /// Settings for the server while the scripts run, and the default of instances made from it.
    pub tuning: Tuning,
}

impl TemplateSpec {
    /// # Panics
    /// When `name`, which is written in the program, is not a valid name.
    pub fn new(name: &str, scripts: Vec<Script>) -> Self {
        let name = name.parse().expect("the name of a template is a valid name");
        TemplateSpec { name, scripts, tuning: Tuning::default() }
    }

    fn hash(&self, installation: &Installation) -> String {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        };
        part(FORMAT);
        part(&installation.version);
        for script in &self.scripts {
            part(&script.database);
            part(&script.sql);
        }
        part(&format!("{:?}", self.tuning));
        hex::encode(hash.finalize())[..16].to_owned()
    }
}

/// A template that exists on disk.
#[derive(Debug, Clone)]
pub struct Template {
    pub(crate) dir: PathBuf,
    /// Whether this call made it.
    pub was_made: bool,
}

/// The result of initdb: where it is, and where it shall be.
struct Bare {
    at: PathBuf,
    name: PathBuf,
}

impl Bare {
    /// Gives it its name, to be found by later runs. That happens when the first template has been made durable:
    /// where one call does so for the whole file system, waiting for the disk once is enough.
    fn publish(&self) -> std::io::Result<()> {
        if self.at == self.name {
            return Ok(());
        }
        if cfg!(target_os = "linux") {
            std::fs::rename(&self.at, &self.name)
        } else {
            tree::publish(&self.at, &self.name)
        }
    }
}

/// What making templates needs.
pub(crate) struct Workshop<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) layout: &'a Layout,
    pub(crate) user: &'a ServerUser,
    pub(crate) installation: &'a Installation,
}

impl Workshop<'_> {
    /// Finds the template or makes it. One call at a time.
    pub(crate) async fn prepare(&self, spec: &TemplateSpec) -> Result<Template, Error> {
        let prefix = format!("{}-{}-", self.installation.major, spec.name);
        let dir = self.layout.templates().join(format!("{prefix}{}", spec.hash(self.installation)));
        if tokio::fs::try_exists(&dir).await.unwrap_or(false) {
            return Ok(Template { dir, was_made: false });
        }
        let bare = self.bare().await?;
        let made = unfinished(&dir);
        self.copy_bare(&bare.at, &made, &spec.tuning).await?;
        if let Err(error) = self.bootstrap(spec, &made).await {
            let leftover = made.clone();
            let cleared =
                blocking(move || tree::remove(&leftover).map_err(Error::io("unfinished template"))).await;
            if let Err(error) = cleared {
                tracing::warn!(%error, "cannot remove an unfinished template");
            }
            return Err(error);
        }
        let (final_dir, templates) = (dir.clone(), self.layout.templates());
        blocking(move || {
            let what = || final_dir.display().to_string();
            tree::publish(&made, &final_dir).map_err(Error::io(what()))?;
            bare.publish().map_err(Error::io(what()))?;
            remove_older(&templates, &prefix, &final_dir);
            Ok(())
        })
        .await?;
        Ok(Template { dir, was_made: true })
    }

    /// The result of initdb, made once.
    async fn bare(&self) -> Result<Bare, Error> {
        let name = self.layout.templates().join(format!("{}-bare-{FORMAT}", self.installation.major));
        if tokio::fs::try_exists(&name).await.unwrap_or(false) {
            return Ok(Bare { at: name.clone(), name });
        }
        let bare = Bare { at: unfinished(&name), name };
        match self.initdb(&bare.at, "C.UTF-8").await {
            // Older systems have no such locale; C with UTF-8 sorts the same way.
            Err(Error::Initdb(text)) if text.contains("locale") => self.initdb(&bare.at, "C").await?,
            other => other?,
        }
        Ok(bare)
    }

    async fn initdb(&self, dir: &Path, locale: &str) -> Result<(), Error> {
        let (home, user) = (dir.to_owned(), self.user.clone());
        blocking(move || {
            let make = || {
                tree::remove(&home)?;
                for dir in [home.clone(), home.join("data")] {
                    tree::make_dir(&dir, 0o700)?;
                    user.own(&dir)?;
                }
                Ok(())
            };
            make().map_err(Error::io(home.display().to_string()))
        })
        .await?;
        let program = self.installation.program("initdb");
        let mut command = server_command(&program, self.user);
        command
            .args(["--username", crate::SUPERUSER, "--auth-local=trust", "--auth-host=reject"])
            .args(["--encoding=UTF8", "--locale", locale, "--locale-provider=libc"])
            .args(["--wal-segsize=1", "--no-sync", "--no-instructions", "--pgdata"])
            .arg(dir.join("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let output = timeout(INITDB_TIMEOUT, command.output())
            .await
            .map_err(|_| Error::Initdb("it took too long".to_owned()))?
            .map_err(Error::io(program.display().to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::Initdb(text.chars().take(2000).collect()))
    }

    async fn copy_bare(&self, bare: &Path, to: &Path, tuning: &Tuning) -> Result<(), Error> {
        let (from, to, user, tuning) = (bare.to_owned(), to.to_owned(), self.user.clone(), tuning.clone());
        blocking(move || {
            let what = to.display().to_string();
            tree::remove(&to).map_err(Error::io(&what))?;
            tree::copy(&from, &to, &user).map_err(Error::io(&what))?;
            write_conf(&to.join("data"), &tuning, &user)
        })
        .await
    }

    async fn bootstrap(&self, spec: &TemplateSpec, dir: &Path) -> Result<(), Error> {
        let key = format!("template_{}", spec.name);
        let layout = self.layout.clone();
        let socket_key = key.clone();
        let launch = Launch {
            name: key,
            installation: self.installation.clone(),
            user: self.user.clone(),
            data: dir.join("data"),
            log: dir.join("server.log"),
            log_bytes_max: self.settings.log_bytes_max,
            socket_dir: blocking(move || layout.socket_dir(&socket_key)).await?,
            extra: QUICK.to_vec(),
            deadline: Instant::now() + self.settings.start_timeout,
        };
        let server = launch.start().await?;
        let mut result = Ok(());
        for script in &spec.scripts {
            let config = server.endpoint.config(crate::SUPERUSER, &script.database);
            let run = async {
                let mut connection = pg::Connection::connect(&config).await?;
                connection.batch(&script.sql).await?;
                connection.close().await;
                Ok(())
            };
            let outcome = timeout(SCRIPT_TIMEOUT, run).await.unwrap_or(Err(pg::Error::Timeout));
            if let Err(source) = outcome {
                result =
                    Err(Error::Bootstrap { database: script.database.clone(), source: Arc::new(source) });
                break;
            }
        }
        if !server.stop(self.settings.stop_timeout).await {
            return result.and(Err(Error::Stop(spec.name.clone())));
        }
        result
    }
}

/// Writes the configuration of a server into its data directory. Blocks.
pub(crate) fn write_conf(data: &Path, tuning: &Tuning, user: &ServerUser) -> Result<(), Error> {
    let text = conf::postgresql_conf(tuning)?;
    for (file, text) in [("postgresql.conf", text.as_str()), ("pg_hba.conf", conf::HBA)] {
        tree::write_private(&data.join(file), text, user)
            .map_err(Error::io(data.join(file).display().to_string()))?;
    }
    Ok(())
}

/// Templates of the same name with other contents are of no use any more.
fn remove_older(templates: &Path, prefix: &str, keep: &Path) {
    let Ok(entries) = std::fs::read_dir(templates) else { return };
    for path in entries.filter_map(Result::ok).map(|e| e.path()) {
        let ours = path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(prefix));
        if ours && path != keep {
            let gone = unwanted(&path);
            if let Err(error) = std::fs::rename(&path, &gone).and_then(|()| tree::remove(&gone)) {
                tracing::warn!(path = %path.display(), %error, "cannot remove an old template");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_covers_every_input() {
        let installation = Installation { bin: "/b".into(), major: 15, version: "15.1".to_owned() };
        let spec = |database: &str, sql: &str| TemplateSpec::new("t", vec![Script::new(database, sql)]);
        let hash = spec("a", "bc").hash(&installation);
        assert_eq!(hash, spec("a", "bc").hash(&installation));
        assert_ne!(hash, spec("ab", "c").hash(&installation));
        let newer = Installation { version: "15.2".to_owned(), ..installation.clone() };
        assert_ne!(hash, spec("a", "bc").hash(&newer));
        let tuned = TemplateSpec { tuning: Tuning::default().with("jit", "on"), ..spec("a", "bc") };
        assert_ne!(hash, tuned.hash(&installation));
    }
}
