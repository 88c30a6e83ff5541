//! The last stage: what the database answered becomes an HTTP response.

mod errors;
mod etag;
mod page;
mod settings;

pub use errors::{batch_fault_response, database_fault, fault_response, show_schemas, shown_text};

use crate::config::Settings;
use crate::execute::{Content, Outcome};
use crate::faults;
use crate::plan::{Rows, Work, Write};
use crate::request::{
    Calling, ESCAPED, MediaType, Mutation, Preferences, Representation, Request, Resolution, Span,
};
use axum::body::Body;
use bytes::Bytes;
use fault::Fault;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE,
    LOCATION, VARY, WARNING,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::utf8_percent_encode;

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const CONTENT_PROFILE: HeaderName = HeaderName::from_static("content-profile");

/// Room for the headers of a usual response, the gateway's included, so that the map does not grow step by step.
const HEADERS_USUAL: usize = 12;

/// A response before it is one.
#[derive(Debug)]
struct Draft {
    status: StatusCode,
    headers: HeaderMap,
    body: Content,
}

impl Draft {
    fn new(status: StatusCode) -> Self {
        Draft { status, headers: HeaderMap::with_capacity(HEADERS_USUAL), body: Content::default() }
    }

    /// Adds a header; a value that cannot be one is left out.
    fn header(&mut self, name: HeaderName, value: impl AsRef<[u8]>) -> &mut Self {
        if let Ok(value) = HeaderValue::from_bytes(value.as_ref()) {
            self.headers.append(name, value);
        }
        self
    }

    /// Adds a body with its type and, where it is known, its length.
    fn body(&mut self, body: Content, media: &MediaType, request: &Request, settings: &Settings) {
        if let Some(length) = body.length() {
            self.header(CONTENT_LENGTH, length.to_string());
        }
        self.content_type(media, request, settings);
        self.body = body;
    }

    fn content_type(&mut self, media: &MediaType, request: &Request, settings: &Settings) {
        self.header(CONTENT_TYPE, media.content_type());
        self.profile(request, settings);
    }

    fn profile(&mut self, request: &Request, settings: &Settings) {
        if request.negotiated {
            self.header(CONTENT_PROFILE, settings.shown_schema(&request.schema));
        }
    }

    fn finish(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response.headers_mut().entry(VARY).or_insert(HeaderValue::from_static("Accept, Prefer, Range"));
        response
    }
}

/// The response to a plan that ended in a statement.
pub fn rows(
    outcome: Outcome,
    request: &Request,
    plan: &Rows,
    settings: &Settings,
) -> Result<Response<Body>, Fault> {
    let (status, headers) = (outcome.status.clone(), outcome.headers.clone());
    let mut draft = match (&plan.media, &plan.work) {
        (media @ MediaType::Plan(_), _) => {
            let mut draft = Draft::new(StatusCode::OK);
            draft.body(outcome.body, media, request, settings);
            draft
        }
        (_, Work::Read { head }) => read(outcome, request, plan, *head, settings)?,
        (_, Work::Write(write)) => written(outcome, request, plan, write, settings),
        (_, Work::Call { call, how }) => {
            called(outcome, request, plan, call.function.returns_void(), *how, settings)?
        }
    };
    warn_about_names(&mut draft, plan, settings);
    settings::override_status(&mut draft.status, status.as_deref())?;
    settings::override_headers(&mut draft.headers, headers.as_deref())?;
    if settings.etag_enabled && etag::suits(plan) {
        etag::mark(&mut draft, request.none_match.as_deref());
    }
    Ok(draft.finish())
}

