//! What may be written where, from the text of the Rust files.

use super::Finding;
use super::source::Source;

pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    unfinished(source, &mut findings);
    if is_xtask(&source.path) {
        return findings;
    }
    environment(source, &mut findings);
    unwraps(source, &mut findings);
    look_ups(source, &mut findings);
    sleeps_in_tests(source, &mut findings);
    formatted_sql(source, &mut findings);
    error_bodies(source, &mut findings);
    findings
}

/// The tool itself is a program for developers: it reads the environment and waits by polling.
fn is_xtask(path: &str) -> bool {
    path.starts_with("crates/dev/xtask/")
}

/// Written in halves so that the rule does not find itself.
fn unfinished(source: &Source, findings: &mut Vec<Finding>) {
    for mark in [concat!("FIX", "ME"), concat!("XX", "X:"), concat!("HA", "CK:")] {
        for (at, _) in source.text.match_indices(mark) {
            findings
                .push(Finding::new(source.place(at), format!("{mark} is for an issue, not for the source")));
        }
    }
    for call in ["todo!", "unimplemented!"] {
        for at in source.find(call) {
            findings.push(Finding::new(source.place(at), format!("{call} is unfinished work")));
        }
    }
}

/// What asks the process for its surroundings; `split_paths` and the like only compute.
const ENVIRONMENT: [&str; 9] = [
    "env::var",
    "env::var_os",
    "env::vars",
    "env::args",
    "env::args_os",
    "env::set_var",
    "env::current_dir",
    "env::temp_dir",
    "env::home_dir",
];

fn environment(source: &Source, findings: &mut Vec<Finding>) {
    let program = source.path.starts_with("crates/house/rowhouse/") || source.path.contains("/examples/");
    if program || source.path.starts_with("crates/dev/") {
        return;
    }
    for call in ENVIRONMENT {
        for at in source.find(call).filter(|at| !source.in_test(*at)) {
            let message = "only house/rowhouse reads the environment: take the value as a parameter";
            findings.push(Finding::new(source.place(at), message));
        }
    }
}

fn unwraps(source: &Source, findings: &mut Vec<Finding>) {
    for at in source.find(".unwrap()").filter(|at| !source.in_test(*at)) {
        let message = "no unwrap outside tests: handle it, or state the invariant with expect";
        findings.push(Finding::new(source.place(at), message));
    }
}

/// A look-up takes a thread for as long as the system likes: `outbound` counts them.
fn look_ups(source: &Source, findings: &mut Vec<Finding>) {
    let own = ["crates/works/outbound/", "crates/services/rest/src/standalone/", "crates/dev/"];
    if own.iter().any(|path| source.path.starts_with(path)) {
        return;
    }
    for at in source.find("lookup_host").filter(|at| !source.in_test(*at)) {
        findings.push(Finding::new(source.place(at), "names are looked up by outbound::look_up"));
    }
}

fn sleeps_in_tests(source: &Source, findings: &mut Vec<Finding>) {
    if source.path.starts_with("crates/dev/testkit/") {
        return; // the one place that polls, with a deadline, so that tests need not
    }
    for call in ["time::sleep", "thread::sleep"] {
        for at in source.find(call).filter(|at| source.in_test(*at)) {
            findings.push(Finding::new(source.place(at), "a test waits for an event, never for a time"));
        }
    }
}

/// Words that begin a statement. Two words where one is ordinary English.
const STATEMENTS: [&str; 26] = [
    "select ",
    "insert into ",
    "delete from ",
    "update ",
    "with ",
    "create table",
    "create schema",
    "create role",
    "create policy",
    "create index",
    "create unique",
    "create database",
    "create function",
    "create or replace",
    "create extension",
    "alter table",
    "alter role",
    "alter database",
    "alter default",
    "drop table",
    "drop schema",
    "drop database",
    "grant ",
    "revoke ",
    "truncate ",
    "set local ",
];

/// What makes a name or value safe to put into a statement's text.
const QUOTING: [&str; 3] = ["quote_ident(", "quote_literal(", "Ident::new("];

/// Marks a statement that is put together as text, with the reason why that is safe, on a line just above.
const SQL_TEXT: &str = concat!("// SQL", " text: ");

fn explained(source: &Source, at: usize) -> bool {
    let above = source.text[..at].lines().rev().take(5);
    above.into_iter().any(|line| line.trim_start().starts_with(SQL_TEXT))
}

