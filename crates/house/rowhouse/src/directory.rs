//! What the PostgreSQL port needs to know: which server a client means, and how roles prove themselves there.

use futures_util::future::BoxFuture;
use model::{ProjectRef, Tenancy};
use pg::Config;
use pgwire::{Directory, Login, Refusal, RouteRequest, Target, Verifiers, read_verifiers};
use platform::{Lookup, Platform, Resolved};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use token::random_bytes;

/// Sessions of clients that a project may have; its server accepts 60, and the services have up to 31.
const SESSIONS_MAX: usize = 25;
/// Keeps the salts of roles that do not exist the same between runs.
const SALT_FILE: &str = "router-salt";

/// The platform's projects for the wire router.
pub struct ProjectDirectory {
    platform: Platform,
    default_project: Option<ProjectRef>,
}

impl ProjectDirectory {
    pub fn new(platform: Platform, default_project: Option<ProjectRef>) -> Self {
        ProjectDirectory { platform, default_project }
    }

    /// The project that is meant, if clients may reach its server.
    async fn project(&self, request: &RouteRequest) -> Result<Arc<Resolved>, Refusal> {
        let lookup = match (&request.project, &request.sni) {
            (Some(reference), _) => Lookup::Ref(reference.clone()),
            (None, Some(name)) if self.default_project.is_none() => Lookup::Domain(name.to_lowercase()),
            (None, _) => Lookup::Ref(self.default_project.clone().ok_or_else(nameless)?),
        };
        let found = self.platform.resolve(lookup).await.map_err(|error| failed(&error))?;
        let found = found.ok_or_else(Refusal::unknown_project)?;
        if found.project.tenancy == Tenancy::Pooled {
            return Err(Refusal::new("0A000", "this project has no PostgreSQL server of its own")
                .with_hint("Change its tables through entities, or promote it to a dedicated project."));
        }
        if self.platform.instances().is_none() {
            // We could only log in as the superuser that we were given, and a client must never be that.
            return Err(Refusal::new(
                "0A000",
                "this project lies on a PostgreSQL server of the operator's own",
            )
            .with_hint("Connect to that server directly."));
        }
        Ok(found)
    }

    async fn route(&self, request: &RouteRequest) -> Result<Target, Refusal> {
        let found = self.project(request).await?;
        let endpoint = self.platform.endpoint(&found.project).await.map_err(|error| failed(&error))?;
        // The client's own search path, not the platform's.
        let backend = Config { options: Vec::new(), ..endpoint.admin.clone() };
        Ok(Target {
            project: found.project.reference.as_str().into(),
            login: Login::SameRole,
            backend,
            connections_max: SESSIONS_MAX,
            lease: Some(Box::new(endpoint)),
        })
    }
}

impl Directory for ProjectDirectory {
    fn find<'a>(&'a self, request: &'a RouteRequest) -> BoxFuture<'a, Result<Arc<str>, Refusal>> {
        Box::pin(async move { Ok(self.project(request).await?.project.reference.as_str().into()) })
    }

    fn verifiers<'a>(
        &'a self,
        project: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<Verifiers>, Refusal>> {
        Box::pin(async move {
            let endpoint = self.platform.instances().zip(project.parse().ok());
            let Some(endpoint) = endpoint.and_then(|(instances, name)| instances.peek(&name)) else {
                return Ok(None);
            };
            let superuser = endpoint.config(instance::SUPERUSER, "postgres");
            read_verifiers(&superuser, user).await.map_err(|error| {
                tracing::error!(project, %error, "roles cannot be looked up");
                Refusal::unavailable()
            })
        })
    }

    fn route<'a>(&'a self, request: &'a RouteRequest) -> BoxFuture<'a, Result<Target, Refusal>> {
        Box::pin(self.route(request))
    }
}

fn nameless() -> Refusal {
    Refusal::new("08004", "the connection names no project")
        .with_hint("Connect as postgres.<ref>, with the ref of the project.")
}

fn failed(error: &platform::Error) -> Refusal {
    tracing::error!(%error, "a PostgreSQL client cannot be routed");
    Refusal::unavailable()
}

/// The secret of the router, kept in the data directory.
///
/// # Errors
/// When the file can be neither read nor written.
pub fn mock_secret(data: &Path) -> std::io::Result<[u8; 32]> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = data.join(SALT_FILE);
    if let Ok(bytes) = std::fs::read(&path)
        && let Ok(secret) = bytes.try_into()
    {
        return Ok(secret);
    }
    let secret = random_bytes::<32>();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&path)?.write_all(&secret)?;
    Ok(secret)
}

/// The router over these projects.
pub fn router(
    directory: ProjectDirectory,
    tls: Option<pgwire::Identity>,
    idle_timeout: Option<Duration>,
    mock_secret: [u8; 32],
) -> pgwire::Router {
    let settings = pgwire::Settings { idle_timeout, ..pgwire::Settings::default() };
    pgwire::Router::new(Arc::new(directory), settings, tls, mock_secret)
}
