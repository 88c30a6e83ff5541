//! A statement without its values.

use super::values::Values;
use crate::statement::Statement;
use bytes::Bytes;
use sql::{Fragment, Param};

/// What makes the statement of a shape, given the values.
#[derive(Debug)]
pub struct Template {
    /// With stand-ins for the values.
    statement: Statement,
    /// For each parameter of each part, in their order, the value that it is; nothing where it is the same each time.
    sources: Vec<Option<usize>>,
}

impl Template {
    /// The template of a statement that was made of stand-ins, unless one of them is not a parameter of its own.
    pub fn of(statement: Statement, stand_ins: &Values) -> Option<Self> {
        let marks = stand_ins.parameters();
        let mut found = vec![false; marks.len()];
        let mut sources = Vec::new();
        for part in parts(&statement) {
            if Values::is_marked(part.text().as_bytes()) {
                return None;
            }
            for param in part.params() {
                let source = source(param, &marks)?;
                if let Some(at) = source {
                    found[at] = true;
                }
                sources.push(source);
            }
        }
        // What has not been found may have come out in another guise.
        found.into_iter().all(|found| found).then_some(Template { statement, sources })
    }

    /// The statement with these values.
    pub fn statement(&self, values: &Values) -> Statement {
        let values = values.parameters();
        let mut sources = self.sources.iter();
        let mut fill = |part: &Fragment| {
            let fill = |param: &Param| match sources.next() {
                Some(Some(at)) => values.get(*at).cloned(),
                _ => param.clone(),
            };
            Fragment::from_parts(part.text().to_owned(), part.params().iter().map(fill).collect())
        };
        // Every field is named: one that is added must be thought of, here and below, and in the same order.
        let Statement { main, form, before, after, estimate } = &self.statement;
        Statement {
            main: fill(main),
            form: *form,
            before: before.as_ref().map(&mut fill),
            after: after.as_ref().map(&mut fill),
            estimate: estimate.as_ref().map(&mut fill),
        }
    }

    /// How long its texts are.
    pub fn bytes(&self) -> usize {
        parts(&self.statement).map(|part| part.text().len()).sum()
    }
}

fn parts(statement: &Statement) -> impl Iterator<Item = &Fragment> {
    let Statement { main, form: _, before, after, estimate } = statement;
    std::iter::once(main).chain(before).chain(after).chain(estimate)
}

/// Which stand-in a parameter is, or that it is none; nothing when it holds one among other things.
fn source(param: &Param, marks: &[Bytes]) -> Option<Option<usize>> {
    let Some(bytes) = param else { return Some(None) };
    match marks.iter().position(|mark| mark == bytes) {
        Some(at) => Some(Some(at)),
        None => (!Values::is_marked(bytes)).then_some(None),
    }
}
