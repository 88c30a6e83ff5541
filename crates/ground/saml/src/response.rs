//! The answer of an identity provider, from the outside in: the response, its signature, the assertion within.

use crate::assertion::{self, Assertion};
use crate::encryption;
use crate::error::Error;
use crate::instant;
use crate::metadata::IdentityProvider;
use crate::service::ServiceProvider;
use crate::signature;
use crate::xml::{self, ASSERTION, PROTOCOL, optional, required, required_text, text};
use roxmltree::Node;
use std::time::Duration;
use time::OffsetDateTime;

const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
/// How far the clocks of the two may be apart.
pub(crate) const SKEW: Duration = Duration::from_secs(180);

/// What an answer must be.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// Whose it is.
    pub provider: &'a IdentityProvider,
    /// The request that it answers; nothing when the identity provider begins.
    pub request_id: Option<&'a str>,
    pub now: OffsetDateTime,
}

/// Who says to have sent a response. Nothing is verified: it is good for finding the keys only.
pub fn issuer_of(response: &str) -> Result<String, Error> {
    let document = xml::parse(response)?;
    let root = response_element(&document)?;
    if let Some(issuer) = optional(root, ASSERTION, "Issuer")? {
        return required_text(issuer, "Issuer");
    }
    let assertion = required(root, ASSERTION, "Assertion")?;
    required_text(required(assertion, ASSERTION, "Issuer")?, "Issuer")
}

fn response_element<'a, 'i>(document: &'a roxmltree::Document<'i>) -> Result<Node<'a, 'i>, Error> {
    Some(document.root_element())
        .filter(|root| root.has_tag_name((PROTOCOL, "Response")))
        .ok_or(Error::Form("Response"))
}

impl ServiceProvider {
    /// The assertion of a response, if everything about it is in order. It must still be accepted once only.
    pub fn accept(&self, response: &str, expected: &Expectation<'_>) -> Result<Assertion, Error> {
        let document = xml::parse(response)?;
        xml::check_ids(&document)?;
        let root = response_element(&document)?;
        check_status(root)?;
        let covered = signature::verify(root, &expected.provider.keys)?;
        self.check_response(root, expected)?;
        let plain = optional(root, ASSERTION, "Assertion")?;
        let encrypted = optional(root, ASSERTION, "EncryptedAssertion")?;
        match (plain, encrypted) {
            (Some(element), None) => self.accept_assertion(element, covered, expected),
            (None, Some(element)) => self.accept_encrypted(element, covered, expected),
            _ => Err(Error::Form("Assertion")),
        }
    }

    fn check_response(&self, root: Node<'_, '_>, expected: &Expectation<'_>) -> Result<(), Error> {
        if root.attribute("Version") != Some("2.0") {
            return Err(Error::Form("Version"));
        }
        if let Some(destination) = root.attribute("Destination").filter(|url| !url.is_empty())
            && destination != self.acs_url()
        {
            return Err(Error::Destination(destination.to_owned()));
        }
        if let Some(issuer) = optional(root, ASSERTION, "Issuer")? {
            let issuer = required_text(issuer, "Issuer")?;
            if issuer != expected.provider.entity_id {
                return Err(Error::Issuer(issuer));
            }
        }
        if root.attribute("InResponseTo") != expected.request_id {
            return Err(Error::InResponseTo);
        }
        let issued = root.attribute("IssueInstant").and_then(instant::read);
        assertion::check_issued(issued.ok_or(Error::Form("IssueInstant"))?, expected.now)
    }

    fn accept_assertion(
        &self,
        element: Node<'_, '_>,
        covered: bool,
        expected: &Expectation<'_>,
    ) -> Result<Assertion, Error> {
        // Its own signature is verified even when that of the response covers it: a wrong one is no accident.
        let signed = signature::verify(element, &expected.provider.keys)?;
        if !signed && !covered {
            return Err(Error::Unsigned);
        }
        assertion::read(element, expected, self.entity_id(), self.acs_url())
    }

    fn accept_encrypted(
        &self,
        element: Node<'_, '_>,
        covered: bool,
        expected: &Expectation<'_>,
    ) -> Result<Assertion, Error> {
        if !self.allows_encryption() {
            return Err(Error::Encrypted);
        }
        // While keys change, the identity provider may still know the other one.
        let opened = self.keys().find_map(|key| encryption::decrypt(element, key.private()).ok());
        let text = opened.ok_or(Error::Decryption)?;
        let document = xml::parse(&text).map_err(|_| Error::Decryption)?;
        xml::check_ids(&document)?;
        let assertion = document.root_element();
        if !assertion.has_tag_name((ASSERTION, "Assertion")) {
            return Err(Error::Decryption);
        }
        self.accept_assertion(assertion, covered, expected)
    }
}

fn check_status(root: Node<'_, '_>) -> Result<(), Error> {
    let status = required(root, PROTOCOL, "Status")?;
    let code = required(status, PROTOCOL, "StatusCode")?;
    let value = code.attribute("Value").unwrap_or_default();
    if value == SUCCESS {
        return Ok(());
    }
    let inner = optional(code, PROTOCOL, "StatusCode")?.and_then(|code| code.attribute("Value"));
    let last = |code: &str| code.rsplit(':').next().unwrap_or(code).chars().take(64).collect::<String>();
    let message = optional(status, PROTOCOL, "StatusMessage")?.and_then(text).unwrap_or_default();
    let message: String = message.chars().filter(|c| !c.is_control()).take(200).collect();
    let said = [Some(last(value)), inner.map(last), Some(message)];
    Err(Error::Status(said.into_iter().flatten().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(", ")))
}
