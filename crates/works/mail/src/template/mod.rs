//! Templates of mails: the part of Go's template language that they use, made safe to run on what anybody may
//! have put into their own profile.
//!
//! A body is HTML. Where a value goes decides how it is escaped: in text, in an attribute, in a URL, in a style, in a
//! script (see [`Mode::Html`]). A subject is plain text and ends up on one line.
//!
//! Supported are fields (`.Data.name`), variables, `if`, `else if`, `else`, `with`, `range`, comments, trimming
//! (`{{-`, `-}}`), pipes, literals and the functions of [`function::NAMES`]. A field that is not there is empty.

mod context;
mod function;
mod lex;
mod parse;
mod render;

use parse::Node;
use serde_json::Value;

/// The largest template.
pub const SOURCE_MAX: usize = 256 * 1024;
/// The largest text that a template may make.
pub const OUTPUT_MAX: usize = 1024 * 1024;

/// What is made of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// HTML: values are escaped as the place where they go needs it.
    Html,
    /// One line of plain text, such as a subject.
    Line,
}

/// A template, read.
#[derive(Debug, Clone)]
pub struct Template {
    nodes: Vec<Node>,
    mode: Mode,
}

/// What is wrong with a template, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct TemplateError {
    /// The first line is 1.
    pub line: usize,
    /// The first character of a line is 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// Why a good template makes no text of some data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The text would be longer than [`OUTPUT_MAX`].
    #[error("the text is too long")]
    TooLong,
    /// It does not come to an end within a bounded number of steps.
    #[error("it takes too long")]
    TooManySteps,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is not one that we understand.
    pub fn parse(source: &str, mode: Mode) -> Result<Template, TemplateError> {
        if source.len() > SOURCE_MAX {
            let message = format!("a template has at most {SOURCE_MAX} bytes");
            return Err(TemplateError { line: 1, column: 1, message });
        }
        let nodes = parse::parse(lex::lex(source)?)?;
        Ok(Template { nodes, mode })
    }

    /// The text that it makes of an object.
    ///
    /// # Errors
    /// When there would be too much of it.
    pub fn render(&self, data: &Value) -> Result<String, RenderError> {
        let text = render::render(&self.nodes, self.mode, data)?;
        Ok(match self.mode {
            Mode::Html => text,
            Mode::Line => one_line(&text),
        })
    }
}

/// The text without what would end the line or change how it is shown.
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Separators of lines and paragraphs, and marks that turn the direction of what follows around.
        let odd = c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let c = if odd { ' ' } else { c };
        if c != ' ' || !out.ends_with(' ') {
            out.push(c);
        }
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests;