fn read(
    outcome: Outcome,
    request: &Request,
    plan: &Rows,
    head: bool,
    settings: &Settings,
) -> Result<Draft, Fault> {
    let mut draft = ranged(&outcome, request, settings);
    let relation = &plan.root.relation.name;
    let query = &request.query.canonical;
    let mark = if query.is_empty() { "" } else { "?" };
    draft.header(CONTENT_LOCATION, format!("/{}{mark}{query}", percent_path(relation)));
    let body = std::mem::take(&mut draft.body);
    let body = if draft.status == StatusCode::RANGE_NOT_SATISFIABLE { body } else { outcome.body };
    if head {
        draft.content_type(&plan.media, request, settings);
    } else {
        draft.body(body, &plan.media, request, settings);
    }
    if let Some(keyset) = &plan.keyset {
        page::link(&mut draft, keyset, outcome.next.as_deref(), &request.query)?;
    }
    let applied = Applied { count: true, pagination: true, ..Applied::default() };
    apply_preferences(&mut draft, &request.prefer, applied);
    Ok(draft)
}

/// A name as it stands in a header: what cannot stand there is escaped.
fn percent_path(name: &str) -> String {
    const CONTROLS: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b' ');
    utf8_percent_encode(name, CONTROLS).to_string()
}

fn called(
    outcome: Outcome,
    request: &Request,
    plan: &Rows,
    void: bool,
    how: Calling,
    settings: &Settings,
) -> Result<Draft, Fault> {
    let mut draft = ranged(&outcome, request, settings);
    let beyond = std::mem::take(&mut draft.body);
    let body = if draft.status == StatusCode::RANGE_NOT_SATISFIABLE { beyond } else { outcome.body };
    if void {
        draft.status = StatusCode::NO_CONTENT;
    } else if how == Calling::Head {
        draft.content_type(&plan.media, request, settings);
    } else {
        draft.body(body, &plan.media, request, settings);
    }
    let applied = Applied { count: true, max_affected: true, ..Applied::default() };
    apply_preferences(&mut draft, &request.prefer, applied);
    Ok(draft)
}

/// Status and `Content-Range` of rows that were read; the body is that of a range beyond the end.
fn ranged(outcome: &Outcome, request: &Request, settings: &Settings) -> Draft {
    let lower = request.span.lower;
    let upper = (!outcome.more_rows).then(|| lower + outcome.rows - 1);
    let status = match outcome.total {
        Some(_) if outcome.more_rows => StatusCode::OK,
        Some(total) if lower > total => StatusCode::RANGE_NOT_SATISFIABLE,
        Some(total) if outcome.rows < total => StatusCode::PARTIAL_CONTENT,
        _ => StatusCode::OK,
    };
    let mut draft = Draft::new(status);
    draft.header(CONTENT_RANGE, content_range(Span { lower, upper }, outcome.total));
    if let (StatusCode::RANGE_NOT_SATISFIABLE, Some(total)) = (status, outcome.total) {
        draft.body = errors::error_body(&faults::offset_beyond(lower, total), settings).into();
    }
    draft
}

fn content_range(span: Span, total: Option<i64>) -> String {
    let shown = total.map_or_else(|| "*".to_owned(), |total| total.to_string());
    match span.upper {
        Some(upper) if total != Some(0) && span.lower <= upper => format!("{}-{upper}/{shown}", span.lower),
        _ => format!("*/{shown}"),
    }
}

