//! Pages found by cursors: a page begins behind the last row of the one before, wherever that row is now.
//!
//! The order is made total by the primary key, whose columns follow those that were asked for. A cursor holds the
//! values that the last row is ordered by, as PostgreSQL writes them; they travel back as parameters. It is no secret
//! and gives no right: it says from where on to read what the caller may read anyway. Its checksum catches what was
//! cut off, changed or made for another order.

use super::level::{Level, Order, Output, Reference, Tree};
use super::resolve::Columns;
use crate::faults;
use crate::request::{Condition, Direction, Field, IsValue, Nulls, Operation, Operator, Pagination, Request};
use crate::schema::{Relation, SchemaCache};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use fault::Fault;
use sha2::{Digest, Sha256};

/// Longer cursors would not fit into headers and URLs.
const CURSOR_BYTES_MAX: usize = 4096;
/// The first byte of cursors of this kind.
const VERSION: u8 = 1;
const CHECK_BYTES: usize = 8;

/// The values that a row is ordered by.
pub type Key = Vec<Option<String>>;

/// How pages are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyset {
    /// The rows of a page; without a limit there is one page.
    pub limit: Option<i64>,
    /// What a cursor must be made for.
    order: Vec<u8>,
}

/// Plans a read by cursors, if that is asked for: completes its order and starts it behind the cursor.
pub fn plan(
    request: &Request,
    relation: &Relation,
    root: &mut Level,
    cache: &SchemaCache,
) -> Result<Option<Keyset>, Fault> {
    if request.prefer.pagination != Some(Pagination::Keyset) {
        return Ok(None);
    }
    if root.span.lower != 0 {
        return Err(faults::no_keyset("A cursor takes the place of an offset: only limit may be given."));
    }
    if is_aggregated(root) {
        return Err(faults::no_keyset("Groups have no key."));
    }
    complete(relation, root, cache)?;
    let terms = root.order.iter().map(|order| Term::of(order, relation)).collect::<Result<Vec<_>, _>>()?;
    let limit = root.span.limit().filter(|limit| *limit > 0);
    let keyset = Keyset { limit, order: described(relation, &terms) };
    if let Some(cursor) = &request.query.cursor {
        let key = keyset.read(cursor, terms.len())?;
        root.behind = Some(behind(&terms, &key));
    }
    Ok(Some(keyset))
}

fn is_aggregated(root: &Level) -> bool {
    let spread = |output: &Output| match output {
        Output::Spread { columns, .. } => columns.iter().any(|column| column.aggregate.is_some()),
        Output::Json { .. } => false,
    };
    root.columns.iter().any(|column| column.aggregate.is_some()) || root.outputs.iter().any(spread)
}

/// Orders by the primary key where nothing else tells rows apart.
fn complete(relation: &Relation, root: &mut Level, cache: &SchemaCache) -> Result<(), Fault> {
    if relation.primary_key.is_empty() {
        let why = format!("'{}' has no primary key that would make an order total.", relation.name.name);
        return Err(faults::no_keyset(why));
    }
    let names = Columns::of(cache, &relation.name);
    for column in &relation.primary_key {
        if !root.order.iter().any(|order| order.lateral.is_none() && *order.reference.name == **column) {
            let reference = names.reference(&Field::column(&**column));
            root.order.push(Order { lateral: None, reference, direction: None, nulls: None });
        }
    }
    Ok(())
}

/// A term of the order.
struct Term {
    reference: Reference,
    descending: bool,
    nulls_first: bool,
    nullable: bool,
}

impl Term {
    fn of(order: &Order, relation: &Relation) -> Result<Self, Fault> {
        let name = &order.reference.name;
        if order.lateral.is_some() || !order.reference.path.is_empty() {
            let why = format!(
                "Only columns of the relation itself can order it; not a part of '{name}' or of an embed."
            );
            return Err(faults::no_keyset(why));
        }
        let Some(column) = relation.column(name) else {
            return Err(faults::no_keyset(format!("'{name}' is not a column of the relation.")));
        };
        let descending = order.direction == Some(Direction::Descending);
        let nulls_first = order.nulls.map_or(descending, |nulls| nulls == Nulls::First);
        Ok(Term { reference: order.reference.clone(), descending, nulls_first, nullable: column.nullable })
    }

    fn compare(&self, operator: Operator, value: &str) -> Tree {
        let operation = Operation::Compare { operator, quantifier: None, value: value.to_owned() };
        Tree::Leaf { reference: self.reference.clone(), condition: Condition { negated: false, operation } }
    }

    fn is_null(&self, negated: bool) -> Tree {
        let operation = Operation::Is(IsValue::Null);
        Tree::Leaf { reference: self.reference.clone(), condition: Condition { negated, operation } }
    }

    fn same(&self, value: Option<&str>) -> Tree {
        value.map_or_else(|| self.is_null(false), |value| self.compare(Operator::Equal, value))
    }

