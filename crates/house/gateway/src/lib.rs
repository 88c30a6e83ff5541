//! The HTTP front door: finds the project of a request, checks its key, hands it to a service.
//!
//! The gateway knows no service and no database. It is given [`Projects`], which turn a name or a key into a
//! [`Tenant`], and each tenant brings its services as values. What the gateway adds to every request is the
//! same for all of them: a request id, CORS, limits on bodies, time and concurrency, one access log line.

mod access;
mod body;
mod cors;
mod front;
mod identity;
mod keys;
mod limits;
mod memory;
mod request_id;
mod resolve;
mod route;
mod serve;
mod stream;
mod tenant;

pub use front::{Gateway, Settings};
pub use keys::{ApiKeys, Binding, KeyKind, VerifiedKey};
pub use limits::{Limits, ProjectLimits, Slots};
pub use memory::{Memory, Share};
pub use request_id::RequestId;
pub use route::ServiceKind;
pub use serve::serve;
pub use tenant::{BoxFuture, Lookup, Projects, Service, Services, Tenant};
