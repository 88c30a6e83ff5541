//! Ourselves, as identity providers see us.

use crate::instant;
use crate::key::{KeyError, SigningKey};
use crate::name_id;
use crate::xml::{METADATA, PROTOCOL, SIGNATURE, escape};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;
use std::sync::Arc;
use time::OffsetDateTime;

const ENCRYPTION_METHODS: [&str; 5] = [
    "http://www.w3.org/2009/xmlenc11#aes128-gcm",
    "http://www.w3.org/2009/xmlenc11#aes256-gcm",
    "http://www.w3.org/2001/04/xmlenc#aes128-cbc",
    "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
    "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
];

/// A service provider: its addresses and keys. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ServiceProvider {
    entity_id: String,
    acs_url: String,
    host: String,
    key: Arc<SigningKey>,
    next: Option<Arc<SigningKey>>,
    allow_encrypted: bool,
}

impl ServiceProvider {
    /// The service provider whose addresses lie below this URL. `next` is a key that will take the place of `key`.
    pub fn new(
        base_url: &str,
        key: Arc<SigningKey>,
        next: Option<Arc<SigningKey>>,
        allow_encrypted: bool,
    ) -> ServiceProvider {
        let base = base_url.trim_end_matches('/');
        let authority = base.split("://").nth(1).unwrap_or(base).split('/').next().unwrap_or_default();
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => authority,
        };
        ServiceProvider {
            entity_id: format!("{base}/sso/saml/metadata"),
            acs_url: format!("{base}/sso/saml/acs"),
            host: host.trim_matches(['[', ']']).to_owned(),
            key,
            next,
            allow_encrypted,
        }
    }

    /// Its name, which is also the URL of its metadata.
    pub fn entity_id(&self) -> &str {
        &self.entity_id
    }

    /// Where answers are sent.
    pub fn acs_url(&self) -> &str {
        &self.acs_url
    }

    /// Whether a key waits to take the place of the other.
    pub fn has_next_key(&self) -> bool {
        self.next.is_some()
    }

    pub(crate) fn allows_encryption(&self) -> bool {
        self.allow_encrypted
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&*self.key).chain(self.next.as_deref())
    }

    /// The metadata that identity providers read.
    pub fn metadata(&self, valid_until: OffsetDateTime) -> Result<String, KeyError> {
        let mut keys = String::new();
        for key in self.keys() {
            let certificate = STANDARD.encode(key.certificate(&self.host, self.allow_encrypted)?);
            let info = format!(
                "<KeyInfo xmlns=\"{SIGNATURE}\"><X509Data><X509Certificate>{certificate}</X509Certificate>\
                 </X509Data></KeyInfo>"
            );
            // Writing to a text cannot fail.
            let _ = write!(keys, "<KeyDescriptor use=\"signing\">{info}</KeyDescriptor>");
            if self.allow_encrypted {
                let methods: String = ENCRYPTION_METHODS
                    .iter()
                    .map(|m| format!("<EncryptionMethod Algorithm=\"{m}\"/>"))
                    .collect();
                let _ = write!(keys, "<KeyDescriptor use=\"encryption\">{info}{methods}</KeyDescriptor>");
            }
        }
        let cache = if self.has_next_key() { " cacheDuration=\"PT1H\"" } else { "" };
        Ok(format!(
            "<EntityDescriptor xmlns=\"{METADATA}\" validUntil=\"{until}\"{cache} entityID=\"{entity}\">\
             <SPSSODescriptor WantAssertionsSigned=\"true\" protocolSupportEnumeration=\"{PROTOCOL}\">{keys}\
             <NameIDFormat>{email}</NameIDFormat><NameIDFormat>{persistent}</NameIDFormat>\
             <AssertionConsumerService Binding=\"{POST}\" Location=\"{acs}\" index=\"1\"/>\
             </SPSSODescriptor></EntityDescriptor>",
            until = instant::write(valid_until),
            entity = escape(&self.entity_id),
            email = name_id::EMAIL,
            persistent = name_id::PERSISTENT,
            acs = escape(&self.acs_url),
        ))
    }
}

/// How answers come: as a form.
pub(crate) const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
