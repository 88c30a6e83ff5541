//! What identity providers get: requests and metadata.

use crate::{IDP, KEY, NOW, at, service};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use saml::{ServiceProvider, SigningKey, name_id};
use std::collections::HashMap;
use std::sync::Arc;

/// The public key inside the first certificate of the metadata: the part behind the last marker of RSA.
fn public_key(metadata: &str) -> Vec<u8> {
    let certificate = metadata.split("<X509Certificate>").nth(1).unwrap().split('<').next().unwrap();
    let der = STANDARD.decode(certificate).unwrap();
    let marker = hex::decode("06092a864886f70d0101010500").unwrap();
    let at = der.windows(marker.len()).position(|window| window == marker).unwrap() + marker.len();
    // A bit string with a two-byte length and no unused bits.
    assert_eq!(der[at..at + 2], [0x03, 0x82]);
    let length = usize::from(u16::from_be_bytes([der[at + 2], der[at + 3]]));
    der[at + 5..at + 4 + length].to_vec()
}

#[test]
fn a_request_is_signed_and_says_where_to_answer() {
    let service = service();
    let url = service
        .redirect_url(&format!("{IDP}/sso?tenant=1"), "id-<1>", name_id::PERSISTENT, "relay", at(NOW))
        .unwrap();
    let (location, query) = url.split_once("&SAMLRequest=").unwrap();
    assert_eq!(location, format!("{IDP}/sso?tenant=1"));
    let query = format!("SAMLRequest={query}");
    let values: HashMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    assert_eq!(values["RelayState"], "relay");
    let deflated = STANDARD.decode(&values["SAMLRequest"]).unwrap();
    let request = String::from_utf8(miniz_oxide::inflate::decompress_to_vec(&deflated).unwrap()).unwrap();
    for part in [
        "ID=\"id-&lt;1&gt;\"",
        "IssueInstant=\"2026-11-21T08:00:00Z\"",
        "AssertionConsumerServiceURL=\"https://sp.example.com/auth/v1/sso/saml/acs\"",
        "https://sp.example.com/auth/v1/sso/saml/metadata</saml:Issuer>",
        name_id::PERSISTENT,
    ] {
        assert!(request.contains(part), "{part} in {request}");
    }
    let signed = query.split("&Signature=").next().unwrap();
    let key = public_key(&service.metadata(at(NOW)).unwrap());
    let signature = STANDARD.decode(&values["Signature"]).unwrap();
    assert!(
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
            .verify(signed.as_bytes(), &signature)
            .is_ok()
    );
}

#[test]
fn metadata_tell_keys_and_addresses() {
    let metadata = service().metadata(at(NOW)).unwrap();
    assert!(metadata.contains("entityID=\"https://sp.example.com/auth/v1/sso/saml/metadata\""));
    assert!(metadata.contains("validUntil=\"2026-11-21T08:00:00Z\""));
    assert!(!metadata.contains("use=\"encryption\"") && !metadata.contains("cacheDuration"));
    assert_eq!(metadata.matches("<KeyDescriptor").count(), 1);
    let next = Arc::new(SigningKey::read(&SigningKey::generate().unwrap()).unwrap());
    let rotating =
        ServiceProvider::new("http://127.0.0.1:54321/auth/v1/", Arc::clone(&KEY), Some(next), true);
    let metadata = rotating.metadata(at(NOW)).unwrap();
    assert_eq!(metadata.matches("<KeyDescriptor").count(), 4);
    assert!(metadata.contains("cacheDuration=\"PT1H\""));
    assert!(metadata.contains("entityID=\"http://127.0.0.1:54321/auth/v1/sso/saml/metadata\""));
}
