//! What identity providers send: metadata, and responses that nobody has verified yet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saml::{Expectation, IdentityProvider, ServiceProvider, SigningKey};
use std::sync::{Arc, LazyLock};
use time::OffsetDateTime;

const FIXTURES: [&str; 2] = [
    include_str!("../../crates/ground/saml/tests/fixtures/service.key"),
    include_str!("../../crates/ground/saml/tests/fixtures/metadata.xml"),
];

static SERVICE: LazyLock<ServiceProvider> = LazyLock::new(|| {
    let key = Arc::new(SigningKey::read(FIXTURES[0]).expect("the fixture is a key"));
    ServiceProvider::new("https://sp.example.com/auth/v1", key, None, true)
});
static PROVIDER: LazyLock<IdentityProvider> =
    LazyLock::new(|| IdentityProvider::parse(FIXTURES[1]).expect("the fixture is metadata"));

fuzz_target!(|text: &str| {
    let _ = IdentityProvider::parse(text);
    let _ = saml::issuer_of(text);
    // 2026-11-21T08:00:00Z, when the fixtures hold.
    let now = OffsetDateTime::from_unix_timestamp(1_795_248_000).expect("a time");
    let _ = SERVICE.accept(text, &Expectation { provider: &PROVIDER, request_id: Some("id-1"), now });
});
