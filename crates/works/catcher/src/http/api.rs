//! The API of Mailpit, as far as test suites use it.

use super::{answer, text};
use crate::message;
use crate::search::Search;
use crate::store::{Catcher, Kept};
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use http::{HeaderValue, Response, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Entries of a list: how many there are when nobody says, and at most.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 1000;

/// The parameters of a request.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(query: Option<String>) -> Query {
        Query(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn number(&self, name: &str, default: usize) -> usize {
        self.get(name).parse().unwrap_or(default)
    }
}

/// What is asked for in the body of changes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Chosen {
    #[serde(rename = "IDs")]
    ids: Vec<String>,
    read: bool,
    search: String,
}

pub(super) async fn info(State(catcher): State<Catcher>) -> Response<Body> {
    let all = catcher.all();
    let version = concat!("rowhouse-", env!("CARGO_PKG_VERSION"));
    ok(&json!({
        "Version": version,
        "LatestVersion": version,
        "Database": "",
        "DatabaseSize": all.iter().map(|kept| kept.summary.size).sum::<u64>(),
        "Messages": all.len(),
        "Unread": unread(&all),
        "Tags": {},
    }))
}

pub(super) async fn webui() -> Response<Body> {
    ok(&json!({ "Label": "Rowhouse", "MessageRelay": { "Enabled": false }, "SpamAssassin": false }))
}

pub(super) async fn tags() -> Response<Body> {
    ok(&json!([]))
}

pub(super) async fn list(State(catcher): State<Catcher>, RawQuery(query): RawQuery) -> Response<Body> {
    let all = catcher.all();
    page(&all, &all, &Query::of(query))
}

pub(super) async fn search(State(catcher): State<Catcher>, RawQuery(query): RawQuery) -> Response<Body> {
    let query = Query::of(query);
    if query.get("query").trim().is_empty() {
        return text(StatusCode::BAD_REQUEST, "Error: no search query");
    }
    let found = found(&catcher, query.get("query")).await;
    page(&catcher.all(), &found, &query)
}

/// The messages that fit a search.
pub(super) async fn found(catcher: &Catcher, query: &str) -> Vec<Arc<Kept>> {
    let search = Search::parse(query);
    let mut found = Vec::new();
    for kept in catcher.all() {
        let text = match search.wants_text() {
            // A message that has just been deleted has no text.
            true => {
                catcher.raw(&kept).await.map(|raw| message::bodies(&raw).1.to_lowercase()).unwrap_or_default()
            }
            false => String::new(),
        };
        if search.fits(&kept.summary, kept.is_read(), &text) {
            found.push(kept);
        }
    }
    found
}

/// A page of a list in the form that Mailpit gives it.
fn page(all: &[Arc<Kept>], found: &[Arc<Kept>], query: &Query) -> Response<Body> {
    let start = query.number("start", 0);
    let limit = query.number("limit", LIMIT).min(LIMIT_MAX);
    let shown = found.iter().skip(start).take(limit);
    let entries: Vec<Value> = shown.map(|kept| kept.summary.entry(&kept.id, kept.is_read())).collect();
    ok(&json!({
        "total": all.len(),
        "unread": unread(all),
        "count": entries.len(),
        "messages_count": found.len(),
        "messages_unread": unread(found),
        "start": start,
        "tags": [],
        "messages": entries,
    }))
}

fn unread(list: &[Arc<Kept>]) -> usize {
    list.iter().filter(|kept| !kept.is_read()).count()
}

pub(super) async fn mark(State(catcher): State<Catcher>, body: Bytes) -> Response<Body> {
    let Ok(chosen) = serde_json::from_slice::<Chosen>(&body) else {
        return text(StatusCode::BAD_REQUEST, "the body is not JSON");
    };
    if !chosen.ids.is_empty() && !chosen.search.is_empty() {
        return text(StatusCode::BAD_REQUEST, "You may specify either IDs or a search query, not both");
    }
    let list = if chosen.search.is_empty() {
        pick(&catcher, &chosen.ids)
    } else {
        found(&catcher, &chosen.search).await
    };
    done(catcher.mark(&list, chosen.read).await)
}

