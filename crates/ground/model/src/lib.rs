//! The nouns of the platform: who is asking, for which project, kept how.
//!
//! Pure data. Every identifier that names a tenant is a type of its own, parsed where it enters the
//! program; past the gateway no `String` or integer names one.

mod bound;
mod clock;
mod ids;
mod room;
mod schema_name;
pub mod secret;

pub use bound::{Bound, InvalidBound, check_setting_name};
pub use clock::{Clock, FixedClock, SystemClock};
pub use ids::{AppId, InstanceId, InvalidId, OrgId, ProjectRef, ShardId};
pub use room::Room;
pub use schema_name::SchemaName;
pub use secret::Secret;

use serde::{Deserialize, Serialize};

/// What the gateway took off the path of a request before it gave it to a service: `/p/<ref>/storage/v1`. Services
/// that sign or build URLs need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(pub std::sync::Arc<str>);

/// How a project's data lives in PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tenancy {
    /// One schema of a shard that many projects share.
    Pooled,
    /// A PostgreSQL instance of its own.
    Dedicated,
}

impl Tenancy {
    /// The word used in the catalog, on the command line and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Tenancy::Pooled => "pooled",
            Tenancy::Dedicated => "dedicated",
        }
    }
}

impl std::str::FromStr for Tenancy {
    type Err = InvalidId;
    fn from_str(s: &str) -> Result<Self, InvalidId> {
        match s {
            "pooled" => Ok(Tenancy::Pooled),
            "dedicated" => Ok(Tenancy::Dedicated),
            _ => Err(InvalidId::new("tenancy", "pooled or dedicated")),
        }
    }
}

/// The three roles that API keys stand for. A JWT may name any other role granted to the login role.
pub mod role {
    pub const ANON: &str = "anon";
    pub const AUTHENTICATED: &str = "authenticated";
    pub const SERVICE: &str = "service_role";
}

/// Who sends a request, after the gateway has checked key and token.
///
/// `claims` is the JSON text that `request.jwt.claims` will hold; it is encoded once, when the token is
/// verified, and shared by every request that carries the same token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The PostgreSQL role that the request runs as.
    pub role: std::sync::Arc<str>,
    /// The verified claims as a JSON object, `role` included.
    pub claims: std::sync::Arc<str>,
}

impl Caller {
    /// A caller without a token: the claims are just the role.
    pub fn of_role(role: &str) -> Self {
        let claims = serde_json::json!({ "role": role }).to_string();
        Caller { role: role.into(), claims: claims.into() }
    }
}
