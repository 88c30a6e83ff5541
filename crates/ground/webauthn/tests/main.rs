//! Registration and sign-in with an authenticator in software, and the lies that must not pass.

#![allow(clippy::unwrap_used)]

mod authenticator;

use authenticator::{Authenticator, bytes};
use serde_json::{Value, json};
use webauthn::{
    Assertion, Attested, Credential, Error, PublicKey, Registered, RelyingParty, StoredKey, User,
    authenticate, creation_options, register, request_options,
};

const ORIGIN: &str = "https://app.example.com";
const CHALLENGE: &[u8] = b"thirty-two bytes of a challenge.";

fn party() -> RelyingParty {
    RelyingParty {
        id: "example.com".to_owned(),
        name: "Example".to_owned(),
        origins: vec![ORIGIN.to_owned(), "https://example.com".to_owned()],
        requires_verification: false,
    }
}

fn creation() -> Value {
    let user = User { handle: b"user", name: "ann@example.com", display_name: "Ann" };
    creation_options(&party(), &user, CHALLENGE, 300_000, &[], true)
}

fn request() -> Value {
    request_options(&party(), CHALLENGE, 300_000, &[])
}

fn registered(answer: Value) -> Result<Registered, Error> {
    let answer: Credential<Attested> = serde_json::from_value(answer).map_err(|_| Error::Form)?;
    register(&party(), CHALLENGE, &answer)
}

fn proved(key: &Registered, answer: Value) -> Result<u32, Error> {
    let answer: Credential<Assertion> = serde_json::from_value(answer).map_err(|_| Error::Form)?;
    let stored = StoredKey {
        public_key: &key.public_key,
        counter: key.counter,
        is_backup_eligible: Some(key.is_backup_eligible),
    };
    authenticate(&party(), CHALLENGE, &stored, &answer).map(|proof| proof.counter)
}

#[test]
fn credentials_of_each_kind_register_and_sign_in() {
    for (mut device, packed) in [
        (Authenticator::new(ORIGIN), false),
        (Authenticator::new("https://example.com"), true),
        (Authenticator::ed25519(ORIGIN), false),
        (Authenticator::ed25519(ORIGIN), true),
    ] {
        device.packed = packed;
        let key = registered(device.create(&creation())).unwrap();
        assert_eq!((&key.id, key.counter, key.aaguid), (&device.id, 1, [7; 16]));
        assert_eq!(key.transports, ["internal", "hybrid"]);
        assert_eq!(key.attestation, if packed { "packed" } else { "none" });
        assert!(key.is_verified && !key.is_backup_eligible);
        PublicKey::parse(&key.public_key).unwrap();
        assert_eq!(proved(&key, device.get(&request())), Ok(2));
    }
}

/// Signed with OpenSSL's RSA key of the tests of tokens.
#[test]
fn rsa_keys_sign_in() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
    use ring::{rsa, signature};
    let jwk: Value = serde_json::from_str(include_str!("../../token/tests/rsa.json")).unwrap();
    let part = |name: &str| bytes(&jwk[name]);
    let pair = signature::RsaKeyPair::from_components(&rsa::KeyPairComponents {
        public_key: rsa::PublicKeyComponents { n: part("n"), e: part("e") },
        d: part("d"),
        p: part("p"),
        q: part("q"),
        dP: part("dp"),
        dQ: part("dq"),
        qInv: part("qi"),
    })
    .unwrap();
    let mut cose = b"\xa4\x01\x03\x03\x39\x01\x00\x20\x59\x01\x00".to_vec();
    cose.extend(part("n"));
    cose.extend(b"\x21\x43\x01\x00\x01");
    let mut device = Authenticator::new(ORIGIN);
    let mut answer = device.get(&request());
    let hash = ring::digest::digest(&ring::digest::SHA256, &bytes(&answer["response"]["clientDataJSON"]));
    let message = [&bytes(&answer["response"]["authenticatorData"])[..], hash.as_ref()].concat();
    let mut signed = vec![0; pair.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    pair.sign(&signature::RSA_PKCS1_SHA256, &random, &message, &mut signed).unwrap();
    answer["response"]["signature"] = B64.encode(&signed).into();
    let answer: Credential<Assertion> = serde_json::from_value(answer).unwrap();
    let stored = StoredKey { public_key: &cose, counter: 0, is_backup_eligible: None };
    assert_eq!(authenticate(&party(), CHALLENGE, &stored, &answer).map(|p| p.counter), Ok(2));
}

