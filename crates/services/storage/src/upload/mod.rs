//! From bytes to an object: every kind of upload ends here.
//!
//! The body is written first, under a version of its own that no row names yet. Then one transaction has the row name
//! it, and what the row named before is deleted. Killed at any point, there is either the old object or the new one;
//! bodies that nobody names are swept later. A body stays where it is not known whether a row names it.
//!
//! The caller's permission is tried in the transaction that writes the row, so that a small body costs one round trip
//! to the database. For a large one it is also tried before a byte is read.

mod commit;
mod form;
mod source;

pub(crate) use commit::{Finished, NotStored, Origin, Stored};
pub(crate) use form::{Form, Part};
pub(crate) use source::{Source, user_metadata};

use crate::Storage;
use crate::db::{As, Scope, Work};
use crate::mime;
use crate::names::{BucketName, ObjectKey};
use crate::refusal::{self, Outcome, Refusal};
use crate::store::buckets::{self, Bucket};
use crate::store::objects::{self, New};
use blob::Written;
use bytes::Bytes;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// The longest body that is held in memory until its permission is known.
const SMALL_BYTES_MAX: usize = 64 * 1024;
/// How many first bytes tell a file's type.
pub(crate) const SNIFFED_BYTES: usize = 8 * 1024;
/// The longest `Cache-Control`: every list of objects repeats it.
pub(crate) const CACHE_CONTROL_BYTES_MAX: usize = 1024;
/// The longest metadata of the user's own, in bytes of JSON.
const USER_METADATA_BYTES_MAX: usize = 1 << 20;
/// The version that policies see of a row that is only tried.
const PROBED_VERSION: &str = "1";
/// The longest that a body may take to come: much less than the age at which one without a row is swept.
const COMING_MAX: Duration = Duration::from_secs(12 * 60 * 60);

/// An object as it is to be.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) bucket: BucketName,
    pub(crate) key: ObjectKey,
    /// The type as declared.
    pub(crate) mime: String,
    pub(crate) cache_control: String,
    pub(crate) robots: Option<String>,
    /// A JSON object.
    pub(crate) user_metadata: Option<String>,
    /// The length as declared.
    pub(crate) declared: Option<u64>,
    /// Whether that is the length of the object: of a form it is the whole form's.
    pub(crate) is_exact: bool,
    /// Whether an object of the name is overwritten.
    pub(crate) upsert: bool,
    /// ETags, one of which the object must have that is overwritten.
    pub(crate) if_match: Option<String>,
    pub(crate) permission: Permission,
    /// The largest size that this kind of upload may have, whatever the bucket says.
    pub(crate) limit: u64,
}

/// Why the upload may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Policies say so of the caller.
    Policies,
    /// A token says so. It names the owner.
    Token { owner: Option<String> },
}

impl Wanted {
    /// The owner: the column for users' ids, and the one for anything.
    fn owner(&self, scope: &Scope) -> (Option<Uuid>, Option<String>) {
        match &self.permission {
            Permission::Policies => (scope.identity.owner(), scope.identity.subject.clone()),
            Permission::Token { owner } => (owner.as_deref().and_then(|o| o.parse().ok()), owner.clone()),
        }
    }

    /// Checks what needs no bucket.
    pub(crate) fn check(&self) -> Outcome<()> {
        mime::check_header(&self.mime)?;
        if self.cache_control.len() > CACHE_CONTROL_BYTES_MAX {
            return Err(refusal::invalid_request("Invalid Cache-Control header"));
        }
        if self.robots.as_deref().is_some_and(|tag| !crate::metadata::is_robots_tag(tag)) {
            return Err(
                refusal::invalid_request("Invalid X-Robots-Tag header").called("invalid_x_robots_tag")
            );
        }
        if self.user_metadata.as_ref().is_some_and(|m| m.len() > USER_METADATA_BYTES_MAX) {
            return Err(too_large_metadata());
        }
        Ok(())
    }

