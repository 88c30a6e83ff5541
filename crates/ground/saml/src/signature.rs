//! XML signatures, in the one form that SAML has: inside the element that they sign, with one reference to it.

use crate::algorithm::{self, ENVELOPED, EXCLUSIVE, EXCLUSIVE_WITH_COMMENTS};
use crate::canonical::{self, Method};
use crate::certificate::PublicKey;
use crate::error::Error;
use crate::xml::{SIGNATURE, children, optional, required, required_text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;

/// The longest list of prefixes that is looked at.
const PREFIXES_MAX: usize = 32;

/// Verifies the signature of an element by one of the keys. False when it has none.
///
/// Keys that the document itself offers are never looked at. What is verified is this very element: its id is the
/// reference's, and no id is in the document twice (see [`crate::xml::check_ids`]).
pub(crate) fn verify(element: Node<'_, '_>, keys: &[PublicKey]) -> Result<bool, Error> {
    let Some(signature) = optional(element, SIGNATURE, "Signature")? else { return Ok(false) };
    if children(signature, SIGNATURE, "Object").next().is_some() {
        return Err(Error::SignatureForm("it contains objects"));
    }
    let info = required(signature, SIGNATURE, "SignedInfo")?;
    verify_reference(element, signature, info)?;
    let method = canonicalization(required(info, SIGNATURE, "CanonicalizationMethod")?)?;
    let signed = canonical::bytes(info, None, &method);
    let algorithm = required(info, SIGNATURE, "SignatureMethod")?.attribute("Algorithm").unwrap_or_default();
    let value = base64(required(signature, SIGNATURE, "SignatureValue")?, "SignatureValue")?;
    for key in keys {
        if key.verifies(algorithm, &signed, &value)? {
            return Ok(true);
        }
    }
    Err(Error::Signature)
}

fn verify_reference<'a, 'i>(
    element: Node<'a, 'i>,
    signature: Node<'a, 'i>,
    info: Node<'a, 'i>,
) -> Result<(), Error> {
    let reference = required(info, SIGNATURE, "Reference")?;
    let id = element.attribute("ID").filter(|id| !id.is_empty()).ok_or(Error::Form("ID"))?;
    if reference.attribute("URI").and_then(|uri| uri.strip_prefix('#')) != Some(id) {
        return Err(Error::SignatureForm("its reference is not to the element that holds it"));
    }
    let method = transforms(reference)?;
    let digest = required(reference, SIGNATURE, "DigestMethod")?.attribute("Algorithm").unwrap_or_default();
    let hash = algorithm::hash(digest)?;
    let wanted = base64(required(reference, SIGNATURE, "DigestValue")?, "DigestValue")?;
    let signed = canonical::bytes(element, Some(signature), &method);
    if ring::digest::digest(hash, &signed).as_ref() == wanted { Ok(()) } else { Err(Error::Digest) }
}

/// The canonical form that the reference is to: the enveloped signature taken away, then exclusive.
fn transforms(reference: Node<'_, '_>) -> Result<Method, Error> {
    let list = required(reference, SIGNATURE, "Transforms")?;
    let all: Vec<Node<'_, '_>> = list.children().filter(Node::is_element).collect();
    let [first, second] = all[..] else { return Err(Error::SignatureForm("its transforms")) };
    let is_transform = |node: &Node<'_, '_>| node.has_tag_name((SIGNATURE, "Transform"));
    if !is_transform(&first) || !is_transform(&second) || first.attribute("Algorithm") != Some(ENVELOPED) {
        return Err(Error::SignatureForm("its transforms"));
    }
    canonicalization(second)
}

fn canonicalization(node: Node<'_, '_>) -> Result<Method, Error> {
    let comments = match node.attribute("Algorithm") {
        Some(EXCLUSIVE) => false,
        Some(EXCLUSIVE_WITH_COMMENTS) => true,
        other => return Err(Error::Algorithm(other.unwrap_or_default().chars().take(100).collect())),
    };
    let mut method = Method { comments, ..Method::default() };
    if let Some(list) = optional(node, EXCLUSIVE, "InclusiveNamespaces")? {
        let prefixes = list.attribute("PrefixList").unwrap_or_default().split_whitespace();
        let name = |prefix: &str| if prefix == "#default" { String::new() } else { prefix.to_owned() };
        method.inclusive = prefixes.take(PREFIXES_MAX).map(name).collect();
    }
    Ok(method)
}

fn base64(node: Node<'_, '_>, name: &'static str) -> Result<Vec<u8>, Error> {
    let compact: String = required_text(node, name)?.split_whitespace().collect();
    STANDARD.decode(compact).map_err(|_| Error::Form(name))
}
