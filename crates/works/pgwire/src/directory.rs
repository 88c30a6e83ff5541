//! What the router asks of the house: which server, and how a role proves itself.

use crate::scram::Verifier;
use futures_util::future::BoxFuture;
use model::ProjectRef;
use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// What a client wants, as its start-up message and its TLS handshake say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRequest {
    /// The role, without the project's name behind it.
    pub user: String,
    /// The database; the client's default is the name of the role.
    pub database: String,
    /// From `role.<ref>`, else `options=reference=<ref>`, else the host name `db.<ref>.…` of the TLS handshake.
    /// `None`: the client names no project, so the default one is meant, if there is one.
    pub project: Option<ProjectRef>,
    /// The host name that the client gave in the TLS handshake (custom domains).
    pub sni: Option<String>,
    pub peer: SocketAddr,
}

/// As whom a session is opened on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// As the role that the client proved to be; the server trusts us. For managed servers.
    SameRole,
    /// As the user of the target's configuration, with its password. For external servers.
    Configured,
}

/// The server that a client is sent to.
pub struct Target {
    /// For limits and the log: the project's ref.
    pub project: Arc<str>,
    /// How to reach the server. User, database and options are filled in from the client's wishes.
    pub backend: pg::Config,
    pub login: Login,
    /// How many sessions the project may have at a time.
    pub connections_max: usize,
    /// Kept until the session ends; with a managed server, its lease.
    pub lease: Option<Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("project", &self.project)
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

/// Why a client is sent away: what it sees as a fatal error of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The SQLSTATE.
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal with an SQLSTATE and a message for the client.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Refusal { code, message: message.into(), hint: None }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// No such project. The words are those that clients of Supabase's pooler know.
    pub fn unknown_project() -> Self {
        Refusal::new("XX000", "Tenant or user not found")
    }

    /// The server cannot be reached now.
    pub fn unavailable() -> Self {
        Refusal::new("57P03", "the database of this project cannot be reached at the moment")
    }

    /// The role does not exist, may not log in, or the password is wrong: never said which.
    pub(crate) fn wrong_password(user: &str) -> Self {
        Refusal::new("28P01", format!("password authentication failed for user \"{user}\""))
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Refusal::new("08P01", message)
    }

    pub(crate) fn too_many() -> Self {
        Refusal::new("53300", "sorry, too many clients already")
    }
}

/// The knowledge of the house.
pub trait Directory: Send + Sync + 'static {
    /// Finds the server and sees to it that it runs.
    fn route<'a>(&'a self, request: &'a RouteRequest) -> BoxFuture<'a, Result<Target, Refusal>>;

    /// How the role proves itself; `None` when it cannot log in, for whatever reason.
    /// [`read_verifier`] does it for managed servers.
    fn verifier<'a>(
        &'a self,
        target: &'a Target,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<Verifier>, Refusal>>;
}

/// Reads a role's verifier on its server, through a superuser's configuration. Superusers, roles that may not log
/// in, expired ones and those without a SCRAM password have none.
///
/// # Errors
/// When the server does not answer.
pub async fn read_verifier(superuser: &pg::Config, user: &str) -> Result<Option<Verifier>, pg::Error> {
    let mut connection = pg::Connection::connect(superuser).await?;
    let rows = connection
        .query(
            "select rolpassword from pg_catalog.pg_authid where rolname = $1 and rolcanlogin and not rolsuper \
             and coalesce(rolvaliduntil > pg_catalog.now(), true)",
            &[pg::text(user)],
        )
        .await?;
    let verifier = rows.first().and_then(|row| row.text(0)).and_then(|text| text.parse().ok());
    connection.close().await;
    Ok(verifier)
}
