//! `order=`.

use super::field::{self, Field};
use super::scan::{Scan, Scanner};

/// One term of an ordering.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrderTerm {
    /// A to-one embed of the same level whose column orders, when not the level's own.
    pub relation: Option<String>,
    pub field: Field,
    pub direction: Option<Direction>,
    pub nulls: Option<Nulls>,
}

/// `asc` or `desc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Ascending,
    Descending,
}

/// Where nulls go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Nulls {
    First,
    Last,
}

/// A comma list of terms.
pub fn order(s: &mut Scanner) -> Scan<Vec<OrderTerm>> {
    s.list(|s| s.spaced(|s| s.or(|s| s.attempt(related_term), own_term)), |s| s.char(',', "\",\""))
}

fn own_term(s: &mut Scanner) -> Scan<OrderTerm> {
    let field = field::field(s)?;
    term_end(s, None, field)
}

fn related_term(s: &mut Scanner) -> Scan<OrderTerm> {
    let relation = field::name(s)?;
    s.char('(', "\"(\"")?;
    let field = field::field(s)?;
    s.char(')', "\")\"")?;
    term_end(s, Some(relation), field)
}

fn term_end(s: &mut Scanner, relation: Option<String>, field: Field) -> Scan<OrderTerm> {
    let direction = s.optional(|s| {
        s.or(
            |s| s.attempt(|s| suffix(s, "asc", "\"asc\"", Direction::Ascending)),
            |s| s.attempt(|s| suffix(s, "desc", "\"desc\"", Direction::Descending)),
        )
    })?;
    let nulls = s.optional(|s| {
        s.or(
            |s| s.attempt(|s| suffix(s, "nullsfirst", "\"nullsfirst\"", Nulls::First)),
            |s| s.attempt(|s| suffix(s, "nullslast", "\"nullslast\"", Nulls::Last)),
        )
    })?;
    s.look(|s| s.or(|s| s.char(',', "\",\""), |s| s.end()))?;
    Ok(OrderTerm { relation, field, direction, nulls })
}

fn suffix<T>(s: &mut Scanner, word: &str, shown: &'static str, value: T) -> Scan<T> {
    field::delimiter(s)?;
    s.word(word, shown)?;
    Ok(value)
}
