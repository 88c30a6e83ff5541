//! Plans of calls: which overload is meant, and what it is given.

use super::level::{Level, Tree};
use super::mutate::{Returning, returning};
use super::similar;
use crate::config::Settings;
use crate::request::{Calling, MediaType, Payload, Request};
use crate::schema::{Argument, Function, SchemaCache};
use bytes::Bytes;
use fault::Fault;
use http::StatusCode;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A call of a function.
#[derive(Debug, Clone)]
pub struct Call {
    pub function: Arc<Function>,
    pub arguments: Arguments,
    /// The columns of the result that are needed.
    pub returning: Returning,
}

/// What a function is given.
#[derive(Debug, Clone)]
pub enum Arguments {
    None,
    /// The whole body, for the only and unnamed argument.
    Whole {
        body: Bytes,
        argument: Argument,
    },
    /// A value for each argument, in the query string or a form.
    Direct(Vec<(Argument, Value)>),
    /// The keys of a JSON body.
    Json {
        body: Bytes,
        is_object: bool,
        arguments: Vec<Argument>,
    },
}

/// The value of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    One(String),
    /// The repeated values of a variadic argument.
    Many(Vec<String>),
}

/// Finds the overload that fits the arguments.
pub fn find(
    request: &Request,
    name: &str,
    how: Calling,
    cache: &SchemaCache,
    settings: &Settings,
) -> Result<Arc<Function>, Fault> {
    let keys = argument_keys(request, how);
    let posts = how == Calling::Post;
    let overloads = cache.functions(&request.schema, name);
    let search = Search { name, keys: &keys, media: &request.content_type, posts, schema: &request.schema };
    let fitting: Vec<&Arc<Function>> = overloads.iter().filter(|function| search.fits(function)).collect();
    let fallback: Vec<&Arc<Function>> = overloads
        .iter()
        .filter(|function| !search.fits(function) && search.takes_whole_body(function))
        .collect();
    match (fitting.as_slice(), fallback.as_slice()) {
        ([only], _) | ([], [only]) => Ok(Arc::clone(only)),
        ([], []) => Err(search.not_found(overloads, cache, settings)),
        ([], several) | (several, _) => Err(ambiguous(several, settings)),
    }
}

/// The names of the arguments that a request gives.
fn argument_keys(request: &Request, how: Calling) -> BTreeSet<String> {
    match how {
        Calling::Post => request.columns.clone(),
        Calling::Get | Calling::Head => {
            request.query.arguments.iter().map(|(name, _)| name.clone()).collect()
        }
    }
}

struct Search<'a> {
    schema: &'a str,
    name: &'a str,
    keys: &'a BTreeSet<String>,
    media: &'a MediaType,
    posts: bool,
}

impl Search<'_> {
    /// The body cannot be anything but the only argument.
    fn whole_body_only(&self) -> bool {
        self.posts && matches!(self.media, MediaType::Text | MediaType::Xml | MediaType::OctetStream)
    }

    /// All required arguments are given, and none that is not declared.
    fn fits(&self, function: &Function) -> bool {
        if function.arguments.is_empty() {
            return self.keys.is_empty() && !self.whole_body_only();
        }
        let given = |argument: &&Argument| self.keys.contains(&*argument.name);
        let declared = |key: &String| function.arguments.iter().any(|argument| *argument.name == **key);
        function.arguments.iter().filter(|argument| argument.required).all(|argument| given(&argument))
            && self.keys.iter().all(declared)
    }

    fn takes_whole_body(&self, function: &Function) -> bool {
        let [only] = &*function.arguments else { return false };
        self.posts
            && only.name.is_empty()
            && matches!(
                (self.media, &*only.type_name),
                (MediaType::Json, "json" | "jsonb")
                    | (MediaType::Text, "text")
                    | (MediaType::Xml, "xml")
                    | (MediaType::OctetStream, "bytea")
            )
    }

    fn not_found(&self, overloads: &[Arc<Function>], cache: &SchemaCache, settings: &Settings) -> Fault {
        let keys: Vec<&str> = self.keys.iter().map(String::as_str).collect();
        let function = format!("{}.{}", settings.shown_schema(self.schema), self.name);
        let listed = keys.join(", ");
        let whole = self.whole_body_only();
        let in_message = match keys.as_slice() {
            _ if whole => String::new(),
            [] => " without parameters".to_owned(),
            _ => format!("({listed})"),
        };
        let named = match keys.as_slice() {
            [] => " without parameters".to_owned(),
            [_] => format!(" with parameter {listed}"),
            _ => format!(" with parameters {listed}"),
        };
        let in_details = match (self.posts, self.media) {
            (true, MediaType::Text) => " with a single unnamed text parameter".to_owned(),
            (true, MediaType::Xml) => " with a single unnamed xml parameter".to_owned(),
            (true, MediaType::OctetStream) => " with a single unnamed bytea parameter".to_owned(),
            (true, MediaType::Json) => format!("{named} or with a single unnamed json/jsonb parameter"),
            _ => named,
        };
        let message = format!("Could not find the function {function}{in_message} in the schema cache");
        let details = format!(
            "Searched for the function {function}{in_details}, but no matches were found in the schema cache."
        );
        let fault = Fault::new(StatusCode::NOT_FOUND, "PGRST202", message).with_details(details);
        match self.perhaps(overloads, cache).filter(|_| !whole) {
            Some(better) => fault.with_hint(format!(
                "Perhaps you meant to call the function {}.{better}",
                settings.shown_schema(self.schema)
            )),
            None => fault,
        }
    }

    /// Another function's name, or another list of arguments of this one.
    fn perhaps(&self, overloads: &[Arc<Function>], cache: &SchemaCache) -> Option<String> {
        if overloads.is_empty() {
            let part = cache.schema(self.schema)?;
            return similar::closest(part.functions.keys().map(|name| &**name), self.name, 0.75);
        }
        let list = |mut names: Vec<&str>| {
            names.sort_unstable();
            format!("({})", names.join(", "))
        };
        let lists: Vec<String> = overloads
            .iter()
            .map(|function| list(function.arguments.iter().map(|argument| &*argument.name).collect()))
            .collect();
        let wanted = list(self.keys.iter().map(String::as_str).collect());
        let better = similar::closest(lists.iter().map(String::as_str), &wanted, 0.33)?;
        Some(format!("{}{better}", self.name))
    }
}

