//! The documents of the protocol: written without a tree, read with a bounded one.

use crate::refusal::{Outcome, Refusal};
use axum::body::Body;
use http::{HeaderValue, Response, header};
use roxmltree::{Document, Node, ParsingOptions};

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
/// The most elements and texts of a document that is read: ten thousand parts with all of their checksums.
const NODES_MAX: u32 = 250_000;

/// A document on its way out.
pub(super) struct Xml {
    text: String,
    open: Vec<&'static str>,
}

impl Xml {
    /// A document with this root.
    pub(super) fn new(root: &'static str) -> Xml {
        let text = [HEAD, "<", root, " xmlns=\"", NAMESPACE, "\">"].concat();
        Xml { text, open: vec![root] }
    }

    /// A document that is one element with a text.
    pub(super) fn text_root(root: &'static str, value: &str) -> Xml {
        let mut xml = Xml::new(root);
        fault::push_xml(&mut xml.text, value);
        xml
    }

    /// Begins an element that holds others.
    pub(super) fn begin(&mut self, name: &'static str) -> &mut Xml {
        self.text.push('<');
        self.text.push_str(name);
        self.text.push('>');
        self.open.push(name);
        self
    }

    /// Ends the element that was begun last.
    pub(super) fn end(&mut self) -> &mut Xml {
        if let Some(name) = self.open.pop() {
            self.text.push_str("</");
            self.text.push_str(name);
            self.text.push('>');
        }
        self
    }

    /// An element with a text.
    pub(super) fn leaf(&mut self, name: &str, value: impl AsRef<str>) -> &mut Xml {
        let value = value.as_ref();
        self.text.push('<');
        self.text.push_str(name);
        if value.is_empty() {
            self.text.push_str("/>");
            return self;
        }
        self.text.push('>');
        fault::push_xml(&mut self.text, value);
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
        self
    }

    /// An element with a number, a flag or the like.
    pub(super) fn value(&mut self, name: &str, value: impl ToString) -> &mut Xml {
        self.leaf(name, value.to_string())
    }

    /// An element, if there is a text for it.
    pub(super) fn maybe(&mut self, name: &str, value: Option<impl AsRef<str>>) -> &mut Xml {
        match value {
            Some(value) => self.leaf(name, value),
            None => self,
        }
    }

    /// The answer that has this document as its body.
    pub(super) fn answer(mut self) -> Response<Body> {
        while !self.open.is_empty() {
            self.end();
        }
        let mut response = Response::new(Body::from(self.text));
        response.headers_mut().insert(header::CONTENT_TYPE, TYPE);
        response
    }
}

/// The type of the protocol's documents.
pub(super) const TYPE: HeaderValue = HeaderValue::from_static("application/xml; charset=utf-8");

/// Has a document read by `read`.
pub(super) fn parse<T>(bytes: &[u8], root: &str, read: impl FnOnce(Node<'_, '_>) -> Option<T>) -> Outcome<T> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|_| malformed())?;
    let element = document.root_element();
    // Some clients leave the namespace out.
    if element.tag_name().name() != root {
        return Err(malformed());
    }
    read(element).ok_or_else(malformed)
}

/// The children of a name.
pub(super) fn children<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

/// The text of the first child of a name.
pub(super) fn text_of<'a>(node: Node<'a, '_>, name: &'static str) -> Option<&'a str> {
    children(node, name).next().map(|child| child.text().unwrap_or_default())
}

pub(super) fn malformed() -> Refusal {
    let message = "The XML you provided was not well-formed or did not validate against our published schema";
    Refusal::new(400, "MalformedXML", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn documents_are_closed_and_escaped() {
        let mut xml = Xml::new("Root");
        xml.begin("List").leaf("Key", "a<b>&\"c\" \u{1}é").leaf("Empty", "").value("Size", 7).end();
        xml.maybe("None", None::<&str>).begin("Open");
        let bytes = xml.answer().into_body().collect().await.unwrap().to_bytes();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.ends_with(
            "<List><Key>a&lt;b&gt;&amp;&quot;c&quot; é</Key><Empty/><Size>7</Size></List><Open></Open></Root>"
        ));
        assert_eq!(
            parse(&bytes, "Root", |root| text_of(children(root, "List").next()?, "Size").map(str::to_owned))
                .unwrap(),
            "7"
        );
    }

    #[test]
    fn documents_that_are_refused() {
        let read = |text: &str| parse(text.as_bytes(), "Delete", |_| Some(()));
        assert!(read("<Delete/>").is_ok());
        assert!(read("<Delete xmlns='http://s3.amazonaws.com/doc/2006-03-01/'/>").is_ok());
        for bad in ["", "<Delete>", "<Other/>", "{}", "<!DOCTYPE a [<!ENTITY b 'c'>]><Delete>&b;</Delete>"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&format!("<Delete>{}</Delete>", "<a/>".repeat(250_001))).is_err());
        // Depth costs no stack.
        assert!(
            read(&format!("<Delete>{}{}</Delete>", "<a>".repeat(100_000), "</a>".repeat(100_000))).is_ok()
        );
    }
}
