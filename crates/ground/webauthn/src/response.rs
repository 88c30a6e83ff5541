//! What authenticators answer, and whether to believe it.

use crate::client_data::{self, Purpose};
use crate::cose::PublicKey;
use crate::data::{AuthenticatorData, ID_BYTES_MAX};
use crate::{Error, RelyingParty, cbor, same, sha256};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::Deserialize;

/// The longest part of an answer.
const PART_BYTES_MAX: usize = 64 * 1024;
const TRANSPORTS_MAX: usize = 8;
const TRANSPORT_BYTES_MAX: usize = 32;

/// An answer in the form of `PublicKeyCredential.toJSON()`.
#[derive(Debug, Clone, Deserialize)]
pub struct Credential<R> {
    id: String,
    #[serde(rename = "rawId")]
    raw_id: String,
    #[serde(rename = "type")]
    kind: String,
    response: R,
}

impl<R> Credential<R> {
    /// The credential's id.
    ///
    /// # Errors
    /// [`Error::Form`].
    pub fn id(&self) -> Result<Vec<u8>, Error> {
        let id = decode(&self.raw_id)?;
        let is_id = (1..=ID_BYTES_MAX).contains(&id.len());
        if !is_id || self.kind != "public-key" || decode(&self.id)? != id {
            return Err(Error::Form);
        }
        Ok(id)
    }
}

/// The answer to creation options.
#[derive(Debug, Clone, Deserialize)]
pub struct Attested {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    #[serde(rename = "attestationObject")]
    attestation: String,
    #[serde(default)]
    transports: Vec<String>,
}

/// The answer to request options.
#[derive(Debug, Clone, Deserialize)]
pub struct Assertion {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    #[serde(rename = "authenticatorData")]
    authenticator_data: String,
    signature: String,
    #[serde(default, rename = "userHandle")]
    user_handle: Option<String>,
}

impl Credential<Assertion> {
    /// Whose credential the authenticator says it is.
    ///
    /// # Errors
    /// [`Error::Form`].
    pub fn user_handle(&self) -> Result<Option<Vec<u8>>, Error> {
        let handle = self.response.user_handle.as_deref().filter(|handle| !handle.is_empty());
        handle.map(decode).transpose()
    }
}

/// A credential that was made and may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    pub id: Vec<u8>,
    /// The public key in the authenticator's form.
    pub public_key: Vec<u8>,
    pub counter: u32,
    pub aaguid: [u8; 16],
    pub transports: Vec<String>,
    /// How the authenticator vouched for itself; nothing was made of it.
    pub attestation: String,
    pub is_verified: bool,
    pub is_backup_eligible: bool,
    pub is_backed_up: bool,
}

/// What is known of a credential.
#[derive(Debug, Clone)]
pub struct StoredKey<'a> {
    pub public_key: &'a [u8],
    pub counter: u32,
    /// Nothing when it is not known.
    pub is_backup_eligible: Option<bool>,
}

/// A proof that held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authenticated {
    pub counter: u32,
    pub is_verified: bool,
    pub is_backed_up: bool,
}

/// Checks a new credential.
///
/// # Errors
/// Whatever is wrong with it.
pub fn register(
    party: &RelyingParty,
    challenge: &[u8],
    answer: &Credential<Attested>,
) -> Result<Registered, Error> {
    let id = answer.id()?;
    let client_data = decode(&answer.response.client_data)?;
    client_data::check(&client_data, Purpose::Create, party, challenge)?;
    let attestation = decode(&answer.response.attestation)?;
    let attestation = cbor::read_all(&attestation)?;
    let part = |name| attestation.named(name).ok_or(Error::Form);
    let format = part("fmt")?.text().ok_or(Error::Form)?;
    let data_bytes = part("authData")?.bytes().ok_or(Error::Form)?;
    let data = AuthenticatorData::read(data_bytes, party)?;
    let credential = data.credential.as_ref().ok_or(Error::Form)?;
    if !same(credential.id, &id) {
        return Err(Error::Form);
    }
    check_statement(format, part("attStmt")?, data_bytes, &client_data, &credential.key)?;
    let mut transports = answer.response.transports.clone();
    transports.retain(|name| {
        (1..=TRANSPORT_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    });
    transports.truncate(TRANSPORTS_MAX);
    Ok(Registered {
        public_key: credential.key_bytes.to_vec(),
        counter: data.counter,
        aaguid: credential.aaguid,
        transports,
        attestation: format.chars().take(TRANSPORT_BYTES_MAX).collect(),
        is_verified: data.is_verified(),
        is_backup_eligible: data.is_backup_eligible(),
        is_backed_up: data.is_backed_up(),
        id,
    })
}

/// An authenticator that vouches for itself must at least have the key. Who else vouches for it does not matter.
fn check_statement(
    format: &str,
    statement: &cbor::Value<'_>,
    data: &[u8],
    client_data: &[u8],
    key: &PublicKey,
) -> Result<(), Error> {
    match format {
        "none" if statement.is_empty_map() => Ok(()),
        "none" => Err(Error::Attestation),
        "packed" if statement.named("x5c").is_none() => {
            let algorithm = statement.named("alg").and_then(cbor::Value::integer);
            let signature = statement.named("sig").and_then(cbor::Value::bytes);
            let (Some(algorithm), Some(signature)) = (algorithm, signature) else {
                return Err(Error::Attestation);
            };
            if algorithm != key.algorithm() {
                return Err(Error::Attestation);
            }
            let signed = [data, &sha256(client_data)].concat();
            key.verify(&signed, signature).map_err(|_| Error::Attestation)
        }
        _ => Ok(()),
    }
}

/// Checks a proof that a credential is held.
///
/// # Errors
/// Whatever is wrong with it.
pub fn authenticate(
    party: &RelyingParty,
    challenge: &[u8],
    stored: &StoredKey<'_>,
    answer: &Credential<Assertion>,
) -> Result<Authenticated, Error> {
    answer.id()?;
    let client_data = decode(&answer.response.client_data)?;
    client_data::check(&client_data, Purpose::Get, party, challenge)?;
    let data_bytes = decode(&answer.response.authenticator_data)?;
    let data = AuthenticatorData::read(&data_bytes, party)?;
    let key = PublicKey::parse(stored.public_key)?;
    let signed = [&data_bytes[..], &sha256(&client_data)].concat();
    key.verify(&signed, &decode(&answer.response.signature)?)?;
    if stored.is_backup_eligible.is_some_and(|known| known != data.is_backup_eligible()) {
        return Err(Error::Flags);
    }
    // Authenticators without a counter always say zero.
    if (data.counter != 0 || stored.counter != 0) && data.counter <= stored.counter {
        return Err(Error::Counter);
    }
    Ok(Authenticated {
        counter: data.counter,
        is_verified: data.is_verified(),
        is_backed_up: data.is_backed_up(),
    })
}

fn decode(text: &str) -> Result<Vec<u8>, Error> {
    if text.len() > PART_BYTES_MAX {
        return Err(Error::Form);
    }
    B64.decode(text.trim_end_matches('=')).map_err(|_| Error::Form)
}
