//! A request's way through the gateway, step by step.

use crate::access::Entry;
use crate::identity::{self, Presented};
use crate::limits::Slot;
use crate::memory::Reservation;
use crate::request_id::{SB_REQUEST_ID, X_REQUEST_ID};
use crate::resolve::Target;
use crate::route::{Route, uri_of};
use crate::{Limits, Projects, RequestId, Service, ServiceKind, Tenant, VerifiedKey, body, cors};
use axum::body::Body;
use fault::Fault;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request};
use http_body::Body as _;
use model::{Clock, Room};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const SB_FORWARDED_FOR: HeaderName = HeaderName::from_static("sb-forwarded-for");
/// What a proxy says of how a client came to it, beside the client's address.
const FORWARDED: [HeaderName; 5] = [
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-proto"),
];
const SB_PROJECT_REF: HeaderName = HeaderName::from_static("sb-project-ref");
const CONTENT_PROFILE: HeaderName = HeaderName::from_static("content-profile");
/// An answer of at most so many bytes is in the kernel's hands at once and keeps no place.
const PARTING_BYTES: u64 = 64 << 10;
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// How the gateway stands in the network.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Domains below which `<ref>.` names a project; lower case.
    pub base_domains: Vec<String>,
    /// Whether a proxy in front sets `X-Forwarded-For`. Otherwise clients' own values are replaced, and whatever else
    /// they say in a proxy's name is removed.
    pub trust_forwarded: bool,
    /// Whether auth of the default project answers without a key, as the official local stack's does: clients of
    /// auth alone do not know of keys. A key that is sent has to be right all the same.
    pub keyless_auth: bool,
    pub limits: Limits,
}

/// The front door.
pub struct Gateway {
    projects: Arc<dyn Projects>,
    settings: Settings,
    clock: Arc<dyn Clock>,
}

impl Gateway {
    pub fn new(projects: Arc<dyn Projects>, settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Gateway { projects, settings, clock }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// Answers a request, whatever it is: faults have become answers, and the line in the log is written when
    /// the answer's body has ended.
    pub async fn handle(&self, request: Request<Body>, peer: Option<SocketAddr>) -> Response<Body> {
        let id = RequestId::of(request.headers());
        let mut entry = Entry::new(id.clone(), request.method().clone());
        let (mut response, kept) = if cors::is_preflight(request.method(), request.headers()) {
            entry.own("preflight");
            (cors::preflight(request.headers()), None)
        } else {
            match self.answer(request, peer, &id, &mut entry).await {
                Ok((response, kept)) => (response, kept),
                Err(fault) => (render(&fault), None),
            }
        };
        cors::open(response.headers_mut());
        response.headers_mut().insert(X_REQUEST_ID, id.header());
        response.headers_mut().insert(SB_REQUEST_ID, id.header());
        entry.status(response.status());
        if let Some(bytes) = response.body().size_hint().exact().filter(|bytes| *bytes <= PARTING_BYTES) {
            entry.log(bytes);
            return response;
        }
        // The project's place is kept for as long as its answer is on the way, and so is the memory that holds it.
        response.map(|body| body::tracked(body, kept, move |bytes| entry.log(bytes)))
    }

    async fn answer(
        &self,
        request: Request<Body>,
        peer: Option<SocketAddr>,
        id: &RequestId,
        entry: &mut Entry,
    ) -> Result<(Response<Body>, Option<Kept>), Fault> {
        let (mut parts, body) = request.into_parts();
        if parts.uri.path() == "/health" && matches!(parts.method, Method::GET | Method::HEAD) {
            entry.own("health");
            return Ok((healthy(), None));
        }
        let presented = Presented::of(&parts.headers, parts.uri.query());
        let routed = self.route(&parts, presented.as_ref(), entry).await?;
        let body = if routed.service.takes_streams() { body } else { self.bounded(&parts, body).await? };
        if let (Some(key), Some(presented)) = (&routed.key, &presented) {
            identity::apply(routed.service, &presented.key, key, &mut parts)?;
        }
        let tenant = routed.tenant;
        let service = tenant.services.get(routed.service).cloned().ok_or_else(no_route)?;
        let prefix = prefix_of(&parts.uri, &routed.uri);
        parts.extensions.insert(model::Prefix(prefix.into()));
        parts.uri = routed.uri;
        self.mark(&mut parts, routed.service, id, peer);
        let slot = tenant.slots.take(routed.service).await?;
        if routed.service.takes_streams() {
            let room = room(tenant.slots.memory());
            parts.extensions.insert(room.clone());
            let response = caught(service.call(Request::from_parts(parts, body))).await?;
            return Ok((named(response, &tenant), Some(Kept { _slot: slot, _room: Some(room) })));
        }
        let limit = self.settings.limits.body_bytes_max;
        let (body, fate) = body::limited(body, limit, tenant.slots.memory());
        let response = self.call(&*service, Request::from_parts(parts, body)).await?;
        if fate.was_too_large() {
            return Err(too_large(limit));
        }
        if fate.was_refused() {
            return Err(no_memory());
        }
        Ok((named(response, &tenant), Some(Kept { _slot: slot, _room: None })))
    }

    /// Refuses a body whose announced length is over the limit, before anything else is done for it.
    async fn bounded(&self, parts: &request::Parts, body: Body) -> Result<Body, Fault> {
        let limit = self.settings.limits.body_bytes_max;
        let announced =
            parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: u64| length > limit) {
            body::drain(body).await;
            return Err(too_large(limit));
        }
        Ok(body)
    }

