//! A template as a list of texts and actions, an action as a list of tokens.

use super::TemplateError;

/// The most tokens of an action.
const TOKENS_MAX: usize = 1000;

/// A place in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    pub(super) fn error(self, message: impl Into<String>) -> TemplateError {
        TemplateError { line: self.line, column: self.column, message: message.into() }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Action(Vec<(Token, Place)>, Place),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `.Name`, with nothing before the dot.
    Field(String),
    /// `.` alone.
    Dot,
    /// `$name`; `$` alone has no name.
    Variable(String),
    Word(String),
    Text(String),
    Number(serde_json::Number),
    Pipe,
    Open,
    /// `)`; true when a field follows at once: `(x).Name`.
    Close,
    Comma,
    Declare,
    Assign,
}

pub(super) fn lex(source: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut cursor = Cursor { source, at: 0, place: Place { line: 1, column: 1 } };
    let mut trim_next = false;
    loop {
        let rest = cursor.rest();
        let end = rest.find("{{").unwrap_or(rest.len());
        let mut text = &rest[..end];
        let opens = end < rest.len();
        let trims = opens && is_trim_left(&rest[end + 2..]);
        if trim_next {
            text = text.trim_start();
        }
        if trims {
            text = text.trim_end();
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        cursor.skip(end);
        if !opens {
            return Ok(pieces);
        }
        let place = cursor.place;
        cursor.skip(if trims { 3 } else { 2 });
        let (tokens, trim) = action(&mut cursor, place)?;
        trim_next = trim;
        if let Some(tokens) = tokens {
            pieces.push(Piece::Action(tokens, place));
        }
    }
}

/// `-` with a blank after it; `{{-1}}` is a number.
fn is_trim_left(rest: &str) -> bool {
    rest.starts_with('-') && rest[1..].starts_with([' ', '\t', '\n', '\r'])
}

/// The tokens up to the end of an action, none for a comment; and whether blanks after it are dropped.
#[expect(clippy::type_complexity, reason = "the two results of one private function")]
fn action(
    cursor: &mut Cursor<'_>,
    place: Place,
) -> Result<(Option<Vec<(Token, Place)>>, bool), TemplateError> {
    cursor.blanks();
    if cursor.rest().starts_with("/*") {
        let end = cursor.rest().find("*/").ok_or_else(|| place.error("the comment does not end"))?;
        cursor.skip(end + 2);
        cursor.blanks();
        let trim = cursor.rest().starts_with("-}}");
        if !trim && !cursor.rest().starts_with("}}") {
            return Err(cursor.place.error("a comment fills its action"));
        }
        cursor.skip(if trim { 3 } else { 2 });
        return Ok((None, trim));
    }
    let mut tokens = Vec::new();
    loop {
        let had_blank = cursor.blanks();
        let rest = cursor.rest();
        if rest.is_empty() {
            return Err(place.error("the action does not end: }} is missing"));
        }
        if had_blank && rest.starts_with("-}}") {
            cursor.skip(3);
            return Ok((Some(tokens), true));
        }
        if rest.starts_with("}}") {
            cursor.skip(2);
            return Ok((Some(tokens), false));
        }
        if tokens.len() >= TOKENS_MAX {
            return Err(cursor.place.error("the action is too long"));
        }
        let at = cursor.place;
        tokens.push((token(cursor, had_blank)?, at));
    }
}

fn token(cursor: &mut Cursor<'_>, after_blank: bool) -> Result<Token, TemplateError> {
    let (rest, place) = (cursor.rest(), cursor.place);
    let first = rest.chars().next().unwrap_or_default();
    let single = match first {
        '|' => Some(Token::Pipe),
        '(' => Some(Token::Open),
        ')' => Some(Token::Close),
        ',' => Some(Token::Comma),
        '=' => Some(Token::Assign),
        _ => None,
    };
    if let Some(token) = single {
        cursor.skip(1);
        return Ok(token);
    }
    if rest.starts_with(":=") {
        cursor.skip(2);
        return Ok(Token::Declare);
    }
    match first {
        '.' => {
            let name = word_of(&rest[1..]);
            cursor.skip(1 + name.len());
            if name.is_empty() {
                return Ok(Token::Dot);
            }
            // ` .A` begins a new operand, `$x.A` and `).A` go on with the one before: both are fields to the parser,
            // which asks whether there was a blank.
            Ok(Token::Field(if after_blank { format!(" {name}") } else { name.to_owned() }))
        }
        '$' => {
            let name = word_of(&rest[1..]);
            cursor.skip(1 + name.len());
            Ok(Token::Variable(name.to_owned()))
        }
        '"' => quoted(cursor, place),
        '`' => {
            let end = rest[1..].find('`').ok_or_else(|| place.error("the text does not end"))?;
            let text = rest[1..=end].to_owned();
            cursor.skip(end + 2);
            Ok(Token::Text(text))
        }
        c if c.is_ascii_digit() || c == '-' || c == '+' => number(cursor, place),
        c if c.is_alphabetic() || c == '_' => {
            let word = word_of(rest).to_owned();
            cursor.skip(word.len());
            Ok(Token::Word(word))
        }
        c => Err(place.error(format!("unexpected {c:?}"))),
    }
}

fn quoted(cursor: &mut Cursor<'_>, place: Place) -> Result<Token, TemplateError> {
    let rest = cursor.rest();
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends || *c == '\n'
    });
    let Some((end, '"')) = end else { return Err(place.error("the text does not end")) };
    // Its escapes are those of JSON, as far as templates use them.
    let text = serde_json::from_str(&rest[..=end]);
    let text = text.map_err(|_| place.error("the text has an escape that is not known"))?;
    cursor.skip(end + 1);
    Ok(Token::Text(text))
}

fn number(cursor: &mut Cursor<'_>, place: Place) -> Result<Token, TemplateError> {
    let rest = cursor.rest();
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '+'));
    let text = &rest[..end.unwrap_or(rest.len())];
    let number = text.strip_prefix('+').unwrap_or(text).parse();
    let number = number.map_err(|_| place.error(format!("{text:?} is not a number")))?;
    cursor.skip(text.len());
    Ok(Token::Number(number))
}

fn word_of(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

struct Cursor<'a> {
    source: &'a str,
    at: usize,
    place: Place,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    /// Goes on by so many bytes.
    fn skip(&mut self, bytes: usize) {
        for c in self.source[self.at..self.at + bytes].chars() {
            if c == '\n' {
                self.place = Place { line: self.place.line + 1, column: 1 };
            } else {
                self.place.column += 1;
            }
        }
        self.at += bytes;
    }

    /// Skips blanks; whether there were any.
    fn blanks(&mut self) -> bool {
        let rest = self.rest();
        let bytes = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.skip(bytes);
        bytes > 0
    }
}
