//! Command-line words: positional ones in order, `--name value` and `--flag` anywhere.

use std::path::PathBuf;

use anyhow::{Context, Result};

pub struct Args {
    words: std::collections::VecDeque<String>,
    options: Vec<(String, Option<String>)>,
}

/// Options that stand alone; every other `--name` takes the word after it.
const FLAGS: [&str; 3] = ["no-e2e", "verbose", "keep"];

impl Args {
    pub fn from_env() -> Self {
        Self::parse(std::env::args().skip(1))
    }

    fn parse(given: impl Iterator<Item = String>) -> Self {
        let mut words = std::collections::VecDeque::new();
        let mut options = Vec::new();
        let mut given = given.peekable();
        while let Some(word) = given.next() {
            match word.strip_prefix("--") {
                Some(name) if FLAGS.contains(&name) => options.push((name.to_owned(), None)),
                Some(name) => match name.split_once('=') {
                    Some((name, value)) => options.push((name.to_owned(), Some(value.to_owned()))),
                    None => options.push((name.to_owned(), given.next())),
                },
                None => words.push_back(word),
            }
        }
        Self { words, options }
    }

    pub fn next_word(&mut self) -> Option<String> {
        self.words.pop_front()
    }

    pub fn flag(&self, name: &str) -> bool {
        self.options.iter().any(|(n, _)| n == name)
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(n, _)| n == name).and_then(|(_, v)| v.as_deref())
    }

    pub fn number(&self, name: &str, default: u64) -> Result<u64> {
        match self.value(name) {
            Some(text) => text.parse().with_context(|| format!("--{name} {text:?} is not a number")),
            None => Ok(default),
        }
    }

    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_options_and_flags() {
        let given = ["rest", "--spec", "dir", "--no-e2e", "--config=default", "more"];
        let mut args = Args::parse(given.into_iter().map(str::to_owned));
        assert_eq!(args.next_word().as_deref(), Some("rest"));
        assert_eq!(args.next_word().as_deref(), Some("more"));
        assert_eq!(args.value("spec"), Some("dir"));
        assert_eq!(args.value("config"), Some("default"));
        assert!(args.flag("no-e2e"));
        assert_eq!(args.number("projects", 7).unwrap(), 7);
    }
}