/// `format!("select … {}")`: values and names must go through `sql::Fragment` and `Ident`.
fn formatted_sql(source: &Source, findings: &mut Vec<Finding>) {
    for call in ["format!", "write!", "writeln!"] {
        for at in source.find(call).filter(|at| !source.in_test(*at)) {
            let Some(literal) = source.strings.iter().find(|range| range.start > at) else { continue };
            let open = at + call.len();
            if literal.start > source.closing(open) {
                continue;
            }
            let text = source.text[literal.clone()].trim_start().to_ascii_lowercase().replace("{{", "");
            let holes = text.matches('{').count();
            let call_text = &source.code[open..source.closing(open)];
            let quoted: usize = QUOTING.iter().map(|quote| call_text.matches(quote).count()).sum();
            if holes == quoted || explained(source, at) {
                continue;
            }
            let statement = STATEMENTS.iter().any(|start| text.starts_with(start));
            // English that begins like a statement ("update of {} failed") has no SQL keyword after it.
            let certain = !matches!(text.split(' ').next(), Some("update" | "with" | "grant"))
                || [" set ", " as (", " on ", " to "].iter().any(|word| text.contains(word));
            if statement && certain {
                let message = "format! into SQL: build it with sql::Fragment, names through Ident, or say why this \
                               is safe in a `// SQL text: …` comment just above";
                findings.push(Finding::new(source.place(at), message));
            }
        }
    }
}

/// A JSON object with a code and a message is an error body: those are `fault`'s.
fn error_bodies(source: &Source, findings: &mut Vec<Finding>) {
    if source.path.starts_with("crates/ground/fault/") {
        return;
    }
    for at in source.find("json!").filter(|at| !source.in_test(*at)) {
        let body = &source.text[at..source.closing(at + "json!".len())];
        let keyed = |key: &str| body.contains(&format!("\"{key}\":"));
        let success = body.contains("\"code\": \"200\"");
        if !success && (keyed("code") || keyed("error_code")) && (keyed("message") || keyed("msg")) {
            findings.push(Finding::new(source.place(at), "an error body: only fault builds those"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&Source::parse(path, text.to_owned())).into_iter().map(|f| f.message).collect()
    }

    #[test]
    fn each_rule_finds_its_case() {
        let cases = [
            "fn f() { let v = std::env::var(\"HOME\"); }",
            "fn f() { g().unwrap(); }",
            "fn f() { tokio::net::lookup_host(x); }",
            "#[cfg(test)] mod tests { fn f() { std::thread::sleep(d); } }",
            "fn f() { format!(\"select * from {table}\"); }",
            "fn f() { format!(\"update {table} set a = 1\"); }",
            "fn f() { json!({\"code\": 1, \"message\": \"m\"}); }",
        ];
        for case in cases {
            assert_eq!(messages("crates/works/x/src/lib.rs", case).len(), 1, "{case}");
        }
    }

    #[test]
    fn what_is_allowed_is_silent() {
        let cases = [
            ("crates/house/rowhouse/src/main.rs", "fn f() { let v = std::env::var(\"HOME\"); }"),
            ("crates/works/x/src/lib.rs", "#[cfg(test)] mod tests { fn f() { g().unwrap(); } }"),
            ("crates/works/x/src/lib.rs", "fn f() { tokio::time::sleep(d).await; }"),
            ("crates/works/x/src/lib.rs", "fn f() { format!(\"update of {table} failed\"); }"),
            ("crates/works/x/src/lib.rs", "fn f() { format!(\"drop table {}\", quote_ident(t)); }"),
            (
                "crates/works/x/src/lib.rs",
                "fn f() {\n    // SQL text: a number.\n    format!(\"select {n}\");\n}",
            ),
            ("crates/works/x/src/lib.rs", "fn f() { std::env::split_paths(p); }"),
            ("crates/works/x/src/lib.rs", "// .unwrap() is banned\nfn f() { \"std::env\"; }"),
            ("crates/ground/fault/src/lib.rs", "fn f() { json!({\"code\": 1, \"message\": \"m\"}); }"),
            ("crates/works/x/src/lib.rs", "fn f() { json!({\"code\": 1}); json!({\"message\": \"m\"}); }"),
        ];
        for (path, case) in cases {
            assert_eq!(messages(path, case), Vec::<String>::new(), "{case}");
        }
    }
}
