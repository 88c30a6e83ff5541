//! Documents: links resolve, every crate is explained and on the map, nothing names this machine.

use std::path::Path;

use anyhow::Result;

use super::Finding;
use super::source::Source;
use crate::process::root;

/// Hosts of package registries and folders of the machine at hand. In halves, so as not to find themselves.
const UNWANTED: [&str; 9] = [
    concat!("registry.", "npmjs.org"),
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("pypi.", "org"),
    concat!("proxy.", "golang.org"),
    concat!("/work", "/main"),
    concat!("/work", "/notes"),
    concat!("/work", "/shared"),
    concat!("/root", "/"),
];

pub fn check(files: &[String], sources: &[Source]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in files {
        let Ok(text) = std::fs::read_to_string(root().join(path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            for unwanted in UNWANTED.iter().filter(|unwanted| line.contains(**unwanted)) {
                let message =
                    format!("names {unwanted}: no registry hosts or machine paths in tracked files");
                findings.push(Finding::new(format!("{path}:{}", number + 1), message));
            }
        }
        if path.ends_with(".md") {
            links(path, &text, &mut findings);
            tests_named(path, &text, sources, &mut findings);
        }
    }
    crates(files, sources, &mut findings);
    Ok(findings)
}

/// Relative links must name a file of the checkout, and a heading of it where they have a fragment.
fn links(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    for target in targets(text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let linked = if file.is_empty() { root().join(path) } else { root().join(folder).join(file) };
        if !linked.exists() {
            findings.push(Finding::new(path, format!("dead link {target}")));
        } else if !heading.is_empty() {
            let text = std::fs::read_to_string(&linked).unwrap_or_default();
            if !anchors(&text).any(|anchor| anchor == heading) {
                findings.push(Finding::new(path, format!("no heading for link {target}")));
            }
        }
    }
}

/// Tests that a table names, as `file::what_it_says`, exist.
fn tests_named(path: &str, text: &str, sources: &[Source], findings: &mut Vec<Finding>) {
    for name in named_tests(text) {
        let function = format!("fn {}(", name.rsplit("::").next().unwrap_or_default());
        let module = name.rsplit("::").nth(1).unwrap_or_default();
        let is_there = |source: &&Source| source.path.contains(module) && source.text.contains(&function);
        if !sources.iter().any(|source| is_there(&source)) {
            findings.push(Finding::new(path, format!("there is no test {name}")));
        }
    }
}

/// Names with a path in the code of tables, long enough for a sentence.
fn named_tests(text: &str) -> impl Iterator<Item = &str> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2)).filter(|code| {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c);
        let last = code.rsplit_once("::").map_or("", |(_, last)| last);
        code.chars().all(is_name) && last.matches('_').count() > 1
    })
}

/// Targets of `[text](target)`, code blocks left out.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| {
        part.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|t| !t.contains(' '))
    })
}

fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        title
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .collect::<String>()
            .replace(' ', "-")
    })
}

/// Every crate has a module doc at its root and a place on the map.
fn crates(files: &[String], sources: &[Source], findings: &mut Vec<Finding>) {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap_or_default();
    for manifest in files.iter().filter(|f| f.starts_with("crates/") && f.ends_with("/Cargo.toml")) {
        let folder = manifest.trim_end_matches("/Cargo.toml");
        let name = folder.rsplit('/').next().unwrap_or_default();
        if !map.contains(&format!("`{name}`")) {
            findings.push(Finding::new(manifest, format!("ARCHITECTURE.md does not list `{name}`")));
        }
        for file in ["lib.rs", "main.rs"].map(|file| format!("{folder}/src/{file}")) {
            if let Some(source) = sources.iter().find(|s| s.path == file)
                && !source.text.trim_start().starts_with("//!")
            {
                findings.push(Finding::new(file, "no module doc: say what the crate is for"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_links_outside_code() {
        let text = "see [a](x.md) and [b](y.md#part)\n```\n[c](z.md)\n```\n[d](w.md)";
        assert_eq!(targets(text).collect::<Vec<_>>(), ["x.md", "y.md#part", "w.md"]);
    }

    #[test]
    fn tests_are_named_in_tables() {
        let text =
            "`a::not_in_a_table`\n| x | `main::sessions::it_holds_well`, `a::b`, `x_y_z`, `A::b_c_d` |";
        assert_eq!(named_tests(text).collect::<Vec<_>>(), ["main::sessions::it_holds_well"]);
    }

    #[test]
    fn headings_become_anchors() {
        assert_eq!(anchors("# One two\ntext\n## A `b`, c").collect::<Vec<_>>(), ["one-two", "a-b-c"]);
    }
}
