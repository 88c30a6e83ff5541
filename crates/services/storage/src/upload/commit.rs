//! The transaction that has a row name a finished body.

use super::{PROBED_VERSION, Permission, Wanted, probed_metadata, stamp, upload_refusal};
use crate::Storage;
use crate::db::{As, Scope, Work};
use crate::metadata::Metadata;
use crate::mime;
use crate::refusal::{self, Outcome};
use crate::scan::Scanner;
use crate::sniff;
use crate::store::buckets::{self, Bucket};
use crate::store::objects::{self, Measured};
use blob::Written;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use uuid::Uuid;

/// Bodies that are deleted at a time when there are many.
const FORGOTTEN_AT_ONCE: usize = 8;

/// A body that is written and has no row yet.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) version: Uuid,
    pub(crate) written: Written,
    /// Its first bytes.
    pub(crate) first: Bytes,
    /// In quotes; nothing: from the digest.
    pub(crate) etag: Option<String>,
    /// Whether the bucket's limits hold for it.
    pub(crate) checks_limits: bool,
}

impl Finished {
    pub(crate) fn new(version: Uuid, written: Written, first: Bytes) -> Finished {
        Finished { version, written, first, etag: None, checks_limits: true }
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

impl Storage {
    /// Has the row name the body, or removes the body. `probes` is whether the permission is still to be tried.
    pub(crate) async fn commit_or_undo(
        &self,
        scope: &Scope,
        wanted: &Wanted,
        finished: Finished,
        probes: bool,
    ) -> Outcome<Stored> {
        let version = finished.version;
        // A client that leaves now does not stop it: the body is complete.
        let (storage, scope, wanted) = (self.clone(), scope.clone(), wanted.clone());
        let work = async move {
            let committed = storage.commit(&scope, &wanted, finished, probes).await;
            if committed.is_err() {
                storage.forget_body(version).await;
            }
            committed
        };
        let done = tokio::spawn(work).await;
        done.map_err(|error| refusal::internal("Internal server error").caused_by(error))?
    }

    /// Has the scanner look at a new body. A copy was looked at when it was uploaded.
    async fn look_at(
        &self,
        scope: &Scope,
        wanted: &Wanted,
        finished: &Finished,
        probes: bool,
    ) -> Outcome<()> {
        if !finished.checks_limits || finished.written.size == 0 {
            return Ok(());
        }
        let Some(scanner) = self.scanner()? else { return Ok(()) };
        if probes {
            // Nobody has files scanned that they may not store.
            let bucket = self.permit(scope, wanted).await?;
            wanted.fits(&bucket, finished.written.size)?;
        }
        let body = self.machinery.blobs.read(&self.new_key(finished.version), None).await?;
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

    /// Has the scanner look at the body, then the row name it.
    pub(crate) async fn commit(
        &self,
        scope: &Scope,
        wanted: &Wanted,
        finished: Finished,
        probes: bool,
    ) -> Outcome<Stored> {
        if wanted.key.is_folder_mark() && finished.written.size > 0 {
            return Err(self.after_bucket(scope, wanted, refusal::too_large()).await);
        }
        self.look_at(scope, wanted, &finished, probes).await?;
        let etag =
            finished.etag.clone().unwrap_or_else(|| format!("\"{}\"", hex::encode(finished.written.md5)));
        let metadata = self.metadata(wanted, &finished, &etag).json();
        let version = finished.version.to_string();
        let (owner, owner_id) = wanted.owner(scope);
        let owner = (owner, owner_id.as_deref());
        let essence = mime::essence(&wanted.mime).to_ascii_lowercase();
        let measured = Measured {
            size: if finished.checks_limits { finished.written.size } else { 0 },
            mime: &essence,
            any_type: !finished.checks_limits || wanted.key.is_folder_mark(),
            if_match: wanted.if_match.as_deref(),
            contradicts: self.settings.sniff_types && sniff::contradicts(&essence, &finished.first),
        };
        let mut work = Work::new(scope, As::Service);
        let found = work.service(buckets::find(wanted.bucket.as_str()));
        if probes && wanted.permission == Permission::Policies {
            let probed = probed_metadata(wanted);
            let row = self.row(wanted, owner, PROBED_VERSION, &probed);
            work.probe(objects::candidate(&row, wanted.upsert, self.layout));
        }
        let [lock, before] =
            objects::lock(self.settings.project.as_str(), wanted.bucket.as_str(), wanted.key.as_str());
        work.service(lock);
        let before = work.service(before);
        let row = self.row(wanted, owner, &version, &metadata);
        let placed = work.service(objects::place(&row, measured, wanted.upsert, self.layout));
        let results = match self.db.run(scope, work).await {
            Ok(results) => results,
            Err(error) => return Err(self.after_bucket(scope, wanted, upload_refusal(error)).await),
        };
        let before = results.of(before)?.first().and_then(|row| row.text(0)).map(str::to_owned);
        if let Some(row) = results.of(placed)?.first() {
            let stored = Stored { row: row.json(0)?, etag };
            self.forget_version(before.as_deref()).await;
            return Ok(stored);
        }
        let bucket: Bucket = results.of(found)?.first().ok_or_else(refusal::no_bucket)?.json(0)?;
        wanted.fits(&bucket, finished.written.size)?;
        if measured.contradicts && !bucket.types().is_empty() && !measured.any_type {
            return Err(refusal::invalid_mime(&wanted.mime));
        }
        match wanted.if_match {
            Some(_) => Err(refusal::precondition_failed()),
            None => Err(refusal::exists("KeyAlreadyExists")),
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
