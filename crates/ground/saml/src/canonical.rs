//! Exclusive XML Canonicalization 1.0: the bytes of an element that a signature is made of.

use roxmltree::{Attribute, Node, NodeType};

/// How an element is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) comments: bool,
    /// Prefixes that are written wherever they are declared, not only where they are used; `""` for the default.
    pub(crate) inclusive: Vec<String>,
}

/// The element and all below it, without one element (the signature of the whole).
pub(crate) fn bytes<'a, 'i>(
    element: Node<'a, 'i>,
    without: Option<Node<'a, 'i>>,
    method: &Method,
) -> Vec<u8> {
    let mut writer = Writer { out: Vec::new(), without, method, written: Vec::new() };
    writer.element(element);
    writer.out
}

/// The prefix under which an element is written; empty for none. The tree keeps only namespaces.
fn element_prefix<'i>(node: Node<'_, 'i>) -> &'i str {
    let text = node.document().input_text().get(node.range().start + 1..).unwrap_or_default();
    let name = text.split(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/')).next();
    prefix(name.unwrap_or_default())
}

fn attribute_name<'i>(node: Node<'_, 'i>, attribute: &Attribute<'_, '_>) -> &'i str {
    node.document().input_text().get(attribute.range_qname()).unwrap_or_default()
}

fn prefix(name: &str) -> &str {
    name.split_once(':').map_or("", |(prefix, _)| prefix)
}

struct Writer<'m, 'a, 'i> {
    out: Vec<u8>,
    without: Option<Node<'a, 'i>>,
    method: &'m Method,
    /// Which namespace each prefix has in what is written above; the last of a prefix counts.
    written: Vec<(String, &'a str)>,
}

impl<'a, 'i> Writer<'_, 'a, 'i> {
    fn element(&mut self, node: Node<'a, 'i>) {
        let prefix = element_prefix(node);
        let mut attributes: Vec<Attribute<'_, '_>> = node.attributes().collect();
        attributes.sort_by_key(|a| (a.namespace().unwrap_or_default(), a.name()));
        let mut used = vec![prefix];
        used.extend(
            attributes.iter().map(|a| self::prefix(attribute_name(node, a))).filter(|p| !p.is_empty()),
        );
        used.extend(self.method.inclusive.iter().map(String::as_str).filter(|p| is_declared(node, p)));
        used.sort_unstable();
        used.dedup();
        self.push(b"<");
        self.name(prefix, node.tag_name().name());
        let above = self.written.len();
        for prefix in used.into_iter().filter(|prefix| *prefix != "xml") {
            self.namespace(prefix, namespace(node, prefix));
        }
        for attribute in attributes {
            self.push(b" ");
            self.push(attribute_name(node, &attribute).as_bytes());
            self.push(b"=\"");
            self.attribute_value(attribute.value());
            self.push(b"\"");
        }
        self.push(b">");
        let without = self.without.map(|node| node.id());
        for child in node.children().filter(|child| Some(child.id()) != without) {
            self.child(child);
        }
        self.written.truncate(above);
        self.push(b"</");
        self.name(prefix, node.tag_name().name());
        self.push(b">");
    }

    /// Declares a namespace, unless that is what the prefix means already.
    fn namespace(&mut self, prefix: &str, uri: &'a str) {
        let known = self.written.iter().rev().find(|(name, _)| name == prefix);
        if known.map(|(_, uri)| *uri).unwrap_or_default() == uri {
            return;
        }
        self.push(if prefix.is_empty() { b" xmlns" } else { b" xmlns:" });
        self.push(prefix.as_bytes());
        self.push(b"=\"");
        self.attribute_value(uri);
        self.push(b"\"");
        self.written.push((prefix.to_owned(), uri));
    }

    fn child(&mut self, node: Node<'a, 'i>) {
        match node.node_type() {
            NodeType::Element => self.element(node),
            NodeType::Text => self.text(node.text().unwrap_or_default()),
            NodeType::Comment if self.method.comments => {
                self.push(b"<!--");
                self.push(node.text().unwrap_or_default().as_bytes());
                self.push(b"-->");
            }
            NodeType::PI => {
                let Some(instruction) = node.pi() else { return };
                self.push(b"<?");
                self.push(instruction.target.as_bytes());
                if let Some(value) = instruction.value.filter(|value| !value.is_empty()) {
                    self.push(b" ");
                    self.push(value.as_bytes());
                }
                self.push(b"?>");
            }
            NodeType::Comment | NodeType::Root => {}
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn name(&mut self, prefix: &str, local: &str) {
        if !prefix.is_empty() {
            self.push(prefix.as_bytes());
            self.push(b":");
        }
        self.push(local.as_bytes());
    }

    fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'&' => self.push(b"&amp;"),
                b'<' => self.push(b"&lt;"),
                b'>' => self.push(b"&gt;"),
                b'\r' => self.push(b"&#xD;"),
                byte => self.out.push(byte),
            }
        }
    }

    fn attribute_value(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'&' => self.push(b"&amp;"),
                b'<' => self.push(b"&lt;"),
                b'"' => self.push(b"&quot;"),
                b'\t' => self.push(b"&#x9;"),
                b'\n' => self.push(b"&#xA;"),
                b'\r' => self.push(b"&#xD;"),
                byte => self.out.push(byte),
            }
        }
    }
}

