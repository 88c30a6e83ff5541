//! Filters: `field.op.value`, and the trees of `and` and `or`.

use super::field::{self, Field};
use super::scan::{Scan, Scanner, Stop};

/// A condition on a column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    pub field: Field,
    pub condition: Condition,
}

/// `[not.]op.value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    pub negated: bool,
    pub operation: Operation,
}

/// An operator with its operand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An operator between column and value, perhaps over an array's elements.
    Compare { operator: Operator, quantifier: Option<Quantifier>, value: String },
    /// One of a list.
    In(Vec<String>),
    /// `IS`.
    Is(IsValue),
    /// `IS DISTINCT FROM`.
    IsDistinct(String),
    /// Full-text search.
    Search { kind: SearchKind, language: Option<String>, value: String },
}

/// An operator between a column and a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
    LessOrEqual,
    Less,
    Like,
    Ilike,
    Match,
    Imatch,
    Contains,
    Contained,
    Overlaps,
    StrictlyLeft,
    StrictlyRight,
    NotExtendsRight,
    NotExtendsLeft,
    Adjacent,
}

impl Operator {
    /// The operator in SQL.
    pub fn as_sql(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::NotEqual => "<>",
            Operator::GreaterOrEqual => ">=",
            Operator::Greater => ">",
            Operator::LessOrEqual => "<=",
            Operator::Less => "<",
            Operator::Like => "like",
            Operator::Ilike => "ilike",
            Operator::Match => "~",
            Operator::Imatch => "~*",
            Operator::Contains => "@>",
            Operator::Contained => "<@",
            Operator::Overlaps => "&&",
            Operator::StrictlyLeft => "<<",
            Operator::StrictlyRight => ">>",
            Operator::NotExtendsRight => "&<",
            Operator::NotExtendsLeft => "&>",
            Operator::Adjacent => "-|-",
        }
    }

    /// `like` and `ilike`, whose patterns write `*` for `%`.
    pub fn is_like(self) -> bool {
        matches!(self, Operator::Like | Operator::Ilike)
    }
}

/// `op(any)` and `op(all)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantifier {
    Any,
    All,
}

/// What `is` compares with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IsValue {
    Null,
    NotNull,
    True,
    False,
    Unknown,
}

impl IsValue {
    /// The words in SQL.
    pub fn as_sql(self) -> &'static str {
        match self {
            IsValue::Null => "null",
            IsValue::NotNull => "not null",
            IsValue::True => "true",
            IsValue::False => "false",
            IsValue::Unknown => "unknown",
        }
    }
}

/// How a search text becomes a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SearchKind {
    Plain,
    Raw,
    Phrase,
    Web,
}

impl SearchKind {
    /// The function that makes the query.
    pub fn as_sql(self) -> &'static str {
        match self {
            SearchKind::Raw => "to_tsquery",
            SearchKind::Plain => "plainto_tsquery",
            SearchKind::Phrase => "phraseto_tsquery",
            SearchKind::Web => "websearch_to_tsquery",
        }
    }
}

/// A tree of conditions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Logic {
    Filter(Filter),
    Group { negated: bool, any: bool, items: Vec<Logic> },
}

/// What an operator's name stands for.
#[derive(Clone, Copy)]
enum Form {
    In,
    Is,
    IsDistinct,
    Search(SearchKind),
    /// Takes no quantifier.
    Simple(Operator),
    /// May take a quantifier.
    Quantified(Operator),
}