pub(super) async fn delete(State(catcher): State<Catcher>, body: Bytes) -> Response<Body> {
    let chosen: Chosen = serde_json::from_slice(&body).unwrap_or_default();
    done(catcher.remove(&pick(&catcher, &chosen.ids)).await)
}

pub(super) async fn delete_search(
    State(catcher): State<Catcher>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let query = Query::of(query);
    if query.get("query").trim().is_empty() {
        return text(StatusCode::BAD_REQUEST, "Error: no search query");
    }
    let list = found(&catcher, query.get("query")).await;
    done(catcher.remove(&list).await)
}

/// Those with these ids; without any, all.
fn pick(catcher: &Catcher, ids: &[String]) -> Vec<Arc<Kept>> {
    let mut list = catcher.all();
    list.retain(|kept| ids.is_empty() || ids.contains(&kept.id));
    list
}

fn done(result: std::io::Result<()>) -> Response<Body> {
    match result {
        Ok(()) => text(StatusCode::OK, "ok"),
        Err(error) => failed(&error),
    }
}

/// A message by its id, or the newest.
pub(super) async fn find(catcher: &Catcher, id: &str, query: &str) -> Option<Arc<Kept>> {
    match id {
        "latest" if query.trim().is_empty() => catcher.all().into_iter().next(),
        "latest" => found(catcher, query).await.into_iter().next(),
        id => catcher.find(id),
    }
}

/// The message of a request with its bytes, or the answer that there is none.
async fn load(
    catcher: &Catcher,
    id: &str,
    query: Option<String>,
) -> Result<(Arc<Kept>, Vec<u8>), Box<Response<Body>>> {
    let none = || Box::new(text(StatusCode::NOT_FOUND, "Message not found"));
    let kept = find(catcher, id, Query::of(query).get("query")).await.ok_or_else(none)?;
    let raw = catcher.raw(&kept).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => none(),
        _ => Box::new(failed(&error)),
    })?;
    Ok((kept, raw))
}

pub(super) async fn message(
    State(catcher): State<Catcher>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    match load(&catcher, &id, query).await {
        Ok((kept, raw)) => match catcher.mark(std::slice::from_ref(&kept), true).await {
            Ok(()) => ok(&kept.summary.whole(&kept.id, &raw)),
            Err(error) => failed(&error),
        },
        Err(refused) => *refused,
    }
}

pub(super) async fn headers(
    State(catcher): State<Catcher>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    match load(&catcher, &id, query).await {
        Ok((_, raw)) => ok(&message::headers(&raw)),
        Err(refused) => *refused,
    }
}

pub(super) async fn raw(
    State(catcher): State<Catcher>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let download = Query::of(query.clone()).get("dl") == "1";
    match load(&catcher, &id, query).await {
        Ok((kept, raw)) => {
            let mut response = answer(StatusCode::OK, "text/plain; charset=utf-8", raw);
            if download {
                disposition(&mut response, &format!("attachment; filename=\"{}.eml\"", kept.id));
            }
            response
        }
        Err(refused) => *refused,
    }
}

pub(super) async fn part(
    State(catcher): State<Catcher>,
    Path((id, part)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let (_, raw) = match load(&catcher, &id, query).await {
        Ok(found) => found,
        Err(refused) => return *refused,
    };
    let Some(file) = message::file(&raw, &part) else { return text(StatusCode::NOT_FOUND, "Part not found") };
    let name = utf8_percent_encode(file.name(), NON_ALPHANUMERIC).to_string();
    let mut response = answer(StatusCode::OK, "application/octet-stream", file.content.clone());
    if let Ok(kind) = HeaderValue::from_str(&file.content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    // A file is never a page of ours.
    disposition(&mut response, &format!("attachment; filename*=UTF-8''{name}"));
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    response
}

fn disposition(response: &mut Response<Body>, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
}

fn ok(body: &Value) -> Response<Body> {
    answer(StatusCode::OK, "application/json", body.to_string())
}

fn failed(error: &std::io::Error) -> Response<Body> {
    tracing::error!(%error, "the mail catcher cannot use its folder");
    text(StatusCode::INTERNAL_SERVER_ERROR, "the mail catcher cannot use its folder")
}
