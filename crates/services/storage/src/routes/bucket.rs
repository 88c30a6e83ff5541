//! Buckets.

use super::{json, message, no_route, text_json};
use crate::Storage;
use crate::call::{Call, Incoming, decoded};
use crate::db::{As, Scope, Work};
use crate::mime;
use crate::names::BucketName;
use crate::refusal::{self, Outcome, Refusal};
use crate::schema_check::{Fields, as_text};
use crate::size;
use crate::store::Layout;
use crate::store::buckets::{self, Listing, New, Patch};
use axum::body::Body;
use http::{Method, Response};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) async fn answer(
    storage: &Storage,
    call: &Call,
    rest: &str,
    body: Incoming,
) -> Outcome<Response<Body>> {
    if rest.is_empty() {
        return match call.method {
            Method::GET => list(storage, call).await,
            Method::POST => create(storage, call, body).await,
            _ => Err(no_route(call)),
        };
    }
    let (id, below) = rest.split_once('/').unwrap_or((rest, ""));
    let id = decoded(id).ok_or_else(refusal::invalid_bucket)?;
    match (&call.method, below) {
        (&Method::GET, "") => show(storage, call, &id).await,
        (&Method::PUT, "") => update(storage, call, &id, body).await,
        (&Method::DELETE, "") => delete(storage, call, &id).await,
        (&Method::POST, "empty") => empty(storage, call, &id).await,
        _ => Err(no_route(call)),
    }
}

async fn list(storage: &Storage, call: &Call) -> Outcome<Response<Body>> {
    let scope = call.scope(call.identity(&storage.settings)?, "storage.bucket.list");
    let mut fields = Fields::of_query(&call.query);
    let limit = fields.integer("limit", 1);
    let offset = fields.integer("offset", 0);
    let column = fields.one_of("sortColumn", &["id", "name", "created_at", "updated_at"]);
    let ascends = fields.one_of("sortOrder", &["asc", "desc"]).is_none_or(|order| order == "asc");
    let search = fields.text("search").filter(|text| !text.is_empty());
    fields.finish()?;
    let typed = shows_type(call);
    let listing = Listing { limit, offset, sort: column.map(|column| (column, ascends)), search, typed };
    let mut work = Work::new(&scope, As::Caller);
    let rows = work.caller(buckets::list(&listing, storage.layout));
    let results = storage.db.run(&scope, work).await?;
    let rows: Vec<&str> = results.of(rows)?.iter().filter_map(|row| row.text(0)).collect();
    Ok(text_json(format!("[{}]", rows.join(","))))
}

/// Old Python clients refuse members that they do not know.
fn shows_type(call: &Call) -> bool {
    let client = call.header("x-client-info").or_else(|| call.header("user-agent")).unwrap_or_default();
    let older = |name: &str, first: (u32, u32)| {
        let Some((_, version)) = client.split_once(name) else { return false };
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) < first
    };
    !older("supabase-py/", (2, 18))
        && !older("supabase-py/storage3 v", (0, 12))
        && !older("storage3/", (0, 12))
}

/// The name of a bucket that may be there: what cannot be a name is none's.
fn known(id: &str) -> Outcome<BucketName> {
    BucketName::parse(id).map_err(|_| refusal::no_bucket())
}

async fn show(storage: &Storage, call: &Call, id: &str) -> Outcome<Response<Body>> {
    let scope = call.scope(call.identity(&storage.settings)?, "storage.bucket.get");
    let id = known(id)?;
    let mut work = Work::new(&scope, As::Caller);
    let shown = work.caller(buckets::show(id.as_str(), storage.layout));
    let results = storage.db.run(&scope, work).await?;
    let row = results.of(shown)?.first().ok_or_else(refusal::no_bucket)?;
    Ok(text_json(row.text(0).unwrap_or_default().to_owned()))
}

