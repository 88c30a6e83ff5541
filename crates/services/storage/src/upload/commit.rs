//! The transaction that has a row name a finished body.

use super::{PROBED_VERSION, Permission, Wanted, probed_metadata, stamp, upload_refusal};
use crate::Storage;
use crate::db::{As, Scope, Work};
use crate::metadata::Metadata;
use crate::mime;
use crate::refusal::{self, Outcome, Refusal};
use crate::scan::Scanner;
use crate::sniff;
use crate::store::buckets::{self, Bucket};
use crate::store::objects::{self, Measured};
use crate::store::resumable;
use crate::tus;
use blob::Written;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// Bodies that are deleted at a time when there are many.
const FORGOTTEN_AT_ONCE: usize = 8;
/// How long a body may still come after the token of its sender has run out: clients renew theirs a minute or so before,
/// and a file takes longer than that.
const OVERTIME: Duration = Duration::from_secs(60 * 60);

/// A body that is written and has no row yet.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) version: Uuid,
    pub(crate) written: Written,
    /// Its first bytes.
    pub(crate) first: Bytes,
    /// In quotes; nothing: from the digest.
    pub(crate) etag: Option<String>,
    pub(crate) origin: Origin,
}

/// Where a body comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was read before anybody was asked whether it may be stored.
    Unasked,
    /// Policies and limits allowed it when it began to come. That may be long ago.
    Asked,
    /// A resumable upload, which this holder must still have.
    Resumable(Uuid),
    /// Another object's, which the bucket takes.
    Copied,
}

impl Finished {
    pub(crate) fn new(version: Uuid, written: Written, first: Bytes, origin: Origin) -> Finished {
        Finished { version, written, first, etag: None, origin }
    }

    /// The resumable upload, and its holder.
    fn held(&self) -> Option<(Uuid, Uuid)> {
        match self.origin {
            Origin::Resumable(holder) => Some((self.version, holder)),
            _ => None,
        }
    }
}

/// An object that is stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// The row as clients see it.
    pub(crate) row: Value,
    pub(crate) etag: String,
}

impl Stored {
    /// A text member of the row.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.row.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Why a body has no row.
#[derive(Debug)]
pub(crate) struct NotStored {
    pub(crate) refusal: Refusal,
    /// Whether that is certain. Otherwise the database's answer was lost: a row may name the body, which stays. If
    /// none does, it is swept.
    pub(crate) is_certain: bool,
}

impl From<Refusal> for NotStored {
    fn from(refusal: Refusal) -> NotStored {
        NotStored { refusal, is_certain: true }
    }
}

impl NotStored {
    /// After an answer of the database was lost.
    pub(crate) fn unknown(error: pg::Error) -> NotStored {
        tracing::warn!(%error, "whether a file was stored is not known; its body stays");
        NotStored { refusal: error.into(), is_certain: false }
    }
}

impl Storage {
    /// Has the row name the body, or removes the body.
    pub(crate) async fn commit_or_undo(
        &self,
        scope: &Scope,
        wanted: &Wanted,
        finished: Finished,
    ) -> Outcome<Stored> {
        let version = finished.version;
        // A client that leaves now does not stop it: the body is complete.
        let (storage, scope, wanted) = (self.clone(), scope.clone(), wanted.clone());
        let work = async move {
            match storage.commit(&scope, &wanted, finished).await {
                Ok(stored) => Ok(stored),
                Err(not) => {
                    if not.is_certain {
                        storage.forget_body(version).await;
                    }
                    Err(not.refusal)
                }
            }
        };
        let done = tokio::spawn(work).await;
        done.map_err(|error| refusal::internal("Internal server error").caused_by(error))?
    }

    /// Has the scanner look at a new body. A copy was looked at when it was uploaded.
    async fn look_at(&self, scope: &Scope, wanted: &Wanted, finished: &Finished) -> Outcome<()> {
        if finished.origin == Origin::Copied || finished.written.size == 0 {
            return Ok(());
        }
        let Some(scanner) = self.scanner()? else { return Ok(()) };
        if finished.origin == Origin::Unasked {
            // Nobody has files scanned that they may not store.
            let bucket = self.permit(scope, wanted).await?;
            wanted.fits(&bucket, finished.written.size)?;
        }
        let key = self.new_key(finished.version);
        let body = self.machinery.blobs.read(&key, None);
        scanner.look(&self.settings.project, body, self.settings.scans.takes_unscanned).await
    }

    /// Who looks at the files of this project; nothing: nobody does.
    pub(crate) fn scanner(&self) -> Outcome<Option<&Scanner>> {
        let scans = self.settings.scans;
        if scans.enabled == Some(false) {
            return Ok(None);
        }
        let scanner = self.machinery.scanner.as_ref();
        let goes_without = scans.enabled.is_none() || scans.takes_unscanned == Some(true);
        if scanner.is_some() || goes_without { Ok(scanner) } else { Err(crate::scan::unavailable()) }
    }

