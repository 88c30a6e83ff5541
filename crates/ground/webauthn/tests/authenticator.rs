//! An authenticator in software: real keys and signatures, and every lie that a test wants told.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

enum Key {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// One credential on one device. The fields are what it says; tests change them to lie.
pub struct Authenticator {
    key: Key,
    pub id: Vec<u8>,
    pub origin: String,
    pub rp_id: Option<String>,
    pub counter: u32,
    /// Whether it counts its answers.
    pub counts: bool,
    pub user_present: bool,
    pub user_verified: bool,
    pub backup_eligible: bool,
    pub cross_origin: bool,
    /// Vouch for itself, as security keys do.
    pub packed: bool,
    pub user_handle: Vec<u8>,
}

pub fn bytes(value: &Value) -> Vec<u8> {
    B64.decode(value.as_str().unwrap()).unwrap()
}

impl Authenticator {
    pub fn new(origin: &str) -> Authenticator {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap();
        Authenticator::with(Key::Es256(key), origin)
    }

    #[allow(dead_code)]
    pub fn ed25519(origin: &str) -> Authenticator {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Authenticator::with(Key::Ed25519(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()), origin)
    }

    fn with(key: Key, origin: &str) -> Authenticator {
        let public = match &key {
            Key::Es256(key) => key.public_key().as_ref().to_vec(),
            Key::Ed25519(key) => key.public_key().as_ref().to_vec(),
        };
        Authenticator {
            key,
            id: digest(&SHA256, &public).as_ref().to_vec(),
            origin: origin.to_owned(),
            rp_id: None,
            counter: 1,
            counts: true,
            user_present: true,
            user_verified: true,
            backup_eligible: false,
            cross_origin: false,
            packed: false,
            user_handle: Vec::new(),
        }
    }

    /// Answers creation options, without `publicKey` around them.
    pub fn create(&mut self, options: &Value) -> Value {
        self.user_handle = bytes(&options["user"]["id"]);
        let client = self.client_data("webauthn.create", &options["challenge"]);
        let rp_id = self.rp_id.clone().unwrap_or_else(|| options["rp"]["id"].as_str().unwrap().to_owned());
        let mut data = self.data(&rp_id, 1 << 6);
        data.extend([7u8; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose());
        let mut object = b"\xa3\x63fmt".to_vec();
        if self.packed {
            let signed = self.sign(&[&data[..], digest(&SHA256, &client).as_ref()].concat());
            object.extend(b"\x66packed\x67attStmt\xa2\x63alg");
            object.push(if matches!(self.key, Key::Es256(_)) { 0x26 } else { 0x27 });
            object.extend(b"\x63sig");
            object.extend(cbor_bytes(&signed));
        } else {
            object.extend(b"\x64none\x67attStmt\xa0");
        }
        object.extend(b"\x68authData");
        object.extend(cbor_bytes(&data));
        json!({
            "id": B64.encode(&self.id), "rawId": B64.encode(&self.id), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": B64.encode(client), "attestationObject": B64.encode(object),
                "transports": ["internal", "hybrid"],
            },
        })
    }

    /// Answers request options, without `publicKey` around them.
    pub fn get(&mut self, options: &Value) -> Value {
        self.counter += u32::from(self.counts);
        let client = self.client_data("webauthn.get", &options["challenge"]);
        let rp_id = self.rp_id.clone().unwrap_or_else(|| options["rpId"].as_str().unwrap().to_owned());
        let data = self.data(&rp_id, 0);
        let signed = self.sign(&[&data[..], digest(&SHA256, &client).as_ref()].concat());
        json!({
            "id": B64.encode(&self.id), "rawId": B64.encode(&self.id), "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": B64.encode(client), "authenticatorData": B64.encode(data),
                "signature": B64.encode(signed), "userHandle": B64.encode(&self.user_handle),
            },
        })
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> Vec<u8> {
        json!({
            "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.cross_origin,
        })
        .to_string()
        .into_bytes()
    }

    fn data(&self, rp_id: &str, more: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, rp_id.as_bytes()).as_ref().to_vec();
        let flags = u8::from(self.user_present)
            | u8::from(self.user_verified) << 2
            | u8::from(self.backup_eligible) << 3;
        data.push(flags | more);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn cose(&self) -> Vec<u8> {
        match &self.key {
            Key::Es256(key) => {
                let point = key.public_key().as_ref();
                let mut cose = b"\xa5\x01\x02\x03\x26\x20\x01\x21".to_vec();
                cose.extend(cbor_bytes(&point[1..33]));
                cose.push(0x22);
                cose.extend(cbor_bytes(&point[33..]));
                cose
            }
            Key::Ed25519(key) => {
                let mut cose = b"\xa4\x01\x01\x03\x27\x20\x06\x21".to_vec();
                cose.extend(cbor_bytes(key.public_key().as_ref()));
                cose
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::Es256(key) => key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    let mut out = vec![0x59];
    out.extend(length.to_be_bytes());
    out.extend(bytes);
    out
}
