//! What an identity provider asserts: who somebody is, for whom that was said, and for how long.

use crate::error::Error;
use crate::instant;
use crate::name_id;
use crate::response::{Expectation, SKEW};
use crate::xml::{ASSERTION, children, optional, required, required_text, text};
use roxmltree::Node;
use std::time::Duration;
use time::OffsetDateTime;

const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
/// How old an assertion may be when it arrives.
const ISSUE_DELAY_MAX: Duration = Duration::from_secs(90);
const ATTRIBUTES_MAX: usize = 500;
const VALUES_MAX: usize = 2_000;

/// A verified assertion about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    pub id: String,
    pub issuer: String,
    pub name_id: Option<NameId>,
    pub attributes: Vec<Attribute>,
    /// After this nobody accepts it, so that until then it must not be accepted twice.
    pub spent_until: OffsetDateTime,
    /// When the session that begins with it ends.
    pub session_not_on_or_after: Option<OffsetDateTime>,
}

/// The name of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameId {
    pub value: String,
    pub format: String,
}

/// Something said of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub friendly_name: String,
    pub values: Vec<String>,
}

impl Assertion {
    /// The values of the attributes that have this name or friendly name, in any case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self
            .attributes
            .iter()
            .filter(move |a| a.name.eq_ignore_ascii_case(name) || a.friendly_name.eq_ignore_ascii_case(name));
        named.flat_map(|attribute| attribute.values.iter().map(String::as_str))
    }

    /// What names the person for good: the subject id, else the name unless it changes with every sign-in.
    pub fn user_id(&self) -> Option<String> {
        const SUBJECT_ID: &str = "urn:oasis:names:tc:SAML:attribute:subject-id";
        if let Some(id) = self.values(SUBJECT_ID).next() {
            return Some(id.to_owned()).filter(|id| !id.is_empty());
        }
        let name = self.name_id.as_ref().filter(|name| !name.value.is_empty())?;
        match name.format.as_str() {
            name_id::EMAIL => Some(name.value.trim().to_lowercase()),
            name_id::TRANSIENT => None,
            _ => Some(name.value.clone()),
        }
    }

    /// The address, by the names that it usually has.
    pub fn email(&self) -> Option<&str> {
        const NAMES: [&str; 5] = [
            "urn:oid:0.9.2342.19200300.100.1.3",
            "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
            "http://schemas.xmlsoap.org/claims/EmailAddress",
            "mail",
            "email",
        ];
        let named = NAMES.iter().find_map(|name| self.values(name).find(|value| !value.is_empty()));
        let of_name = || self.name_id.as_ref().filter(|name| name.format == name_id::EMAIL);
        named.or_else(|| of_name().map(|name| name.value.as_str()))
    }
}

/// Reads an assertion that is signed, and checks for whom and when it holds.
pub(crate) fn read(
    element: Node<'_, '_>,
    expected: &Expectation<'_>,
    entity_id: &str,
    acs_url: &str,
) -> Result<Assertion, Error> {
    let now = expected.now;
    if element.attribute("Version") != Some("2.0") {
        return Err(Error::Form("Version"));
    }
    let id = element.attribute("ID").filter(|id| !id.is_empty()).ok_or(Error::Form("ID"))?;
    let issuer = required_text(required(element, ASSERTION, "Issuer")?, "Issuer")?;
    if issuer != expected.provider.entity_id {
        return Err(Error::Issuer(issuer));
    }
    let issued = time(element, "IssueInstant")?.ok_or(Error::Form("IssueInstant"))?;
    check_issued(issued, now)?;
    let mut end = later(issued, ISSUE_DELAY_MAX + SKEW);
    if let Some(limit) = check_conditions(required(element, ASSERTION, "Conditions")?, entity_id, now)? {
        end = end.min(later(limit, SKEW));
    }
    let subject = required(element, ASSERTION, "Subject")?;
    check_bearer(subject, expected, acs_url)?;
    let session_end = session_end(element)?;
    if session_end.is_some_and(|end| now >= later(end, SKEW)) {
        return Err(Error::TooLate);
    }
    Ok(Assertion {
        id: id.to_owned(),
        issuer,
        name_id: name_id(subject)?,
        attributes: attributes(element)?,
        spent_until: end,
        session_not_on_or_after: session_end,
    })
}

/// Neither from the future nor too old.
pub(crate) fn check_issued(issued: OffsetDateTime, now: OffsetDateTime) -> Result<(), Error> {
    if issued > now + SKEW {
        return Err(Error::TooEarly);
    }
    if later(issued, ISSUE_DELAY_MAX + SKEW) < now { Err(Error::TooLate) } else { Ok(()) }
}

