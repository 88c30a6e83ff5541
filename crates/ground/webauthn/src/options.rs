//! What browsers are asked.

use crate::RelyingParty;
use crate::cose::ALGORITHMS;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde_json::{Value, json};

/// Whose credential it is to be.
#[derive(Debug, Clone)]
pub struct User<'a> {
    /// What the authenticator gives back when it signs in, at most 64 bytes.
    pub handle: &'a [u8],
    pub name: &'a str,
    pub display_name: &'a str,
}

/// A credential that is there already.
#[derive(Debug, Clone)]
pub struct Descriptor {
    pub id: Vec<u8>,
    pub transports: Vec<String>,
}

impl Descriptor {
    fn to_json(&self) -> Value {
        let mut shown = json!({ "type": "public-key", "id": B64.encode(&self.id) });
        if !self.transports.is_empty() {
            shown["transports"] = json!(self.transports);
        }
        shown
    }
}

/// Options for `navigator.credentials.create`. With `discoverable` the authenticator keeps the credential, so that
/// it signs in without being told a name.
pub fn creation_options(
    party: &RelyingParty,
    user: &User<'_>,
    challenge: &[u8],
    timeout_ms: u64,
    exclude: &[Descriptor],
    discoverable: bool,
) -> Value {
    let verification = verification(party);
    let selection = if discoverable {
        json!({ "residentKey": "required", "requireResidentKey": true, "userVerification": verification })
    } else {
        json!({ "requireResidentKey": false, "userVerification": verification })
    };
    let mut options = json!({
        "rp": { "name": party.name, "id": party.id },
        "user": { "name": user.name, "displayName": user.display_name, "id": B64.encode(user.handle) },
        "challenge": B64.encode(challenge),
        "pubKeyCredParams": ALGORITHMS.map(|algorithm| json!({ "type": "public-key", "alg": algorithm })),
        "timeout": timeout_ms,
        "authenticatorSelection": selection,
        "attestation": "none",
    });
    if !exclude.is_empty() {
        options["excludeCredentials"] = exclude.iter().map(Descriptor::to_json).collect();
    }
    options
}

/// Options for `navigator.credentials.get`. Without `allow` whoever has a discoverable credential may answer.
pub fn request_options(
    party: &RelyingParty,
    challenge: &[u8],
    timeout_ms: u64,
    allow: &[Descriptor],
) -> Value {
    let mut options = json!({
        "challenge": B64.encode(challenge),
        "timeout": timeout_ms,
        "rpId": party.id,
        "userVerification": verification(party),
    });
    if !allow.is_empty() {
        options["allowCredentials"] = allow.iter().map(Descriptor::to_json).collect();
    }
    options
}

fn verification(party: &RelyingParty) -> &'static str {
    if party.requires_verification { "required" } else { "preferred" }
}
