//! Names of columns, with JSON paths.

use super::scan::{Scan, Scanner};

/// A column, perhaps with a path into its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The column's name, or `*`.
    pub name: String,
    /// The path into it, usually empty.
    pub path: Vec<Step>,
}

impl Field {
    /// A column without a path.
    pub fn column(name: impl Into<String>) -> Self {
        Field { name: name.into(), path: Vec::new() }
    }
}

/// One arrow of a JSON path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Step {
    /// `->>`: the result is text.
    pub as_text: bool,
    /// What the arrow points at.
    pub operand: Operand,
}

/// What an arrow of a JSON path points at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operand {
    /// An object's key.
    Key(String),
    /// An array's element; negative ones count from the end.
    Index(String),
}

const FIELD_NAME: &str = "field name (* or [a..z0..9_$])";
const JSON_KEY: &str = "any non reserved character different from: .,>()";

/// Whether a name may hold this character without quotes.
fn is_identifier_char(c: char) -> bool {
    c.is_alphabetic() || c.is_ascii_digit() || matches!(c, '_' | ' ' | '$')
}

/// A run of identifier characters, trimmed: a type's name, a text search configuration.
pub fn identifier<'a>(s: &mut Scanner<'a>) -> Scan<&'a str> {
    match s.take_while(is_identifier_char) {
        "" => s.fail("letter").or_else(|_| s.fail("digit")),
        name => {
            // What could follow is part of a later failure's text.
            let _: Scan<()> = s.fail("letter");
            let _: Scan<()> = s.fail("digit");
            Ok(name.trim())
        }
    }
}

/// A text in double quotes; backslash escapes any character.
pub fn quoted(s: &mut Scanner) -> Scan<String> {
    s.char('"', "\"\\\"\"")?;
    let mut text = String::new();
    loop {
        text.push_str(s.take_while(|c| c != '"' && c != '\\'));
        if s.peek() == Some('\\') {
            s.char('\\', "")?;
            text.push(s.char_if("", |_| true)?);
        } else {
            s.char('"', "\"\\\"\"")?;
            return Ok(text);
        }
    }
}

/// Pieces with `-` between them (but not `->`).
fn dashed<'a>(s: &mut Scanner<'a>, piece: fn(&mut Scanner<'a>) -> Scan<&'a str>) -> Scan<String> {
    let mut name = piece(s)?.to_owned();
    loop {
        if s.peek() == Some('-') && !s.rest().starts_with("->") {
            s.char('-', "\"-\"")?;
            name.push('-');
            name.push_str(piece(s)?);
        } else {
            let _: Scan<()> = s.fail("\"-\"");
            return Ok(name);
        }
    }
}

/// A column's, relation's, alias's or constraint's name.
pub fn name(s: &mut Scanner) -> Scan<String> {
    s.named(FIELD_NAME, |s| match s.peek() {
        Some('"') => quoted(s),
        _ => dashed(s, identifier),
    })
}

/// `->key`, `->>0` and so on, perhaps none.
pub fn path(s: &mut Scanner) -> Scan<Vec<Step>> {
    let mut steps = Vec::new();
    while s.rest().starts_with("->") {
        let as_text = s.attempt(|s| s.word("->>", "\"->>\"")).is_ok();
        if !as_text {
            s.word("->", "\"->\"")?;
        }
        steps.push(Step { as_text, operand: operand(s)? });
    }
    let _: Scan<()> = s.attempt(|s| s.word("->>", "\"->>\""));
    let _: Scan<()> = s.attempt(|s| s.word("->", "\"->\""));
    Ok(steps)
}

fn operand(s: &mut Scanner) -> Scan<Operand> {
    s.or(|s| s.attempt(index), |s| s.attempt(key))
}

/// A whole number, when nothing follows that could make it part of a key.
fn index(s: &mut Scanner) -> Scan<Operand> {
    let negative = s.optional(|s| s.char('-', "\"-\""))?.is_some();
    let digits = s.take_while(|c| c.is_ascii_digit());
    if digits.is_empty() {
        return s.fail("digit");
    }
    let rest = s.rest();
    if !(rest.is_empty() || ["->", "::", ".", ","].iter().any(|end| rest.starts_with(end))) {
        let _: Scan<()> = s.fail("digit");
        for end in ["\"->\"", "\"::\"", "\".\"", "\",\""] {
            let _: Scan<()> = s.fail(end);
        }
        s.end()?;
    }
    Ok(Operand::Index(if negative { format!("-{digits}") } else { digits.to_owned() }))
}

fn key(s: &mut Scanner) -> Scan<Operand> {
    let key = s.named(JSON_KEY, |s| match s.peek() {
        Some('"') => quoted(s),
        _ => dashed(s, |s| match s.take_while(|c| !"(-:.,>)".contains(c)) {
            "" => s.fail(""),
            piece => Ok(piece.trim()),
        }),
    })?;
    Ok(Operand::Key(key))
}

/// A column with its path, blanks around.
pub fn field(s: &mut Scanner) -> Scan<Field> {
    s.spaced(|s| Ok(Field { name: name(s)?, path: path(s)? }))
}

/// The `.` between the parts of a key or an expression.
pub fn delimiter(s: &mut Scanner) -> Scan<()> {
    s.char('.', "delimiter (.)")
}

/// `a.b.column->path`: the embeds that lead to the column, and the column.
pub fn tree_path(s: &mut Scanner) -> Scan<(Vec<String>, Field)> {
    let mut names = s.list(name, delimiter)?;
    let path = path(s)?;
    let name = names.pop().unwrap_or_default();
    Ok((names, Field { name, path }))
}

/// A comma list of names.
pub fn names(s: &mut Scanner) -> Scan<Vec<String>> {
    s.list(name, |s| s.spaced(|s| s.char(',', "\",\"")))
}
