//! What a request's members must be. All that is wrong is reported together, in the words of the reference's checker.

use crate::refusal::{self, Outcome};
use serde_json::{Map, Value};

/// Members of a body or a query, being taken one by one.
#[derive(Debug)]
pub(crate) struct Fields {
    place: &'static str,
    members: Map<String, Value>,
    wrong: Vec<String>,
}

impl Fields {
    pub(crate) fn new(place: &'static str, members: Map<String, Value>) -> Fields {
        Fields { place, members, wrong: Vec::new() }
    }

    /// The parameters of a query; of those that come twice the last counts.
    pub(crate) fn of_query(query: &[(String, String)]) -> Fields {
        let members = query.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        Fields::new("querystring", members)
    }

    /// Whether a member is there, be it null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// A member that is to be a scalar: a list of one is that one.
    fn take(&mut self, name: &str) -> Option<Value> {
        match self.members.remove(name)? {
            Value::Array(mut items) if items.len() == 1 => items.pop(),
            other => Some(other),
        }
    }

    fn say(&mut self, name: &str, what: impl AsRef<str>) {
        self.wrong.push(format!("{}/{name} {}", self.place, what.as_ref()));
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, name: &str) -> String {
        if !self.members.contains_key(name) {
            self.wrong.push(format!("{} must have required property '{name}'", self.place));
        }
        self.text(name).unwrap_or_default()
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            value => {
                let text = as_text(&value);
                if text.is_none() {
                    self.say(name, "must be string");
                }
                text
            }
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.take(name)?;
        let flag = match &value {
            Value::Bool(is) => Some(*is),
            Value::Null => Some(false),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            Value::Number(number) if number.as_u64() == Some(1) => Some(true),
            Value::Number(number) if number.as_u64() == Some(0) => Some(false),
            _ => None,
        };
        if flag.is_none() {
            self.say(name, "must be boolean");
        }
        flag
    }

    /// A whole number, no less than `least`.
    pub(crate) fn integer(&mut self, name: &str, least: i64) -> Option<i64> {
        let value = self.take(name)?;
        let number = match &value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) if !text.trim().is_empty() => {
                text.trim().parse::<i64>().ok().or_else(|| whole(text.trim().parse().ok()?))
            }
            Value::Null => Some(0),
            Value::Bool(is) => Some(i64::from(*is)),
            _ => None,
        };
        match number {
            None => self.say(name, "must be integer"),
            Some(number) if number < least => self.say(name, format!("must be >= {least}")),
            Some(_) => return number,
        }
        None
    }

    /// Any number.
    pub(crate) fn number(&mut self, name: &str) -> Option<f64> {
        let number = match self.take(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if !text.trim().is_empty() => text.trim().parse().ok(),
            Value::Null => Some(0.0),
            Value::Bool(is) => Some(f64::from(u8::from(is))),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite());
        if number.is_none() {
            self.say(name, "must be number");
        }
        number
    }

    /// A whole number that must be there.
    pub(crate) fn required_integer(&mut self, name: &str, least: i64) -> i64 {
        if !self.members.contains_key(name) {
            self.wrong.push(format!("{} must have required property '{name}'", self.place));
        }
        self.integer(name, least).unwrap_or(least)
    }

    /// One of a few words.
    pub(crate) fn one_of(&mut self, name: &str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(name)?;
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            self.say(name, "must be equal to one of the allowed values");
        }
        found
    }

    /// A list of texts, of at least and at most so many, that must be there.
    pub(crate) fn required_texts(&mut self, name: &str, least: usize, most: usize) -> Vec<String> {
        if !self.members.contains_key(name) {
            self.wrong.push(format!("{} must have required property '{name}'", self.place));
            return Vec::new();
        }
        let items = match self.members.remove(name) {
            Some(Value::Array(items)) => items,
            Some(scalar @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => vec![scalar],
            _ => {
                self.say(name, "must be array");
                return Vec::new();
            }
        };
        if items.len() < least {
            self.say(name, format!("must NOT have fewer than {least} items"));
        } else if items.len() > most {
            self.say(name, format!("must NOT have more than {most} items"));
        }
        let texts: Vec<String> = items.iter().filter_map(as_text).collect();
        if texts.len() < items.len() {
            self.say(name, "must be string");
        }
        texts
    }

    /// Members of an object inside.
    pub(crate) fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.members.remove(name)? {
            Value::Object(members) => Some(members),
            _ => {
                self.say(name, "must be object");
                None
            }
        }
    }

    /// Says with the rest what is wrong inside.
    pub(crate) fn absorb(&mut self, inner: Fields) {
        self.wrong.extend(inner.wrong);
    }

    /// A member as it is.
    pub(crate) fn raw(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name)
    }

    /// Says that a member is missing.
    pub(crate) fn missing(&mut self, name: &str) {
        self.wrong.push(format!("{} must have required property '{name}'", self.place));
    }

    /// Adds something that is wrong with the whole.
    pub(crate) fn wrong_whole(&mut self, what: &str) {
        self.wrong.push(format!("{} {what}", self.place));
    }

    /// Adds something that is wrong.
    pub(crate) fn wrong(&mut self, name: &str, what: &str) {
        self.say(name, what);
    }

    /// Whether everything was right.
    pub(crate) fn finish(self) -> Outcome<()> {
        if self.wrong.is_empty() { Ok(()) } else { Err(refusal::schema(self.wrong.join(", "))) }
    }
}

/// A scalar as text.
pub(crate) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        Fields::new("body", value.as_object().unwrap().clone())
    }

    #[test]
    fn scalars_are_coerced() {
        let mut f = fields(json!({ "a": "60", "b": 7, "c": "true", "d": 0 }));
        assert_eq!(f.integer("a", 1), Some(60));
        assert_eq!(f.text("b").as_deref(), Some("7"));
        assert_eq!((f.flag("c"), f.flag("d")), (Some(true), Some(false)));
        assert!(f.finish().is_ok());
    }

    #[test]
    fn all_violations_are_said_together() {
        let mut f = fields(json!({ "limit": 0, "order": "up" }));
        f.required_text("name");
        f.integer("limit", 1);
        f.one_of("order", &["asc", "desc"]);
        let message = f.finish().unwrap_err().fault.message;
        assert_eq!(
            message,
            "body must have required property 'name', body/limit must be >= 1, body/order must be equal to one of the allowed values"
        );
    }
}
