//! Reading a query string's values from left to right, and saying where and why that failed.
//!
//! The failure texts are part of the wire contract: they name the furthest place that the grammar reached, what
//! stood there and everything that could have stood there instead. So every attempt that fails notes what it
//! wanted; a note at a further place replaces the older ones, a note at the same place joins them.

/// The grammar does not match here. What was wanted is noted in the [`Scanner`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop;

/// The outcome of reading a piece.
pub type Scan<T> = Result<T, Stop>;

/// What stood at the furthest place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Nothing noted yet.
    Nothing,
    /// This character, or the end.
    Char(Option<char>),
    /// A character where the end was wanted.
    NotEnd(char),
}

/// Different things that may be wanted at one place; the grammar has no place with more.
const WANTED_MAX: usize = 12;

/// The notes about the furthest place. They are made at every turn, so they live on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Notes {
    at: usize,
    found: Found,
    not_end: Option<char>,
    wanted: [&'static str; WANTED_MAX],
    count: usize,
}

impl Notes {
    const fn at(at: usize) -> Self {
        Notes { at, found: Found::Nothing, not_end: None, wanted: [""; WANTED_MAX], count: 0 }
    }

    /// Joins notes that were made earlier.
    fn join_earlier(&mut self, earlier: Notes) {
        if earlier.at > self.at || (earlier.at == self.at && self.is_empty()) {
            *self = earlier;
        } else if earlier.at == self.at && !earlier.is_empty() {
            let later = std::mem::replace(self, earlier);
            if self.found == Found::Nothing {
                self.found = later.found;
            }
            self.not_end = self.not_end.or(later.not_end);
            later.wanted().iter().for_each(|wanted| self.want(wanted));
        }
    }

    fn is_empty(&self) -> bool {
        self.found == Found::Nothing && self.not_end.is_none() && self.count == 0
    }

    fn wanted(&self) -> &[&'static str] {
        &self.wanted[..self.count]
    }

    fn want(&mut self, wanted: &'static str) {
        if self.count < WANTED_MAX && !wanted.is_empty() && !self.wanted().contains(&wanted) {
            self.wanted[self.count] = wanted;
            self.count += 1;
        }
    }
}

/// A text being read.
#[derive(Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    notes: Notes,
}

