//! Taking a file of SQL apart into its statements, as psql does: by the lexical rules of PostgreSQL, without
//! understanding more than where quotes, comments, parentheses and `begin atomic` bodies end.

/// The statements of `text`, without their semicolons and the blanks around them. Comments before a statement
/// stay with it; what holds only comments and blanks is no statement.
pub fn split(text: &str) -> Vec<String> {
    let mut scanner = Scanner { bytes: text.as_bytes(), at: 0 };
    let mut statements = Vec::new();
    let (mut start, mut depth, mut has_code) = (0, 0_u32, false);
    let mut body = Body::default();
    while let Some(byte) = scanner.peek() {
        let from = scanner.at;
        if scanner.skip_blank_or_comment() {
            continue;
        }
        if byte == b';' && depth == 0 && !body.is_open() {
            scanner.at += 1;
            if has_code {
                statements.push(text[start..from].trim().to_owned());
            }
            (start, has_code, body) = (scanner.at, false, Body::default());
            continue;
        }
        has_code = true;
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if scanner.skip_quoted() {
            continue;
        }
        if is_word_start(byte) {
            body.word(scanner.word());
        } else {
            scanner.at += 1;
        }
    }
    if has_code {
        statements.push(text[start..].trim().to_owned());
    }
    statements
}

/// The words of a statement that are not in quotes or comments, lower case, at most `max` of them.
pub fn leading_words(statement: &str, max: usize) -> Vec<String> {
    let mut scanner = Scanner { bytes: statement.as_bytes(), at: 0 };
    let mut words = Vec::new();
    while let Some(byte) = scanner.peek() {
        if words.len() == max {
            break;
        }
        if scanner.skip_blank_or_comment() || scanner.skip_quoted() {
            continue;
        }
        if is_word_start(byte) {
            words.push(scanner.word().to_ascii_lowercase());
        } else {
            scanner.at += 1;
        }
    }
    words
}

/// Follows a statement's words to know whether it is inside a function body that is written in plain SQL
/// (`begin atomic … end`), where semicolons do not end the statement.
#[derive(Default)]
struct Body {
    first_words: Vec<String>,
    after_begin: bool,
    depth: u32,
}

impl Body {
    fn word(&mut self, word: &str) {
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        if self.first_words.len() < 4 {
            self.first_words.push(word.to_ascii_lowercase());
        }
        if !self.creates_routine() {
            return;
        }
        if std::mem::replace(&mut self.after_begin, is("begin")) && is("atomic") {
            self.depth = 1;
        } else if self.depth > 0 && is("case") {
            self.depth += 1;
        } else if self.depth > 0 && is("end") {
            self.depth -= 1;
        }
    }

    fn creates_routine(&self) -> bool {
        let words: Vec<_> = self.first_words.iter().map(String::as_str).collect();
        matches!(
            words.as_slice(),
            ["create", "function" | "procedure", ..] | ["create", "or", "replace", "function" | "procedure"]
        )
    }

    fn is_open(&self) -> bool {
        self.depth > 0
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn starts_with(&self, prefix: &[u8]) -> bool {
        self.bytes[self.at..].starts_with(prefix)
    }

    /// Moves past the next `end`, or to the end of the text.
    fn skip_past(&mut self, end: &[u8]) {
        let rest = &self.bytes[self.at..];
        let found = rest.windows(end.len()).position(|window| window == end);
        self.at = found.map_or(self.bytes.len(), |position| self.at + position + end.len());
    }

    fn skip_blank_or_comment(&mut self) -> bool {
        if self.starts_with(b"--") {
            self.skip_past(b"\n");
        } else if self.starts_with(b"/*") {
            self.skip_block_comment();
        } else if self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        } else {
            return false;
        }
        true
    }

    /// Block comments nest.
    fn skip_block_comment(&mut self) {
        let mut depth = 0_u32;
        while self.at < self.bytes.len() {
            if self.starts_with(b"/*") {
                (depth, self.at) = (depth + 1, self.at + 2);
            } else if self.starts_with(b"*/") {
                (depth, self.at) = (depth - 1, self.at + 2);
                if depth == 0 {
                    return;
                }
            } else {
                self.at += 1;
            }
        }
    }