    /// What stands behind a value; nothing when nothing can.
    fn behind(&self, value: Option<&str>) -> Option<Tree> {
        match value {
            None => self.nulls_first.then(|| self.is_null(true)),
            Some(value) => {
                let operator = if self.descending { Operator::Less } else { Operator::Greater };
                let further = self.compare(operator, value);
                let nulls_follow = self.nullable && !self.nulls_first;
                Some(if nulls_follow { any(vec![further, self.is_null(false)]) } else { further })
            }
        }
    }

    /// What is not before a value, where one condition says it: an index finds where to start by it.
    fn not_before(&self, value: Option<&str>) -> Option<Tree> {
        let operator = if self.descending { Operator::LessOrEqual } else { Operator::GreaterOrEqual };
        value.filter(|_| !self.nullable).map(|value| self.compare(operator, value))
    }
}

fn any(items: Vec<Tree>) -> Tree {
    Tree::Group { negated: false, any: true, items }
}

fn all(items: Vec<Tree>) -> Tree {
    Tree::Group { negated: false, any: false, items }
}

/// The condition of being behind a key: further in the first term, or equal in it and further in the next, …
fn behind(terms: &[Term], key: &[Option<String>]) -> Tree {
    let mut tree: Option<Tree> = None;
    for (term, value) in terms.iter().zip(key).rev() {
        let value = value.as_deref();
        let further = term.behind(value);
        let equal = tree.map(|rest| all(vec![term.same(value), rest]));
        tree = match (further, equal) {
            (Some(further), Some(equal)) => Some(any(vec![further, equal])),
            (further, equal) => further.or(equal),
        };
    }
    let (Some(first), Some(value)) = (terms.first(), key.first()) else { return all(Vec::new()) };
    // Nothing is behind nulls that come last.
    let tree = tree.unwrap_or_else(|| all(vec![first.is_null(false), first.is_null(true)]));
    match first.not_before(value.as_deref()).filter(|_| terms.len() > 1) {
        Some(bound) => all(vec![bound, tree]),
        None => tree,
    }
}

fn described(relation: &Relation, terms: &[Term]) -> Vec<u8> {
    let mut text = relation.name.to_string().into_bytes();
    for term in terms {
        text.push(0);
        text.extend_from_slice(term.reference.name.as_bytes());
        text.extend([0, u8::from(term.descending), u8::from(term.nulls_first)]);
    }
    text
}

impl Keyset {
    /// The cursor behind the row with this key.
    ///
    /// # Errors
    /// The values are too long for one.
    pub fn cursor(&self, key: &Key) -> Result<String, Fault> {
        let values = serde_json::to_vec(key).map_err(|_| faults::internal("a key that is no JSON"))?;
        let bytes = [&[VERSION][..], &self.check(&values), &values].concat();
        let cursor = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        if cursor.len() > CURSOR_BYTES_MAX {
            return Err(faults::no_keyset("The values that order the rows are too long for a cursor."));
        }
        Ok(cursor)
    }

    fn read(&self, cursor: &str, terms: usize) -> Result<Key, Fault> {
        let bad = faults::bad_cursor;
        if cursor.len() > CURSOR_BYTES_MAX {
            return Err(bad("It is too long."));
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad("It is not one of ours."))?;
        let (Some(VERSION), Some(check), Some(values)) =
            (bytes.first().copied(), bytes.get(1..=CHECK_BYTES), bytes.get(1 + CHECK_BYTES..))
        else {
            return Err(bad("It is not one of ours."));
        };
        if check != self.check(values) {
            return Err(bad("It was changed, or it was made for another relation or order."));
        }
        let key: Key = serde_json::from_slice(values).map_err(|_| bad("It is not one of ours."))?;
        if key.len() == terms { Ok(key) } else { Err(bad("It is not one of ours.")) }
    }

    fn check(&self, values: &[u8]) -> [u8; CHECK_BYTES] {
        let mut hash = Sha256::new();
        hash.update((self.order.len() as u64).to_be_bytes());
        hash.update(&self.order);
        hash.update(values);
        let mut check = [0; CHECK_BYTES];
        check.copy_from_slice(&hash.finalize()[..CHECK_BYTES]);
        check
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_one_order_and_not_to_be_changed() {
        let keyset = |order: &[u8]| Keyset { limit: Some(2), order: order.to_vec() };
        let key = vec![Some("a\"b".to_owned()), None];
        let cursor = keyset(b"x").cursor(&key).unwrap();
        assert_eq!(keyset(b"x").read(&cursor, 2).unwrap(), key);
        assert!(keyset(b"y").read(&cursor, 2).is_err());
        assert!(keyset(b"x").read(&cursor, 3).is_err());
        for at in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            // The last character may hold bits that mean nothing; then it does not decode.
            assert!(keyset(b"x").read(&String::from_utf8(changed).unwrap(), 2).is_err(), "{at}");
        }
        for wrong in ["", "x", "AQ", "%%", &"A".repeat(5000)] {
            assert_eq!(keyset(b"x").read(wrong, 2).unwrap_err().code, "RH100", "{wrong}");
        }
        assert!(keyset(b"x").cursor(&vec![Some("x".repeat(5000))]).is_err());
    }
}
