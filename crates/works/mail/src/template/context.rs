//! Where in an HTML document the next value would go, and how it is escaped there.
//!
//! The document is followed as it is written, letter by letter; values never change where we are. The rules are
//! those of Go's html/template, stricter where mails need less: a script gets no punctuation at all.

/// What stands in for a URL or style that would be dangerous.
const BLOCKED: &str = "#blocked";
/// How much of the beginning of a URL is remembered, to see its scheme.
const SCHEME_MAX: usize = 64;
/// How much of a tag or attribute name is remembered.
const NAME_MAX: usize = 32;

/// Attributes whose value is a URL.
const URLS: [&str; 18] = [
    "action",
    "archive",
    "background",
    "cite",
    "classid",
    "codebase",
    "data",
    "formaction",
    "href",
    "icon",
    "longdesc",
    "manifest",
    "ping",
    "poster",
    "profile",
    "src",
    "srcset",
    "usemap",
];
/// Elements whose content is text up to their end tag.
const RAW: [&str; 8] = ["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"];

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Text,
    /// After `<`.
    TagOpen,
    TagName,
    /// Between attributes.
    Tag,
    AttributeName,
    AfterName,
    /// After `=`.
    BeforeValue,
    Value(Option<char>, Kind),
    Comment,
    /// `<!` or `<?` up to `>`.
    Declaration,
    Raw,
}

/// What the value of an attribute is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Plain,
    Url(UrlPart),
    Style,
    Script,
    /// A whole document.
    Html,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum UrlPart {
    /// Nothing but letters so far, which may become a scheme.
    Scheme(String),
    Path,
    /// After `?` or `#`.
    Query,
}

/// A place in a document.
#[derive(Debug)]
pub(super) struct Context {
    state: State,
    tag: String,
    is_end_tag: bool,
    attribute: String,
    /// The last letters, in lower case, where their sequence ends something.
    tail: String,
}

impl Context {
    pub(super) fn new() -> Context {
        Context {
            state: State::Text,
            tag: String::new(),
            is_end_tag: false,
            attribute: String::new(),
            tail: String::new(),
        }
    }

    /// Goes on by a piece of the document itself.
    pub(super) fn feed(&mut self, text: &str) {
        text.chars().for_each(|c| self.step(c));
    }

