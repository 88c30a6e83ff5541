//! PostgreSQL servers that Rowhouse runs itself: found, created from a prepared template, started, put to sleep
//! when nobody uses them, woken on demand, and taken over or repaired after a crash.
//!
//! A managed server listens on a Unix socket in a private directory and nowhere else; whoever can reach that
//! directory is trusted, so authentication of clients is the wire router's work, not the server's. Nothing here
//! knows projects, roles or schemas: what a new server contains comes in as SQL ([`TemplateSpec`]).
//!
//! ```no_run
//! # async fn example() -> Result<(), instance::Error> {
//! use instance::{InstanceName, Instances, Script, Settings, TemplateSpec, Tuning};
//!
//! let instances = Instances::open(Settings::new("/var/lib/rowhouse")).await?;
//! let spec = TemplateSpec::new("project", vec![Script::new("postgres", "create role anon")]);
//! let template = instances.prepare(&spec).await?; // made once, then found on disk
//! let name: InstanceName = "abcdefghijklmnopqrst".parse().map_err(|_| instance::Error::Interrupted)?;
//! instances.create(&name, &template, &Tuning::default()).await?; // repeatable
//! let lease = instances.wake(&name).await?; // running for as long as the lease lives
//! let config = lease.endpoint().config(instance::SUPERUSER, "postgres");
//! # let _ = config; Ok(()) }
//! ```
//!
//! Files, under the data directory: `template/<major>-<name>-<hash>`, `system`, `instances/<name>` (each with the
//! server's directory `data` and its `server.log`), `run/<name>` for sockets. When Rowhouse runs as root and the
//! unprivileged user cannot reach the data directory (a home directory of root, say), all of these move to a
//! directory of their own in [`Settings::spare_root`], and `postgres` in the data directory points there.

mod conf;
mod error;
mod find;
mod layout;
mod lease;
mod manager;
mod name;
mod open;
mod orphan;
mod pidfile;
mod server;
mod settings;
mod slot;
mod template;
mod tree;
mod user;

pub use error::Error;
pub use find::{Installation, SUPPORTED_MAJORS, find};
pub use lease::Lease;
pub use manager::{Created, Instances, Status};
pub use name::{InstanceName, InvalidName};
pub use server::Endpoint;
pub use settings::{Settings, Tuning};
pub use template::{Script, Template, TemplateSpec};
pub use user::ServerUser;

/// The superuser of every managed server. It is ours: no client ever logs in as it.
pub const SUPERUSER: &str = "supabase_admin";