    fn skip_quoted(&mut self) -> bool {
        match self.peek() {
            Some(b'\'') => self.skip_string(b'\'', false),
            Some(b'"') => self.skip_string(b'"', false),
            Some(b'e' | b'E') if self.bytes.get(self.at + 1) == Some(&b'\'') => {
                self.at += 1;
                self.skip_string(b'\'', true);
            }
            Some(b'$') => return self.skip_dollar_quoted(),
            _ => return false,
        }
        true
    }

    /// Moves past a string that begins here. A doubled quote ends one string and begins the next, which comes to
    /// the same.
    fn skip_string(&mut self, quote: u8, has_escapes: bool) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            if byte == quote {
                if self.peek() == Some(quote) {
                    self.at += 1;
                    continue;
                }
                return;
            }
            if has_escapes && byte == b'\\' {
                self.at += 1;
            }
        }
        self.at = self.bytes.len();
    }

    fn skip_dollar_quoted(&mut self) -> bool {
        let rest = &self.bytes[self.at + 1..];
        let length = rest.iter().position(|byte| !is_word_part(*byte) || *byte == b'$').unwrap_or(rest.len());
        let is_tag = rest.get(length) == Some(&b'$') && !rest.first().is_some_and(u8::is_ascii_digit);
        if !is_tag {
            return false;
        }
        let tag = &self.bytes[self.at..self.at + length + 2];
        self.at += tag.len();
        self.skip_past(tag);
        true
    }

    fn word(&mut self) -> &'a str {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| !is_word_part(*byte)).unwrap_or(rest.len());
        self.at += length;
        std::str::from_utf8(&rest[..length]).unwrap_or_default()
    }
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

/// Within a word a dollar sign is a letter: `a$b$` begins no quote.
fn is_word_part(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(split(text), expected, "{text}");
    }

    #[test]
    fn semicolons_end_statements_and_blanks_are_none() {
        check("select 1; select 2 ;\n;; -- end\n", &["select 1", "select 2"]);
        check("select 1", &["select 1"]);
        check(" \n-- nothing\n/* at all */", &[]);
        check("-- about\nselect 1; -- tail", &["-- about\nselect 1"]);
    }

    #[test]
    fn quotes_and_comments_hide_semicolons() {
        check("select ';', 'it''s;', \"a;b\", E'\\';' ; x", &["select ';', 'it''s;', \"a;b\", E'\\';'", "x"]);
        check("select '\\'; y", &["select '\\'", "y"]);
        check("/* ; /* ; */ ; */ select 1; b", &["/* ; /* ; */ ; */ select 1", "b"]);
        check("select 1 -- ; '\n; b", &["select 1 -- ; '", "b"]);
        check(
            "select $$a;b$$; select $x$ $$;$$ ; $x$; c",
            &["select $$a;b$$", "select $x$ $$;$$ ; $x$", "c"],
        );
        check("select $1; select a$b$ ; c", &["select $1", "select a$b$", "c"]);
        check("select 'ä;ö'; ü", &["select 'ä;ö'", "ü"]);
    }

    #[test]
    fn rules_and_plain_sql_bodies_hold_semicolons() {
        let rule = "create rule r as on insert to t do (select 1; select 2)";
        check(&format!("{rule}; x"), &[rule, "x"]);
        let body = "create or replace function f(a int) returns int begin atomic select 1; \
                    select case when a > 1 then 2 end; end";
        check(&format!("{body}; x"), &[body, "x"]);
        check("begin; create table atomic (); end; x", &["begin", "create table atomic ()", "end", "x"]);
        check("create table t (); begin; x", &["create table t ()", "begin", "x"]);
        check(
            "create procedure p() language sql begin atomic insert into t values (1); end; x",
            &["create procedure p() language sql begin atomic insert into t values (1); end", "x"],
        );
    }

    #[test]
    fn unfinished_text_is_one_statement() {
        check("select 'a; b", &["select 'a; b"]);
        check("select $$a; b", &["select $$a; b"]);
        check("/* a; b", &[]);
    }

    #[test]
    fn words_skip_comments_and_quotes() {
        assert_eq!(
            leading_words("/* x */ CREATE unique\n-- y\nINDEX \"a b\" on t", 4),
            ["create", "unique", "index", "on"]
        );
    }
}