async fn create(storage: &Storage, call: &Call, mut body: Incoming) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    let mut fields = body.fields(&call.headers).await?;
    let name = fields.required_text("name");
    let id = fields.text("id").filter(|id| !id.is_empty()).unwrap_or_else(|| name.clone());
    let public = fields.flag("public").unwrap_or_default();
    let kind = fields.one_of("type", &["STANDARD", "ANALYTICS"]);
    let limits = Limits::take(&mut fields);
    let access = access(storage, &mut fields)?;
    fields.finish()?;
    if kind == Some("ANALYTICS") {
        return Err(refusal::disabled("iceberg_catalog"));
    }
    let (name, id) = (BucketName::parse_new(&name)?, BucketName::parse_new(&id)?);
    let limits = limits.check(storage)?;
    let new = New {
        id: id.as_str(),
        name: name.as_str(),
        owner: identity.owner(),
        owner_id: identity.subject.as_deref(),
        public,
        file_size_limit: limits.size.flatten(),
        allowed_mime_types: limits.types.as_ref().and_then(|types| types.as_deref()),
        access,
    };
    let scope = call.scope(identity.clone(), "storage.bucket.create");
    storage.create_bucket(&scope, &new).await?;
    Ok(json(&json!({ "name": name.as_str() })))
}

impl Storage {
    /// Makes a bucket, if the caller's policies allow it.
    pub(crate) async fn create_bucket(&self, scope: &Scope, new: &New<'_>) -> Outcome<()> {
        let mut work = Work::new(scope, As::Caller);
        work.caller(buckets::insert(new));
        let done = self.db.run(scope, work).await;
        done.map(drop).map_err(|error| match error.sqlstate() {
            Some("23505") => refusal::exists("BucketAlreadyExists").caused_by(error),
            _ => error.into(),
        })
    }

    /// Deletes an empty bucket, if the caller's policies allow it.
    pub(crate) async fn delete_bucket(&self, scope: &Scope, id: &BucketName) -> Outcome<()> {
        let mut work = Work::new(scope, As::Service);
        let [lock, look] = buckets::lock_and_look(id.as_str());
        let there = work.service(lock);
        let holds = work.service(look);
        let deleted = work.caller(buckets::delete(id.as_str()));
        let results = self.db.run(scope, work).await.map_err(|error| match error.sqlstate() {
            // An upload came in between.
            Some("23503") => refusal::not_empty().caused_by(error),
            _ => error.into(),
        })?;
        if results.of(there)?.is_empty() {
            return Err(refusal::no_bucket());
        }
        let holds = results.of(holds)?.one()?;
        if holds.get::<bool>(0)? {
            return Err(refusal::not_empty());
        }
        if holds.get::<bool>(1)? {
            return Err(pending());
        }
        // Policies that hide it from the caller.
        if results.of(deleted)?.is_empty() {
            return Err(refusal::no_bucket());
        }
        self.purge_later(id.as_str());
        Ok(())
    }
}

fn pending() -> Refusal {
    let message = "The bucket has multipart uploads under way: complete or abort them first";
    Refusal::new(409, "ResourceReferenced", message)
}

/// The member `access`: of pooled projects, where nobody writes policies.
fn access(storage: &Storage, fields: &mut Fields) -> Outcome<Option<&'static str>> {
    if storage.layout == Layout::Own && fields.has("access") {
        let message = "body/access is for projects that share a database: here policies on storage.objects say who \
                       reads and writes";
        return Err(refusal::schema(message));
    }
    Ok(fields.one_of("access", &buckets::ACCESS))
}

/// The limits of a bucket in a request; what is not named is nothing, what is null is `Some(None)`.
#[derive(Debug, Default)]
struct Limits {
    size: Option<Option<u64>>,
    types: Option<Option<Vec<String>>>,
}

const SIZE_PATTERN: &str = r#"must match pattern "^[0-9]+(?:\.[0-9]+)?(?:[gG][bB]|[mM][bB]|[kK][bB]|[bB])$""#;
const NO_SCHEMA: &str = "must match a schema in anyOf";

impl Limits {
    fn take(fields: &mut Fields) -> Limits {
        let (size, types) = (fields.raw("file_size_limit"), fields.raw("allowed_mime_types"));
        let size = size.map(|value| {
            size::parse(&value).unwrap_or_else(|wrongs| {
                for wrong in wrongs.iter().chain(&[SIZE_PATTERN, NO_SCHEMA]) {
                    fields.wrong("file_size_limit", wrong);
                }
                None
            })
        });
        let types = types.and_then(|value| match value {
            Value::Null => Some(None),
            Value::Array(items) => Some(Some(items.iter().filter_map(as_text).collect())),
            value => match as_text(&value) {
                Some(one) => Some(Some(vec![one])),
                None => {
                    fields.wrong("allowed_mime_types", NO_SCHEMA);
                    None
                }
            },
        });
        Limits { size, types }
    }

