//! What identity providers send: metadata, and responses that nobody has verified yet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use saml::{Assertion, Expectation, IdentityProvider, ServiceProvider, SigningKey};
use std::sync::{Arc, LazyLock};
use time::OffsetDateTime;

const KEY: &str = include_str!("../../crates/ground/saml/tests/fixtures/service.key");
const METADATA: &str = include_str!("../../crates/ground/saml/tests/fixtures/metadata.xml");
/// What the provider has signed, all that it ever will.
const SIGNED: [&str; 5] = [
    include_str!("../seeds/saml/assertion_rsa_sha256.xml"),
    include_str!("../seeds/saml/both_ecdsa_rsa_sha384.xml"),
    include_str!("../seeds/saml/encrypted_aes128_cbc.xml"),
    include_str!("../seeds/saml/encrypted_aes256_gcm.xml"),
    include_str!("../seeds/saml/response_rsa_sha512.xml"),
];

static SERVICE: LazyLock<ServiceProvider> = LazyLock::new(|| {
    let key = Arc::new(SigningKey::read(KEY).expect("the fixture is a key"));
    ServiceProvider::new("https://sp.example.com/auth/v1", key, None, true)
});
static PROVIDER: LazyLock<IdentityProvider> =
    LazyLock::new(|| IdentityProvider::parse(METADATA).expect("the fixture is metadata"));

static SAID: LazyLock<Vec<Assertion>> = LazyLock::new(|| {
    let said: Vec<_> = SIGNED.into_iter().filter_map(accepted).collect();
    assert!(said.len() >= 4, "the documents hold at that time");
    said
});

/// What is believed at 2026-11-21T08:00:00Z, when the documents hold.
fn accepted(text: &str) -> Option<Assertion> {
    let now = OffsetDateTime::from_unix_timestamp(1_795_248_000).expect("a time");
    SERVICE.accept(text, &Expectation { provider: &PROVIDER, request_id: Some("id-1"), now }).ok()
}

fuzz_target!(|text: &str| {
    let _ = IdentityProvider::parse(text);
    let _ = saml::issuer_of(text);
    // Nobody but the provider can have it say something else, however documents are taken apart and put together.
    if let Some(assertion) = accepted(text) {
        assert!(SAID.contains(&assertion), "{assertion:?}");
    }
});
