//! What the PostgreSQL port needs to know: which server a client means, and how roles prove themselves there.

use futures_util::future::BoxFuture;
use model::{ProjectRef, Tenancy};
use pg::Config;
use pgwire::{Directory, Login, Refusal, RouteRequest, Target, Verifier, read_verifier};
use platform::{Endpoint, Lookup, Platform};
use std::path::Path;
use std::sync::Arc;
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

/// The lease of a target: the endpoint, which also knows the superuser's way in.
struct Held(Endpoint);

impl ProjectDirectory {
    pub fn new(platform: Platform, default_project: Option<ProjectRef>) -> Self {
        ProjectDirectory { platform, default_project }
    }

    async fn find(&self, request: &RouteRequest) -> Result<Target, Refusal> {
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
        let endpoint = self.platform.endpoint(&found.project).await.map_err(|error| failed(&error))?;
        // The client's own search path, not the platform's.
        let backend = Config { options: Vec::new(), ..endpoint.admin.clone() };
        Ok(Target {
            project: found.project.reference.as_str().into(),
            login: Login::SameRole,
            backend,
            connections_max: SESSIONS_MAX,
            lease: Some(Box::new(Held(endpoint))),
        })
    }
}

impl Directory for ProjectDirectory {
    fn route<'a>(&'a self, request: &'a RouteRequest) -> BoxFuture<'a, Result<Target, Refusal>> {
        Box::pin(self.find(request))
    }

    fn verifier<'a>(
        &'a self,
        target: &'a Target,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<Verifier>, Refusal>> {
        Box::pin(async move {
            let held = target.lease.as_ref().and_then(|lease| lease.downcast_ref::<Held>());
            let Some(Held(endpoint)) = held else { return Ok(None) };
            read_verifier(&endpoint.admin, user).await.map_err(|error| {
                tracing::error!(project = &*target.project, %error, "a role cannot be looked up");
                Refusal::unavailable()
            })
        })
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
    mock_secret: [u8; 32],
) -> pgwire::Router {
    pgwire::Router::new(Arc::new(directory), pgwire::Settings::default(), tls, mock_secret)
}
