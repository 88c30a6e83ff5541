//! Security keys and passkeys as second factors: what a challenge asks, and whether an answer to it holds.

use super::passkeys::{challenge_of, names, party, session_data, timeout_ms};
use crate::Auth;
use crate::call::Call;
use crate::refusal::{Outcome, Refusal, internal, invalid, refuse};
use crate::store::db::Step;
use crate::store::factors;
use crate::store::records::{Challenge, Factor, User};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;
use webauthn::{Assertion, Attested, Credential, Descriptor, Registered, StoredKey};

/// The part of a request to verify that is about WebAuthn.
#[derive(Debug, Deserialize)]
pub(super) struct Params {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    credential_response: Option<Value>,
}

/// A credential as it is stored with its factor, in the reference's form.
#[derive(Debug, Clone, Deserialize, Serialize)]
struct Kept {
    id: String,
    #[serde(rename = "publicKey")]
    public_key: String,
    #[serde(default, rename = "attestationType")]
    attestation: String,
    #[serde(default)]
    transport: Option<Vec<String>>,
    #[serde(default)]
    flags: Flags,
    #[serde(default)]
    authenticator: Authenticator,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
struct Flags {
    #[serde(default, rename = "userPresent")]
    present: bool,
    #[serde(default, rename = "userVerified")]
    verified: bool,
    #[serde(default, rename = "backupEligible")]
    backup_eligible: bool,
    #[serde(default, rename = "backupState")]
    backed_up: bool,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
struct Authenticator {
    #[serde(default, rename = "AAGUID")]
    aaguid: String,
    #[serde(default, rename = "signCount")]
    counter: u32,
    #[serde(default, rename = "cloneWarning")]
    is_copied: bool,
    #[serde(default)]
    attachment: String,
}

impl Kept {
    fn of(factor: &Factor) -> Option<Kept> {
        serde_json::from_value(factor.web_authn_credential.clone()?).ok()
    }

    fn new(made: &Registered) -> Kept {
        Kept {
            id: B64.encode(&made.id),
            public_key: B64.encode(&made.public_key),
            attestation: made.attestation.clone(),
            transport: Some(made.transports.clone()),
            flags: Flags {
                present: true,
                verified: made.is_verified,
                backup_eligible: made.is_backup_eligible,
                backed_up: made.is_backed_up,
            },
            authenticator: Authenticator {
                aaguid: B64.encode(made.aaguid),
                counter: made.counter,
                is_copied: false,
                attachment: String::new(),
            },
        }
    }

    fn descriptor(&self) -> Option<Descriptor> {
        let transports = self.transport.clone().unwrap_or_default();
        Some(Descriptor { id: B64.decode(&self.id).ok()?, transports })
    }
}

/// What a challenge of this factor asks, as clients get it, and what is stored with it.
pub(super) fn challenge(auth: &Auth, user: &User, factor: &Factor) -> Outcome<(Value, Value)> {
    let (party, challenge) = (party(auth)?, token::random_bytes::<32>());
    let credentials = user.factors.iter().filter_map(Kept::of);
    let (kind, options) = if factor.is_verified() {
        // Only this factor's: another one is proved at its own address.
        let own: Vec<_> = Kept::of(factor).and_then(|kept| kept.descriptor()).into_iter().collect();
        if own.is_empty() {
            return Err(internal("Failed to generate WebAuthn request data", "the factor has no credential"));
        }
        ("request", webauthn::request_options(&party, &challenge, timeout_ms(auth), &own))
    } else {
        let exclude: Vec<_> = credentials.filter_map(|kept| kept.descriptor()).collect();
        let (handle, (name, display_name)) = (user.id.to_string(), names(user));
        let named = webauthn::User { handle: handle.as_bytes(), name: &name, display_name: &display_name };
        let timeout = timeout_ms(auth);
        ("create", webauthn::creation_options(&party, &named, &challenge, timeout, &exclude, false))
    };
    let mut data = session_data(&party, &challenge, Some(user.id));
    data["type"] = Value::from(kind);
    Ok((json!({ "type": kind, "credential_options": { "publicKey": options } }), data))
}

/// Whether the request has the form of an answer.
pub(super) fn check_form(params: Option<&Params>) -> Outcome<()> {
    let params = params.ok_or_else(|| invalid("WebAuthn config required"))?;
    if !matches!(params.kind.as_str(), "create" | "request") {
        return Err(invalid("WebAuthn type must be create or request"));
    }
    match params.credential_response {
        Some(_) => Ok(()),
        None => Err(invalid("credential_response required")),
    }
}

/// What the answer changes at the factor, if it holds.
///
/// The reference takes a new credential for the proof of the one that is there; here the answer must be of the kind
/// that was asked for.
pub(super) fn check(
    auth: &Auth,
    call: &Call,
    factor: &Factor,
    challenge: &Challenge,
    params: Option<Params>,
) -> Outcome<Vec<Step>> {
    check_form(params.as_ref())?;
    let Some(Params { kind, credential_response: Some(answer) }) = params else {
        return Err(invalid("credential_response required"));
    };
    let data = challenge.web_authn_session_data.as_ref().unwrap_or(&Value::Null);
    let asked = data.get("type").and_then(Value::as_str).unwrap_or_default();
    let wanted = if factor.is_verified() { "request" } else { "create" };
    if kind != wanted || asked != wanted {
        return Err(failed(webauthn::Error::Purpose));
    }
    let (party, nonce) = (party(auth)?, challenge_of(data));
    let used = json!({ "type": kind, "challenge": { "id": challenge.id }, "credential_response": null });
    if kind == "create" {
        let answer: Credential<Attested> = read(answer)?;
        let made = webauthn::register(&party, &nonce, &answer).map_err(failed)?;
        let kept = json!(Kept::new(&made));
        let kind = Some(Uuid::from_bytes(made.aaguid));
        return Ok(vec![factors::set_credential(factor.id, &kept, kind, &used, call.now)]);
    }
    let answer: Credential<Assertion> = read(answer)?;
    let mut kept = Kept::of(factor).ok_or_else(|| failed(webauthn::Error::Key))?;
    let id = answer.id().map_err(failed)?;
    if B64.decode(&kept.id).ok() != Some(id) {
        return Err(failed(webauthn::Error::Key));
    }
    let public_key = B64.decode(&kept.public_key).map_err(|_| failed(webauthn::Error::Key))?;
    let stored = StoredKey {
        public_key: &public_key,
        counter: kept.authenticator.counter,
        is_backup_eligible: Some(kept.flags.backup_eligible),
    };
    let proof = webauthn::authenticate(&party, &nonce, &stored, &answer).map_err(failed)?;
    kept.authenticator.counter = proof.counter;
    kept.flags.backed_up = proof.is_backed_up;
    Ok(vec![factors::set_credential(factor.id, &json!(kept), None, &used, call.now)])
}

fn read<T: serde::de::DeserializeOwned>(answer: Value) -> Outcome<T> {
    serde_json::from_value(answer).map_err(|_| invalid("Invalid credential_response"))
}

fn failed(error: webauthn::Error) -> Refusal {
    tracing::info!(%error, "an answer for a second factor was refused");
    refuse(422, "mfa_verification_failed", "WebAuthn verification failed")
}
