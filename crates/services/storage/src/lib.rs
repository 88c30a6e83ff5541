//! Supabase Storage on the wire, for one project: buckets, objects, signed URLs.
//!
//! [`Storage`] is made per project and cheap: a pool, settings and the shared [`Machinery`]. A request is read
//! (`call`), finds its route (`routes/`), asks the database under the caller's own role what they may do (`db`,
//! `store/`) and moves bytes between client and `blob` (`upload/`, `serve`). Policies on `storage.objects` and
//! `storage.buckets` are PostgreSQL's to judge; nothing here repeats them.
//!
//! Statuses, codes and messages are those of the reference server, which its clients match.

mod again;
mod call;
mod caller;
mod cdn;
mod db;
mod events;
mod find;
pub mod import;
mod listing;
mod metadata;
mod mime;
mod names;
mod quota;
mod refusal;
mod render;
mod routes;
mod s3;
pub mod scan;
pub mod schema;
mod schema_check;
mod serve;
mod settings;
mod signed;
mod size;
mod sniff;
mod store;
mod sweep;
mod tus;
mod upload;
mod usage;

pub use cdn::Cdn;
pub use events::{Bell, Listener};
pub use mime::of_name as mime_of_name;
pub use render::Pictures;
pub use scan::Scanner;
pub use settings::{ImageSettings, S3Key, S3Settings, ScanSettings, Settings};
pub use sweep::{Sweep, Swept};
pub use usage::{Counted, Holdings, Usage};

use axum::body::Body;
use http::{Request, Response};
use model::Clock;
use std::sync::Arc;

/// A request with this header set to `true` gets the status that a refusal stands for, not 400 for most of them.
const TRUE_STATUS: &str = "x-true-status";

/// What the storage of all projects shares.
#[derive(Clone)]
pub struct Machinery {
    /// Where bodies are.
    pub blobs: blob::Store,
    /// Makes pictures smaller; nothing: pictures are not rendered.
    pub pictures: Option<Pictures>,
    /// Looks at files before they become readable; nothing: nobody does.
    pub scanner: Option<Scanner>,
}

impl Machinery {
    /// Machinery that keeps files and does nothing else with them.
    pub fn new(blobs: blob::Store) -> Machinery {
        Machinery { blobs, pictures: None, scanner: None }
    }

    /// With pictures rendered.
    #[must_use]
    pub fn with_pictures(self, pictures: Pictures) -> Machinery {
        Machinery { pictures: Some(pictures), ..self }
    }

    /// With files looked at.
    #[must_use]
    pub fn with_scanner(self, scanner: Scanner) -> Machinery {
        Machinery { scanner: Some(scanner), ..self }
    }
}

impl std::fmt::Debug for Machinery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machinery").finish_non_exhaustive()
    }
}

/// The storage of one project. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    settings: Arc<Settings>,
    db: db::Db,
    machinery: Machinery,
    layout: store::Layout,
    clock: Arc<dyn Clock>,
    leases: Arc<tus::Leases>,
    levels: Arc<listing::Levels>,
    purges: cdn::Later,
}

impl Storage {
    /// A storage with these settings on this database. The pool's login role must be able to become the roles of
    /// the requests: `authenticator`.
    pub fn new(settings: Settings, pool: pg::Pool, machinery: Machinery, clock: Arc<dyn Clock>) -> Storage {
        let db = db::Db::new(pool, &settings);
        let layout = store::Layout::of(&settings);
        Storage {
            settings: Arc::new(settings),
            db,
            machinery,
            layout,
            clock,
            leases: Arc::default(),
            levels: Arc::default(),
            purges: cdn::Later::default(),
        }
    }

    /// A key that may be an object's in this project.
    pub(crate) fn key(&self, text: &str) -> refusal::Outcome<names::ObjectKey> {
        names::ObjectKey::parse(text, self.settings.unicode_keys)
    }

    /// Answers a request whose path has no prefix of the gateway any more: `/object/public/…`.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let (call, body) = call::Call::split(request, self.clock.now());
        let body = body.metered(&self.settings.usage);
        let response = held(&call, self.route(&call, body).await);
        self.ring(&call.method);
        usage::metered(response, &self.settings.usage)
    }

    async fn route(&self, call: &call::Call, body: call::Incoming) -> Response<Body> {
        if tus::is_ours(&call.path) {
            return Box::pin(tus::answer(self, call.clone(), body)).await;
        }
        if s3::is_ours(&call.path) {
            return Box::pin(s3::answer(self, call, body)).await;
        }
        match Box::pin(routes::answer(self, call, body)).await {
            Ok(response) => response,
            Err(refusal) => {
                log(&refusal);
                let refusal = if call.says_true(TRUE_STATUS) { refusal.openly() } else { refusal };
                routes::refused(&refusal)
            }
        }
    }
}

/// An answer that is in memory whole, if there is memory for it while it is on its way.
fn held(call: &call::Call, response: Response<Body>) -> Response<Body> {
    let bytes = http_body::Body::size_hint(response.body()).exact().unwrap_or_default();
    let flows = response.extensions().get::<serve::Flows>().is_some();
    if flows || call.room.take(bytes) { response } else { routes::refused(&refusal::no_room()) }
}

/// A failure of ours is worth a line; a client's is in the access log.
fn log(refusal: &refusal::Refusal) {
    let fault = &refusal.fault;
    let cause = fault.cause().map(ToString::to_string);
    let message = without_query(&fault.message);
    if refusal.inner >= 500 && refusal.inner != 501 {
        tracing::error!(code = %fault.code, cause, "{message}");
    } else {
        tracing::debug!(code = %fault.code, cause, "{message}");
    }
}

/// A message without the query of the URL that it names: tokens and signatures stand there.
fn without_query(message: &str) -> &str {
    message.split_once('?').map_or(message, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    #[test]
    fn logs_hold_no_queries() {
        assert_eq!(super::without_query("Route GET:/a?token=x not found"), "Route GET:/a");
        assert_eq!(super::without_query("Object not found"), "Object not found");
    }
}