fn ambiguous(functions: &[&Arc<Function>], settings: &Settings) -> Fault {
    let described: Vec<String> = functions
        .iter()
        .map(|function| {
            let arguments: Vec<String> = function
                .arguments
                .iter()
                .map(|argument| format!("{} => {}", argument.name, argument.type_name))
                .collect();
            let schema = settings.shown_schema(&function.name.schema);
            format!("{schema}.{}({})", function.name.name, arguments.join(", "))
        })
        .collect();
    let message = format!("Could not choose the best candidate function between: {}", described.join(", "));
    Fault::new(StatusCode::MULTIPLE_CHOICES, "PGRST203", message).with_hint(
        "Try renaming the parameters or the function itself in the database so function overloading can be resolved",
    )
}

/// Plans the call of a function that was found.
pub fn plan(request: &Request, function: Arc<Function>, how: Calling, root: &Level) -> Call {
    let keys = argument_keys(request, how);
    let arguments = arguments(request, &function, how, &keys);
    Call { function, arguments, returning: needed(root) }
}

fn arguments(request: &Request, function: &Function, how: Calling, keys: &BTreeSet<String>) -> Arguments {
    if let [only] = &*function.arguments
        && only.name.is_empty()
    {
        let body = match &request.payload {
            Some(Payload::Json(raw) | Payload::Raw(raw)) => raw.clone(),
            Some(Payload::Form(_)) | None => Bytes::from_static(b"{}"),
        };
        return Arguments::Whole { body, argument: only.clone() };
    }
    let given: Vec<Argument> =
        function.arguments.iter().filter(|argument| keys.contains(&*argument.name)).cloned().collect();
    if given.is_empty() {
        return Arguments::None;
    }
    match (&request.payload, how) {
        (Some(payload @ Payload::Json(raw)), Calling::Post) => {
            Arguments::Json { body: raw.clone(), is_object: payload.is_object(), arguments: given }
        }
        (Some(Payload::Form(fields)), Calling::Post) => Arguments::Direct(direct(given, fields)),
        _ => Arguments::Direct(direct(given, &request.query.arguments)),
    }
}

/// The values of arguments: all of a variadic one's, else the last.
fn direct(arguments: Vec<Argument>, given: &[(String, String)]) -> Vec<(Argument, Value)> {
    let mut values: HashMap<&str, Vec<&String>> = HashMap::new();
    for (name, value) in given {
        values.entry(name).or_default().push(value);
    }
    arguments
        .into_iter()
        .map(|argument| {
            let found = values.remove(&*argument.name).unwrap_or_default();
            let value = match found.as_slice() {
                many if argument.variadic && !is_array_literal(many) => {
                    Value::Many(many.iter().map(|value| (*value).clone()).collect())
                }
                [.., last] => Value::One((*last).clone()),
                [] => Value::One(String::new()),
            };
            (argument, value)
        })
        .collect()
}

/// A variadic argument may also be given as one array.
fn is_array_literal(values: &[&String]) -> bool {
    matches!(values, [only] if only.starts_with('{') && only.ends_with('}'))
}

/// The columns of the result that are shown, joined by or filtered on.
fn needed(root: &Level) -> Returning {
    match returning(root, &[]) {
        Returning::Columns(mut columns) => {
            let mut filtered = BTreeSet::new();
            root.conditions.iter().for_each(|tree| filter_columns(tree, &mut filtered));
            filtered.retain(|name| !columns.contains(name));
            columns.extend(filtered);
            Returning::Columns(columns)
        }
        other => other,
    }
}

fn filter_columns(tree: &Tree, found: &mut BTreeSet<String>) {
    match tree {
        Tree::Leaf { reference, .. } => {
            found.insert(reference.name.clone());
        }
        Tree::Group { items, .. } => items.iter().for_each(|item| filter_columns(item, found)),
        Tree::Embedded { .. } => {}
    }
}
