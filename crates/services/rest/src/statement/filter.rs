//! Conditions and references to columns.

use super::array_literal;
use crate::plan::{Level, Order, Reference, Tree};
use crate::request::{Condition, Direction, Nulls, Operand, Operation, Quantifier, Step};
use sql::Fragment;

/// `"qualifier"."column"`, or `"qualifier".*`.
pub fn qualified(f: &mut Fragment, qualifier: &str, column: &str) {
    f.quoted(qualifier).push(".");
    if column == "*" {
        f.push("*");
    } else {
        f.quoted(column);
    }
}

/// A column with its path.
pub fn reference(f: &mut Fragment, qualifier: &str, reference: &Reference) {
    if reference.whole_row {
        f.quoted(qualifier);
        return;
    }
    if let Some(language) = &reference.search {
        f.push("to_tsvector(");
        search_language(f, language.as_deref());
        plain(f, qualifier, reference);
        f.push(")");
    } else {
        plain(f, qualifier, reference);
    }
}

fn plain(f: &mut Fragment, qualifier: &str, reference: &Reference) {
    let converts = reference.to_jsonb && !reference.path.is_empty();
    if converts {
        f.push("to_jsonb(");
    }
    qualified(f, qualifier, &reference.name);
    if converts {
        f.push(")");
    }
    path(f, &reference.path);
}

fn path(f: &mut Fragment, steps: &[Step]) {
    for step in steps {
        f.push(if step.as_text { "->>" } else { "->" });
        match &step.operand {
            Operand::Key(key) => f.bind(key.clone()),
            Operand::Index(index) => f.bind(index.clone()).push("::int"),
        };
    }
}

fn search_language(f: &mut Fragment, language: Option<&str>) {
    if let Some(language) = language {
        f.bind(language.to_owned()).push(", ");
    }
}

/// A tree of conditions on a level's rows.
pub fn tree(f: &mut Fragment, qualifier: &str, tree_: &Tree) {
    match tree_ {
        Tree::Leaf { reference, condition } => self::condition(f, qualifier, reference, condition),
        Tree::Embedded { lateral, present } => {
            f.quoted(lateral).push(if *present {
                " is distinct from null"
            } else {
                " is not distinct from null"
            });
        }
        Tree::Group { negated, any, items } => {
            group(f, *negated, *any, items, |f, item| tree(f, qualifier, item));
        }
    }
}

/// A tree of conditions where embeds are not joined: their conditions ask by `exists`.
pub fn tree_without_joins(f: &mut Fragment, level: &Level, tree_: &Tree, exists: fn(&mut Fragment, &Level)) {
    match tree_ {
        Tree::Leaf { reference, condition } => self::condition(f, &level.qualifier, reference, condition),
        Tree::Embedded { lateral, present } => {
            f.push(if *present { "exists (" } else { "not exists (" });
            if let Some(child) = level.embeds.iter().find(|child| child.lateral == *lateral) {
                exists(f, child);
            }
            f.push(")");
        }
        Tree::Group { negated, any, items } => {
            group(f, *negated, *any, items, |f, item| tree_without_joins(f, level, item, exists));
        }
    }
}

fn group(
    f: &mut Fragment,
    negated: bool,
    any: bool,
    items: &[Tree],
    write: impl FnMut(&mut Fragment, &Tree),
) {
    f.push(if negated { "not (" } else { "(" });
    f.join(if any { " or " } else { " and " }, items, write);
    f.push(")");
}

fn condition(f: &mut Fragment, qualifier: &str, column: &Reference, condition: &Condition) {
    if condition.negated {
        f.push("not ");
    }
    reference(f, qualifier, column);
    match &condition.operation {
        Operation::Compare { operator, quantifier, value } => {
            f.push(" ").push(operator.as_sql()).push(" ");
            f.push(match quantifier {
                Some(Quantifier::Any) => "any (",
                Some(Quantifier::All) => "all (",
                None => "",
            });
            if operator.is_like() {
                f.bind(pattern(value));
            } else {
                operand(f, column, value);
            }
            f.push(if quantifier.is_some() { ")" } else { "" });
        }
        Operation::In(values) => is_one_of(f, column, values),
        Operation::Is(value) => {
            f.push(" is ").push(value.as_sql());
        }
        Operation::IsDistinct(value) => {
            f.push(" is distinct from ").bind(value.clone());
        }
        Operation::Search { kind, language, value } => {
            f.push(" @@ ").push(kind.as_sql()).push("(");
            search_language(f, language.as_deref());
            f.bind(value.clone()).push(")");
        }
    }
}

/// A value, parsed by the domain's function where it has one.
fn operand(f: &mut Fragment, column: &Reference, value: &str) {
    match &column.transform {
        Some(function) => f.catalog_text(function).push("(").bind(value.to_owned()).push(")"),
        None => f.bind(value.to_owned()),
    };
}

/// A pattern as LIKE reads it: clients may write `*` for `%`, which has a meaning of its own in URLs.
pub fn pattern(value: &str) -> String {
    value.replace('*', "%")
}

/// A list of values as one array. `()` is read as a list of one empty value, and means none.
pub fn list_literal(values: &[String]) -> String {
    match values {
        [only] if only.is_empty() => "{}".to_owned(),
        values => array_literal(values),
    }
}

/// One parameter, however many values: the statement's text must not depend on their number.
fn is_one_of(f: &mut Fragment, column: &Reference, values: &[String]) {
    let literal = list_literal(values);
    f.push(" = any (");
    match &column.transform {
        Some(function) => {
            f.push("select ").catalog_text(function).push("(unnest(").bind(literal).push("::text[]))");
        }
        None => {
            f.bind(literal);
        }
    }
    f.push(")");
}

/// ` order by …`, or nothing.
pub fn order(f: &mut Fragment, qualifier: &str, terms: &[Order]) {
    if terms.is_empty() {
        return;
    }
    f.push(" order by ");
    f.join(", ", terms, |f, term| {
        reference(f, term.lateral.as_deref().unwrap_or(qualifier), &term.reference);
        f.push(match term.direction {
            Some(Direction::Ascending) => " asc",
            Some(Direction::Descending) => " desc",
            None => "",
        });
        f.push(match term.nulls {
            Some(Nulls::First) => " nulls first",
            Some(Nulls::Last) => " nulls last",
            None => "",
        });
    });
}