    /// What the project allows, and what can be a type.
    fn check(mut self, storage: &Storage) -> Outcome<Limits> {
        if self.size.flatten().is_some_and(|bytes| bytes > storage.settings.file_size_limit) {
            return Err(refusal::too_large());
        }
        if let Some(Some(types)) = &mut self.types {
            types.retain(|entry| !entry.is_empty());
            types.iter().try_for_each(|entry| mime::check_entry(entry))?;
        }
        Ok(self)
    }
}

async fn update(storage: &Storage, call: &Call, id: &str, mut body: Incoming) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    let mut fields = body.fields(&call.headers).await?;
    let public = fields.flag("public");
    let limits = Limits::take(&mut fields);
    let access = access(storage, &mut fields)?;
    fields.finish()?;
    if public.is_none() && limits.size.is_none() && limits.types.is_none() && access.is_none() {
        let all = ["public", "file_size_limit", "allowed_mime_types"]
            .map(|name| format!("body must have required property '{name}'"));
        return Err(refusal::schema(format!("{}, body {NO_SCHEMA}", all.join(", "))));
    }
    let id = known(id)?;
    let limits = limits.check(storage)?;
    let patch = Patch { public, file_size_limit: limits.size, allowed_mime_types: limits.types, access };
    let scope = call.scope(identity, "storage.bucket.update");
    let mut work = Work::new(&scope, As::Caller);
    let updated = work.caller(buckets::update(id.as_str(), &patch));
    let results = storage.db.run(&scope, work).await?;
    if results.of(updated)?.is_empty() {
        return Err(refusal::no_bucket());
    }
    if public == Some(false) {
        storage.purge_later(id.as_str());
    }
    Ok(message("Successfully updated"))
}

async fn delete(storage: &Storage, call: &Call, id: &str) -> Outcome<Response<Body>> {
    let scope = call.scope(call.identity(&storage.settings)?, "storage.bucket.delete");
    storage.delete_bucket(&scope, &known(id)?).await?;
    Ok(message("Successfully deleted"))
}

/// After so long the caller is told that a bucket is being emptied, be it done or not.
const EMPTYING_ANSWERED_AFTER: Duration = Duration::from_secs(20);
/// How many objects of a bucket may be deleted by one call.
const EMPTIED_MAX: i64 = 200_000;

async fn empty(storage: &Storage, call: &Call, id: &str) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    if !identity.is_service() {
        return Err(refusal::not_service());
    }
    let id = known(id)?;
    let scope = call.scope(identity, "storage.bucket.empty");
    let mut work = Work::new(&scope, As::Caller);
    let there = work.caller(buckets::find(id.as_str()));
    let count = work.caller(buckets::count(id.as_str(), EMPTIED_MAX + 1));
    let results = storage.db.run(&scope, work).await?;
    if results.of(there)?.is_empty() {
        return Err(refusal::no_bucket());
    }
    if results.of(count)?.one()?.get::<i64>(0)? > EMPTIED_MAX {
        let message = format!("Cannot empty a bucket of more than {EMPTIED_MAX} objects at once");
        return Err(Refusal::new(409, "InvalidRequest", message));
    }
    let emptied = tokio::spawn({
        let storage = storage.clone();
        async move { storage.empty_bucket(&scope, &id).await }
    });
    // It goes on when the client does not wait, or not for so long.
    if let Ok(done) = tokio::time::timeout(EMPTYING_ANSWERED_AFTER, emptied).await {
        done.map_err(|error| refusal::internal("Internal server error").caused_by(error))??;
    }
    Ok(message("Empty bucket has been queued. Completion may take up to an hour."))
}

impl Storage {
    /// Deletes what is in a bucket now, some hundred objects at a time.
    async fn empty_bucket(&self, scope: &Scope, id: &BucketName) -> Outcome<()> {
        let before = crate::metadata::iso(self.clock.now());
        loop {
            let mut work = Work::new(scope, As::Service);
            let deleted = work.service(buckets::delete_some(id.as_str(), &before));
            let results = self.db.run(scope, work).await?;
            let versions = results.of(deleted)?;
            self.forget_versions(versions.iter().filter_map(|row| row.text(0).map(str::to_owned)).collect())
                .await;
            if versions.len() < buckets::EMPTIED_AT_ONCE {
                return Ok(());
            }
        }
    }
}
