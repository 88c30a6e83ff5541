//! A Rust file with its comments and literals told apart from its code, without a parser.

use std::ops::Range;

use anyhow::Result;

use crate::process::root;

pub struct Source {
    /// From the root of the checkout, with `/`.
    pub path: String,
    /// The file as it is.
    pub text: String,
    /// The same length in bytes, with comments and the insides of literals blanked.
    pub code: String,
    /// Byte ranges of string literals, without their quotes.
    pub strings: Vec<Range<usize>>,
    /// Byte ranges of `#[cfg(test)]` items; the whole file for test files.
    tests: Vec<Range<usize>>,
}

impl Source {
    pub fn read(path: &str) -> Result<Self> {
        Ok(Self::parse(path, std::fs::read_to_string(root().join(path))?))
    }

    pub fn parse(path: &str, text: String) -> Self {
        let (code, strings) = blank(&text);
        let tests =
            if is_test_file(path) { std::iter::once(0..text.len()).collect() } else { test_items(&code) };
        Self { path: path.to_owned(), text, code, strings, tests }
    }

    pub fn in_test(&self, offset: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&offset))
    }

    pub fn line_of(&self, offset: usize) -> usize {
        self.text[..offset].bytes().filter(|b| *b == b'\n').count() + 1
    }

    pub fn place(&self, offset: usize) -> String {
        format!("{}:{}", self.path, self.line_of(offset))
    }

    /// Lines of the file, its `#[cfg(test)]` items not counted.
    pub fn lines_without_tests(&self) -> usize {
        let all = self.text.lines().count();
        if is_test_file(&self.path) {
            return all;
        }
        let tests: usize = self.tests.iter().map(|range| self.text[range.clone()].lines().count()).sum();
        all.saturating_sub(tests)
    }

    /// Offsets where `needle` stands in the code as a whole word (at both ends that are word characters).
    pub fn find<'a>(&'a self, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
        let code = self.code.as_bytes();
        let (first, last) = (needle.as_bytes()[0], needle.as_bytes()[needle.len() - 1]);
        self.code.match_indices(needle).map(|(at, _)| at).filter(move |&at| {
            let before = at.checked_sub(1).and_then(|i| code.get(i)).is_some_and(|b| is_word(*b));
            let after = code.get(at + needle.len()).is_some_and(|b| is_word(*b));
            !(is_word(first) && before || is_word(last) && after)
        })
    }

    /// The offset just after the bracket that closes the one at `open`.
    pub fn closing(&self, open: usize) -> usize {
        closing(&self.code, open)
    }
}

pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub fn is_test_file(path: &str) -> bool {
    path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
        || path.starts_with("crates/dev/testkit/")
}

fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// The items under `#[cfg(test)]` that have a body in this file.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for (start, attribute) in code.match_indices("#[cfg(test)]") {
        let rest = start + attribute.len();
        let Some(stop) = code[rest..].find(['{', ';']).map(|at| rest + at) else { continue };
        if code.as_bytes()[stop] == b'{' {
            items.push(start..closing(code, stop));
        }
    }
    items
}

/// Blanks comments and the insides of literals; says where the string literals were.
fn blank(text: &str) -> (String, Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut strings = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => line_end(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => comment_end(bytes, at),
            b'"' => {
                let end = string_end(bytes, at);
                strings.push(at + 1..end - 1);
                wipe(&mut out, at + 1..end - 1);
                at = end;
                continue;
            }
            b'r' if !at.checked_sub(1).is_some_and(|i| is_word(bytes[i]) && bytes[i] != b'b') => {
                match raw_string(bytes, at) {
                    Some(inside) => {
                        at = inside.end + (inside.start - at - 1);
                        wipe(&mut out, inside.clone());
                        strings.push(inside);
                        at = at.min(bytes.len());
                        continue;
                    }
                    None => {
                        at += 1;
                        continue;
                    }
                }
            }
            b'\'' => match char_end(bytes, at) {
                Some(end) => {
                    wipe(&mut out, at + 1..end - 1);
                    at = end;
                    continue;
                }
                None => {
                    at += 1;
                    continue;
                }
            },
            _ => {
                at += 1;
                continue;
            }
        };
        wipe(&mut out, at..end);
        at = end;
    }
    (String::from_utf8_lossy(&out).into_owned(), strings)
}

fn wipe(out: &mut [u8], range: Range<usize>) {
    for byte in &mut out[range] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n)
}

fn comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut at) = (0usize, start);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Just after the closing quote of the string that opens at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The inside of the raw string whose `r` is at `start`, when there is one.
fn raw_string(bytes: &[u8], start: usize) -> Option<Range<usize>> {
    let hashes = bytes[start + 1..].iter().take_while(|b| **b == b'#').count();
    let open = start + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let inside = open + 1;
    let closes = |at: usize| {
        bytes[at] == b'"' && bytes[at + 1..].iter().take(hashes).filter(|b| **b == b'#').count() == hashes
    };
    let end = (inside..bytes.len()).find(|at| closes(*at))?;
    Some(inside..end)
}

/// Just after the closing quote of a character literal; `None` for a lifetime.
fn char_end(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes.get(start + 1) == Some(&b'\\') {
        let close = bytes[start + 3..].iter().position(|b| *b == b'\'')?;
        return Some(start + 3 + close + 1);
    }
    // One character of one to four bytes, then the quote.
    (2..=5)
        .find(|n| {
            let one = std::str::from_utf8(bytes.get(start + 1..start + n).unwrap_or_default());
            bytes.get(start + n) == Some(&b'\'') && one.is_ok_and(|c| c.chars().count() == 1)
        })
        .map(|n| start + n + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r####"
//! Doc with .unwrap() in it.
fn f<'a>(x: &'a str) -> char { let c = '"'; let q = '\''; /* a /* nested */ b */ c }
const S: &str = "quoted \" .unwrap()"; const R: &str = r#"raw " text"#; const B: &[u8] = br"bytes";
#[cfg(test)]
mod tests {
    fn t() { y.unwrap() }
}
fn after() { z.unwrap() }
"####;

    #[test]
    fn comments_and_literals_are_blanked() {
        let source = Source::parse("crates/x/src/lib.rs", SAMPLE.to_owned());
        assert_eq!(source.code.len(), source.text.len());
        assert_eq!(source.code.matches(".unwrap()").count(), 2);
        assert!(!source.code.contains("nested") && !source.code.contains("raw"));
        let strings: Vec<_> = source.strings.iter().map(|r| &source.text[r.clone()]).collect();
        assert_eq!(strings, [r#"quoted \" .unwrap()"#, "raw \" text", "bytes"]);
    }

    #[test]
    fn test_items_are_known() {
        let source = Source::parse("crates/x/src/lib.rs", SAMPLE.to_owned());
        let in_test: Vec<_> = source.find(".unwrap()").map(|at| source.in_test(at)).collect();
        assert_eq!(in_test, [true, false]);
        assert_eq!(source.lines_without_tests(), SAMPLE.lines().count() - 4);
    }

    #[test]
    fn whole_words_only() {
        let source = Source::parse("crates/x/src/lib.rs", "fn todo_list() { todo!() }".to_owned());
        assert_eq!(source.find("todo").count(), 1);
    }
}
