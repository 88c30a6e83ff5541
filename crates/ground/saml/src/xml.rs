//! XML as far as it is let in: no document types, no entities of its own, bounded in size, depth and width.

use crate::error::Error;
use roxmltree::{Document, Node, NodeType, ParsingOptions};
use std::collections::HashSet;

pub(crate) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(crate) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub(crate) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
pub(crate) const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
pub(crate) const ENCRYPTION: &str = "http://www.w3.org/2001/04/xmlenc#";
pub(crate) const ENCRYPTION_11: &str = "http://www.w3.org/2009/xmlenc11#";

const BYTES_MAX: usize = 1 << 20;
const NODES_MAX: u32 = 50_000;
const DEPTH_MAX: usize = 64;
/// The parser compares every attribute of an element with the others, and copies namespaces from parent to child.
const EQUALS_BETWEEN_TAGS_MAX: usize = 512;
const NAMESPACES_MAX: usize = 2_000;

/// Reads a document.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, Error> {
    if text.len() > BYTES_MAX || text.contains("<!DOCTYPE") || text.contains("<!ENTITY") {
        return Err(Error::Xml);
    }
    let crowded = text.split('<').any(|part| {
        part.len() > EQUALS_BETWEEN_TAGS_MAX
            && part.bytes().filter(|b| *b == b'=').count() > EQUALS_BETWEEN_TAGS_MAX
    });
    if crowded || text.matches("xmlns").count() > NAMESPACES_MAX {
        return Err(Error::Xml);
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|_| Error::Xml)?;
    if is_too_deep(&document) { Err(Error::Xml) } else { Ok(document) }
}

fn is_too_deep(document: &Document<'_>) -> bool {
    let (mut depth, mut node) = (0, Some(document.root()));
    while let Some(here) = node {
        if let Some(child) = here.first_child() {
            depth += 1;
            node = Some(child);
        } else {
            let mut up = here;
            node = loop {
                if let Some(next) = up.next_sibling() {
                    break Some(next);
                }
                match up.parent() {
                    Some(parent) => up = parent,
                    None => break None,
                }
                depth -= 1;
            };
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

/// Refuses a document in which an id is used twice, whatever the attribute is called.
pub(crate) fn check_ids(document: &Document<'_>) -> Result<(), Error> {
    let mut seen = HashSet::new();
    let attributes = document.descendants().flat_map(|node| node.attributes());
    let ids = attributes.filter(|attribute| {
        matches!(attribute.name(), "ID" | "Id" | "id" | "AssertionID" | "ResponseID" | "RequestID")
    });
    for id in ids {
        if !seen.insert(id.value()) {
            return Err(Error::DuplicateId);
        }
    }
    Ok(())
}

/// The elements of this name right below a node.
pub(crate) fn children<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.has_tag_name((namespace, name)))
}

/// The one element of this name right below a node, if there is one; several are an error.
pub(crate) fn optional<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> Result<Option<Node<'a, 'i>>, Error> {
    let mut found = children(node, namespace, name);
    let first = found.next();
    if found.next().is_some() { Err(Error::Form(name)) } else { Ok(first) }
}

/// The one element of this name right below a node.
pub(crate) fn required<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> Result<Node<'a, 'i>, Error> {
    optional(node, namespace, name)?.ok_or(Error::Form(name))
}

/// What an element says, trimmed. Nothing when it holds anything but text: a comment inside a name would be read
/// as nothing here and as the end of the name elsewhere.
pub(crate) fn text(node: Node<'_, '_>) -> Option<String> {
    let mut value = String::new();
    for child in node.children() {
        if child.node_type() != NodeType::Text {
            return None;
        }
        value.push_str(child.text().unwrap_or_default());
    }
    Some(value.trim().to_owned())
}

/// What an element must say.
pub(crate) fn required_text(node: Node<'_, '_>, name: &'static str) -> Result<String, Error> {
    text(node).filter(|text| !text.is_empty()).ok_or(Error::Form(name))
}

/// Text for the inside of an element or an attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bombs_do_not_get_in() {
        let laughs = "<!DOCTYPE a [<!ENTITY x \"xxxxxxxx\"><!ENTITY y \"&x;&x;&x;\">]><a>&y;</a>";
        assert!(parse(laughs).is_err());
        assert!(parse("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>").is_err());
        assert!(parse("<!DOCTYPE a><a/>").is_err());
        assert!(parse("<a>&unknown;</a>").is_err());
        let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(parse(&nested(60)).is_ok());
        assert!(parse(&nested(70)).is_err());
        assert!(parse(&nested(100_000)).is_err());
        assert!(parse(&format!("<a>{}</a>", "x".repeat(BYTES_MAX))).is_err());
        assert!(parse(&format!("<a>{}</a>", "<b/>".repeat(60_000))).is_err());
    }

    #[test]
    fn what_the_parser_is_slow_with_does_not_reach_it() {
        let attributes: String = (0..100_000).map(|n| format!(" a{n}=''")).collect();
        assert!(parse(&format!("<a{attributes}/>")).is_err());
        let namespaces: String = (0..3_000).map(|n| format!("<a xmlns:n{n}='u{n}'>")).collect();
        assert!(parse(&namespaces).is_err());
    }

    #[test]
    fn ids_are_unique_whatever_they_are_called() {
        let check = |text: &str| check_ids(&parse(text).unwrap());
        assert_eq!(check("<a ID='1'><b Id='2'/></a>"), Ok(()));
        assert_eq!(check("<a ID='1'><b Id='1'/></a>"), Err(Error::DuplicateId));
        assert_eq!(check("<a ID='1'><b xml:id='1'/></a>"), Err(Error::DuplicateId));
    }

    #[test]
    fn a_value_is_text_and_nothing_else() {
        let value = |xml: &str| text(parse(xml).unwrap().root_element());
        assert_eq!(value("<a> x&amp;y<![CDATA[<z>]]> </a>").as_deref(), Some("x&y<z>"));
        assert_eq!(value("<a>admin@x.dev<!---->.evil.dev</a>"), None);
        assert_eq!(value("<a>admin@x.dev<?p?>.evil.dev</a>"), None);
        assert_eq!(value("<a>x<b/></a>"), None);
    }
}
