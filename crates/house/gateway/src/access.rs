//! One log line per request, under the target `access`. It holds no path, query, token, address or body: what
//! could name a user or a table stays out.

use crate::route::Route;
use http::{Method, StatusCode};
use model::ProjectRef;
use std::time::Instant;

const TARGET: &str = "access";

/// What the line will say, filled in while the request is at work.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    started: Instant,
    request_id: crate::RequestId,
    method: Method,
    project: Option<ProjectRef>,
    service: &'static str,
    route: &'static str,
    status: StatusCode,
}

impl Entry {
    pub(crate) fn new(request_id: crate::RequestId, method: Method) -> Self {
        Entry {
            started: Instant::now(),
            request_id,
            method,
            project: None,
            service: "gateway",
            route: "none",
            status: StatusCode::OK,
        }
    }

    pub(crate) fn routed(&mut self, route: &Route<'_>) {
        self.service = route.service.as_str();
        self.route = route.class();
    }

    /// A path of the gateway itself.
    pub(crate) fn own(&mut self, route: &'static str) {
        self.route = route;
    }

    pub(crate) fn project(&mut self, reference: &ProjectRef) {
        self.project = Some(reference.clone());
    }

    pub(crate) fn status(&mut self, status: StatusCode) {
        self.status = status;
    }

    /// Writes the line.
    pub(crate) fn log(&self, bytes: u64) {
        let method = if is_usual(&self.method) { self.method.as_str() } else { "OTHER" };
        tracing::info!(
            target: TARGET,
            request_id = self.request_id.as_str(),
            project = self.project.as_ref().map_or("", ProjectRef::as_str),
            service = self.service,
            method,
            route = self.route,
            status = self.status.as_u16(),
            duration_ms = self.started.elapsed().as_micros() as f64 / 1000.0,
            bytes,
        );
    }
}

/// Methods are free text in HTTP; only known ones are logged.
fn is_usual(method: &Method) -> bool {
    [Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS]
        .contains(method)
        || method.as_str() == "QUERY"
}