fn written(outcome: Outcome, request: &Request, plan: &Rows, write: &Write, settings: &Settings) -> Draft {
    let prefer = &request.prefer;
    let full = prefer.representation == Some(Representation::Full);
    let total = prefer.counts().then_some(outcome.rows);
    let inserted = outcome.inserted.unwrap_or(0);
    let status = match write.mutation {
        Mutation::Create if write.counts_inserted() && inserted <= 0 => StatusCode::OK,
        Mutation::Create => StatusCode::CREATED,
        Mutation::Replace if full && inserted > 0 => StatusCode::CREATED,
        _ if full => StatusCode::OK,
        _ => StatusCode::NO_CONTENT,
    };
    let mut draft = Draft::new(status);
    match write.mutation {
        Mutation::Create => {
            if !outcome.location.is_empty() {
                draft.header(LOCATION, location(&write.relation.name, &outcome.location));
            }
            draft.header(CONTENT_RANGE, content_range(Span { lower: 1, upper: Some(0) }, total));
        }
        Mutation::Update => {
            let span = Span { lower: 0, upper: Some(outcome.rows - 1) };
            draft.header(CONTENT_RANGE, content_range(span, total));
        }
        Mutation::Delete => {
            draft.header(CONTENT_RANGE, content_range(Span { lower: 1, upper: Some(0) }, total));
        }
        Mutation::Replace => {}
    }
    if full {
        draft.body(outcome.body, &plan.media, request, settings);
    } else if write.mutation == Mutation::Create {
        draft.header(CONTENT_LENGTH, "0");
    }
    let creates = write.mutation == Mutation::Create;
    let applied = Applied {
        resolution: creates && (!write.primary_key.is_empty() || request.query.on_conflict.is_some()),
        missing: creates || write.mutation == Mutation::Update,
        representation: true,
        count: true,
        max_affected: matches!(write.mutation, Mutation::Update | Mutation::Delete),
        pagination: false,
    };
    apply_preferences(&mut draft, prefer, applied);
    draft
}

/// `/relation?key=eq.value`.
fn location(relation: &str, key: &[(String, Option<String>)]) -> String {
    let pairs: Vec<String> = key
        .iter()
        .map(|(name, value)| {
            let condition =
                value.as_ref().map_or_else(|| "is.null".to_owned(), |value| format!("eq.{value}"));
            format!("{}={}", utf8_percent_encode(name, ESCAPED), utf8_percent_encode(&condition, ESCAPED))
        })
        .collect();
    format!("/{}?{}", percent_path(relation), pairs.join("&"))
}

/// Which kinds of preferences a plan heeds.
#[derive(Default)]
struct Applied {
    resolution: bool,
    missing: bool,
    representation: bool,
    count: bool,
    max_affected: bool,
    pagination: bool,
}

fn apply_preferences(draft: &mut Draft, prefer: &Preferences, applied: Applied) {
    let heeded = Preferences {
        resolution: prefer.resolution.filter(|_: &Resolution| applied.resolution),
        missing: prefer.missing.filter(|_| applied.missing),
        representation: prefer.representation.filter(|_| applied.representation),
        count: prefer.count.filter(|_| applied.count),
        max_affected: prefer.max_affected.filter(|_| applied.max_affected),
        pagination: prefer.pagination.filter(|_| applied.pagination),
        unknown: Vec::new(),
        ..prefer.clone()
    };
    if let Some(text) = heeded.applied() {
        draft.header(PREFERENCE_APPLIED, text);
    }
}

/// Embeds that have an alias but were named by their relation still work; clients are told to stop.
fn warn_about_names(draft: &mut Draft, plan: &Rows, settings: &Settings) {
    let names = plan.root.legacy_names();
    if names.is_empty() || !settings.url_use_legacy_target_names {
        return;
    }
    let changes: Vec<String> =
        names.iter().map(|(relation, alias)| format!("`{relation}` to `{alias}`")).collect();
    let text = format!(
        "299 PostgRESTv16 \"Embedded resource was referenced by relation name even though it has an alias. This is \
         deprecated and will stop working in a future release. Update {} in query string filters, orders or limits.\"",
        changes.join(", ")
    );
    draft.header(WARNING, text);
}

/// The methods that something has.
pub fn info(allow: &str) -> Response<Body> {
    let mut draft = Draft::new(StatusCode::OK);
    draft.header(CONTENT_LENGTH, "0").header(ACCESS_CONTROL_ALLOW_ORIGIN, "*").header(ALLOW, allow);
    draft.finish()
}

/// The root's description.
pub fn description(document: Bytes, head: bool, request: &Request, settings: &Settings) -> Response<Body> {
    let mut draft = Draft::new(StatusCode::OK);
    if head {
        draft.content_type(&MediaType::OpenApi, request, settings);
    } else {
        draft.body(document.into(), &MediaType::OpenApi, request, settings);
    }
    draft.finish()
}
