//! The values of a request: what it compares with, and the body that it sends.

use crate::request::{Filter, Logic, Operation, Payload, Request};
use crate::statement::list_literal;
use bytes::Bytes;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// Something in the stand-ins that no client can know.
static SECRET: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("stand-ins"));

/// A request's values, in the order in which they stand in it.
#[derive(Debug, Clone)]
pub struct Values {
    values: Vec<Value>,
    /// The query as it was written, which says the values too.
    canonical: String,
    /// What the client has already, which no plan depends on.
    none_match: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    /// A pattern, in which `*` stands for `%`.
    Pattern(String),
    List(Vec<String>),
    Body(Bytes),
}

/// A place in a request where a value is.
enum Place<'a> {
    Text(&'a mut String),
    Pattern(&'a mut String),
    List(&'a mut Vec<String>),
    Body(&'a mut Bytes),
}

impl Values {
    /// Takes the values out; what is left is the request's shape.
    pub fn take(request: &mut Request) -> Self {
        let mut values = Vec::with_capacity(request.query.filters.len() + 1);
        each(request, &mut |place| {
            values.push(match place {
                Place::Text(text) => Value::Text(std::mem::take(text)),
                Place::Pattern(text) => Value::Pattern(std::mem::take(text)),
                Place::List(list) => Value::List(std::mem::take(list)),
                Place::Body(body) => {
                    let empty = empty_like(body);
                    Value::Body(std::mem::replace(body, empty))
                }
            });
        });
        Values {
            values,
            canonical: std::mem::take(&mut request.query.canonical),
            none_match: request.none_match.take(),
        }
    }

    /// Puts the values into a request of the shape that they were taken from.
    pub fn give_back(self, request: &mut Request) {
        let mut values = self.values.into_iter();
        each(request, &mut |place| match (place, values.next()) {
            (Place::Text(text), Some(Value::Text(value))) => *text = value,
            (Place::Pattern(text), Some(Value::Pattern(value))) => *text = value,
            (Place::List(list), Some(Value::List(value))) => *list = value,
            (Place::Body(body), Some(Value::Body(value))) => *body = value,
            // The same walk over the same shape gives the same kinds.
            _ => {}
        });
        request.query.canonical = self.canonical;
        request.none_match = self.none_match;
    }

    /// Values of the same kinds that stand for these, each of them like no other.
    pub fn stand_ins(&self) -> Self {
        let stand_in = |(at, value): (usize, &Value)| {
            let mark = mark(at);
            match value {
                Value::Text(_) => Value::Text(mark),
                Value::Pattern(_) => Value::Pattern(mark),
                Value::List(_) => Value::List(vec![mark]),
                Value::Body(body) => Value::Body([&*empty_like(body), mark.as_bytes()].concat().into()),
            }
        };
        Values {
            values: self.values.iter().enumerate().map(stand_in).collect(),
            canonical: String::new(),
            none_match: None,
        }
    }

    /// The values as parameters.
    pub fn parameters(&self) -> Vec<Bytes> {
        let parameter = |value: &Value| match value {
            Value::Text(text) => text.clone().into(),
            Value::Pattern(text) => crate::statement::pattern(text).into(),
            Value::List(list) => list_literal(list).into(),
            Value::Body(body) => body.clone(),
        };
        self.values.iter().map(parameter).collect()
    }

    /// Whether a text holds one of our stand-ins.
    pub fn is_marked(text: &[u8]) -> bool {
        let sign = sign();
        text.windows(sign.len()).any(|part| part == sign.as_bytes())
    }
}

fn sign() -> String {
    format!("stand-in {:016x} ", *SECRET)
}

fn mark(at: usize) -> String {
    format!("{}{at}.", sign())
}

/// A body of which is known only whether it is an object: that is part of the shape.
fn empty_like(body: &Bytes) -> Bytes {
    let is_object = Payload::Json(body.clone()).is_object();
    Bytes::from_static(if is_object { b"{" } else { b"[" })
}

fn each(request: &mut Request, visit: &mut dyn FnMut(Place<'_>)) {
    for (_, filter) in &mut request.query.filters {
        of_filter(filter, visit);
    }
    for (_, logic) in &mut request.query.logic {
        of_logic(logic, visit);
    }
    if let Some(Payload::Json(body)) = &mut request.payload {
        visit(Place::Body(body));
    }
}

fn of_logic(logic: &mut Logic, visit: &mut dyn FnMut(Place<'_>)) {
    match logic {
        Logic::Filter(filter) => of_filter(filter, visit),
        Logic::Group { items, .. } => items.iter_mut().for_each(|item| of_logic(item, visit)),
    }
}

fn of_filter(filter: &mut Filter, visit: &mut dyn FnMut(Place<'_>)) {
    match &mut filter.condition.operation {
        Operation::Compare { operator, value, .. } if operator.is_like() => visit(Place::Pattern(value)),
        Operation::Compare { value, .. } | Operation::IsDistinct(value) | Operation::Search { value, .. } => {
            visit(Place::Text(value));
        }
        Operation::In(values) => visit(Place::List(values)),
        Operation::Is(_) => {}
    }
}
