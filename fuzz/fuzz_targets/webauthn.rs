//! What authenticators answer: the JSON of browsers, and below it the bytes of devices.
#![no_main]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::LazyLock;
use webauthn::{
    Assertion, Attested, Credential, PublicKey, RelyingParty, StoredKey, authenticate, register,
};

const CHALLENGE: [u8; 32] = [7; 32];
const ID: [u8; 16] = [1; 16];
const COUNTER: u32 = 5;
/// A key (ES256, COSE) whose private half nobody has.
const STRANGER: &[u8] = include_bytes!("../src/stranger.cose");

static PARTY: LazyLock<RelyingParty> = LazyLock::new(|| RelyingParty {
    id: "localhost".to_owned(),
    name: "A site".to_owned(),
    origins: vec!["http://localhost".to_owned()],
    requires_verification: false,
});

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((b'c', attestation)) => created(attestation),
        Some((b'p', rest)) => proved(rest),
        _ => whole(input),
    }
});

/// Answers as browsers send them.
fn whole(text: &[u8]) {
    if let Ok(answer) = serde_json::from_slice::<Credential<Attested>>(text) {
        let _ = register(&PARTY, &CHALLENGE, &answer);
    }
    if let Ok(answer) = serde_json::from_slice::<Credential<Assertion>>(text) {
        let _ = answer.user_handle();
        let stored = StoredKey { public_key: STRANGER, counter: COUNTER, is_backup_eligible: None };
        assert!(authenticate(&PARTY, &CHALLENGE, &stored, &answer).is_err(), "a forged proof");
    }
}

/// A new credential, which is right up to what the device says.
fn created(attestation: &[u8]) {
    let answer: Credential<Attested> = answer("webauthn.create", |client_data| {
        json!({ "clientDataJSON": client_data, "attestationObject": B64.encode(attestation) })
    });
    if let Ok(made) = register(&PARTY, &CHALLENGE, &answer) {
        assert_eq!(made.id, ID, "the id is the device's");
        PublicKey::parse(&made.public_key).expect("a key that is kept can be used");
    }
}

/// A proof: the device's data and a signature, checked with a key that the device may choose and with one that it
/// cannot have.
fn proved(bytes: &[u8]) {
    let part = |bytes: &[u8]| -> Option<(Vec<u8>, Vec<u8>)> {
        let (length, rest) = bytes.split_first()?;
        let (part, rest) = rest.split_at_checked(usize::from(*length))?;
        Some((part.to_vec(), rest.to_vec()))
    };
    let Some((key, rest)) = part(bytes) else { return };
    let Some((data, signature)) = part(&rest) else { return };
    let answer: Credential<Assertion> = answer("webauthn.get", |client_data| {
        json!({
            "clientDataJSON": client_data, "authenticatorData": B64.encode(&data),
            "signature": B64.encode(&signature), "userHandle": "AA",
        })
    });
    let stored = |public_key| StoredKey { public_key, counter: COUNTER, is_backup_eligible: Some(false) };
    assert!(authenticate(&PARTY, &CHALLENGE, &stored(STRANGER), &answer).is_err(), "a forged proof");
    if let Ok(proof) = authenticate(&PARTY, &CHALLENGE, &stored(&key), &answer) {
        assert!(proof.counter > COUNTER, "a counter that stood still");
    }
}

fn answer<R: DeserializeOwned>(kind: &str, response: impl Fn(String) -> Value) -> Credential<R> {
    let client_data =
        json!({ "type": kind, "challenge": B64.encode(CHALLENGE), "origin": "http://localhost" });
    let id = B64.encode(ID);
    let response = response(B64.encode(client_data.to_string()));
    let whole = json!({ "id": id, "rawId": id, "type": "public-key", "response": response });
    serde_json::from_value(whole).expect("it has the form")
}
