//! An identity provider that signs by itself: its documents are written in canonical form from the start, so that
//! nothing of the code under test takes part in making them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

pub const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
const EMAIL: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";

pub struct Idp {
    pub entity_id: String,
    key: EcdsaKeyPair,
    certificate: Vec<u8>,
}

/// What an assertion says. Times are text, so that they can be wrong.
#[derive(Debug, Clone)]
pub struct Claims {
    pub id: String,
    pub name_id: String,
    pub name_id_format: String,
    pub recipient: String,
    pub audience: String,
    pub in_response_to: Option<String>,
    pub issued: String,
    pub not_before: String,
    pub not_on_or_after: String,
    pub session_end: Option<String>,
    pub attributes: Vec<(String, Vec<String>)>,
}

impl Idp {
    pub fn new(entity_id: &str) -> Idp {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &pair.serialize_der(),
            &SystemRandom::new(),
        );
        Idp { entity_id: entity_id.to_owned(), key: key.unwrap(), certificate: certificate.der().to_vec() }
    }

    pub fn certificate(&self) -> String {
        STANDARD.encode(&self.certificate)
    }

    pub fn metadata(&self) -> String {
        format!(
            "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"{}\">\
             <md:IDPSSODescriptor protocolSupportEnumeration=\"{PROTOCOL}\"><md:KeyDescriptor use=\"signing\">\
             <ds:KeyInfo xmlns:ds=\"{SIGNATURE}\"><ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate>\
             </ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService \
             Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"{}/sso\"/>\
             </md:IDPSSODescriptor></md:EntityDescriptor>",
            self.entity_id,
            self.certificate(),
            self.entity_id,
        )
    }

    /// An assertion without a signature, in canonical form.
    pub fn assertion(&self, claims: &Claims) -> String {
        let optional = |name: &str, value: &Option<String>| {
            value.as_ref().map_or_else(String::new, |value| format!(" {name}=\"{value}\""))
        };
        let attributes: String = claims
            .attributes
            .iter()
            .map(|(name, values)| {
                let values: String = values
                    .iter()
                    .map(|value| format!("<saml:AttributeValue>{value}</saml:AttributeValue>"))
                    .collect();
                format!("<saml:Attribute Name=\"{name}\">{values}</saml:Attribute>")
            })
            .collect();
        format!(
            "<saml:Assertion xmlns:saml=\"{ASSERTION}\" ID=\"{id}\" IssueInstant=\"{issued}\" Version=\"2.0\">\
             <saml:Issuer>{issuer}</saml:Issuer><saml:Subject><saml:NameID Format=\"{format}\">{name}</saml:NameID>\
             <saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\">\
             <saml:SubjectConfirmationData{to} NotOnOrAfter=\"{end}\" Recipient=\"{recipient}\">\
             </saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>\
             <saml:Conditions NotBefore=\"{start}\" NotOnOrAfter=\"{end}\"><saml:AudienceRestriction>\
             <saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>\
             <saml:AuthnStatement AuthnInstant=\"{issued}\"{session}></saml:AuthnStatement>\
             <saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>",
            id = claims.id,
            issued = claims.issued,
            issuer = self.entity_id,
            format = claims.name_id_format,
            name = claims.name_id,
            to = optional("InResponseTo", &claims.in_response_to),
            end = claims.not_on_or_after,
            recipient = claims.recipient,
            start = claims.not_before,
            audience = claims.audience,
            session = optional("SessionNotOnOrAfter", &claims.session_end),
        )
    }

    /// A response around an assertion, in canonical form.
    pub fn response(&self, claims: &Claims, assertion: &str) -> String {
        let to =
            claims.in_response_to.as_ref().map(|id| format!(" InResponseTo=\"{id}\"")).unwrap_or_default();
        format!(
            "<samlp:Response xmlns:samlp=\"{PROTOCOL}\" Destination=\"{destination}\" ID=\"r-{id}\"{to} \
             IssueInstant=\"{issued}\" Version=\"2.0\"><saml:Issuer xmlns:saml=\"{ASSERTION}\">{issuer}</saml:Issuer>\
             <samlp:Status><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\">\
             </samlp:StatusCode></samlp:Status>{assertion}</samlp:Response>",
            destination = claims.recipient,
            id = claims.id,
            issued = claims.issued,
            issuer = self.entity_id,
        )
    }

    /// The signature of an element in canonical form.
    pub fn signature(&self, canonical: &str, id: &str) -> String {
        let info = signed_info(canonical, id);
        let value = self.key.sign(&SystemRandom::new(), info.as_bytes()).unwrap();
        signature_element(&info, &STANDARD.encode(value.as_ref()), &self.certificate())
    }

    /// The element with its signature behind its issuer.
    pub fn signed(&self, canonical: &str) -> String {
        let id = canonical.split(" ID=\"").nth(1).unwrap().split('"').next().unwrap();
        with_signature(canonical, &self.signature(canonical, id))
    }

    /// A response whose assertion is signed.
    pub fn answer(&self, claims: &Claims) -> String {
        self.response(claims, &self.signed(&self.assertion(claims)))
    }
}

pub fn signed_info(canonical: &str, id: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes());
    format!(
        "<ds:SignedInfo xmlns:ds=\"{SIGNATURE}\">\
         <ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256\"></ds:SignatureMethod>\
         <ds:Reference URI=\"#{id}\"><ds:Transforms>\
         <ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>\
         <ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
         <ds:DigestValue>{}</ds:DigestValue></ds:Reference></ds:SignedInfo>",
        STANDARD.encode(digest.as_ref())
    )
}

pub fn signature_element(info: &str, value: &str, certificate: &str) -> String {
    // Below the signature the prefix is declared already.
    let info = info.replacen(&format!(" xmlns:ds=\"{SIGNATURE}\""), "", 1);
    format!(
        "<ds:Signature xmlns:ds=\"{SIGNATURE}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo>\
         <ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>"
    )
}

pub fn with_signature(element: &str, signature: &str) -> String {
    element.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
}

impl Claims {
    /// Claims that hold from `now` (a Unix time) for five minutes.
    pub fn new(entity_id: &str, acs_url: &str, name_id: &str, now: u64) -> Claims {
        let at = |seconds: u64| {
            let time = time::OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap()).unwrap();
            time.format(&time::format_description::well_known::Rfc3339).unwrap()
        };
        Claims {
            id: format!("a{}", STANDARD.encode(name_id).trim_end_matches('=')),
            name_id: name_id.to_owned(),
            name_id_format: EMAIL.to_owned(),
            recipient: acs_url.to_owned(),
            audience: entity_id.to_owned(),
            in_response_to: None,
            issued: at(now),
            not_before: at(now - 5),
            not_on_or_after: at(now + 300),
            session_end: None,
            attributes: Vec::new(),
        }
    }
}
