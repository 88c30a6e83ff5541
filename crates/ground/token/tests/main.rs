//! Signing and verifying with every kind of key, and the forgeries that must fail.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected must stop")]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::json;
use token::{Key, KeyError, KeySet, TokenError, bearer, local_signing_jwk, new_ed25519_jwk, new_es256_jwk};

const SECRET: &[u8] = b"a-secret-of-more-than-thirty-two-bytes";

fn forge(header: &str, payload: &str, signature: &[u8]) -> String {
    format!("{}.{}.{}", B64.encode(header), B64.encode(payload), B64.encode(signature))
}

#[test]
fn a_secret_signs_and_verifies_and_the_order_of_claims_is_kept() {
    let keys = KeySet::from_secret(SECRET);
    let token = keys.sign(&json!({ "z": 1, "a": { "y": 1, "b": 2 } })).unwrap();
    let verified = keys.verify(&token).unwrap();
    assert_eq!(verified.payload, r#"{"z":1,"a":{"y":1,"b":2}}"#);
    assert_eq!(KeySet::from_secret(b"other").verify(&token), Err(TokenError::Signature));
}

#[test]
fn an_ec_key_signs_publishes_its_public_half_and_verifies() {
    let private = new_es256_jwk("k1");
    let keys = KeySet::from_json(&json!([private]).to_string()).unwrap().with_secret(SECRET);
    let token = keys.sign(&json!({ "sub": "x" })).unwrap();
    assert_eq!(keys.verify(&token).unwrap().key_id.as_deref(), Some("k1"));
    let public = keys.public_jwks();
    assert_eq!(public["keys"].as_array().unwrap().len(), 1, "the secret is not published");
    assert!(public["keys"][0].get("d").is_none());
    let verifier = KeySet::from_json(&public.to_string()).unwrap();
    assert!(verifier.verify(&token).is_ok());
    assert_eq!(verifier.sign(&json!({})), Err(TokenError::CannotSign));
    let other = KeySet::from_json(&new_es256_jwk("k2").to_string()).unwrap();
    assert_eq!(other.verify(&token), Err(TokenError::NoKey));
    let same_id = KeySet::from_json(&new_es256_jwk("k1").to_string()).unwrap();
    assert_eq!(same_id.verify(&token), Err(TokenError::Signature));
}

#[test]
fn a_secret_verifies_whatever_key_id_is_named() {
    let signer = KeySet::from_keys(vec![Key::hs256(SECRET).with_id("old")]);
    let token = signer.sign(&json!({ "sub": "x" })).unwrap();
    let keys = KeySet::from_json(&new_es256_jwk("new").to_string()).unwrap().with_secret(SECRET);
    assert!(keys.verify(&token).is_ok());
}

#[test]
fn none_and_foreign_algorithms_are_refused() {
    let keys = KeySet::from_secret(SECRET);
    for alg in ["none", "None", "HS512", "RS256", ""] {
        let token = forge(&format!(r#"{{"alg":"{alg}"}}"#), r#"{"role":"service_role"}"#, b"");
        assert_eq!(keys.verify(&token), Err(TokenError::Algorithm(alg.into())), "{alg}");
    }
}

#[test]
fn a_public_key_cannot_be_used_as_a_secret() {
    let keys = KeySet::from_json(&new_es256_jwk("k1").to_string()).unwrap();
    let public = keys.public_jwks()["keys"][0].to_string();
    let forged =
        KeySet::from_keys(vec![Key::hs256(public.as_bytes()).with_id("k1")]).sign(&json!({})).unwrap();
    assert_eq!(keys.verify(&forged), Err(TokenError::Algorithm("HS256".into())));
}

#[test]
fn malformed_tokens_are_told_apart() {
    let keys = KeySet::from_secret(SECRET);
    assert_eq!(keys.verify(""), Err(TokenError::Empty));
    assert_eq!(keys.verify("a"), Err(TokenError::Parts(1)));
    assert_eq!(keys.verify("a.b"), Err(TokenError::Parts(2)));
    assert_eq!(keys.verify("a.b.c.d"), Err(TokenError::Parts(4)));
    assert_eq!(keys.verify("%.b.c"), Err(TokenError::Malformed));
    assert_eq!(keys.verify(&forge("not json", "{}", b"")), Err(TokenError::Malformed));
    assert_eq!(keys.verify(&forge(r#"{"alg":"HS256","crit":["x"]}"#, "{}", b"")), Err(TokenError::Malformed));
    let array = keys.sign(&json!([1])).unwrap();
    assert_eq!(keys.verify(&array), Err(TokenError::Payload));
    assert_eq!(keys.verify(&format!("{}.b.c", "a".repeat(70_000))), Err(TokenError::Malformed));
}

#[test]
fn key_sets_are_checked() {
    assert!(matches!(KeySet::from_json("{"), Err(KeyError::Malformed(_))));
    assert!(matches!(KeySet::from_json("[]"), Err(KeyError::Empty)));
    assert!(matches!(KeySet::from_json(r#"{"kty":"EC","crv":"P-384"}"#), Err(KeyError::Unsupported(_))));
    let two = json!([new_es256_jwk("a"), new_es256_jwk("b")]).to_string();
    assert!(matches!(KeySet::from_json(&two), Err(KeyError::SeveralSigningKeys)));
    assert!(KeySet::from_json(r#"{"kty":"oct","k":"c2VjcmV0"}"#).is_ok());
}

#[test]
fn bearer_headers() {
    assert_eq!(bearer("Bearer abc"), Some("abc"));
    assert_eq!(bearer("bEARER  abc"), Some("abc"));
    assert_eq!(bearer("Bearer"), None);
    assert_eq!(bearer("Bearer "), None);
    assert_eq!(bearer("Basic abc"), None);
    assert_eq!(bearer("Bearer a b"), None);
}

/// An RSA key of tests only, made with OpenSSL.
fn rsa_jwk(algorithm: &str) -> serde_json::Value {
    let mut jwk: serde_json::Value = serde_json::from_str(include_str!("rsa.json")).unwrap();
    jwk["alg"] = algorithm.into();
    jwk
}

#[test]
fn every_algorithm_signs_and_is_verified_by_its_public_half_only() {
    let all =
        [new_es256_jwk("k"), local_signing_jwk(), new_ed25519_jwk("k"), rsa_jwk("RS256"), rsa_jwk("RS512")];
    let tokens: Vec<(String, KeySet)> = all
        .iter()
        .map(|jwk| {
            let keys = KeySet::from_json(&jwk.to_string()).unwrap();
            let public = keys.public_jwks();
            assert!(
                ["d", "p", "q", "dp"].iter().all(|part| public["keys"][0].get(part).is_none()),
                "{public}"
            );
            let token = keys.sign(&json!({ "sub": "x" })).unwrap();
            (token, KeySet::from_json(&public.to_string()).unwrap())
        })
        .collect();
    for (i, (token, _)) in tokens.iter().enumerate() {
        for (j, (_, verifier)) in tokens.iter().enumerate() {
            assert_eq!(verifier.verify(token).is_ok(), i == j, "{} by {}", all[i]["alg"], all[j]["alg"]);
        }
        let mut changed = token.clone().into_bytes();
        let at = changed.len() - 5;
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(tokens[i].1.verify(&changed), Err(TokenError::Signature));
    }
}

#[test]
fn curves_that_we_do_not_have_are_named() {
    for (kty, crv) in [("EC", "P-521"), ("OKP", "X25519")] {
        let refused = KeySet::from_json(&json!({ "kty": kty, "crv": crv, "x": "AA", "y": "AA" }).to_string());
        assert_eq!(refused.err(), Some(KeyError::Unsupported(crv.to_owned())));
    }
}
