//! What the gateway is given: projects, found by name or key, and the services of each.

use crate::{ApiKeys, ServiceKind, Slots};
use axum::body::Body;
use fault::Fault;
use http::{Request, Response};
use model::ProjectRef;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A boxed future, as traits that are used as values need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// By what a project is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// A host name that is neither a base domain nor below one: perhaps a project's own domain.
    Domain(String),
    /// A project's ref, from the host name, the path or a legacy key.
    Ref(ProjectRef),
    /// The SHA-256 of an opaque key.
    KeyHash([u8; 32]),
    /// The project that requests mean when nothing in them names one.
    Default,
}

/// All projects. Implementations cache, also what they did not find: every request asks.
pub trait Projects: Send + Sync {
    /// The project, or nothing when there is none of that name.
    fn resolve(&self, lookup: Lookup) -> BoxFuture<'_, Result<Option<Arc<Tenant>>, Fault>>;
}

/// A service of one project. The path it sees has the service's prefix stripped.
pub trait Service: Send + Sync {
    fn call(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>>;
}

/// The services that a project has.
#[derive(Default, Clone)]
pub struct Services {
    pub rest: Option<Arc<dyn Service>>,
    pub auth: Option<Arc<dyn Service>>,
    pub storage: Option<Arc<dyn Service>>,
    /// Rowhouse's own endpoints, for service keys only.
    pub platform: Option<Arc<dyn Service>>,
}

impl Services {
    pub(crate) fn get(&self, kind: ServiceKind) -> Option<&Arc<dyn Service>> {
        match kind {
            ServiceKind::Rest | ServiceKind::Graphql => self.rest.as_ref(),
            ServiceKind::Auth => self.auth.as_ref(),
            ServiceKind::Storage => self.storage.as_ref(),
            ServiceKind::Platform => self.platform.as_ref(),
        }
    }
}

/// One project as the gateway sees it.
pub struct Tenant {
    pub reference: ProjectRef,
    pub keys: ApiKeys,
    /// The places for requests at work. Share them between two tenants that stand for the same project.
    pub slots: Slots,
    pub services: Services,
}