    fn step(&mut self, c: char) {
        let space = c.is_ascii_whitespace();
        match &mut self.state {
            State::Text if c == '<' => self.enter(State::TagOpen),
            State::Text => {}
            State::TagOpen => self.open(c),
            State::TagName if c == '>' => self.close(),
            State::TagName if space || c == '/' => self.state = State::Tag,
            State::TagName => remember(&mut self.tag, c),
            State::Tag if c == '>' => self.close(),
            State::Tag if space || c == '/' => {}
            State::Tag => {
                self.attribute.clear();
                remember(&mut self.attribute, c);
                self.state = State::AttributeName;
            }
            State::AttributeName if c == '>' => self.close(),
            State::AttributeName if c == '=' => self.state = State::BeforeValue,
            State::AttributeName if space => self.state = State::AfterName,
            State::AttributeName if c == '/' => self.state = State::Tag,
            State::AttributeName => remember(&mut self.attribute, c),
            State::AfterName if c == '=' => self.state = State::BeforeValue,
            State::AfterName if space => {}
            State::AfterName => {
                self.state = State::Tag;
                self.step(c);
            }
            State::BeforeValue if space => {}
            State::BeforeValue if c == '>' => self.close(),
            State::BeforeValue if matches!(c, '"' | '\'') => {
                self.state = State::Value(Some(c), kind(&self.attribute));
            }
            State::BeforeValue => {
                self.state = State::Value(None, kind(&self.attribute));
                self.step(c);
            }
            State::Value(Some(quote), _) if c == *quote => self.state = State::Tag,
            State::Value(None, _) if space => self.state = State::Tag,
            State::Value(None, _) if c == '>' => self.close(),
            State::Value(_, Kind::Url(part)) => part.step(c),
            State::Value(..) => {}
            State::Comment => {
                self.push_tail(c);
                if self.tail.ends_with("-->") || self.tail.ends_with("--!>") {
                    self.enter(State::Text);
                }
            }
            State::Declaration => self.declaration(c),
            State::Raw => self.raw(c),
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.tail.clear();
    }

    fn open(&mut self, c: char) {
        match c {
            '/' if !self.tail.ends_with('/') => self.push_tail(c),
            '!' | '?' if self.tail.is_empty() => {
                self.enter(State::Declaration);
                self.push_tail(c);
            }
            c if c.is_ascii_alphabetic() => {
                self.is_end_tag = self.tail == "/";
                self.tag.clear();
                remember(&mut self.tag, c);
                self.enter(State::TagName);
            }
            '<' => self.enter(State::TagOpen),
            _ if self.tail == "/" && c != '>' => self.enter(State::Declaration),
            _ => self.enter(State::Text),
        }
    }

    fn declaration(&mut self, c: char) {
        if c == '>' {
            self.enter(State::Text);
            return;
        }
        self.push_tail(c);
        if self.tail == "!--" {
            // `<!-->` and `<!--->` are comments that end at once.
            self.enter(State::Comment);
            self.tail.push_str("--");
        }
    }

    fn raw(&mut self, c: char) {
        let ends = matches!(c, '>' | '/') || c.is_ascii_whitespace();
        if ends && self.tail.strip_suffix(self.tag.as_str()).is_some_and(|before| before.ends_with("</")) {
            self.is_end_tag = true;
            self.enter(State::Tag);
            self.step(c);
        } else {
            self.push_tail(c);
        }
    }

    /// The end of a tag.
    fn close(&mut self) {
        let raw = !self.is_end_tag && RAW.contains(&self.tag.as_str());
        self.enter(if raw { State::Raw } else { State::Text });
    }

    fn push_tail(&mut self, c: char) {
        if self.tail.chars().count() >= 2 * NAME_MAX {
            self.tail = self.tail.chars().skip(NAME_MAX).collect();
        }
        self.tail.push(c.to_ascii_lowercase());
    }

    /// Writes a value as this place needs it.
    pub(super) fn insert(&mut self, value: &str, out: &mut String) {
        if self.state == State::BeforeValue && !value.is_empty() {
            self.state = State::Value(None, kind(&self.attribute));
        }
        match &mut self.state {
            State::Text => escape(value, false, out),
            State::Value(quote, kind) => {
                let bare = quote.is_none();
                match kind {
                    Kind::Plain => escape(value, bare, out),
                    Kind::Url(part) => escape(&part.insert(value), bare, out),
                    Kind::Style => escape(&style(value), bare, out),
                    Kind::Script => escape(&script(value), bare, out),
                    Kind::Html => {
                        let mut once = String::new();
                        escape(value, false, &mut once);
                        escape(&once, bare, out);
                    }
                }
            }
            State::Raw => {
                self.tail.clear();
                match self.tag.as_str() {
                    "script" => out.push_str(&script(value)),
                    "style" => out.push_str(&style(value)),
                    _ => escape(value, false, out),
                }
            }
            State::Comment => {
                self.tail.clear();
                let quiet: String = value.chars().filter(|c| !matches!(c, '-' | '<' | '>' | '!')).collect();
                escape(&quiet, false, out);
            }
            // A value that would become a tag's or an attribute's name is nobody's intention.
            State::TagOpen
            | State::TagName
            | State::Tag
            | State::AttributeName
            | State::AfterName
            | State::BeforeValue
            | State::Declaration => {}
        }
    }
}

impl UrlPart {
    fn step(&mut self, c: char) {
        match (&mut *self, c) {
            (UrlPart::Query, _) => {}
            (_, '?' | '#') => *self = UrlPart::Query,
            (UrlPart::Path, _) => {}
            (UrlPart::Scheme(_), ':' | '/') => *self = UrlPart::Path,
            (UrlPart::Scheme(seen), c) if seen.len() < SCHEME_MAX => seen.push(c),
            (UrlPart::Scheme(_), _) => *self = UrlPart::Path,
        }
    }

