//! The one project of a local stack: made with the well-known keys, configured by `config.toml`, filled by
//! migrations and seeds.

use crate::config::{self, Loaded, ProjectConfig};
use crate::migrations::{apply_pending, apply_seeds, migrations_in, seeds_in};
use crate::tuning;
use crate::wire::{ProjectSettings, Wire};
use anyhow::{Context, bail};
use model::{ProjectRef, Tenancy};
use platform::projects::{self, KeyChoice, NewProject};
use platform::{Platform, Project};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// Its name on the platform.
const REFERENCE: &str = "rowhouselocalproject";
/// The secret of every local stack.
const JWT_SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";
/// The password of `postgres` in every local stack.
pub const DATABASE_PASSWORD: &str = "postgres";
/// The setting that says that the seed has run.
const SEEDED: &str = "seeded";
/// How often the file is looked at.
const FILE_CHECK_EVERY: Duration = Duration::from_secs(1);

/// The project of a folder.
#[derive(Debug, Clone)]
pub struct LocalProject {
    reference: ProjectRef,
    /// The folder of the app.
    workdir: PathBuf,
    /// The folder `supabase` in it.
    folder: PathBuf,
    config: ProjectConfig,
    /// The file as it is written.
    written: Value,
    jwt_secret: String,
}

/// What was applied to the database.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Report {
    pub migrations: Vec<String>,
    pub seeds: Vec<String>,
    pub warnings: Vec<String>,
}

impl LocalProject {
    /// The project that a folder describes.
    pub fn new(workdir: &Path, loaded: Loaded) -> Self {
        LocalProject {
            reference: REFERENCE.parse().expect("the name of the local project has 20 letters"),
            workdir: workdir.to_owned(),
            folder: loaded.folder,
            // A date stays out: no setting is one.
            written: serde_json::to_value(&loaded.written).unwrap_or_default(),
            jwt_secret: loaded.config.auth.jwt_secret.clone().unwrap_or_else(|| JWT_SECRET.to_owned()),
            config: loaded.config,
        }
    }

    /// Makes the buckets that the file names. Their folders are relative to that of the file.
    pub async fn seed_buckets(&self, wire: &Wire) {
        if self.config.storage.enabled {
            let buckets = &self.config.storage.buckets;
            crate::seeding::buckets(wire, &self.reference, &self.folder, buckets).await;
        }
    }

    pub fn reference(&self) -> &ProjectRef {
        &self.reference
    }

    /// Makes the project if it is not there, brings its settings to what the file says, and applies what is new.
    ///
    /// # Errors
    /// When the platform fails, or a migration or seed does.
    pub async fn bring_up(&self, platform: &Platform) -> anyhow::Result<Report> {
        let mut report = Report::default();
        report.warnings.extend(self.version_warning(platform));
        let project = self.ensure(platform, &mut report).await?;
        self.bring_keys(platform).await?;
        self.configure(platform).await?;
        let is_seeded = project.settings.get(SEEDED) == Some(&Value::Bool(true));
        self.fill(platform, &project, !is_seeded, &mut report).await?;
        Ok(report)
    }

    /// Puts what the file says into the catalog.
    async fn configure(&self, platform: &Platform) -> anyhow::Result<()> {
        let settings = ProjectSettings::from_config(&self.config);
        tuning::save(platform, &self.reference, &settings, &self.written).await
    }

    /// Reads the file again whenever it changes, until `stop` is cancelled. Ports and the database stay as they
    /// are; a file that makes no sense changes nothing.
    pub async fn follow_file(self, platform: Platform, wire: Wire, stop: CancellationToken) {
        let path = self.workdir.join(config::FILE);
        let mut seen = stamp(&path).await;
        let mut ticks = tokio::time::interval(FILE_CHECK_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let now = stamp(&path).await;
            if now == seen {
                continue;
            }
            seen = now;
            match self.changed(&platform).await {
                Ok(()) => {
                    wire.forget(&self.reference);
                    tracing::info!("{} has changed and is in effect", config::FILE);
                }
                Err(error) => tracing::error!("the changed {} is not used: {error:#}", config::FILE),
            }
        }
    }

    async fn changed(&self, platform: &Platform) -> anyhow::Result<()> {
        let loaded = config::load(&self.workdir, &|name| std::env::var(name).ok())?;
        for warning in &loaded.warnings {
            tracing::warn!("{}: {warning}", config::FILE);
        }
        LocalProject::new(&self.workdir, loaded).configure(platform).await
    }

