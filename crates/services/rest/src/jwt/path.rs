//! Where in the claims the role is: a small part of JSONPath, and the older syntax without `$`.

use serde_json::{Map, Value};

/// The way to the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolePath {
    /// Nothing when the setting cannot be read: then no token names a role.
    steps: Option<Vec<Step>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    /// The first element that is such a text.
    Where(Comparison, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    StartsWith,
    EndsWith,
    Contains,
}

impl RolePath {
    /// `$.role`, `.role`, `$.app.roles[0]`, `$["a b"]`, `$.roles[?(@ == "admin")]`.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        RolePath { steps: steps(text.strip_prefix('$').unwrap_or(text)) }
    }

    /// Whether the setting is a path at all.
    pub fn is_valid(&self) -> bool {
        self.steps.as_ref().is_some_and(|steps| matches!(steps.first(), Some(Step::Key(_))))
    }

    /// What the path leads to.
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.steps.as_ref()?.split_first()?;
        let Step::Key(key) = first else { return None };
        rest.iter().try_fold(claims.get(key)?, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
            Step::Where(comparison, wanted) => value
                .as_array()?
                .iter()
                .find(|item| item.as_str().is_some_and(|text| comparison.holds(text, wanted))),
        })
    }
}

impl Comparison {
    fn holds(self, text: &str, wanted: &str) -> bool {
        match self {
            Comparison::Equal => text == wanted,
            Comparison::NotEqual => text != wanted,
            Comparison::StartsWith => text.starts_with(wanted),
            Comparison::EndsWith => text.ends_with(wanted),
            Comparison::Contains => text.contains(wanted),
        }
    }
}

fn steps(mut rest: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, left) = match rest.strip_prefix('.') {
            Some(after) if after.starts_with('"') => {
                let (key, left) = quoted(after)?;
                (Step::Key(key), left)
            }
            Some(after) => {
                let of_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '@' | '-');
                let end = after.find(|c| !of_key(c)).filter(|end| *end > 0);
                let end = end.or_else(|| after.chars().all(of_key).then_some(after.len()))?;
                (Step::Key(after[..end].to_owned()), &after[end..])
            }
            None => bracket(rest.strip_prefix('[')?.trim_start())?,
        };
        steps.push(step);
        rest = left;
    }
    Some(steps)
}

fn bracket(rest: &str) -> Option<(Step, &str)> {
    if rest.starts_with(['"', '\'']) {
        let (key, left) = quoted(rest)?;
        return Some((Step::Key(key), left.trim_start().strip_prefix(']')?));
    }
    let (inner, left) = match rest.strip_prefix('?') {
        None => rest.split_once(']')?,
        Some(filter) => {
            let filter =
                filter.trim_start().trim_start_matches('(').trim_start().strip_prefix('@')?.trim_start();
            let operators = [
                ("==^", Comparison::EndsWith),
                ("==", Comparison::Equal),
                ("!=", Comparison::NotEqual),
                ("^==", Comparison::StartsWith),
                ("*==", Comparison::Contains),
            ];
            let (operator, comparison) =
                operators.iter().find(|(operator, _)| filter.starts_with(operator))?;
            let (text, left) = quoted(filter[operator.len()..].trim_start())?;
            let left = left.trim_start().trim_start_matches(')').trim_start().strip_prefix(']')?;
            return Some((Step::Where(*comparison, text), left));
        }
    };
    Some((Step::Index(inner.trim().parse().ok()?), left))
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (inner, left) = text[1..].split_once(quote)?;
    Some((inner.to_owned(), left))
}
