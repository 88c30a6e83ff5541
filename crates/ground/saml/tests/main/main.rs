//! Answers of an identity provider, good and bad.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

mod accepted;
mod fixtures;
mod idp;
mod refused;
mod requests;
mod wrapping;

use idp::{Claims, Idp};
use saml::{Assertion, Error, Expectation, IdentityProvider, ServiceProvider, SigningKey};
use std::sync::{Arc, LazyLock};
use time::OffsetDateTime;

/// 2026-11-21T08:00:00Z.
const NOW: u64 = 1_795_248_000;
const IDP: &str = "https://idp.example.com";

static KEY: LazyLock<Arc<SigningKey>> =
    LazyLock::new(|| Arc::new(SigningKey::read(&SigningKey::generate().unwrap()).unwrap()));

fn service() -> ServiceProvider {
    ServiceProvider::new("https://sp.example.com/auth/v1", Arc::clone(&KEY), None, false)
}

fn at(seconds: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap()).unwrap()
}

/// An identity provider and what it says of somebody.
struct Scene {
    idp: Idp,
    claims: Claims,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            idp: Idp::new(IDP),
            claims: Claims::new(service().entity_id(), service().acs_url(), "ann@example.com", NOW),
        }
    }

    fn with(change: impl FnOnce(&mut Claims)) -> Scene {
        let mut scene = Scene::new();
        change(&mut scene.claims);
        scene
    }

    fn accept(&self, response: &str) -> Result<Assertion, Error> {
        self.accept_of(response, None, NOW)
    }

    fn accept_of(&self, response: &str, request: Option<&str>, now: u64) -> Result<Assertion, Error> {
        let provider = IdentityProvider::parse(&self.idp.metadata()).unwrap();
        service().accept(response, &Expectation { provider: &provider, request_id: request, now: at(now) })
    }

    /// What comes of the answer with these claims.
    fn outcome(&self) -> Result<Assertion, Error> {
        self.accept(&self.idp.answer(&self.claims))
    }
}