    fn insert(&mut self, value: &str) -> String {
        match self {
            UrlPart::Query => query_escaped(value),
            UrlPart::Path => url_escaped(value),
            UrlPart::Scheme(seen) => {
                let whole = format!("{seen}{value}");
                if !has_safe_scheme(&whole) {
                    *self = UrlPart::Path;
                    return BLOCKED.to_owned();
                }
                // What follows may still be its scheme.
                if whole.contains([':', '/', '?', '#']) || whole.len() > SCHEME_MAX {
                    *self = UrlPart::Path;
                } else {
                    *seen = whole;
                }
                url_escaped(value)
            }
        }
    }
}

fn remember(name: &mut String, c: char) {
    if name.len() < NAME_MAX {
        name.push(c.to_ascii_lowercase());
    }
}

fn kind(attribute: &str) -> Kind {
    let name = attribute.rsplit_once(':').map_or(attribute, |(_, name)| name);
    let own = attribute.strip_prefix("data-");
    let like_url = own.is_some_and(|own| ["src", "uri", "url"].iter().any(|part| own.contains(part)));
    match own.unwrap_or(name) {
        "style" => Kind::Style,
        "srcdoc" => Kind::Html,
        name if name.starts_with("on") => Kind::Script,
        name if like_url || URLS.contains(&name) => Kind::Url(UrlPart::Scheme(String::new())),
        _ => Kind::Plain,
    }
}

/// Whether a URL may be followed without anything being run: it is relative, of the web, of a mail or phone, or of
/// an app's own scheme.
fn has_safe_scheme(url: &str) -> bool {
    // Browsers skip blanks and control characters at the beginning, and line breaks everywhere.
    let visible: String = url.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
    let Some(end) = visible.find([':', '/', '?', '#']) else { return true };
    if !visible[end..].starts_with(':') {
        return true;
    }
    let scheme = visible[..end].to_ascii_lowercase();
    match scheme.as_str() {
        "http" | "https" | "mailto" | "tel" | "sms" => true,
        "javascript" | "vbscript" | "livescript" | "jscript" | "mocha" | "data" | "blob" | "file"
        | "about" | "filesystem" | "view-source" => false,
        own => {
            visible[end..].starts_with("://")
                && own.starts_with(|c: char| c.is_ascii_alphabetic())
                && own.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        }
    }
}

fn percent(byte: u8, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

/// A value inside a query: everything that means something there is taken away.
pub(super) fn query_escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            percent(byte, &mut out);
        }
    }
    out
}

/// A URL, or a part of one, with what cannot be in a URL escaped.
fn url_escaped(value: &str) -> String {
    let bytes = value.as_bytes();
    let mut out = String::with_capacity(value.len());
    for (n, byte) in bytes.iter().copied().enumerate() {
        let escaped = byte == b'%'
            && bytes.get(n + 1..n + 3).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        if escaped || byte.is_ascii_alphanumeric() || b"-._~!#$&*+,/:;=?@[]".contains(&byte) {
            out.push(char::from(byte));
        } else {
            percent(byte, &mut out);
        }
    }
    out
}

/// A value in a style: colours, sizes and names, nothing else.
fn style(value: &str) -> String {
    let harmless = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '#' | '.' | ',' | '%' | '-' | '_');
    let lower = value.to_ascii_lowercase();
    if value.chars().all(harmless)
        && !["expression", "javascript", "behavior", "binding"].iter().any(|w| lower.contains(w))
    {
        value.to_owned()
    } else {
        BLOCKED.to_owned()
    }
}

/// A value in a script: good inside of a text there, and of no effect elsewhere.
fn script(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_ascii_alphanumeric() || c == ' ' {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// `bare`: in an attribute without quotes.
fn escape(value: &str, bare: bool, out: &mut String) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push('\u{fffd}'),
            c if bare && (c.is_ascii_whitespace() || matches!(c, '=' | '`' | '/')) => {
                out.push_str(&format!("&#{};", u32::from(c)));
            }
            c => out.push(c),
        }
    }
}
