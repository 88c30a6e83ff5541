//! Lengths of files and functions: a warning, then a limit.

use super::Finding;
use super::exceptions::Exceptions;
use super::source::{Source, is_test_file, is_word};

const FILE_WARN: usize = 500;
const FILE_FAIL: usize = 800;
const FUNCTION_WARN: usize = 60;
const FUNCTION_FAIL: usize = 100;

pub fn check(source: &Source, exceptions: &mut Exceptions, verbose: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if is_test_file(&source.path) {
        return findings;
    }
    let lines = source.lines_without_tests();
    if lines > FILE_FAIL && !exceptions.allows(&source.path, lines) {
        let message = format!("{lines} lines without tests, the limit is {FILE_FAIL}: split it by concept");
        findings.push(Finding::new(&source.path, message));
    } else if lines > FILE_WARN {
        println!("warning: {}: {lines} lines without tests", source.path);
    }
    for function in functions(source) {
        let subject = format!("{}#{}", source.path, function.name);
        if function.lines > FUNCTION_FAIL && !exceptions.allows(&subject, function.lines) {
            let message =
                format!("fn {} has {} lines, the limit is {FUNCTION_FAIL}", function.name, function.lines);
            findings.push(Finding::new(source.place(function.offset), message));
        } else if function.lines > FUNCTION_WARN && verbose {
            println!(
                "warning: {}: fn {} has {} lines",
                source.place(function.offset),
                function.name,
                function.lines
            );
        }
    }
    findings
}

struct Function {
    name: String,
    offset: usize,
    lines: usize,
}

/// Functions with a body, from signature to closing brace, tests left out.
fn functions(source: &Source) -> Vec<Function> {
    let code = source.code.as_bytes();
    let mut found = Vec::new();
    for at in source.find("fn") {
        let name_at = at + 2 + code[at + 2..].iter().take_while(|b| b.is_ascii_whitespace()).count();
        let name: String = code[name_at..].iter().take_while(|b| is_word(**b)).map(|b| *b as char).collect();
        if name.is_empty() || source.in_test(at) {
            continue;
        }
        if let Some(open) = body(source, name_at) {
            let lines = source.text[at..source.closing(open)].lines().count();
            found.push(Function { name, offset: at, lines });
        }
    }
    found
}

/// The brace that opens the body of the function whose name is at `at`; `None` for a declaration.
fn body(source: &Source, at: usize) -> Option<usize> {
    let code = source.code.as_bytes();
    let mut at = at;
    while at < code.len() {
        match code[at] {
            b'{' => return Some(at),
            b';' => return None,
            b'(' | b'[' => at = source.closing(at),
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured() {
        let text = "trait T { fn declared(&self) -> [u8; 2]; }\nfn one() { }\nfn three(f: fn(u8)) -> [u8; 3]\n{\n}\n";
        let source = Source::parse("crates/x/src/lib.rs", text.to_owned());
        let found: Vec<_> = functions(&source).into_iter().map(|f| (f.name, f.lines)).collect();
        assert_eq!(found, [("one".to_owned(), 1), ("three".to_owned(), 3)]);
    }
}
