//! The first stage: an HTTP request becomes a [`Request`] that says what is wanted. Pure: neither the schema
//! cache nor the database is asked.

mod field;
mod filter;
mod lines;
mod media;
mod order;
mod payload;
mod prefer;
mod query;
mod query_method;
mod range;
mod scan;
mod select;
#[cfg(test)]
mod tests;

pub use field::{Field, Operand, Step};
pub use filter::{Condition, Filter, IsValue, Logic, Operation, Operator, Quantifier};
pub use media::{MediaType, PlanType};
pub use order::{Direction, Nulls, OrderTerm};
pub use payload::Payload;
pub use prefer::{Count, Missing, Pagination, Preferences, Representation, Resolution, TransactionEnd};
pub use query::{ESCAPED, EmbedPath, Query};
pub use query_method::{QUERY_BYTES_MAX, shorten_location, stands_for, whole_query};
pub use range::Span;
pub use scan::Scanner;
pub use select::{Aggregate, SelectColumn, SelectItem};

use crate::config::{OpenApiMode, Settings};
use crate::faults;
use bytes::Bytes;
use fault::Fault;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use std::collections::BTreeSet;

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    pub action: Action,
    /// The physical schema.
    pub schema: String,
    /// The schema was chosen, or could have been: replies say which it was.
    pub negotiated: bool,
    pub query: Query,
    /// The rows of the root.
    pub span: Span,
    pub payload: Option<Payload>,
    /// The columns or arguments that the payload, or `columns=`, names.
    pub columns: BTreeSet<String>,
    pub prefer: Preferences,
    /// The acceptable media types, best first.
    pub accept: Vec<MediaType>,
    pub content_type: MediaType,
    /// `If-None-Match`: what the client has already.
    pub none_match: Option<String>,
}

/// What is to be done, and on what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    /// Rows of a relation; `head` without the body.
    Read { relation: String, head: bool },
    /// A change of a relation's rows.
    Mutate { relation: String, mutation: Mutation },
    /// A function's result.
    Call { function: String, how: Calling },
    /// The root's description.
    Describe { head: bool },
    /// What may be done with a relation.
    RelationInfo { relation: String },
    /// What may be done with a function.
    FunctionInfo { function: String },
    /// What may be done with the root.
    RootInfo,
}

/// A change of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutation {
    Create,
    Update,
    /// PUT: one row, created or replaced.
    Replace,
    Delete,
}

/// The method by which a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Calling {
    Get,
    Head,
    Post,
}

impl Action {
    /// Whether it is a call whose arguments are in the query string.
    fn reads_arguments(&self) -> bool {
        matches!(self, Action::Call { how: Calling::Get | Calling::Head, .. } | Action::FunctionInfo { .. })
    }

    fn reads_body(&self) -> bool {
        match self {
            Action::Mutate { mutation, .. } => *mutation != Mutation::Delete,
            Action::Call { how, .. } => *how == Calling::Post,
            _ => false,
        }
    }
}

/// A request as HTTP has it, its body read.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
}

