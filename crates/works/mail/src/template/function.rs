//! The functions that templates may call.

use serde_json::Value;
use std::cmp::Ordering;

/// Their names.
pub(super) const NAMES: [(&str, Function); 18] = [
    ("and", Function::And),
    ("or", Function::Or),
    ("not", Function::Not),
    ("eq", Function::Eq),
    ("ne", Function::Ne),
    ("lt", Function::Lt),
    ("le", Function::Le),
    ("gt", Function::Gt),
    ("ge", Function::Ge),
    ("len", Function::Len),
    ("index", Function::Index),
    ("slice", Function::Slice),
    ("print", Function::Print),
    ("println", Function::Print),
    ("printf", Function::Printf),
    ("urlquery", Function::UrlQuery),
    // Escaping is by context in any case; these are here so that templates that ask for it twice still work.
    ("html", Function::Print),
    ("js", Function::Print),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Or,
    Not,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Len,
    Index,
    Slice,
    Print,
    Printf,
    UrlQuery,
}

pub(super) fn find(name: &str) -> Option<Function> {
    NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, function)| function)
}

/// Calls any function but `and` and `or`, whose arguments are not all looked at.
pub(super) fn call(function: Function, arguments: &[&Value]) -> Value {
    let first = arguments.first().copied().unwrap_or(&Value::Null);
    let second = arguments.get(1).copied().unwrap_or(&Value::Null);
    let order = || order(first, second);
    match function {
        Function::And => Value::Bool(arguments.iter().all(|value| is_true(value))),
        Function::Or => Value::Bool(arguments.iter().any(|value| is_true(value))),
        Function::Not => Value::Bool(!is_true(first)),
        Function::Eq => Value::Bool(arguments.iter().skip(1).any(|other| is_equal(first, other))),
        Function::Ne => Value::Bool(!is_equal(first, second)),
        Function::Lt => Value::Bool(order() == Some(Ordering::Less)),
        Function::Le => Value::Bool(matches!(order(), Some(Ordering::Less | Ordering::Equal))),
        Function::Gt => Value::Bool(order() == Some(Ordering::Greater)),
        Function::Ge => Value::Bool(matches!(order(), Some(Ordering::Greater | Ordering::Equal))),
        Function::Len => Value::from(match first {
            Value::String(text) => text.len(),
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            _ => 0,
        }),
        Function::Index => index(first, &arguments[arguments.len().min(1)..]),
        Function::Slice => slice(first, &arguments[arguments.len().min(1)..]),
        Function::Print => Value::String(arguments.iter().map(|value| printed(value)).collect()),
        Function::Printf => Value::String(format(&printed(first), &arguments[arguments.len().min(1)..])),
        Function::UrlQuery => {
            let text: String = arguments.iter().map(|value| printed(value)).collect();
            Value::String(super::context::query_escaped(&text))
        }
    }
}

/// What counts as true: all but false, nought, nothing and what is empty.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// A value as text; lists and objects as Go prints them.
pub(super) fn printed(value: &Value) -> String {
    let mut out = String::new();
    print(value, &mut out);
    out
}

fn print(value: &Value, out: &mut String) {
    match value {
        Value::Null => {}
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n > 0 { " " } else { "" });
                print(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push_str("map[");
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort_unstable();
            for (n, key) in keys.into_iter().enumerate() {
                out.push_str(if n > 0 { " " } else { "" });
                out.push_str(key);
                out.push(':');
                print(map.get(key).unwrap_or(&Value::Null), out);
            }
            out.push(']');
        }
    }
}

fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn index(value: &Value, keys: &[&Value]) -> Value {
    let found = keys.iter().try_fold(value, |value, key| match (value, key) {
        (Value::Array(items), Value::Number(n)) => items.get(usize::try_from(n.as_u64()?).ok()?),
        (Value::Object(map), Value::String(key)) => map.get(key),
        _ => None,
    });
    found.cloned().unwrap_or(Value::Null)
}

/// `slice text from to`; outside of the text there is nothing.
fn slice(value: &Value, bounds: &[&Value]) -> Value {
    let bound = |n: usize| bounds.get(n).and_then(|v| v.as_u64()).and_then(|v| usize::try_from(v).ok());
    let from = bound(0).unwrap_or(0);
    match value {
        Value::String(text) => {
            let to = bound(1).unwrap_or(text.len());
            Value::String(text.get(from..to).unwrap_or_default().to_owned())
        }
        Value::Array(items) => {
            let to = bound(1).unwrap_or(items.len());
            Value::Array(items.get(from..to).unwrap_or_default().to_vec())
        }
        _ => Value::Null,
    }
}

/// `%s`, `%v`, `%d` and `%q` take an argument each, `%%` is a per cent sign; the rest stays as it is.
fn format(pattern: &str, arguments: &[&Value]) -> String {
    let mut arguments = arguments.iter();
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('s' | 'v' | 'd') => print(arguments.next().copied().unwrap_or(&Value::Null), &mut out),
            Some('q') => {
                let text = arguments.next().map(|value| printed(value)).unwrap_or_default();
                out.push_str(&Value::String(text).to_string());
            }
            Some('%') | None => out.push('%'),
            Some(other) => out.extend(['%', other]),
        }
    }
    out
}
