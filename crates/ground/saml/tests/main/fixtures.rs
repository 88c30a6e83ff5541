//! Documents that xmlsec1 signed and encrypted (`tests/fixtures/make.sh`).

use crate::{NOW, at};
use saml::{Assertion, Error, Expectation, IdentityProvider, ServiceProvider, SigningKey};
use std::sync::Arc;

const METADATA: &str = include_str!("../fixtures/metadata.xml");
const ASSERTION: &str = include_str!("../fixtures/assertion_rsa_sha256.xml");
const RESPONSE: &str = include_str!("../fixtures/response_rsa_sha512.xml");
const BOTH: &str = include_str!("../fixtures/both_ecdsa_rsa_sha384.xml");
const SHA1: &str = include_str!("../fixtures/assertion_rsa_sha1.xml");
const GCM: &str = include_str!("../fixtures/encrypted_aes256_gcm.xml");
const CBC: &str = include_str!("../fixtures/encrypted_aes128_cbc.xml");
const KEY: &str = include_str!("../fixtures/service.key");

fn accept_with(response: &str, allow_encrypted: bool) -> Result<Assertion, Error> {
    let key = Arc::new(SigningKey::read(KEY).unwrap());
    let service = ServiceProvider::new("https://sp.example.com/auth/v1", key, None, allow_encrypted);
    let provider = IdentityProvider::parse(METADATA).unwrap();
    assert_eq!(provider.key_count(), 2);
    service.accept(response, &Expectation { provider: &provider, request_id: Some("id-1"), now: at(NOW) })
}

fn accept(response: &str) -> Result<Assertion, Error> {
    accept_with(response, false)
}

#[track_caller]
fn is_ann(assertion: &Assertion) {
    assert_eq!(assertion.user_id().as_deref(), Some("Ann <\rä>"));
    assert_eq!(assertion.email(), Some("ann@example.com"));
    assert_eq!(assertion.values("quote\"d\ttab").collect::<Vec<_>>(), ["<raw> & tail"]);
}

#[test]
fn signatures_of_another_implementation_are_understood() {
    for document in [ASSERTION, RESPONSE, BOTH] {
        is_ann(&accept(document).unwrap());
    }
}

#[test]
fn every_signed_byte_counts() {
    for document in [ASSERTION, RESPONSE, BOTH] {
        for (from, to) in [
            ("ann@example.com", "bob@example.com"),
            ("Ann &lt;", "Bob &lt;"),
            ("FriendlyName=\"mail\"", "FriendlyName=\"Mail\""),
            ("    <saml:Subject>", "<saml:Subject>"),
            ("xmlns:xs=\"http://www.w3.org/2001/XMLSchema\"", "xmlns:xs=\"urn:other\""),
            ("xmlns=\"urn:unused\"", "xmlns=\"urn:other\""),
        ] {
            let changed = document.replacen(from, to, 1);
            assert_ne!(changed, document, "{from}");
            assert_eq!(accept(&changed), Err(Error::Digest), "{from}");
        }
        // Comments are no part of what is signed.
        is_ann(&accept(&document.replace("<!-- a comment -->", "")).unwrap());
    }
}

#[test]
fn sha_1_is_not_enough() {
    assert!(matches!(accept(SHA1), Err(Error::Algorithm(_))));
}

#[test]
fn encrypted_assertions_are_opened_where_that_is_allowed() {
    for document in [GCM, CBC] {
        is_ann(&accept_with(document, true).unwrap());
        assert_eq!(accept_with(document, false), Err(Error::Encrypted));
    }
}

#[test]
fn ciphertexts_that_were_touched_all_fail_alike() {
    for document in [GCM, CBC] {
        let values: Vec<usize> =
            document.match_indices("<xenc:CipherValue>").map(|(at, _)| at + 18).collect();
        assert_eq!(values.len(), 2);
        for at in values {
            for offset in [0, 40, 90] {
                let mut changed = document.to_owned();
                let old = &document[at + offset..=at + offset];
                changed.replace_range(at + offset..=at + offset, if old == "A" { "B" } else { "A" });
                let error = accept_with(&changed, true).unwrap_err();
                // Without its own check value, a changed block in the middle is noticed by the signature.
                let allowed = [Error::Decryption, Error::Digest, Error::Signature, Error::Xml];
                assert!(allowed.contains(&error), "{error:?}");
            }
        }
    }
}

#[test]
fn encryption_for_another_key_is_not_opened() {
    let other = Arc::clone(&crate::KEY);
    let own = Arc::new(SigningKey::read(KEY).unwrap());
    let provider = IdentityProvider::parse(METADATA).unwrap();
    let expected = Expectation { provider: &provider, request_id: Some("id-1"), now: at(NOW) };
    let service =
        |next| ServiceProvider::new("https://sp.example.com/auth/v1", Arc::clone(&other), next, true);
    assert_eq!(service(None).accept(GCM, &expected), Err(Error::Decryption));
    // While keys change, the one that is not in use yet opens it.
    is_ann(&service(Some(own)).accept(GCM, &expected).unwrap());
}
