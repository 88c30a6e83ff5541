//! Running a template.

use super::context::Context;
use super::function::{self, Function, is_true, printed};
use super::parse::{Base, Command, Node, Pipe, Term};
use super::{Mode, OUTPUT_MAX, RenderError};
use serde_json::Value;
use std::borrow::Cow;

/// Nodes and values that are looked at before a template counts as endless.
const STEPS_MAX: usize = 200_000;

pub(super) fn render(nodes: &[Node], mode: Mode, data: &Value) -> Result<String, RenderError> {
    let mut run = Run {
        out: String::new(),
        context: (mode == Mode::Html).then(Context::new),
        variables: vec![(String::new(), Cow::Borrowed(data))],
        steps: 0,
    };
    run.block(nodes, data)?;
    Ok(run.out)
}

struct Run<'a> {
    out: String,
    /// Where we are, in HTML.
    context: Option<Context>,
    /// The innermost last; the first, without a name, is `$`.
    variables: Vec<(String, Cow<'a, Value>)>,
    steps: usize,
}

impl<'a> Run<'a> {
    fn block(&mut self, nodes: &'a [Node], dot: &Value) -> Result<(), RenderError> {
        let known = self.variables.len();
        for node in nodes {
            self.node(node, dot)?;
        }
        self.variables.truncate(known);
        Ok(())
    }

    fn step(&mut self) -> Result<(), RenderError> {
        self.steps += 1;
        if self.steps > STEPS_MAX { Err(RenderError::TooManySteps) } else { Ok(()) }
    }

    fn node(&mut self, node: &'a Node, dot: &Value) -> Result<(), RenderError> {
        self.step()?;
        match node {
            Node::Text(text) => {
                if let Some(context) = &mut self.context {
                    context.feed(text);
                }
                self.out.push_str(text);
                self.check()
            }
            Node::Print(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if !pipe.variables.is_empty() {
                    return Ok(());
                }
                let text = match value.as_ref() {
                    Value::String(text) => Cow::Borrowed(text.as_str()),
                    other => Cow::Owned(printed(other)),
                };
                match &mut self.context {
                    Some(context) => context.insert(&text, &mut self.out),
                    None => self.out.push_str(&text),
                }
                self.check()
            }
            Node::If { pipe, with, then, otherwise } => {
                let known = self.variables.len();
                let value = self.pipe(pipe, dot)?.into_owned();
                match (is_true(&value), *with) {
                    (true, true) => self.block(then, &value)?,
                    (true, false) => self.block(then, dot)?,
                    (false, _) => self.block(otherwise, dot)?,
                }
                self.variables.truncate(known);
                Ok(())
            }
            Node::Range { pipe, body, otherwise } => {
                let value = self.pipe(pipe, dot)?.into_owned();
                self.range(pipe, body, otherwise, value, dot)
            }
        }
    }

    fn range(
        &mut self,
        pipe: &'a Pipe,
        body: &'a [Node],
        otherwise: &'a [Node],
        value: Value,
        dot: &Value,
    ) -> Result<(), RenderError> {
        let items: Vec<(Value, Value)> = match value {
            Value::Array(items) => {
                items.into_iter().enumerate().map(|(n, item)| (Value::from(n), item)).collect()
            }
            Value::Object(map) => {
                let mut items: Vec<_> = map.into_iter().collect();
                items.sort_by(|a, b| a.0.cmp(&b.0));
                items.into_iter().map(|(key, item)| (Value::String(key), item)).collect()
            }
            _ => Vec::new(),
        };
        if items.is_empty() {
            return self.block(otherwise, dot);
        }
        for (key, item) in items {
            self.step()?;
            let known = self.variables.len();
            match pipe.variables.as_slice() {
                [item_name] => self.variables.push((item_name.clone(), Cow::Owned(item.clone()))),
                [key_name, item_name] => {
                    self.variables.push((key_name.clone(), Cow::Owned(key)));
                    self.variables.push((item_name.clone(), Cow::Owned(item.clone())));
                }
                _ => {}
            }
            self.block(body, &item)?;
            self.variables.truncate(known);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), RenderError> {
        if self.out.len() > OUTPUT_MAX { Err(RenderError::TooLong) } else { Ok(()) }
    }

    fn pipe(&mut self, pipe: &'a Pipe, dot: &Value) -> Result<Cow<'a, Value>, RenderError> {
        let mut value: Option<Cow<'a, Value>> = None;
        for command in &pipe.commands {
            value = Some(self.command(command, value, dot)?);
        }
        let value = value.unwrap_or(Cow::Owned(Value::Null));
        // Those of a range are given a value at every turn.
        if let [name] = pipe.variables.as_slice() {
            let known = self.variables.iter_mut().rev().find(|(known, _)| pipe.assigns && known == name);
            match known {
                Some((_, place)) => *place = value.clone(),
                None => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    /// `piped` is the last argument.
    fn command(
        &mut self,
        command: &'a Command,
        piped: Option<Cow<'a, Value>>,
        dot: &Value,
    ) -> Result<Cow<'a, Value>, RenderError> {
        let Some(function) = command.function else {
            return match command.terms.first() {
                Some(term) => self.term(term, dot),
                None => Ok(Cow::Owned(Value::Null)),
            };
        };
        let mut arguments = Vec::new();
        for term in &command.terms {
            let value = self.term(term, dot)?;
            let decided = match function {
                Function::And => !is_true(&value),
                Function::Or => is_true(&value),
                _ => false,
            };
            if decided {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(piped);
        if matches!(function, Function::And | Function::Or) {
            return Ok(arguments.pop().unwrap_or(Cow::Owned(Value::Null)));
        }
        // What a function makes is bounded by what it was given, but may be made again and again.
        let arguments: Vec<&Value> = arguments.iter().map(AsRef::as_ref).collect();
        let made = function::call(function, &arguments);
        if let Value::String(text) = &made {
            self.steps += text.len() / 64;
            self.step()?;
        }
        Ok(Cow::Owned(made))
    }

    fn term(&mut self, term: &'a Term, dot: &Value) -> Result<Cow<'a, Value>, RenderError> {
        self.step()?;
        let base = match &term.base {
            Base::Literal(value) => Cow::Borrowed(value),
            Base::Pipe(pipe) => self.pipe(pipe, dot)?,
            Base::Dot => return Ok(Cow::Owned(field(dot, &term.fields).cloned().unwrap_or(Value::Null))),
            Base::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                let found = found.and_then(|(_, value)| field(value, &term.fields));
                return Ok(Cow::Owned(found.cloned().unwrap_or(Value::Null)));
            }
        };
        if term.fields.is_empty() {
            return Ok(base);
        }
        Ok(Cow::Owned(field(&base, &term.fields).cloned().unwrap_or(Value::Null)))
    }
}

/// The field of a field of a value; nothing when one of them is not there.
fn field<'v>(value: &'v Value, names: &[String]) -> Option<&'v Value> {
    names.iter().try_fold(value, |value, name| value.get(name))
}
