//! The wire router: one PostgreSQL port for every dedicated project.
//!
//! It reads the start-up message, asks a [`Directory`] which server is meant (and so wakes it), authenticates the
//! client itself by SCRAM-SHA-256 with the verifier that the project's own server keeps, opens a session on that
//! server and copies bytes from then on. Clients never learn whether a role exists; superusers and roles without a
//! password cannot log in; cancel requests carry keys of ours and reach only the session that they were issued to.
//!
//! It refuses to look into what flows: no pooling, no rewriting. From the server's side it follows message borders
//! only, so that it can say goodbye in the protocol's own words when it shuts down or a session was idle too long.

mod cancel;
mod client;
mod directory;
#[doc(hidden)]
pub mod fuzzing;
mod keepalive;
mod message;
mod router;
mod scram;
mod seats;
mod session;
mod splice;
mod startup;
mod tls;

pub use directory::{Directory, Login, Refusal, RouteRequest, Target, read_verifier};
pub use router::{Router, Settings};
pub use scram::{InvalidVerifier, Verifier};
pub use tls::{Identity, TlsError};