/// Parses a request. The order of the checks decides which fault wins; it is part of the contract.
pub fn parse(incoming: Incoming, body: Bytes, settings: &Settings) -> Result<Request, Fault> {
    let Incoming { method, headers, .. } = incoming;
    let resource = resource(incoming.path, settings)?;
    let (schema, negotiated) = schema(method, headers, settings)?;
    let action = action(resource, method)?;
    let prefer = Preferences::parse(headers, settings.db_tx_end.allow_override);
    let cursors = prefer.pagination.is_some() && matches!(action, Action::Read { .. });
    let query = query::parse(incoming.query, action.reads_arguments(), cursors)?;
    let span = root_span(method, headers, &query)?;
    let content_type =
        header(headers, "content-type").map_or(MediaType::Json, |text| MediaType::parse(&text));
    let (payload, columns) = payload(&action, body, &content_type, &query)?;
    Ok(Request {
        schema,
        negotiated,
        span,
        payload,
        columns,
        prefer,
        accept: header(headers, "accept").map_or_else(|| vec![MediaType::Any], |text| media::accepted(&text)),
        content_type,
        none_match: header(headers, "if-none-match").map(std::borrow::Cow::into_owned),
        query,
        action,
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
}

enum Resource {
    Root,
    Relation(String),
    Function(String),
}

fn resource(path: &str, settings: &Settings) -> Result<Resource, Fault> {
    let decode = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let segments: Vec<String> = match path.strip_prefix('/').unwrap_or(path) {
        "" => Vec::new(),
        path => path.split('/').map(decode).collect(),
    };
    match segments.as_slice() {
        [] if settings.openapi_mode == OpenApiMode::Disabled => Err(faults::root_disabled()),
        [] => match &settings.db_root_spec {
            Some(function) => Ok(Resource::Function(function.name.to_string())),
            None => Ok(Resource::Root),
        },
        [relation] => Ok(Resource::Relation(settings.relation_name(relation).to_owned())),
        [rpc, function] if rpc == "rpc" => Ok(Resource::Function(function.clone())),
        _ => Err(faults::invalid_path()),
    }
}

fn schema(method: &Method, headers: &HeaderMap, settings: &Settings) -> Result<(String, bool), Fault> {
    let profile = match *method {
        Method::DELETE | Method::PATCH | Method::POST | Method::PUT => header(headers, "content-profile"),
        _ => header(headers, "accept-profile"),
    };
    match profile {
        Some(shown) => match settings.physical_schema(&shown) {
            Some(schema) => Ok((schema.to_owned(), true)),
            None => Err(faults::unknown_schema(&shown, settings)),
        },
        None => Ok((settings.default_schema().to_owned(), settings.db_schemas.len() != 1)),
    }
}

fn action(resource: Resource, method: &Method) -> Result<Action, Fault> {
    let mutate = |relation, mutation| Ok(Action::Mutate { relation, mutation });
    match (resource, method.as_str()) {
        (Resource::Function(function), "GET") => Ok(Action::Call { function, how: Calling::Get }),
        (Resource::Function(function), "HEAD") => Ok(Action::Call { function, how: Calling::Head }),
        (Resource::Function(function), "POST") => Ok(Action::Call { function, how: Calling::Post }),
        (Resource::Function(function), "OPTIONS") => Ok(Action::FunctionInfo { function }),
        (Resource::Function(_), other) => Err(faults::call_method(other)),
        (Resource::Relation(relation), "GET") => Ok(Action::Read { relation, head: false }),
        (Resource::Relation(relation), "HEAD") => Ok(Action::Read { relation, head: true }),
        (Resource::Relation(relation), "POST") => mutate(relation, Mutation::Create),
        (Resource::Relation(relation), "PATCH") => mutate(relation, Mutation::Update),
        (Resource::Relation(relation), "PUT") => mutate(relation, Mutation::Replace),
        (Resource::Relation(relation), "DELETE") => mutate(relation, Mutation::Delete),
        (Resource::Relation(relation), "OPTIONS") => Ok(Action::RelationInfo { relation }),
        (Resource::Root, "GET") => Ok(Action::Describe { head: false }),
        (Resource::Root, "HEAD") => Ok(Action::Describe { head: true }),
        (Resource::Root, "OPTIONS") => Ok(Action::RootInfo),
        (_, other) => Err(faults::method(other)),
    }
}

/// The rows of the root: `limit` and `offset` within the `Range` header.
fn root_span(method: &Method, headers: &HeaderMap, query: &Query) -> Result<Span, Fault> {
    let asked = query.ranges.iter().find(|(path, _)| path.is_empty()).map_or(Span::ALL, |(_, span)| *span);
    let ranged = match header(headers, "range") {
        Some(text) if *method == Method::GET => Span::of_header(&text),
        _ => Span::ALL,
    };
    let span = if asked == Span::ZERO { asked } else { asked.meet(ranged) };
    if span.is_empty() && span != Span::ZERO {
        return Err(if ranged.is_empty() { faults::range_reversed() } else { faults::negative_limit() });
    }
    if *method == Method::PUT && span != Span::ALL {
        return Err(faults::put_range());
    }
    Ok(span)
}

fn payload(
    action: &Action,
    body: Bytes,
    media: &MediaType,
    query: &Query,
) -> Result<(Option<Payload>, BTreeSet<String>), Fault> {
    if !action.reads_body() {
        return Ok((None, BTreeSet::new()));
    }
    let columns = match action {
        Action::Mutate { mutation: Mutation::Replace, .. } => None,
        _ => query.columns.as_ref(),
    };
    let calls = matches!(action, Action::Call { .. });
    payload::read(body, media, calls, columns).map(|(payload, keys)| (Some(payload), keys))
}