    /// Whether the bucket takes a body of this size and the declared type.
    pub(crate) fn fits(&self, bucket: &Bucket, size: u64) -> Outcome<()> {
        if size > self.limit_in(bucket) {
            return Err(refusal::too_large());
        }
        if !self.key.is_folder_mark() && !mime::is_allowed(&self.mime, bucket.types()) {
            return Err(refusal::invalid_mime(&self.mime));
        }
        Ok(())
    }

    /// Bytes of the largest body that the bucket takes. The mark of an empty folder has none.
    pub(crate) fn limit_in(&self, bucket: &Bucket) -> u64 {
        let limit = bucket.file_size_limit.map_or(self.limit, |own| own.min(self.limit));
        if self.key.is_folder_mark() { 0 } else { limit }
    }

    /// The declared length, where it is exactly the body's.
    fn exact(&self) -> Option<u64> {
        self.declared.filter(|_| self.is_exact)
    }
}

fn too_large_metadata() -> Refusal {
    Refusal::new(413, "EntityTooLarge", "The object exceeded the maximum allowed size")
        .called("user_metadata")
}

impl Storage {
    /// Stores an object whose bytes come from `source`.
    pub(crate) async fn store(&self, scope: &Scope, wanted: Wanted, mut source: Source) -> Outcome<Stored> {
        let early = wanted.check().and_then(|()| match wanted.exact() {
            Some(size) if size > wanted.limit => Err(refusal::too_large()),
            _ => Ok(()),
        });
        if let Err(refused) = early {
            return Err(self.after_bucket(scope, &wanted, refused).await);
        }
        self.make_room(wanted.declared.unwrap_or_default(), 0).await?;
        if wanted.declared.is_none_or(|size| size > SMALL_BYTES_MAX as u64) {
            return self.store_large(scope, wanted, source).await;
        }
        let body = source.whole(SMALL_BYTES_MAX).await?;
        let wanted = source.complete(wanted)?;
        let (version, written) = self.write_small(body.clone()).await?;
        let finished = Finished::new(version, written, first_bytes(&body), Origin::Unasked);
        self.commit_or_undo(scope, &wanted, finished).await
    }

    async fn store_large(&self, scope: &Scope, wanted: Wanted, mut source: Source) -> Outcome<Stored> {
        let bucket = self.permit(scope, &wanted).await?;
        let limit = wanted.limit_in(&bucket);
        let version = Uuid::new_v4();
        let mut writer = self.machinery.blobs.write(&self.new_key(version)).await?;
        let (mut size, mut first) = (0u64, Vec::new());
        let until = self.coming_until();
        while let Some(piece) = source.next().await? {
            self.check_coming(until)?;
            size += piece.len() as u64;
            if size > limit {
                return Err(refusal::too_large());
            }
            if first.len() < SNIFFED_BYTES {
                first.extend_from_slice(&piece[..piece.len().min(SNIFFED_BYTES - first.len())]);
            }
            writer.push(piece).await?;
        }
        let wanted = source.complete(wanted)?;
        self.make_room(0, size).await?;
        let written = writer.finish().await?;
        let finished = Finished::new(version, written, first.into(), Origin::Asked);
        self.commit_or_undo(scope, &wanted, finished).await
    }

    /// When a body that begins to come now has to be here.
    pub(crate) fn coming_until(&self) -> SystemTime {
        self.clock.now() + COMING_MAX
    }

    /// Refuses a body that is not here by then.
    pub(crate) fn check_coming(&self, until: SystemTime) -> Outcome<()> {
        if self.clock.now() <= until {
            return Ok(());
        }
        Err(Refusal::new(408, "RequestTimeout", "The body of the request did not arrive in time").openly())
    }

    /// The name of a new body.
    pub(crate) fn new_key(&self, version: Uuid) -> blob::Key {
        blob::Key::new(&self.settings.project, version)
    }

    /// Writes a body that is in memory.
    pub(crate) async fn write_small(&self, body: Bytes) -> Outcome<(Uuid, Written)> {
        let version = Uuid::new_v4();
        let mut writer = self.machinery.blobs.write(&self.new_key(version)).await?;
        if !body.is_empty() {
            writer.push(body).await?;
        }
        Ok((version, writer.finish().await?))
    }

