//! Requests to identity providers, by the redirect binding: in the query of a URL, signed.

use crate::algorithm::RSA_SHA256;
use crate::instant;
use crate::key::KeyError;
use crate::service::{POST, ServiceProvider};
use crate::xml::{ASSERTION, PROTOCOL, escape};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;

const COMPRESSION: u8 = 9;

impl ServiceProvider {
    /// The URL that asks an identity provider to sign somebody in. `id` names the request: an XML name that nobody
    /// can guess. `relay_state` comes back with the answer.
    pub fn redirect_url(
        &self,
        location: &str,
        id: &str,
        name_id_format: &str,
        relay_state: &str,
        now: OffsetDateTime,
    ) -> Result<String, KeyError> {
        let request = self.authn_request(location, id, name_id_format, now);
        let deflated = miniz_oxide::deflate::compress_to_vec(request.as_bytes(), COMPRESSION);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("SAMLRequest", &STANDARD.encode(deflated));
        query.append_pair("RelayState", relay_state).append_pair("SigAlg", RSA_SHA256);
        let signed = query.finish();
        let signature = STANDARD.encode(self.key().sign(signed.as_bytes())?);
        let signature: String = form_urlencoded::byte_serialize(signature.as_bytes()).collect();
        let separator = if location.contains('?') { '&' } else { '?' };
        Ok(format!("{location}{separator}{signed}&Signature={signature}"))
    }

    fn authn_request(&self, location: &str, id: &str, name_id_format: &str, now: OffsetDateTime) -> String {
        format!(
            "<samlp:AuthnRequest xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{id}\" Version=\"2.0\" \
             IssueInstant=\"{now}\" Destination=\"{location}\" AssertionConsumerServiceURL=\"{acs}\" \
             ProtocolBinding=\"{POST}\"><saml:Issuer \
             Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:entity\">{entity}</saml:Issuer>\
             <samlp:NameIDPolicy Format=\"{format}\" AllowCreate=\"true\"/></samlp:AuthnRequest>",
            id = escape(id),
            now = instant::write(now),
            location = escape(location),
            acs = escape(self.acs_url()),
            entity = escape(self.entity_id()),
            format = escape(name_id_format),
        )
    }
}