const OPERATORS: [(&str, Form); 25] = [
    ("in", Form::In),
    ("is", Form::Is),
    ("isdistinct", Form::IsDistinct),
    ("fts", Form::Search(SearchKind::Raw)),
    ("plfts", Form::Search(SearchKind::Plain)),
    ("phfts", Form::Search(SearchKind::Phrase)),
    ("wfts", Form::Search(SearchKind::Web)),
    ("neq", Form::Simple(Operator::NotEqual)),
    ("cs", Form::Simple(Operator::Contains)),
    ("cd", Form::Simple(Operator::Contained)),
    ("ov", Form::Simple(Operator::Overlaps)),
    ("sl", Form::Simple(Operator::StrictlyLeft)),
    ("sr", Form::Simple(Operator::StrictlyRight)),
    ("nxr", Form::Simple(Operator::NotExtendsRight)),
    ("nxl", Form::Simple(Operator::NotExtendsLeft)),
    ("adj", Form::Simple(Operator::Adjacent)),
    ("eq", Form::Quantified(Operator::Equal)),
    ("gte", Form::Quantified(Operator::GreaterOrEqual)),
    ("gt", Form::Quantified(Operator::Greater)),
    ("lte", Form::Quantified(Operator::LessOrEqual)),
    ("lt", Form::Quantified(Operator::Less)),
    ("like", Form::Quantified(Operator::Like)),
    ("ilike", Form::Quantified(Operator::Ilike)),
    ("match", Form::Quantified(Operator::Match)),
    ("imatch", Form::Quantified(Operator::Imatch)),
];

const OPERATOR_NAME: &str = "operator (eq, gt, ...)";
const IS_VALUE: &str = "isVal: (null, not_null, true, false, unknown)";

/// Reads the value of a condition: to the end of a parameter, or to the next `,` or `)` of a tree.
type ReadValue = fn(&mut Scanner) -> Scan<String>;

/// A condition that is the value of a parameter.
pub fn condition(s: &mut Scanner) -> Scan<Condition> {
    condition_with(s, |s| Ok(s.take_while(|_| true).to_owned()))
}

fn condition_with(s: &mut Scanner, value: ReadValue) -> Scan<Condition> {
    let negated = s
        .optional(|s| {
            s.attempt(|s| {
                s.word("not", "\"not\"")?;
                field::delimiter(s)
            })
        })?
        .is_some();
    Ok(Condition { negated, operation: operation(s, value)? })
}

fn operation(s: &mut Scanner, value: ReadValue) -> Scan<Operation> {
    Ok(match operator(s)? {
        (Form::In, _) => Operation::In(value_list(s)?),
        (Form::Is, _) => Operation::Is(is_value(s)?),
        (Form::IsDistinct, _) => Operation::IsDistinct(value(s)?),
        (Form::Search(kind), language) => Operation::Search { kind, language, value: value(s)? },
        (Form::Simple(operator), _) => Operation::Compare { operator, quantifier: None, value: value(s)? },
        (Form::Quantified(operator), quantifier) => {
            let quantifier =
                quantifier.map(|word| if word == "any" { Quantifier::Any } else { Quantifier::All });
            Operation::Compare { operator, quantifier, value: value(s)? }
        }
    })
}

/// An operator's name with its argument in parentheses, up to and with the `.`.
fn operator(s: &mut Scanner) -> Scan<(Form, Option<String>)> {
    let rest = s.rest();
    let length = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
    let word = &rest[..length];
    if let Some((_, form)) = OPERATORS.iter().find(|(name, _)| *name == word) {
        let after = &rest[length..];
        let (argument, skip) = match (form, after.strip_prefix('(').and_then(|a| a.split_once(')'))) {
            (Form::Search(_), Some((inner, _))) if !inner.is_empty() => (Some(inner), inner.len() + 2),
            (Form::Quantified(_), Some((inner @ ("any" | "all"), _))) => (Some(inner), inner.len() + 2),
            _ => (None, 0),
        };
        if after[skip..].starts_with('.') {
            s.take_word(length + skip + 1);
            return Ok((*form, argument.map(|a| a.trim().to_owned())));
        }
    }
    operator_failure(s)
}

/// Notes which operator came closest.
fn operator_failure<T>(s: &mut Scanner) -> Scan<T> {
    let rest = s.rest();
    let closest =
        OPERATORS.iter().filter(|(name, _)| rest.starts_with(name)).map(|(name, _)| name.len()).max();
    s.named(OPERATOR_NAME, |s| match closest {
        Some(length) => s.fail_ahead(length, ""),
        None => s.word(OPERATORS[0].0, "").and(Err(Stop)),
    })
}

