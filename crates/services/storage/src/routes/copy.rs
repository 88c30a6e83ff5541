//! Copying objects and giving them other names.

use super::{json, message};
use crate::Storage;
use crate::again;
use crate::call::{Call, Incoming};
use crate::db::{As, Scope, Work};
use crate::find::{Found, Right};
use crate::names::{BucketName, ObjectKey};
use crate::refusal::{self, Outcome};
use crate::routes::upload::header_metadata;
use crate::store::objects;
use crate::upload::{Finished, Permission, Stored, Wanted};
use axum::body::Body;
use blob::Written;
use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value};
use uuid::Uuid;

/// From where to where.
struct Way {
    from: (BucketName, String),
    to: (BucketName, ObjectKey),
}

impl Way {
    fn of(
        storage: &Storage,
        bucket: &str,
        source: String,
        to_bucket: Option<&str>,
        key: &str,
    ) -> Outcome<Way> {
        Ok(Way {
            from: (BucketName::parse(bucket)?, source),
            to: (
                BucketName::parse(to_bucket.unwrap_or(bucket)).map_err(|_| refusal::no_relation())?,
                storage.key(key)?,
            ),
        })
    }
}

/// `POST /object/copy`
pub(crate) async fn copy(storage: &Storage, call: &Call, mut body: Incoming) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    let mut fields = body.fields(&call.headers).await?;
    let (bucket, source) = (fields.required_text("bucketId"), fields.required_text("sourceKey"));
    let key = fields.required_text("destinationKey");
    let to_bucket = fields.text("destinationBucket").filter(|name| !name.is_empty());
    let keeps = fields.flag("copyMetadata").unwrap_or(true);
    let metadata = fields.object("metadata").unwrap_or_default();
    fields.finish()?;
    let way = Way::of(storage, &bucket, source, to_bucket.as_deref(), &key)?;
    let scope = call.scope(identity, "storage.object.copy");
    let change = Change { keeps, metadata, user_metadata: header_metadata(call) };
    let upsert = call.says_true("x-upsert");
    // The source may be overwritten meanwhile.
    let stored = again::read(|| async {
        let found = storage.find(&scope, Right::Policies, way.from.0.as_str(), &way.from.1).await;
        let found = found.map_err(|refused| {
            refused.instead("NoSuchBucket", refusal::no_key).instead("InvalidKey", refusal::no_key)
        })?;
        let stored = storage.copy(&scope, &found, way.to.clone(), upsert, &change).await;
        stored.map_err(|refused| refused.instead("NoSuchBucket", refusal::no_relation))
    });
    let stored = stored.await?;
    let mut row = match &stored.row {
        Value::Object(row) => row.clone(),
        _ => Map::new(),
    };
    let path = [to_bucket.as_deref().unwrap_or(&bucket), "/", key.as_str()].concat();
    let id = row.get("id").cloned().unwrap_or_default();
    let mut answer = Map::from_iter([("Key".to_owned(), Value::from(path)), ("Id".to_owned(), id)]);
    answer.append(&mut row);
    Ok(json(&Value::Object(answer)))
}

/// What a copy says differently from its source.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// Whether the source's metadata is kept.
    pub(crate) keeps: bool,
    /// `cacheControl` and `mimetype`, where they are not kept.
    pub(crate) metadata: Map<String, Value>,
    /// JSON.
    pub(crate) user_metadata: Option<String>,
}

impl Storage {
    /// A copy of an object that the caller may see, where they may write.
    pub(crate) async fn copy(
        &self,
        scope: &Scope,
        found: &Found,
        (bucket, key): (BucketName, ObjectKey),
        upsert: bool,
        change: &Change,
    ) -> Outcome<Stored> {
        let named = |name: &str, kept: &str| {
            let said = change.metadata.get(name).filter(|_| !change.keeps).and_then(Value::as_str);
            said.unwrap_or(kept).to_owned()
        };
        let wanted = Wanted {
            bucket,
            key,
            mime: named("mimetype", &found.metadata.mimetype),
            cache_control: named("cacheControl", &found.metadata.cache_control),
            robots: found.metadata.x_robots_tag.clone(),
            user_metadata: if change.keeps { &found.user_metadata } else { &change.user_metadata }.clone(),
            declared: Some(found.metadata.size),
            is_exact: true,
            upsert,
            if_match: None,
            permission: Permission::Policies,
            limit: u64::MAX,
        };
        self.permit_key(scope, &wanted).await?;
        let from = self.body_key(&found.version).ok_or_else(refusal::no_body)?;
        let version = Uuid::new_v4();
        self.machinery.blobs.copy(&from, &self.new_key(version)).await?;
        let etag = found.etag();
        let md5 = hex::decode(etag.trim_matches('"')).ok().and_then(|bytes| bytes.try_into().ok());
        let written = Written { size: found.metadata.size, md5: md5.unwrap_or_default() };
        let finished =
            Finished { version, written, first: Bytes::new(), etag: Some(etag), checks_limits: false };
        self.commit_or_undo(scope, &wanted, finished, false).await
    }
}

/// `POST /object/move`
pub(crate) async fn rename(storage: &Storage, call: &Call, mut body: Incoming) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    let mut fields = body.fields(&call.headers).await?;
    let (bucket, source) = (fields.required_text("bucketId"), fields.required_text("sourceKey"));
    let key = fields.required_text("destinationKey");
    let to_bucket = fields.text("destinationBucket").filter(|name| !name.is_empty());
    fields.finish()?;
    let way = Way::of(storage, &bucket, source, to_bucket.as_deref(), &key)?;
    let scope = call.scope(identity, "storage.object.move");
    let from = (way.from.0.as_str(), way.from.1.as_str());
    let to = (way.to.0.as_str(), way.to.1.as_str());
    if from != to {
        rename_row(storage, &scope, from, to).await?;
    }
    Ok(message("Successfully moved"))
}

/// The body keeps its name, so a move is two transactions and nothing else: one asks the caller's policies and is
/// undone, one moves the row.
async fn rename_row(storage: &Storage, scope: &Scope, from: (&str, &str), to: (&str, &str)) -> Outcome<()> {
    let identity = &scope.identity;
    let owner = (identity.owner(), identity.subject.as_deref());
    let mut work = Work::new(scope, As::Caller);
    let visible = work.caller(objects::visible(from.0, from.1));
    let permitted = work.probe_all([objects::rename(from, to, owner.0, owner.1)]);
    let results = storage.db.run(scope, work).await?;
    if results.of(visible)?.is_empty() {
        return Err(refusal::no_key());
    }
    if results.of(permitted)?.is_empty() {
        return Err(refusal::denied("Access denied"));
    }
    let mut work = Work::new(scope, As::Service);
    let moved = work.service(objects::rename(from, to, owner.0, owner.1));
    let results = storage.db.run(scope, work).await?;
    if results.of(moved)?.is_empty() { Err(refusal::no_key()) } else { Ok(()) }
}
