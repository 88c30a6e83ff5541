use super::*;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use std::time::{Duration, UNIX_EPOCH};

const SECRET: &str = "reallyreallyreallyreallyverysafe";

fn verifier() -> Verifier {
    Verifier::new(&Settings {
        jwt_secret: Some(SECRET.into()),
        db_anon_role: Some("anon".into()),
        ..Settings::default()
    })
}

fn token(claims: Value) -> HeaderValue {
    let header = Header::new(Algorithm::HS256);
    let token = encode(&header, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    HeaderValue::try_from(format!("bearer {token}")).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn check(header: HeaderValue, now: u64) -> String {
    match verifier().caller(Some(&header), at(now)) {
        Ok(caller) => format!("{} {}", caller.role, caller.claims),
        Err(fault) => format!("{} {}", fault.code, fault.message),
    }
}

#[test]
fn a_token_names_its_role() {
    assert_eq!(check(token(json!({ "role": "author" })), 0), r#"author {"role":"author"}"#);
    assert_eq!(check(token(json!({ "sub": "x" })), 0), r#"anon {"sub":"x","role":"anon"}"#);
}

#[test]
fn times_and_audiences_are_checked_at_every_use() {
    let verifier = verifier();
    let header = token(json!({ "exp": 1000 }));
    assert!(verifier.caller(Some(&header), at(1030)).is_ok());
    assert_eq!(verifier.caller(Some(&header), at(1031)).unwrap_err().message, "JWT expired");
    assert_eq!(check(token(json!({ "nbf": 31 })), 0), "PGRST303 JWT not yet valid");
    assert_eq!(check(token(json!({ "exp": "x" })), 0), "PGRST303 The JWT 'exp' claim must be a number");
    assert_eq!(
        check(token(json!({ "aud": 1 })), 0),
        "PGRST303 The JWT 'aud' claim must be a string or an array of strings"
    );
}

#[test]
fn bad_tokens_are_told_apart() {
    let check = |text: &str| check(HeaderValue::try_from(text).unwrap(), 0);
    assert_eq!(check("Bearer "), "PGRST301 Empty JWT is sent in Authorization header");
    assert_eq!(check("Bearer a.b"), "PGRST301 Expected 3 parts in JWT; got 2");
    assert_eq!(
        check("Bearer quifquirndsjagnrgniur.fonvoienqhhdj.iuqvnvhojah"),
        "PGRST301 JWT cryptographic operation failed"
    );
    assert_eq!(
        check("Bearer eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.e30.yOBhlOIqn56T-4NvyEXCjfi3UmyQZ-BzXtePMO2NgRI"),
        "PGRST301 Wrong or unsupported encoding algorithm"
    );
    assert_eq!(check("Basic abc"), r#"anon {"role":"anon"}"#);
}

#[test]
fn the_role_may_be_anywhere_in_the_claims() {
    let claims = json!({ "a": { "b c": ["x", "role_y"] } });
    let claims = claims.as_object().unwrap();
    for path in ["$.a[\"b c\"][1]", ".a.\"b c\"[1]", "$.a['b c'][?(@ ^== \"role\")]"] {
        assert_eq!(RolePath::parse(path).find(claims), Some(&json!("role_y")), "{path}");
    }
    assert_eq!(RolePath::parse("$.role").find(claims), None);
}