    /// Empties the database and fills it again. The file is read anew.
    ///
    /// # Errors
    /// As [`LocalProject::bring_up`].
    pub async fn reset(&self, platform: &Platform) -> anyhow::Result<Report> {
        if platform.instances().is_none() {
            bail!(
                "the server of --database-url is not ours to empty: make a new database there, and start on it"
            );
        }
        projects::delete(platform, &self.reference, "rowhouse db reset").await.or_else(
            |error| match error {
                platform::Error::NoProject(_) => Ok(()),
                error => Err(error),
            },
        )?;
        // The file may have changed since the start; the environment is not asked again.
        let mut now = self.clone();
        if let Ok(loaded) = config::load(&self.workdir, &|_| None)
            && loaded.warnings.is_empty()
        {
            now = LocalProject::new(&self.workdir, loaded);
        }
        now.bring_up(platform).await
    }

    async fn ensure(&self, platform: &Platform, report: &mut Report) -> anyhow::Result<Project> {
        match projects::show(platform, self.reference.as_str()).await {
            Ok(project) => {
                let keys = projects::keys(platform, &self.reference).await?;
                if keys.jwt_secret != self.jwt_secret {
                    let text = "auth.jwt_secret has changed; it takes effect with: rowhouse db reset";
                    report.warnings.push(text.to_owned());
                }
                Ok(project)
            }
            Err(platform::Error::NoProject(_)) => {
                let mut new = NewProject::new(self.name(), Tenancy::Dedicated);
                new.slug = Some("local".to_owned());
                new.reference = Some(self.reference.clone());
                new.jwt_secret = Some(self.jwt_secret.clone());
                new.database_password = Some(DATABASE_PASSWORD.to_owned());
                new.keys = KeyChoice::Local;
                "rowhouse start".clone_into(&mut new.actor);
                Ok(projects::create(platform, new).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the keys of `auth.signing_keys_path` the project's.
    async fn bring_keys(&self, platform: &Platform) -> anyhow::Result<()> {
        let Some(path) = &self.config.auth.signing_keys_path else { return Ok(()) };
        let path = self.folder.join(path);
        let what = || format!("auth.signing_keys_path: {}", path.display());
        let text = std::fs::read_to_string(&path).with_context(what)?;
        let keys: Vec<Value> = serde_json::from_str(&text)
            .ok()
            .with_context(|| format!("{} is not a JSON array of JSON Web Keys", what()))?;
        let replaced = projects::signing_keys::replace(platform, &self.reference, &keys, "rowhouse start");
        replaced.await.map(drop).with_context(what)
    }

    /// The file says which version the remote database has; what works here may not work there.
    fn version_warning(&self, platform: &Platform) -> Option<String> {
        let (wanted, used) = (self.config.db.major_version?, platform.instances()?.installation().major);
        (wanted != used)
            .then(|| format!("db.major_version is {wanted}, but the PostgreSQL of this machine is {used}"))
    }

    fn name(&self) -> String {
        let folder = || self.workdir.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = self.config.project_id.clone().filter(|name| !name.trim().is_empty()).or_else(folder);
        name.unwrap_or_else(|| "local".to_owned())
    }

    async fn merge(&self, platform: &Platform, settings: &Map<String, Value>) -> anyhow::Result<()> {
        let mut connection = platform.catalog().connection().await?;
        catalog::projects::project_merge_settings(&mut connection, &self.reference, settings).await?;
        platform.catalog().forget(&self.reference);
        Ok(())
    }

    /// Applies what is new in the folder.
    async fn fill(
        &self,
        platform: &Platform,
        project: &Project,
        wants_seed: bool,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let db = &self.config.db;
        let (migrations, skipped) = if db.migrations_enabled {
            migrations_in(&self.folder.join("migrations"))?
        } else {
            Default::default()
        };
        let strange = skipped
            .iter()
            .map(|name| format!("migrations/{name}: skipped, its name is not <version>_<name>.sql"));
        report.warnings.extend(strange);
        let is_default = db.seed_paths == config::default_seed_paths();
        let (seeds, without) = if wants_seed && db.seed_enabled {
            seeds_in(&self.folder, &db.seed_paths)?
        } else {
            Default::default()
        };
        // Most folders have no seed; only one that was asked for is missed.
        if !is_default {
            report.warnings.extend(
                without.iter().map(|pattern| format!("db.seed.sql_paths: no file matches {pattern}")),
            );
        }
        if !migrations.is_empty() || !seeds.is_empty() {
            let endpoint = platform.endpoint(project).await?;
            let owner = endpoint.postgres.as_ref().context("a local project has an owner")?;
            let mut connection = pg::Connection::connect(owner).await?;
            report.migrations = apply_pending(&mut connection, &migrations).await?;
            report.seeds = apply_seeds(&mut connection, &seeds).await?;
            connection.close().await;
        }
        if wants_seed {
            let seeded = json!({ SEEDED: true });
            self.merge(platform, seeded.as_object().unwrap_or(&Map::new())).await?;
        }
        Ok(())
    }
}

/// By what a changed file is known.
async fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let meta = tokio::fs::metadata(path).await.ok()?;
    Some((meta.modified().ok()?, meta.len()))
}
