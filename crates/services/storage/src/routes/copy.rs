//! Copying objects and giving them other names.

use super::{json, message};
use crate::Storage;
use crate::again;
use crate::call::{Call, Incoming};
use crate::db::{As, Scope, Work};
use crate::find::{Found, Right};
use crate::metadata::Metadata;
use crate::mime;
use crate::names::{BucketName, ObjectKey};
use crate::refusal::{self, Outcome};
use crate::routes::upload::header_metadata;
use crate::sniff;
use crate::store::buckets::{self, Bucket};
use crate::store::objects;
use crate::upload::{Finished, Origin, Permission, Stored, Wanted};
use axum::body::Body;
use blob::Written;
use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use uuid::Uuid;

/// How many first bytes tell a file's type.
const FIRST_BYTES: u64 = 8 * 1024;
/// How often a move is asked for that finds another object each time.
const TRIES: usize = 4;

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

    fn from(&self) -> (&str, &str) {
        (self.from.0.as_str(), &self.from.1)
    }

    fn to(&self) -> (&str, &str) {
        (self.to.0.as_str(), self.to.1.as_str())
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
            said.filter(|said| !said.is_empty()).unwrap_or(kept).to_owned()
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
        if !change.keeps {
            wanted.check()?;
        }
        let into = self.permit_key(scope, &wanted).await?;
        let from = self.body_key(&found.version).ok_or_else(refusal::no_body)?;
        let moves = wanted.bucket.as_str() != found.bucket;
        if moves || wanted.mime != found.metadata.mimetype {
            let coming =
                Coming { size: found.metadata.size, mime: &wanted.mime, version: Some(&found.version) };
            self.check_into(&into, &wanted.key, coming, moves).await?;
        }
        self.make_room(found.metadata.size, 0).await?;
        let version = Uuid::new_v4();
        self.settings.usage.copied(found.metadata.size);
        self.machinery.blobs.copy(&from, &self.new_key(version)).await?;
        let etag = found.etag();
        let md5 = hex::decode(etag.trim_matches('"')).ok().and_then(|bytes| bytes.try_into().ok());
        let written = Written { size: found.metadata.size, md5: md5.unwrap_or_default() };
        let finished =
            Finished { etag: Some(etag), ..Finished::new(version, written, Bytes::new(), Origin::Copied) };
        self.commit_or_undo(scope, &wanted, finished).await
    }

    /// Whether a bucket takes the body of an object as if it was uploaded there. `sizes` is whether that is asked of its
    /// size, too: what is in the bucket already is as large as it is.
    async fn check_into(
        &self,
        into: &Bucket,
        key: &ObjectKey,
        coming: Coming<'_>,
        sizes: bool,
    ) -> Outcome<()> {
        if sizes && into.file_size_limit.is_some_and(|limit| coming.size > limit) {
            return Err(refusal::too_large());
        }
        let refused = || refusal::invalid_mime(coming.mime);
        if key.is_folder_mark() || into.types().is_empty() {
            return Ok(());
        }
        if !mime::is_allowed(coming.mime, into.types()) {
            return Err(refused());
        }
        let body = coming.version.and_then(|version| self.body_key(version));
        let Some(body) = body.filter(|_| self.settings.sniff_types && coming.size > 0) else { return Ok(()) };
        let first = match self.machinery.blobs.read(&body, Some(0..coming.size.min(FIRST_BYTES))).await {
            Ok(reading) => reading.collect().await?.to_bytes(),
            // There is nothing that could be shown as something else.
            Err(blob::Error::NotFound) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let essence = mime::essence(coming.mime).to_ascii_lowercase();
        if sniff::contradicts(&essence, &first) { Err(refused()) } else { Ok(()) }
    }
}

/// A body on its way into a bucket.
#[derive(Debug, Clone, Copy)]
struct Coming<'a> {
    size: u64,
    mime: &'a str,
    version: Option<&'a str>,
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
    // What a row can be called is asked of the database, but for what no text there holds.
    if way.from.1.contains('\0') {
        return Err(refusal::no_key());
    }
    let scope = call.scope(identity, "storage.object.move");
    if way.from() != way.to() {
        rename_row(storage, &scope, &way).await?;
    }
    Ok(message("Successfully moved"))
}

/// The body keeps its name, so a move is two transactions and nothing else: one asks the caller's policies and is
/// undone, one moves the row. It moves no other than was asked about; where there is another by then, that is asked about.
async fn rename_row(storage: &Storage, scope: &Scope, way: &Way) -> Outcome<()> {
    let (from, to) = (way.from(), way.to());
    let identity = &scope.identity;
    let owner = (identity.owner(), identity.subject.as_deref());
    for _ in 0..TRIES {
        let row = permitted(storage, scope, way).await?;
        let mut work = Work::new(scope, As::Service);
        let only = Some((row.id.as_str(), row.version.as_deref()));
        let moved = work.service(objects::rename(from, to, owner, only));
        if !storage.db.run(scope, work).await?.of(moved)?.is_empty() {
            return Ok(());
        }
    }
    Err(refusal::no_key())
}

/// The row that the caller may move.
struct Movable {
    id: String,
    version: Option<String>,
}

async fn permitted(storage: &Storage, scope: &Scope, way: &Way) -> Outcome<Movable> {
    let (from, to) = (way.from(), way.to());
    let owner = (scope.identity.owner(), scope.identity.subject.as_deref());
    let mut work = Work::new(scope, As::Caller);
    let visible = work.caller(objects::visible(from.0, from.1));
    let permitted = work.probe_all([objects::rename(from, to, owner, None)]);
    let into = work.service(buckets::find(to.0));
    let results = storage.db.run(scope, work).await?;
    if results.of(visible)?.is_empty() {
        return Err(refusal::no_key());
    }
    let row = results.of(permitted)?.first().ok_or_else(|| refusal::denied("Access denied"))?;
    let text = |at: usize| row.text(at).map(str::to_owned);
    let movable = Movable { id: text(0).unwrap_or_default(), version: text(1) };
    if from.0 != to.0 {
        let into: Bucket = results.of(into)?.first().ok_or_else(refusal::no_relation)?.json(0)?;
        let metadata = Metadata::of(row.text(2));
        let coming =
            Coming { size: metadata.size, mime: &metadata.mimetype, version: movable.version.as_deref() };
        storage.check_into(&into, &way.to.1, coming, true).await?;
    }
    Ok(movable)
}