#[test]
fn lies_about_a_new_credential_are_found() {
    let lie = |tell: fn(&mut Authenticator)| {
        let mut device = Authenticator::new(ORIGIN);
        tell(&mut device);
        registered(device.create(&creation())).map(drop)
    };
    assert_eq!(lie(|_| {}), Ok(()));
    assert_eq!(lie(|d| d.origin = "https://evil.test".into()), Err(Error::Origin));
    assert_eq!(lie(|d| d.origin = "http://app.example.com".into()), Err(Error::Origin));
    assert_eq!(lie(|d| d.origin = "https://app.example.com.evil.test".into()), Err(Error::Origin));
    assert_eq!(lie(|d| d.cross_origin = true), Err(Error::Origin));
    assert_eq!(lie(|d| d.rp_id = Some("evil.test".into())), Err(Error::RelyingParty));
    assert_eq!(lie(|d| d.user_present = false), Err(Error::NotPresent));
    let mut device = Authenticator::new(ORIGIN);
    let answer = device.create(&creation());
    let other: Credential<Attested> = serde_json::from_value(answer.clone()).unwrap();
    assert_eq!(register(&party(), b"another", &other), Err(Error::Challenge));
    assert_eq!(register(&party(), b"", &other), Err(Error::Challenge));
    let mut strict = party();
    strict.requires_verification = true;
    assert!(register(&strict, CHALLENGE, &other).is_ok());
    device.user_verified = false;
    let unverified: Credential<Attested> = serde_json::from_value(device.create(&creation())).unwrap();
    assert_eq!(register(&strict, CHALLENGE, &unverified), Err(Error::NotVerified));
    assert!(register(&party(), CHALLENGE, &unverified).is_ok());
    let mut renamed = answer.clone();
    renamed["id"] = json!("AAAA");
    assert_eq!(registered(renamed.clone()), Err(Error::Form));
    renamed["rawId"] = json!("AAAA");
    assert_eq!(registered(renamed), Err(Error::Form), "not the credential's id");
    let mut password = answer.clone();
    password["type"] = json!("password");
    assert_eq!(registered(password), Err(Error::Form));
    // An assertion is no registration.
    let mut swapped = answer;
    swapped["response"]["clientDataJSON"] = device.get(&request())["response"]["clientDataJSON"].clone();
    assert_eq!(registered(swapped), Err(Error::Purpose));
}

#[test]
fn a_forged_statement_is_refused() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
    let mut device = Authenticator::new(ORIGIN);
    device.packed = true;
    let mut answer = device.create(&creation());
    let mut object = bytes(&answer["response"]["attestationObject"]);
    let at = object.windows(3).position(|window| window == b"sig").unwrap() + 16;
    object[at] ^= 1;
    answer["response"]["attestationObject"] = B64.encode(object).into();
    assert_eq!(registered(answer), Err(Error::Attestation));
}

#[test]
fn lies_about_a_proof_are_found() {
    let lie = |tell: fn(&mut Authenticator)| {
        let mut device = Authenticator::new(ORIGIN);
        let key = registered(device.create(&creation())).unwrap();
        tell(&mut device);
        proved(&key, device.get(&request())).map(drop)
    };
    assert_eq!(lie(|_| {}), Ok(()));
    assert_eq!(lie(|d| d.origin = "https://evil.test".into()), Err(Error::Origin));
    assert_eq!(lie(|d| d.rp_id = Some("evil.test".into())), Err(Error::RelyingParty));
    assert_eq!(lie(|d| d.user_present = false), Err(Error::NotPresent));
    assert_eq!(lie(|d| d.backup_eligible = true), Err(Error::Flags));
    // The answer counts one more than before: these are 1, then 0.
    assert_eq!(lie(|d| d.counter = 0), Err(Error::Counter));
    assert_eq!(lie(|d| d.counter = u32::MAX - 1), Ok(()));
    let mut device = Authenticator::new(ORIGIN);
    let key = registered(device.create(&creation())).unwrap();
    let mut other = Authenticator::new(ORIGIN);
    assert_eq!(proved(&key, other.get(&request())), Err(Error::Signature), "another's key");
    let good = device.get(&request());
    for part in ["clientDataJSON", "authenticatorData", "signature"] {
        let mut changed = good.clone();
        changed["response"][part] = other.get(&request())["response"][part].clone();
        if part == "clientDataJSON" {
            // The same for both devices.
            continue;
        }
        assert!(proved(&key, changed).is_err(), "{part}");
    }
    let mut created = good.clone();
    created["response"]["clientDataJSON"] = device.create(&creation())["response"]["clientDataJSON"].clone();
    assert_eq!(proved(&key, created), Err(Error::Purpose));
    let stale = request_options(&party(), b"another challenge", 1, &[]);
    assert_eq!(proved(&key, device.get(&stale)), Err(Error::Challenge));
    assert!(proved(&key, good).is_ok());
}

#[test]
fn authenticators_without_a_counter_are_believed() {
    let mut device = Authenticator::new(ORIGIN);
    (device.counter, device.counts) = (0, false);
    let key = registered(device.create(&creation())).unwrap();
    for _ in 0..2 {
        assert_eq!(proved(&key, device.get(&request())), Ok(0));
    }
}

#[test]
fn no_part_of_an_answer_makes_it_fall_over() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
    let mut device = Authenticator::new(ORIGIN);
    let good = device.create(&creation());
    let object = bytes(&good["response"]["attestationObject"]);
    for length in 0..object.len() {
        let mut cut = good.clone();
        cut["response"]["attestationObject"] = B64.encode(&object[..length]).into();
        assert!(registered(cut).is_err(), "cut at {length}");
    }
    for at in 0..object.len() {
        let mut changed = object.clone();
        changed[at] = changed[at].wrapping_add(0x41);
        let mut answer = good.clone();
        answer["response"]["attestationObject"] = B64.encode(changed).into();
        // Some bytes mean nothing (the device's kind, the counter); none may panic.
        let _ = registered(answer);
    }
    for bad in [
        json!({}),
        json!({ "id": 1 }),
        json!({ "id": "", "rawId": "", "type": "public-key", "response": {} }),
    ] {
        assert_eq!(registered(bad), Err(Error::Form));
    }
}
