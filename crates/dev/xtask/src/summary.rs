//! Counts of passed and failed tests, read from the output of the tools that ran them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

#[derive(Default)]
pub struct Summary {
    pub passed: u64,
    pub failed: u64,
    failures: Vec<String>,
}

impl Summary {
    /// Counts one step without tests of its own (a lint, a build).
    pub fn step(&mut self, name: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(error) => {
                println!("{error}");
                self.failed += 1;
                self.failures.push(name.to_owned());
            }
        }
    }

    /// Runs a test command, shows its output as it comes and counts its results. A command that fails
    /// without naming a failed test (it did not compile, it crashed) counts as one failure.
    pub fn tests(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let mut child =
            command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {command:?}"))?;
        let failed_before = self.failed;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines() {
                let line = line?;
                println!("{line}");
                self.count(&line);
            }
        }
        let status = child.wait()?;
        if !status.success() {
            if self.failed == failed_before {
                self.failed += 1;
            }
            self.failures.push(name.to_owned());
        }
        Ok(())
    }

    /// Understands libtest (`test result: ok. 3 passed; 0 failed; …`) and node:test (`# pass 3`, `ℹ fail 1`).
    fn count(&mut self, line: &str) {
        let line = line.trim();
        if let Some(result) = line.strip_prefix("test result: ") {
            for part in result.split(['.', ';']) {
                let mut words = part.split_whitespace();
                match (words.next().and_then(|n| n.parse::<u64>().ok()), words.next()) {
                    (Some(number), Some("passed")) => self.passed += number,
                    (Some(number), Some("failed")) => self.failed += number,
                    _ => {}
                }
            }
        } else if let Some(result) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) {
            let mut words = result.split_whitespace();
            match (words.next(), words.next().and_then(|n| n.parse::<u64>().ok())) {
                (Some("pass"), Some(number)) => self.passed += number,
                (Some("fail" | "cancelled"), Some(number)) => self.failed += number,
                _ => {}
            }
        }
    }

    /// Prints what failed and, last of all, the count.
    pub fn finish(&self) -> bool {
        for name in &self.failures {
            println!("failed: {name}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_libtest_and_node_lines() {
        let mut summary = Summary::default();
        for line in [
            "test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
            "# pass 4",
            "ℹ fail 2",
            "test tests::ok ... ok",
            "# Subtest: 7 passed",
        ] {
            summary.count(line);
        }
        assert_eq!((summary.passed, summary.failed), (16, 3));
    }

    #[test]
    fn a_crash_is_a_failure() {
        let mut summary = Summary::default();
        summary.tests("false", &mut Command::new("false")).unwrap();
        assert_eq!((summary.passed, summary.failed), (0, 1));
        assert!(!summary.finish());
    }
}
