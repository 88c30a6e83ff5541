//! The wire router: one PostgreSQL port for every dedicated project.
//!
//! It reads the start-up message, asks a [`Directory`] which project is meant, authenticates the client itself by
//! SCRAM-SHA-256 with the verifier that the project's own server keeps, and then has that server woken if it sleeps,
//! opens a session on it and copies bytes from then on. Clients never learn whether a role exists; superusers and roles without a
//! password cannot log in; cancel requests carry keys of ours and reach only the session that they were issued to.
//!
//! It refuses to look into what flows: no pooling, no rewriting. From the server's side it follows message borders
//! only, so that it can say goodbye in the protocol's own words when it shuts down or a session was idle too long.

mod admission;
mod cancel;
mod client;
mod directory;
mod failures;
#[doc(hidden)]
pub mod fuzzing;
mod keepalive;
mod message;
mod roles;
mod router;
mod scram;
mod seats;
mod session;
mod splice;
mod startup;
mod tls;

pub use directory::{Directory, Login, Refusal, RouteRequest, Target, Verifiers, read_verifiers};
pub use router::{Router, Settings};
pub use scram::{InvalidVerifier, Verifier};
pub use tls::{Identity, TlsError};