    /// Has the scanner look at the body, then the row name it. Whether the caller may is asked when everybody else who
    /// writes the object waits: what was true when the first byte came need not be true when the last one has.
    pub(crate) async fn commit(
        &self,
        scope: &Scope,
        wanted: &Wanted,
        finished: Finished,
    ) -> Result<Stored, NotStored> {
        self.check_overtime(scope, &finished)?;
        if wanted.key.is_folder_mark() && finished.written.size > 0 {
            return Err(self.after_bucket(scope, wanted, refusal::too_large()).await.into());
        }
        self.look_at(scope, wanted, &finished).await?;
        let etag =
            finished.etag.clone().unwrap_or_else(|| format!("\"{}\"", hex::encode(finished.written.md5)));
        let metadata = self.metadata(wanted, &finished, &etag).json();
        let version = finished.version.to_string();
        let (owner, owner_id) = wanted.owner(scope);
        let owner = (owner, owner_id.as_deref());
        let essence = mime::essence(&wanted.mime).to_ascii_lowercase();
        let measured = self.measured(wanted, &finished, &essence);
        let mut work = Work::new(scope, As::Service);
        let found = work.service(buckets::find(wanted.bucket.as_str()));
        let [lock, before] =
            objects::lock(self.settings.project.as_str(), wanted.bucket.as_str(), wanted.key.as_str());
        work.service(lock);
        let before = work.service(before);
        let held = finished.held().map(|(version, holder)| work.service(resumable::renew(version, holder)));
        if wanted.permission == Permission::Policies {
            let probed = probed_metadata(wanted);
            let row = self.row(wanted, owner, PROBED_VERSION, &probed);
            work.probe(objects::candidate(&row, wanted.upsert, self.layout));
        }
        let row = self.row(wanted, owner, &version, &metadata);
        let placed = work.service(objects::place(&row, measured, wanted.upsert, self.layout));
        if let Some((version, holder)) = finished.held() {
            work.service(resumable::complete(version, holder));
        }
        let results = match self.db.attempt(scope, work).await {
            Ok(results) => results,
            Err(failed) if failed.is_undone => {
                return Err(self.after_bucket(scope, wanted, upload_refusal(failed.error)).await.into());
            }
            Err(failed) => return Err(NotStored::unknown(failed.error)),
        };
        if let Some(row) = results.of(placed)?.first() {
            // It is stored: nothing fails from here on.
            let shown = row.text(0).and_then(|text| serde_json::from_str(text).ok());
            let before = results.of(before).ok().and_then(|rows| rows.first()?.text(0).map(str::to_owned));
            // A version that is stored once more is still named.
            self.forget_version(before.filter(|before| *before != version).as_deref()).await;
            return Ok(Stored { row: shown.unwrap_or_default(), etag });
        }
        if let Some(held) = held
            && results.of(held)?.is_empty()
        {
            return Err(tus::lost().into());
        }
        let bucket = results.of(found)?.first().ok_or_else(refusal::no_bucket)?;
        Err(not_placed(wanted, &bucket.json(0).map_err(Refusal::from)?, &finished, measured).into())
    }

    /// Refuses a body that was still coming long after the token had run out with which it was begun.
    fn check_overtime(&self, scope: &Scope, finished: &Finished) -> Outcome<()> {
        if finished.origin == Origin::Unasked {
            return Ok(());
        }
        let Some(end) = scope.identity.expires_at() else { return Ok(()) };
        let now = self.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        if now > Duration::from_secs(end).saturating_add(OVERTIME) {
            return Err(refusal::denied(r#""exp" claim timestamp check failed"#));
        }
        Ok(())
    }

    fn measured<'a>(&self, wanted: &'a Wanted, finished: &Finished, essence: &'a str) -> Measured<'a> {
        let is_copy = finished.origin == Origin::Copied;
        Measured {
            size: if is_copy { 0 } else { finished.written.size },
            mime: essence,
            any_type: is_copy || wanted.key.is_folder_mark(),
            if_match: wanted.if_match.as_deref(),
            contradicts: self.settings.sniff_types && sniff::contradicts(essence, &finished.first),
            held: finished.held(),
        }
    }

    fn metadata(&self, wanted: &Wanted, finished: &Finished, etag: &str) -> Metadata {
        Metadata {
            etag: etag.to_owned(),
            size: finished.written.size,
            mimetype: wanted.mime.clone(),
            cache_control: wanted.cache_control.clone(),
            last_modified: stamp(self.clock.now()),
            content_length: finished.written.size,
            http_status_code: 200,
            x_robots_tag: wanted.robots.clone(),
        }
    }

    /// Deletes the body of a version that no row names any more.
    pub(crate) async fn forget_version(&self, version: Option<&str>) {
        if let Some(version) = version.and_then(|text| text.parse().ok()) {
            self.forget_body(version).await;
        }
    }

    /// The same of many, some at a time; also when the request that deleted their rows has gone meanwhile.
    pub(crate) async fn forget_versions(&self, versions: Vec<String>) {
        let storage = self.clone();
        let forgotten = tokio::spawn(async move {
            let all = versions.into_iter().map(|version| {
                let storage = storage.clone();
                async move { storage.forget_version(Some(&version)).await }
            });
            stream::iter(all).buffer_unordered(FORGOTTEN_AT_ONCE).collect::<()>().await;
        });
        // What a panic leaves over is swept.
        let _ = forgotten.await;
    }

    /// Deletes a body. One that cannot be deleted now is swept later.
    pub(crate) async fn forget_body(&self, version: Uuid) {
        let key = blob::Key::new(&self.settings.project, version);
        if let Err(error) = self.machinery.blobs.delete(&key).await {
            tracing::warn!(%error, project = %self.settings.project, %version, "a body could not be deleted");
        }
    }
}

/// Why the write of a row that policies allow wrote nothing.
fn not_placed(wanted: &Wanted, bucket: &Bucket, finished: &Finished, measured: Measured<'_>) -> Refusal {
    if let Err(refused) = wanted.fits(bucket, finished.written.size) {
        return refused;
    }
    if measured.contradicts && !bucket.types().is_empty() && !measured.any_type {
        return refusal::invalid_mime(&wanted.mime);
    }
    match wanted.if_match {
        Some(_) => refusal::precondition_failed(),
        None => refusal::exists("KeyAlreadyExists"),
    }
}