    /// Finds the service, the project and the meaning of the key.
    async fn route(
        &self,
        parts: &request::Parts,
        presented: Option<&Presented>,
        entry: &mut Entry,
    ) -> Result<Routed, Fault> {
        let target = Target::of(&parts.uri, &parts.headers, &self.settings.base_domains);
        let route = Route::of(target.path).ok_or_else(no_route)?;
        entry.routed(&route);
        let key = presented.map(|presented| presented.key.as_str());
        // Storage looks at tokens itself; many of its paths are for anybody.
        let keyless = route.service == ServiceKind::Storage
            || self.settings.keyless_auth && route.service == ServiceKind::Auth;
        if key.is_none() && !route.is_open() && !keyless {
            return Err(identity::no_key());
        }
        let found = target.project(&*self.projects, key).await?;
        let tenant =
            found.ok_or_else(|| if target.names_project() { no_project() } else { identity::wrong_key() })?;
        entry.project(&tenant.reference);
        let verified = match key {
            _ if route.is_open() => None,
            Some(key) => {
                Some(tenant.keys.check(key, self.clock.unix_seconds()).ok_or_else(identity::wrong_key)?)
            }
            None => None,
        };
        let query = match presented {
            Some(presented) => presented.query_for_service(parts.uri.query()),
            None => parts.uri.query().map(str::to_owned),
        };
        let uri = uri_of(route.path, query.as_deref()).ok_or_else(no_route)?;
        Ok(Routed { tenant, service: route.service, uri, key: verified })
    }

    /// What services find on a request beside the client's own headers.
    fn mark(
        &self,
        parts: &mut request::Parts,
        service: ServiceKind,
        id: &RequestId,
        peer: Option<SocketAddr>,
    ) {
        parts.headers.insert(X_REQUEST_ID, id.header());
        parts.headers.insert(SB_REQUEST_ID, id.header());
        parts.extensions.insert(id.clone());
        if service == ServiceKind::Graphql {
            parts.headers.insert(CONTENT_PROFILE, HeaderValue::from_static("graphql_public"));
        }
        if !self.settings.trust_forwarded {
            for name in &FORWARDED {
                parts.headers.remove(name);
            }
        }
        if self.settings.trust_forwarded && parts.headers.contains_key(X_FORWARDED_FOR) {
            return;
        }
        parts.headers.remove(X_FORWARDED_FOR);
        parts.headers.remove(SB_FORWARDED_FOR);
        if let Some(peer) = peer
            && let Ok(address) = HeaderValue::from_str(&peer.ip().to_canonical().to_string())
        {
            parts.headers.insert(X_FORWARDED_FOR, address);
        }
    }

    async fn call(&self, service: &dyn Service, request: Request<Body>) -> Result<Response<Body>, Fault> {
        let work = caught(service.call(request));
        match tokio::time::timeout(self.settings.limits.request_timeout, work).await {
            Ok(answered) => answered,
            Err(_) => Err(Fault::new(
                StatusCode::GATEWAY_TIMEOUT,
                "request_timeout",
                "The request took longer than the server allows",
            )),
        }
    }
}

/// What a request keeps from others until its answer has been sent.
struct Kept {
    _slot: Slot,
    /// What a service holds whole is taken from this. Bodies of other services are counted as they are read.
    _room: Option<Room>,
}

fn room(reservation: Reservation) -> Room {
    let reservation = Mutex::new(reservation);
    Room::new(move |bytes| reservation.lock().unwrap_or_else(PoisonError::into_inner).take(bytes))
}

/// What a service answers, be it that it panics.
async fn caught(work: impl Future<Output = Response<Body>>) -> Result<Response<Body>, Fault> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| {
        tracing::error!("a service panicked; the request was answered with 500");
        let message = "An unexpected error occurred";
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message)
    })
}

/// An answer that says whose it is.
fn named(mut response: Response<Body>, tenant: &Tenant) -> Response<Body> {
    if let Ok(reference) = HeaderValue::from_str(tenant.reference.as_str()) {
        response.headers_mut().insert(SB_PROJECT_REF, reference);
    }
    response
}

/// What was taken off a path to make it another.
fn prefix_of<'a>(before: &'a http::Uri, after: &http::Uri) -> &'a str {
    before.path().strip_suffix(after.path()).unwrap_or(before.path())
}

/// Where a request goes, and with which key.
struct Routed {
    tenant: Arc<Tenant>,
    service: ServiceKind,
    uri: http::Uri,
    key: Option<Arc<VerifiedKey>>,
}

fn healthy() -> Response<Body> {
    let mut response = Response::new(Body::from(r#"{"status":"ok"}"#));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// A fault as the gateway answers it.
fn render(fault: &Fault) -> Response<Body> {
    if fault.status.is_server_error() {
        let cause = fault.cause().map(ToString::to_string);
        tracing::error!(code = &*fault.code, status = fault.status.as_u16(), cause, "{}", fault.message);
    }
    let mut response = Response::new(Body::from(fault::gateway_body(fault)));
    *response.status_mut() = fault.status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    for (name, value) in &fault.headers {
        response.headers_mut().append(name, value.clone());
    }
    response
}

fn no_route() -> Fault {
    Fault::new(StatusCode::NOT_FOUND, "no_route", "no Route matched with those values")
}

fn no_project() -> Fault {
    Fault::new(StatusCode::NOT_FOUND, "project_not_found", "There is no such project")
}

fn too_large(bytes_max: u64) -> Fault {
    Fault::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "request_entity_too_large",
        format!("The request body is larger than {bytes_max} bytes"),
    )
}

fn no_memory() -> Fault {
    Fault::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too_many_large_requests",
        "Too many requests with large bodies at once",
    )
    .with_hint("Send large requests one after the other, or try again after the time in Retry-After.")
    .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}