/// The namespace of a prefix where the element stands; empty for none.
fn namespace<'n>(node: Node<'n, '_>, prefix: &str) -> &'n str {
    node.lookup_namespace_uri(Some(prefix).filter(|prefix| !prefix.is_empty())).unwrap_or_default()
}

fn is_declared(node: Node<'_, '_>, prefix: &str) -> bool {
    prefix.is_empty() || !namespace(node, prefix).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    fn canonical(text: &str, path: &[&str], method: &Method) -> String {
        let document = xml::parse(text).unwrap();
        let mut node = document.root_element();
        for name in path {
            node = node.children().find(|child| child.tag_name().name() == *name).unwrap();
        }
        String::from_utf8(bytes(node, None, method)).unwrap()
    }

    #[test]
    fn the_example_of_the_recommendation() {
        // Section 2.2: the same element inside two documents has one form.
        let one = "<n1:elem2 xmlns:n0=\"http://a.example/\" xmlns:n1=\"http://b.example/\" \
                   xmlns:n3=\"ftp://example.org\"><n3:stuff/></n1:elem2>";
        let wanted = "<n1:elem2 xmlns:n1=\"http://b.example/\">\
                      <n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff></n1:elem2>";
        assert_eq!(canonical(one, &[], &Method::default()), wanted);
        let two = format!("<n0:pdu xmlns:n0='http://a.example/' xmlns:n3='ftp://example.org'>{one}</n0:pdu>");
        assert_eq!(canonical(&two, &["elem2"], &Method::default()), wanted);
    }

    #[test]
    fn prefixes_of_the_list_are_written_where_they_are_declared() {
        let method = Method {
            inclusive: vec!["xs".to_owned(), String::new(), "none".to_owned()],
            ..Method::default()
        };
        let text = "<a:r xmlns:a='u:a' xmlns='u:d' xmlns:xs='u:xs' xmlns:y='u:y'><a:c t='xs:string'/></a:r>";
        assert_eq!(
            canonical(text, &["c"], &method),
            "<a:c xmlns=\"u:d\" xmlns:a=\"u:a\" xmlns:xs=\"u:xs\" t=\"xs:string\"></a:c>"
        );
        assert_eq!(
            canonical(text, &[], &method),
            "<a:r xmlns=\"u:d\" xmlns:a=\"u:a\" xmlns:xs=\"u:xs\"><a:c t=\"xs:string\"></a:c></a:r>"
        );
    }

    #[test]
    fn two_prefixes_of_one_namespace_stay_apart() {
        let text = "<a:r xmlns:a='u' xmlns:b='u'><b:c a:x='1' b:y='2'/></a:r>";
        assert_eq!(
            canonical(text, &[], &Method::default()),
            "<a:r xmlns:a=\"u\"><b:c xmlns:b=\"u\" a:x=\"1\" b:y=\"2\"></b:c></a:r>"
        );
    }

    #[test]
    fn a_default_namespace_is_taken_back() {
        let text = "<a xmlns='u'><b xmlns=''><c xmlns='u'/></b></a>";
        assert_eq!(
            canonical(text, &[], &Method::default()),
            "<a xmlns=\"u\"><b xmlns=\"\"><c xmlns=\"u\"></c></b></a>"
        );
        assert_eq!(canonical(text, &["b"], &Method::default()), "<b><c xmlns=\"u\"></c></b>");
    }

    #[test]
    fn values_are_escaped_and_attributes_ordered() {
        let text = "<a z='1' xmlns:p='u:1' p:b=\"&lt;&quot;'>\" a='&#9;&#10;&#13; x\ty' xml:lang='en'>\
                    &lt;&gt;&amp;&quot;&#13;<![CDATA[<&]]>\r\n</a>";
        assert_eq!(
            canonical(text, &[], &Method::default()),
            "<a xmlns:p=\"u:1\" a=\"&#x9;&#xA;&#xD; x y\" z=\"1\" xml:lang=\"en\" p:b=\"&lt;&quot;'>\">\
             &lt;&gt;&amp;\"&#xD;&lt;&amp;\n</a>"
        );
    }

    #[test]
    fn comments_are_left_out_unless_asked_for() {
        let text = "<a>x<!-- c -->y<?p  q ?><?r?></a>";
        assert_eq!(canonical(text, &[], &Method::default()), "<a>xy<?p q ?><?r?></a>");
        let with = Method { comments: true, ..Method::default() };
        assert_eq!(canonical(text, &[], &with), "<a>x<!-- c -->y<?p q ?><?r?></a>");
    }
}