    /// Whether the upload may happen, before its body is read. Nothing is written.
    pub(crate) async fn permit(&self, scope: &Scope, wanted: &Wanted) -> Outcome<Bucket> {
        match self.permit_key(scope, wanted).await {
            Ok(bucket) => {
                wanted.fits(&bucket, wanted.exact().unwrap_or_default())?;
                Ok(bucket)
            }
            Err(refused) => Err(self.after_bucket(scope, wanted, refused).await),
        }
    }

    /// Whether the caller may write an object of the name, of whatever size and type.
    pub(crate) async fn permit_key(&self, scope: &Scope, wanted: &Wanted) -> Outcome<Bucket> {
        let mut work = Work::new(scope, As::Service);
        let found = work.service(buckets::find(wanted.bucket.as_str()));
        if wanted.permission == Permission::Policies {
            let (owner, owner_id) = wanted.owner(scope);
            let metadata = probed_metadata(wanted);
            let new = self.row(wanted, (owner, owner_id.as_deref()), PROBED_VERSION, &metadata);
            work.probe(objects::candidate(&new, wanted.upsert, self.layout));
        }
        let results = match self.db.run(scope, work).await {
            Ok(results) => results,
            // A policy may have refused the key of a bucket that is not there.
            Err(error) => {
                let there = self.bucket(scope, wanted.bucket.as_str()).await?.is_some();
                return Err(if there { upload_refusal(error) } else { refusal::no_bucket() });
            }
        };
        Ok(results.of(found)?.first().ok_or_else(refusal::no_bucket)?.json(0)?)
    }

    /// The refusal that an upload gets when it was refused for `refused`: a bucket that is not there, or its limits,
    /// come first.
    pub(crate) async fn after_bucket(&self, scope: &Scope, wanted: &Wanted, refused: Refusal) -> Refusal {
        match self.bucket(scope, wanted.bucket.as_str()).await {
            Ok(None) => refusal::no_bucket(),
            Ok(Some(bucket)) => {
                wanted.fits(&bucket, wanted.exact().unwrap_or_default()).err().unwrap_or(refused)
            }
            Err(_) => refused,
        }
    }

    /// What there is to know of a bucket, whoever asks.
    pub(crate) async fn bucket(&self, scope: &Scope, id: &str) -> Outcome<Option<Bucket>> {
        let mut work = Work::new(scope, As::Service);
        let found = work.service(buckets::find(id));
        let results = self.db.run(scope, work).await?;
        Ok(results.of(found)?.first().map(|row| row.json(0)).transpose()?)
    }

    fn row<'a>(
        &self,
        wanted: &'a Wanted,
        (owner, owner_id): (Option<Uuid>, Option<&'a str>),
        version: &'a str,
        metadata: &'a str,
    ) -> New<'a> {
        New {
            bucket: wanted.bucket.as_str(),
            key: wanted.key.as_str(),
            owner,
            owner_id,
            version,
            metadata,
            user_metadata: wanted.user_metadata.as_deref(),
        }
    }
}

/// What policies see of the metadata of a row that is only tried.
fn probed_metadata(wanted: &Wanted) -> String {
    let mut metadata = serde_json::json!({ "contentLength": wanted.declared });
    if !wanted.mime.is_empty() {
        metadata["mimetype"] = wanted.mime.as_str().into();
    }
    metadata.to_string()
}

/// What the database refused, as uploads say it.
fn upload_refusal(error: pg::Error) -> Refusal {
    let exists = error.sqlstate() == Some("23505");
    let refused = Refusal::from(error);
    if exists { refusal::exists("KeyAlreadyExists") } else { refused }
}

fn first_bytes(body: &Bytes) -> Bytes {
    body.slice(..body.len().min(SNIFFED_BYTES))
}

/// Now, as rows have it.
pub(crate) fn stamp(at: SystemTime) -> String {
    crate::metadata::iso(at)
}
