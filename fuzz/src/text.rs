//! What holds for every statement's text: names and literals are closed, and between them there is only what the
//! product writes: no second statement, no comment, nothing from outside ASCII.

/// Panics when a text breaks that.
pub fn check(sql: &str) {
    let mut rest = sql;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        if let Some(after) = type_name(rest) {
            rest = after;
            continue;
        }
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '"' => quoted(after, '"', false, sql),
            '\'' => quoted(after, '\'', matches!(before, 'E' | 'e'), sql),
            _ => {
                assert!(c.is_ascii_graphic() || c == ' ', "{c:?} outside quotes: {sql}");
                assert!(c != ';' && c != '\\', "{c:?} outside quotes: {sql}");
                assert!(!rest.starts_with("--") && !rest.starts_with("/*"), "a comment: {sql}");
                assert!(c != '$' || after.starts_with(|d: char| d.is_ascii_digit()), "dollar quote: {sql}");
                after
            }
        };
        before = c;
    }
}

/// What follows a cast's type, the one thing that a request writes without quotes: words only, and then the cast ends.
fn type_name(text: &str) -> Option<&str> {
    let (name, after) = text.strip_prefix(" as ")?.split_once(')')?;
    let plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '$'));
    plain.then_some(after)
}

/// What follows the closing quote; doubled ones are content.
fn quoted<'a>(text: &'a str, quote: char, backslashes: bool, sql: &str) -> &'a str {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        assert!(c != '\0', "a zero byte: {sql}");
        if backslashes && c == '\\' {
            chars.next();
        } else if c == quote {
            match chars.peek() {
                Some((_, next)) if *next == quote => {
                    chars.next();
                }
                _ => return &text[at + 1..],
            }
        }
    }
    panic!("an open quote: {sql}");
}