fn time(node: Node<'_, '_>, name: &'static str) -> Result<Option<OffsetDateTime>, Error> {
    node.attribute(name).map(|text| instant::read(text).ok_or(Error::Form(name))).transpose()
}

fn check_times(node: Node<'_, '_>, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, Error> {
    if time(node, "NotBefore")?.is_some_and(|start| now + SKEW < start) {
        return Err(Error::TooEarly);
    }
    let end = time(node, "NotOnOrAfter")?;
    if end.is_some_and(|end| now >= later(end, SKEW)) { Err(Error::TooLate) } else { Ok(end) }
}

/// The conditions hold now and here. Returns when they end.
fn check_conditions(
    conditions: Node<'_, '_>,
    entity_id: &str,
    now: OffsetDateTime,
) -> Result<Option<OffsetDateTime>, Error> {
    let end = check_times(conditions, now)?;
    let mut restricted = false;
    for condition in conditions.children().filter(Node::is_element) {
        if condition.tag_name().namespace() != Some(ASSERTION) {
            return Err(Error::Condition);
        }
        match condition.tag_name().name() {
            "AudienceRestriction" => {
                restricted = true;
                let mut audiences = children(condition, ASSERTION, "Audience");
                if !audiences.any(|audience| text(audience).as_deref() == Some(entity_id)) {
                    return Err(Error::Audience);
                }
            }
            // Every assertion is accepted once only, and none is passed on.
            "OneTimeUse" | "ProxyRestriction" => {}
            _ => return Err(Error::Condition),
        }
    }
    if restricted { Ok(end) } else { Err(Error::Audience) }
}

/// Whoever bears the assertion is its subject, here, now and for our request.
fn check_bearer(subject: Node<'_, '_>, expected: &Expectation<'_>, acs_url: &str) -> Result<(), Error> {
    let confirmations = children(subject, ASSERTION, "SubjectConfirmation");
    let mut error = Error::Subject;
    for confirmation in confirmations.filter(|node| node.attribute("Method") == Some(BEARER)) {
        match check_confirmation(confirmation, expected, acs_url) {
            Ok(()) => return Ok(()),
            Err(found) => error = found,
        }
    }
    Err(error)
}

fn check_confirmation(
    confirmation: Node<'_, '_>,
    expected: &Expectation<'_>,
    acs_url: &str,
) -> Result<(), Error> {
    let data = required(confirmation, ASSERTION, "SubjectConfirmationData")?;
    let recipient = data.attribute("Recipient").unwrap_or_default();
    if recipient != acs_url {
        return Err(Error::Destination(recipient.to_owned()));
    }
    if check_times(data, expected.now)?.is_none() {
        return Err(Error::Form("NotOnOrAfter"));
    }
    if data.attribute("InResponseTo") == expected.request_id { Ok(()) } else { Err(Error::InResponseTo) }
}

fn name_id(subject: Node<'_, '_>) -> Result<Option<NameId>, Error> {
    let Some(node) = optional(subject, ASSERTION, "NameID")? else { return Ok(None) };
    let value = text(node).ok_or(Error::Form("NameID"))?;
    let format = node.attribute("Format").unwrap_or(name_id::UNSPECIFIED).to_owned();
    Ok(Some(NameId { value, format }))
}

fn session_end(element: Node<'_, '_>) -> Result<Option<OffsetDateTime>, Error> {
    for statement in children(element, ASSERTION, "AuthnStatement") {
        if let Some(end) = time(statement, "SessionNotOnOrAfter")? {
            return Ok(Some(end));
        }
    }
    Ok(None)
}

fn attributes(element: Node<'_, '_>) -> Result<Vec<Attribute>, Error> {
    let statements = children(element, ASSERTION, "AttributeStatement");
    let nodes = statements.flat_map(|statement| children(statement, ASSERTION, "Attribute"));
    let (mut list, mut count) = (Vec::new(), 0);
    for node in nodes {
        let mut values = Vec::new();
        for value in children(node, ASSERTION, "AttributeValue") {
            // A value may be made of elements, which say nothing here.
            if value.children().any(|child| child.is_element()) {
                continue;
            }
            values.push(text(value).ok_or(Error::Form("AttributeValue"))?);
        }
        count += values.len();
        let of = |name| node.attribute(name).unwrap_or_default().to_owned();
        list.push(Attribute { name: of("Name"), friendly_name: of("FriendlyName"), values });
        if list.len() > ATTRIBUTES_MAX || count > VALUES_MAX {
            return Err(Error::Form("Attribute"));
        }
    }
    Ok(list)
}

/// So much later; where the calendar ends, its end. Some providers write the year 9999 for "never".
fn later(time: OffsetDateTime, by: Duration) -> OffsetDateTime {
    let by = by.try_into().ok();
    by.and_then(|by| time.checked_add(by)).unwrap_or(time)
}
