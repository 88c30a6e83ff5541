//! PostgREST's configuration file: `key = value` lines, comments, groups in braces.
//!
//! Values are quoted strings (with `\n`-like escapes, `$(NAME)` for a variable of the environment and `$$`
//! for a dollar), numbers, `true`/`false`/`on`/`off`, and lists of those in brackets.

use std::collections::BTreeMap;
use std::fmt;

/// A value of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Value>),
}

impl Value {
    /// The value as one text; a list's items are joined by commas.
    pub fn as_text(&self) -> String {
        match self {
            Value::Bool(value) => value.to_string(),
            Value::Number(value) | Value::Text(value) => value.clone(),
            Value::List(items) => items.iter().map(Value::as_text).collect::<Vec<_>>().join(","),
        }
    }
}

/// Where and why a file could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SyntaxError {
    /// The line, counted from 1.
    pub line: usize,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: expected {}", self.line, self.expected)
    }
}

/// The deepest nesting of groups and lists.
const DEPTH_MAX: usize = 16;

/// Reads a file's text. Keys within groups are joined by dots. `variable` looks up `$(NAME)`.
///
/// # Errors
/// The first thing that is not of the format.
pub fn parse(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Value>, SyntaxError> {
    let mut parser = Parser { text, at: 0, variable };
    let mut values = BTreeMap::new();
    parser.directives("", 0, &mut values)?;
    Ok(values)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn fail<T>(&self, expected: &'static str) -> Result<T, SyntaxError> {
        Err(SyntaxError { line: self.text[..self.at].matches('\n').count() + 1, expected })
    }

    /// Skips blanks and comments.
    fn skip(&mut self, newlines: bool) {
        while let Some(c) = self.peek() {
            if c == '#' {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if c.is_whitespace() && (newlines || c != '\n') {
                self.next();
            } else {
                break;
            }
        }
    }

    fn directives(
        &mut self,
        prefix: &str,
        depth: usize,
        values: &mut BTreeMap<String, Value>,
    ) -> Result<(), SyntaxError> {
        loop {
            self.skip(true);
            match self.peek() {
                None if depth == 0 => return Ok(()),
                Some('}') if depth > 0 => {
                    self.next();
                    return Ok(());
                }
                None => return self.fail("`}`"),
                Some(_) => {}
            }
            let key = format!("{prefix}{}", self.key()?);
            self.skip(false);
            match self.next() {
                Some('=') => {
                    self.skip(false);
                    let value = self.value(0)?;
                    values.insert(key, value);
                    self.skip(false);
                    if !matches!(self.peek(), None | Some('\n' | '}')) {
                        return self.fail("the end of the line");
                    }
                }
                Some('{') if depth < DEPTH_MAX => self.directives(&format!("{key}."), depth + 1, values)?,
                _ => return self.fail("`=`"),
            }
        }
    }

    fn key(&mut self) -> Result<&'a str, SyntaxError> {
        let of_key = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let rest = self.rest();
        let length = rest.find(|c| !of_key(c)).unwrap_or(rest.len());
        if length == 0 || !rest.starts_with(char::is_alphabetic) {
            return self.fail("a setting's name");
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn value(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        match self.peek() {
            Some('"') => self.string().map(Value::Text),
            Some('[') if depth < DEPTH_MAX => self.list(depth),
            _ => {
                let rest = self.rest();
                let length = rest
                    .find(|c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}' | '#'))
                    .unwrap_or(rest.len());
                let word = &rest[..length];
                self.at += length;
                match word {
                    "true" | "on" => Ok(Value::Bool(true)),
                    "false" | "off" => Ok(Value::Bool(false)),
                    _ if word.parse::<f64>().is_ok() => Ok(Value::Number(word.to_owned())),
                    _ => self.fail("a quoted string, a number, true or false, or a list"),
                }
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.next();
        let mut items = Vec::new();
        loop {
            self.skip(true);
            if self.peek() == Some(']') {
                self.next();
                return Ok(Value::List(items));
            }
            items.push(self.value(depth + 1)?);
            self.skip(true);
            match self.next() {
                Some(',') => {}
                Some(']') => return Ok(Value::List(items)),
                _ => return self.fail("`,` or `]`"),
            }
        }
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        self.next();
        let mut out = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(out),
                Some('\\') => match self.next() {
                    Some('n') => out.push('\n'),
                    Some('r') => out.push('\r'),
                    Some('t') => out.push('\t'),
                    Some('u') => out.push(self.code_point()?),
                    Some(c @ ('"' | '\\' | '/')) => out.push(c),
                    _ => return self.fail("an escaped character"),
                },
                Some('$') => self.dollar(&mut out)?,
                Some(c) => out.push(c),
                None => return self.fail("the end of the string"),
            }
        }
    }

    fn code_point(&mut self) -> Result<char, SyntaxError> {
        let digits = self.rest().get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        match digits.and_then(char::from_u32) {
            Some(c) => {
                self.at += 4;
                Ok(c)
            }
            None => self.fail("four hexadecimal digits"),
        }
    }

    /// `$$` and `$(NAME)`; any other dollar stands for itself, as in `$.role`.
    fn dollar(&mut self, out: &mut String) -> Result<(), SyntaxError> {
        if self.rest().starts_with('$') {
            self.next();
        } else if let Some(rest) = self.rest().strip_prefix('(') {
            let Some(end) = rest.find(')') else { return self.fail("`)`") };
            let Some(value) = (self.variable)(&rest[..end]) else {
                return self.fail("a variable of the environment");
            };
            out.push_str(&value);
            self.at += end + 2;
            return Ok(());
        }
        out.push('$');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, Value>, SyntaxError> {
        parse(text, &|name| (name == "HOME").then(|| "/home/me".to_owned()))
    }

    #[track_caller]
    fn check(text: &str, key: &str, value: Value) {
        assert_eq!(read(text).unwrap().get(key), Some(&value), "{text}");
    }

    #[test]
    fn values_of_all_kinds() {
        check("# hi\n\ndb-uri = \"a b\" # there", "db-uri", Value::Text("a b".into()));
        check("db-pool=5", "db-pool", Value::Number("5".into()));
        check("db-config = off", "db-config", Value::Bool(false));
        check(
            "x = [1, \"two\",\n true]",
            "x",
            Value::List(vec![Value::Number("1".into()), Value::Text("two".into()), Value::Bool(true)]),
        );
        check("app.settings.x = \"\"", "app.settings.x", Value::Text(String::new()));
        check("app { settings { y = 1\n } }", "app.settings.y", Value::Number("1".into()));
    }

    #[test]
    fn strings_have_escapes_and_variables() {
        check(r#"a = "q\"\\\n\u00e4""#, "a", Value::Text("q\"\\\nä".into()));
        check(r#"a = "$(HOME)/x $$ $.role""#, "a", Value::Text("/home/me/x $ $.role".into()));
    }

    #[test]
    fn mistakes_are_located() {
        for (text, line) in [
            ("a", 1),
            ("a = ", 1),
            ("\na = b", 2),
            ("a = \"x", 1),
            ("a = 1 2", 1),
            ("a {", 1),
            ("= 1", 1),
            ("a = \"$(NO)\"", 1),
        ] {
            assert_eq!(read(text).unwrap_err().line, line, "{text}");
        }
    }
}