fn is_value(s: &mut Scanner) -> Scan<IsValue> {
    let rest = s.rest();
    for (word, value) in [
        ("null", IsValue::Null),
        ("not_null", IsValue::NotNull),
        ("true", IsValue::True),
        ("false", IsValue::False),
        ("unknown", IsValue::Unknown),
    ] {
        if rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)) {
            s.take_word(word.len());
            return Ok(value);
        }
    }
    s.fail(IS_VALUE)
}

/// `(a,"b,c",d)`.
fn value_list(s: &mut Scanner) -> Scan<Vec<String>> {
    s.spaced(|s| s.char('(', "\"(\""))?;
    let list = s.list(list_value, |s| s.char(',', "\",\""))?;
    s.spaced(|s| s.char(')', "\")\""))?;
    Ok(list)
}

/// A quoted value, when `,`, `)` or the end follows it; else everything up to there.
fn list_value(s: &mut Scanner) -> Scan<String> {
    s.or(|s| s.attempt(quoted_value), |s| Ok(s.take_while(|c| c != ',' && c != ')').to_owned()))
}

fn quoted_value(s: &mut Scanner) -> Scan<String> {
    let value = field::quoted(s)?;
    match s.peek() {
        None | Some(',' | ')') => Ok(value),
        Some(_) => s.fail(""),
    }
}

/// The value of a condition within a tree.
fn tree_value(s: &mut Scanner) -> Scan<String> {
    s.or(
        |s| s.attempt(quoted_value),
        |s| s.or(|s| s.attempt(array_value), |s| Ok(s.take_while(|c| c != ',' && c != ')').to_owned())),
    )
}

/// `{…}`, in which commas and parentheses mean nothing.
fn array_value(s: &mut Scanner) -> Scan<String> {
    s.char('{', "\"{\"")?;
    let inner = s.take_while(|c| c != '{' && c != '}');
    s.char('}', "\"}\"")?;
    Ok(format!("{{{inner}}}"))
}

/// Trees may not nest deeper than this.
const DEPTH_MAX: usize = 64;

/// `and(…)`, `not.or(…)`, or a single condition.
pub fn logic(s: &mut Scanner) -> Scan<Logic> {
    logic_at(s, 0)
}

fn logic_at(s: &mut Scanner, depth: usize) -> Scan<Logic> {
    if depth > DEPTH_MAX {
        return s.fail("fewer nested conditions");
    }
    s.or(|s| s.attempt(tree_filter), |s| group(s, depth))
}

fn tree_filter(s: &mut Scanner) -> Scan<Logic> {
    let field = field::field(s)?;
    field::delimiter(s)?;
    let condition = condition_with(s, tree_value)?;
    Ok(Logic::Filter(Filter { field, condition }))
}

fn group(s: &mut Scanner, depth: usize) -> Scan<Logic> {
    let negated = s.or(
        |s| {
            s.named("negation operator (not)", |s| {
                s.attempt(|s| {
                    s.word("not", "\"not\"")?;
                    field::delimiter(s)
                })
            })
            .map(|()| true)
        },
        |_| Ok(false),
    )?;
    let any = s.named("logic operator (and, or)", |s| {
        s.or(
            |s| s.attempt(|s| s.word("and", "\"and\"")).map(|()| false),
            |s| s.word("or", "\"or\"").map(|()| true),
        )
    })?;
    s.spaced(|s| s.char('(', "\"(\""))?;
    let items = s.list(|s| logic_at(s, depth + 1), |s| s.spaced(|s| s.char(',', "\",\"")))?;
    s.spaced(|s| s.char(')', "\")\""))?;
    Ok(Logic::Group { negated, any, items })
}

/// The key of a logic parameter: the embeds that lead to it, whether it is negated, and its operator's word.
pub fn logic_path(s: &mut Scanner) -> Scan<(Vec<String>, String)> {
    let mut path = s.list(field::name, field::delimiter)?;
    let operator = path.pop().unwrap_or_default();
    let negated = path.iter().any(|name| name == "not");
    path.retain(|name| name != "not");
    Ok((path, if negated { format!("not.{operator}") } else { operator }))
}
