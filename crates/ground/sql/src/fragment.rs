//! A piece of a statement with the values bound so far.

use crate::Ident;
use bytes::Bytes;
use std::fmt::Write;

/// A value for a parameter, in PostgreSQL's text format; `None` is SQL's null.
pub type Param = Option<Bytes>;

/// SQL text with `$n` placeholders and, in their order, the values.
///
/// Fragments are written from left to right; placeholders are numbered as values are bound. The text depends
/// only on the shape of a request, never on its values, so equal shapes share one prepared statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fragment {
    text: String,
    params: Vec<Param>,
}

impl Fragment {
    pub fn new() -> Self {
        Fragment::default()
    }

    /// An empty fragment with room for so many bytes of text and values.
    pub fn with_capacity(text: usize, params: usize) -> Self {
        Fragment { text: String::with_capacity(text), params: Vec::with_capacity(params) }
    }

    /// A fragment that was taken apart before, or one of its text with other values in the same places.
    pub fn from_parts(text: String, params: Vec<Param>) -> Self {
        Fragment { text, params }
    }

    /// Text of this program.
    pub fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// An identifier, or a qualified name, quoted.
    pub fn ident(&mut self, ident: &Ident) -> &mut Self {
        let _ = write!(self.text, "{ident}");
        self
    }

    /// An identifier given as text, quoted without a copy of its own. A NUL, which PostgreSQL cannot hold, is
    /// dropped.
    pub fn quoted(&mut self, name: &str) -> &mut Self {
        self.text.push('"');
        for c in name.chars().filter(|c| *c != '\0') {
            if c == '"' {
                self.text.push('"');
            }
            self.text.push(c);
        }
        self.text.push('"');
        self
    }

    /// A qualified name given as texts, quoted without copies of its own.
    pub fn qualified(&mut self, schema: &str, name: &str) -> &mut Self {
        self.quoted(schema).push(".").quoted(name)
    }

    /// A qualified name, quoted.
    pub fn name(&mut self, name: &crate::QualifiedName) -> &mut Self {
        let _ = write!(self.text, "{name}");
        self
    }

    /// A string literal, for statements that take no parameters.
    pub fn literal(&mut self, text: &str) -> &mut Self {
        self.text.push_str(&crate::quote_literal(text));
        self
    }

    /// A number: it cannot change the meaning of the text around it.
    pub fn number(&mut self, number: i64) -> &mut Self {
        let _ = write!(self.text, "{number}");
        self
    }

    /// Text that came from PostgreSQL's own catalog and is SQL already (a type's name by `format_type`, a
    /// default's expression). Never text of a request.
    pub fn catalog_text(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Binds a value and writes its placeholder.
    pub fn bind(&mut self, value: impl Into<Bytes>) -> &mut Self {
        self.bind_param(Some(value.into()))
    }

    /// Binds a value or null and writes its placeholder.
    pub fn bind_param(&mut self, value: Param) -> &mut Self {
        self.params.push(value);
        let _ = write!(self.text, "${}", self.params.len());
        self
    }

    /// Writes the placeholder of a value bound before (1 is the first).
    pub fn placeholder(&mut self, number: usize) -> &mut Self {
        let _ = write!(self.text, "${number}");
        self
    }

    /// Writes `items` with `separator` between them.
    pub fn join<T>(
        &mut self,
        separator: &'static str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                self.text.push_str(separator);
            }
            write(self, item);
        }
        self
    }

    /// Appends another fragment, renumbering its placeholders after ours.
    ///
    /// Only `$` followed by a digit outside quotes counts as a placeholder.
    pub fn append(&mut self, other: Fragment) -> &mut Self {
        let base = self.params.len();
        if base == 0 || other.params.is_empty() {
            self.text.push_str(&other.text);
        } else {
            renumber(&other.text, base, &mut self.text);
        }
        self.params.extend(other.params);
        self
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The text and the values.
    pub fn into_parts(self) -> (String, Vec<Param>) {
        (self.text, self.params)
    }
}

fn renumber(text: &str, base: usize, out: &mut String) {
    let bytes = text.as_bytes();
    let mut quote: Option<u8> = None;
    let mut copied = 0;
    let mut i = 0;
    while i < bytes.len() {
        let b = bytes[i];
        match quote {
            Some(q) if b == q => quote = None,
            Some(_) => {}
            None if b == b'"' || b == b'\'' => quote = Some(b),
            None if b == b'$' => {
                let digits = bytes[i + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
                if let Ok(n) = text[i + 1..i + 1 + digits].parse::<usize>() {
                    out.push_str(&text[copied..i]);
                    let _ = write!(out, "${}", n + base);
                    i += digits;
                    copied = i + 1;
                }
            }
            None => {}
        }
        i += 1;
    }
    out.push_str(&text[copied..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bound_and_identifiers_quoted() {
        let mut f = Fragment::new();
        f.push("select ").ident(&Ident::new("a\"b")).push(" where x = ").bind("1; drop table y");
        assert_eq!(f.text(), "select \"a\"\"b\" where x = $1");
        assert_eq!(f.params(), [Some(Bytes::from("1; drop table y"))]);
    }

    #[test]
    fn appending_renumbers_only_real_placeholders() {
        let mut a = Fragment::new();
        a.push("a = ").bind("1");
        let mut b = Fragment::new();
        b.push(" and \"$1\" = '$1' || ").bind("2").push(" or c = ").placeholder(1);
        a.append(b);
        assert_eq!(a.text(), "a = $1 and \"$1\" = '$1' || $2 or c = $2");
        assert_eq!(a.params().len(), 2);
    }
}