impl<'a> Scanner<'a> {
    /// A scanner at the start of a text.
    pub fn new(text: &'a str) -> Self {
        Scanner { text, at: 0, notes: Notes::at(0) }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next character.
    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn note(&mut self, at: usize, found: Found, wanted: &'static str) {
        if at < self.notes.at {
            return;
        }
        if at > self.notes.at {
            self.notes = Notes::at(at);
        }
        match found {
            Found::NotEnd(c) => self.notes.not_end = self.notes.not_end.or(Some(c)),
            other if self.notes.found == Found::Nothing => self.notes.found = other,
            _ => {}
        }
        self.notes.want(wanted);
    }

    /// Notes a failure at the current place. `wanted` is shown as it is; empty when it has no name.
    pub fn fail<T>(&mut self, wanted: &'static str) -> Scan<T> {
        self.note(self.at, Found::Char(self.peek()), wanted);
        Err(Stop)
    }

    /// Notes a failure `ahead` bytes further on.
    pub fn fail_ahead<T>(&mut self, ahead: usize, wanted: &'static str) -> Scan<T> {
        let at = self.at + ahead;
        self.note(at, Found::Char(self.text[at..].chars().next()), wanted);
        Err(Stop)
    }

    /// One character that passes the test.
    pub fn char_if(&mut self, wanted: &'static str, test: impl Fn(char) -> bool) -> Scan<char> {
        match self.peek() {
            Some(c) if test(c) => {
                self.at += c.len_utf8();
                Ok(c)
            }
            _ => self.fail(wanted),
        }
    }

    /// This character; `shown` is how it is named when missing (with quotes).
    pub fn char(&mut self, c: char, shown: &'static str) -> Scan<()> {
        self.char_if(shown, |found| found == c).map(|_| ())
    }

    /// All characters that pass the test, perhaps none.
    pub fn take_while(&mut self, test: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !test(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Moves over text that the caller has seen by [`Scanner::rest`].
    pub fn take_word(&mut self, length: usize) {
        self.at = (self.at + length).min(self.text.len());
    }

    /// This word; `shown` is the word in quotes. A mismatch is noted at the word's start with the character
    /// that did not fit.
    pub fn word(&mut self, word: &str, shown: &'static str) -> Scan<()> {
        let rest = self.rest();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        let misfit = rest.chars().zip(word.chars()).find(|(a, b)| a != b).map(|(a, _)| a);
        self.note(self.at, Found::Char(misfit), shown);
        Err(Stop)
    }

    /// The end of the text.
    pub fn end(&mut self) -> Scan<()> {
        match self.peek() {
            None => Ok(()),
            Some(c) => {
                self.note(self.at, Found::NotEnd(c), "end of input");
                Err(Stop)
            }
        }
    }

    /// Reads a piece and, if that fails, stands where it started.
    pub fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Scan<T>) -> Scan<T> {
        let start = self.at;
        let result = read(self);
        if result.is_err() {
            self.at = start;
        }
        result
    }

    /// Reads a piece without moving on.
    pub fn look<T>(&mut self, read: impl FnOnce(&mut Self) -> Scan<T>) -> Scan<T> {
        let start = self.at;
        let result = read(self);
        self.at = start;
        result
    }

    /// The first alternative, or, if it failed without reading anything, the second.
    pub fn or<T>(
        &mut self,
        first: impl FnOnce(&mut Self) -> Scan<T>,
        second: impl FnOnce(&mut Self) -> Scan<T>,
    ) -> Scan<T> {
        let start = self.at;
        let before = self.notes;
        match first(self) {
            Ok(value) => Ok(value),
            Err(Stop) if self.at != start => Err(Stop),
            Err(Stop) => {
                let failed = std::mem::replace(&mut self.notes, before);
                let result = second(self);
                if self.at == start {
                    self.notes.join_earlier(failed);
                }
                result
            }
        }
    }

    /// The piece, or nothing if it failed without reading anything.
    pub fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Scan<T>) -> Scan<Option<T>> {
        let start = self.at;
        match read(self) {
            Ok(value) => Ok(Some(value)),
            Err(Stop) if self.at != start => Err(Stop),
            Err(Stop) => Ok(None),
        }
    }

    /// Names a piece: if it fails without reading anything, what it wanted is called `name`.
    pub fn named<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Self) -> Scan<T>) -> Scan<T> {
        let start = self.at;
        let before = std::mem::replace(&mut self.notes, Notes::at(start));
        let result = read(self);
        if result.is_err() && self.at == start {
            self.notes.count = 0;
            self.notes.want(name);
        }
        self.notes.join_earlier(before);
        result
    }

    /// Blanks (spaces and tabs).
    pub fn blanks(&mut self) {
        self.take_while(|c| c == ' ' || c == '\t');
    }

    /// A piece with blanks around it.
    pub fn spaced<T>(&mut self, read: impl FnOnce(&mut Self) -> Scan<T>) -> Scan<T> {
        self.blanks();
        let value = read(self)?;
        self.blanks();
        Ok(value)
    }

    /// A list of one or more pieces with separators between them.
    pub fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Scan<T>,
        mut separator: impl FnMut(&mut Self) -> Scan<()>,
    ) -> Scan<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.optional(&mut separator)?.is_some() {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Where the reading failed, as `(line L, column C)`.
    pub fn place(&self) -> String {
        let (mut line, mut column) = (1usize, 1usize);
        for c in self.text[..self.notes.at].chars() {
            match c {
                '\n' => (line, column) = (line + 1, 1),
                '\t' => column += 8 - (column - 1) % 8,
                _ => column += 1,
            }
        }
        format!("(line {line}, column {column})")
    }

    /// Why the reading failed: `unexpected … expecting …`.
    pub fn reason(&self) -> String {
        let mut text = match (self.notes.not_end, self.notes.found) {
            (Some(c), _) | (None, Found::NotEnd(c)) => format!("unexpected '{}'", shown(c, '\'')),
            (None, Found::Char(Some(c))) => format!("unexpected \"{}\"", shown(c, '"')),
            (None, Found::Char(None)) => "unexpected end of input".to_owned(),
            (None, Found::Nothing) => String::new(),
        };
        let wanted = self.notes.wanted();
        if let Some((last, others)) = wanted.split_last() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str("expecting ");
            if !others.is_empty() {
                text.push_str(&others.join(", "));
                text.push_str(" or ");
            }
            text.push_str(last);
        }
        if text.is_empty() { "unknown parse error".to_owned() } else { text }
    }
}

/// A character as failure texts show it: quotes and backslashes escaped, others than ASCII as numbers.
fn shown(c: char, quote: char) -> String {
    match c {
        _ if c == quote || c == '\\' => format!("\\{c}"),
        '\t' => "\\t".into(),
        '\n' => "\\n".into(),
        ' '..='~' => c.into(),
        _ => format!("\\{}", c as u32),
    }
}
