//! What the router asks of the house: which server, and how a role proves itself.

use crate::scram::Verifier;
use futures_util::future::BoxFuture;
use model::ProjectRef;
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Roles that are kept of one server; what a tenant makes beyond that is asked for one by one.
const ROLES_MAX: usize = 50;
/// A verifier as PostgreSQL makes it has 133 characters.
const ROLES: &str = "\
    select rolname, rolpassword from pg_catalog.pg_authid \
    where rolcanlogin and not rolsuper and pg_catalog.octet_length(rolpassword) <= 512 \
    and coalesce(rolvaliduntil > pg_catalog.now(), true) \
    order by rolname = $1 desc, oid limit $2";
const WRONG_PASSWORD: &str = "28P01";

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
        Refusal::new(WRONG_PASSWORD, format!("password authentication failed for user \"{user}\""))
    }

    pub(crate) fn is_wrong_password(&self) -> bool {
        self.code == WRONG_PASSWORD
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Refusal::new("08P01", message)
    }

    pub(crate) fn too_many() -> Self {
        Refusal::new("53300", "sorry, too many clients already")
    }
}

/// How the roles of a server prove themselves.
#[derive(Debug, Clone, Default)]
pub struct Verifiers {
    roles: HashMap<String, Verifier>,
    complete: bool,
}

impl Verifiers {
    /// What is known of these roles. `complete`: no other role can log in.
    pub fn new(roles: impl IntoIterator<Item = (String, Verifier)>, complete: bool) -> Verifiers {
        Verifiers { roles: roles.into_iter().collect(), complete }
    }

    /// The role's verifier; `None` when it cannot log in, for whatever reason.
    pub(crate) fn of(&self, role: &str) -> Option<&Verifier> {
        self.roles.get(role)
    }

    /// Whether they say of this role that it can log in or that it cannot.
    pub(crate) fn tell_of(&self, role: &str) -> bool {
        self.complete || self.roles.contains_key(role)
    }
}

/// The knowledge of the house.
pub trait Directory: Send + Sync + 'static {
    /// Finds the project that is meant, as in [`Target::project`]. The client is a stranger yet: wakes nothing.
    fn find<'a>(&'a self, request: &'a RouteRequest) -> BoxFuture<'a, Result<Arc<str>, Refusal>>;

    /// How the project's roles prove themselves, with this role among those that are told of; `None` when its server
    /// sleeps. Wakes nothing and does not count as a use of the server: the client is a stranger yet. One at a time
    /// for each project. [`read_verifiers`] does it for managed servers.
    fn verifiers<'a>(
        &'a self,
        project: &'a str,
        user: &'a str,
    ) -> BoxFuture<'a, Result<Option<Verifiers>, Refusal>>;

    /// Finds the project's server and sees to it that it runs. Called for clients that have proved themselves; for
    /// strangers only when the server sleeps and the router has never heard of their role, as after a restart.
    fn route<'a>(&'a self, request: &'a RouteRequest) -> BoxFuture<'a, Result<Target, Refusal>>;
}

/// Reads how the roles of a server prove themselves, through a superuser's configuration. Superusers, roles that may
/// not log in, expired ones and those without a SCRAM password cannot. `None`: no server is there, or not yet.
///
/// # Errors
/// When the server cannot answer.
pub async fn read_verifiers(superuser: &pg::Config, user: &str) -> Result<Option<Verifiers>, pg::Error> {
    let mut config = superuser.clone();
    // The operators of the statement shall be PostgreSQL's own, whatever the owner of the database has set.
    config.options.push(("search_path".to_owned(), "pg_catalog".to_owned()));
    let mut connection = match pg::Connection::connect(&config).await {
        Ok(connection) => connection,
        Err(pg::Error::Connect(_) | pg::Error::Closed | pg::Error::Io(_)) => return Ok(None),
        Err(error) if error.sqlstate() == Some("57P03") => return Ok(None),
        Err(error) => return Err(error),
    };
    let rows = connection.query(ROLES, &[pg::text(user), pg::param(ROLES_MAX + 1)]).await?;
    let roles = rows.iter().take(ROLES_MAX).filter_map(|row| {
        let (name, verifier) = (row.text(0)?.to_owned(), row.text(1)?.parse().ok()?);
        Some((name, verifier))
    });
    let verifiers = Verifiers::new(roles, rows.len() <= ROLES_MAX);
    connection.close().await;
    Ok(Some(verifiers))
}
