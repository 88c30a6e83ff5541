//! HTML as plain text, for the part of a message that every reader can show.

/// Elements whose content nobody reads.
const SILENT: [&str; 4] = ["head", "style", "script", "title"];
/// Elements that stand on lines of their own; those of the second list with an empty line around them.
const LINES: [&str; 12] =
    ["br", "div", "tr", "li", "section", "header", "footer", "hr", "dt", "dd", "address", "center"];
const PARAGRAPHS: [&str; 12] =
    ["p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "blockquote", "pre"];

/// The text of a document; links are followed by where they lead.
pub fn plain(html: &str) -> String {
    let mut writer = Writer::default();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        writer.text(&rest[..start]);
        rest = &rest[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let Some(end) = tag_end(rest) else { break };
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if !tag.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            writer.text("<");
            writer.text(tag);
            writer.text(">");
            continue;
        }
        writer.tag(tag);
    }
    writer.text(rest.trim_start_matches('<'));
    writer.out.trim().to_owned() + "\n"
}

/// Where the tag at the beginning ends, quotes minded.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    text.char_indices().find_map(|(at, c)| match quote {
        Some(open) => {
            if c == open {
                quote = None;
            }
            None
        }
        None if c == '>' => Some(at),
        None => {
            if matches!(c, '"' | '\'') {
                quote = Some(c);
            }
            None
        }
    })
}

#[derive(Default)]
struct Writer {
    out: String,
    /// The element whose content is left out.
    silent: Option<String>,
    link: Option<String>,
    link_start: usize,
    blank: bool,
}

impl Writer {
    fn text(&mut self, text: &str) {
        if self.silent.is_some() {
            return;
        }
        for c in unescape(text).chars() {
            if c.is_whitespace() && c != '\u{a0}' {
                self.blank = true;
                continue;
            }
            if self.blank && !self.out.is_empty() && !self.out.ends_with('\n') {
                self.out.push(' ');
            }
            self.blank = false;
            self.out.push(if c == '\u{a0}' { ' ' } else { c });
        }
    }

    fn tag(&mut self, tag: &str) {
        let (is_end, body) = tag.strip_prefix('/').map_or((false, tag), |body| (true, body));
        let name: String = body.chars().take_while(char::is_ascii_alphanumeric).collect();
        let name = name.to_ascii_lowercase();
        if let Some(silent) = &self.silent {
            if is_end && *silent == name {
                self.silent = None;
            }
            return;
        }
        match name.as_str() {
            _ if SILENT.contains(&name.as_str()) && !is_end => self.silent = Some(name),
            "a" if is_end => self.end_link(),
            "a" => {
                self.link = attribute(body, "href");
                self.link_start = self.out.len();
            }
            "img" => {
                if let Some(text) = attribute(body, "alt") {
                    self.text(&text);
                }
            }
            "li" if !is_end => {
                self.lines(1);
                self.out.push_str("- ");
            }
            name if PARAGRAPHS.contains(&name) => self.lines(2),
            name if LINES.contains(&name) => self.lines(1),
            "td" | "th" => self.blank = true,
            _ => {}
        }
    }

    fn end_link(&mut self) {
        let Some(link) = self.link.take() else { return };
        let shown = self.out.get(self.link_start..).unwrap_or_default().trim();
        if shown != link && link.contains(':') && !link.starts_with("mailto:") {
            self.out.push_str(if shown.is_empty() { "" } else { ": " });
            self.out.push_str(&link);
            self.blank = true;
        }
    }

    /// Ends the line; two make an empty one.
    fn lines(&mut self, count: usize) {
        self.blank = false;
        if self.out.is_empty() {
            return;
        }
        while self.out.ends_with(' ') {
            self.out.pop();
        }
        let have = self.out.len() - self.out.trim_end_matches('\n').len();
        self.out.extend(std::iter::repeat_n('\n', count.saturating_sub(have)));
    }
}

/// The value of an attribute in the text of a tag.
fn attribute(tag: &str, wanted: &str) -> Option<String> {
    let mut rest = tag;
    while let Some(at) = rest.find('=') {
        let name = rest[..at].trim_end();
        let name =
            name.rsplit(|c: char| c.is_whitespace() || c == '"' || c == '\'').next().unwrap_or_default();
        let value = rest[at + 1..].trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, after) = match quote {
            Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            None => value.split_once(char::is_whitespace).unwrap_or((value, "")),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(unescape(value));
        }
        rest = after;
    }
    None
}

/// Character references as letters: those by number and the usual names.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(12).position(|b| b == b';');
        match end.and_then(|end| Some((reference(&rest[1..end])?, end))) {
            Some((c, end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let number = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(number).filter(|c| !c.is_control() || c.is_whitespace());
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "copy" => '©',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "middot" => '·',
        "zwnj" => '\u{200c}',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_a_reader_sees() {
        let html = "<html><head><title>T</title><style>p{}</style></head><body><h2>Hello   Bob</h2>\n\n<p>Follow\n \
            <a class='x' href=\"https://a.dev/?a=1&amp;b=2\">this link</a>.</p><!-- no --><ul><li>one<li>two</ul>\
            <p>1 &lt; 2 &amp;&#39;&nbsp;x</p><p><a href=\"https://b.dev\">https://b.dev</a></p></body></html>";
        assert_eq!(
            plain(html),
            "Hello Bob\n\nFollow this link: https://a.dev/?a=1&b=2 .\n\n- one\n- two\n\n1 < 2 &' x\n\nhttps://b.dev\n"
        );
    }

    #[test]
    fn broken_html_is_still_text() {
        for html in
            ["<", "a <", "<a href='x", "<p", "&#xffffffff; &#0; &", "<!-- x", "</", "é<b>é", "1 < 2 > 1"]
        {
            let _ = plain(html);
        }
        assert_eq!(plain("1 < 2 > 1"), "1 < 2 > 1\n");
    }
}
