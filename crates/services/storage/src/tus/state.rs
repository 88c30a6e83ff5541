//! How far an upload has come, and giving it up.

use super::Ask;
use super::answer::Answer;
use super::head::Metadata;
use super::id::{UploadId, not_found};
use super::lease::{self, Lease};
use crate::Storage;
use crate::db::{As, Work};
use crate::metadata::{http_date, parse_iso};
use crate::names::BucketName;
use crate::refusal::{self, Outcome, Refusal};
use crate::store::resumable::{self, Upload};
use crate::upload::{Permission, Wanted, user_metadata};
use http::{Method, StatusCode};

impl Ask {
    /// The upload that the path names.
    pub(super) fn upload_id(&self) -> Outcome<UploadId> {
        UploadId::parse(self.id.as_deref().ok_or_else(not_found)?)
    }

    /// The object that an upload is to become.
    pub(super) fn wanted(
        &self,
        (bucket, key): (&str, &str),
        metadata: &Metadata,
        length: Option<u64>,
        (permission, upsert): (Permission, bool),
    ) -> Outcome<Wanted> {
        let mime = metadata.get("contentType").filter(|mime| !mime.is_empty());
        Ok(Wanted {
            bucket: BucketName::parse(bucket)?,
            key: self.storage.key(key)?,
            mime: mime.unwrap_or(crate::mime::DEFAULT).to_owned(),
            cache_control: metadata.cache_control(),
            robots: None,
            user_metadata: metadata.get("metadata").and_then(user_metadata),
            declared: length,
            is_exact: true,
            upsert,
            if_match: None,
            permission,
            limit: self.storage.settings.file_size_limit,
        })
    }

    /// The same, of an upload that has been begun.
    pub(super) fn wanted_of(&self, upload: &Upload, permission: (Permission, bool)) -> Outcome<Wanted> {
        let metadata = stored(upload);
        let mut wanted = self.wanted((&upload.bucket, &upload.key), &metadata, upload.length, permission)?;
        wanted.cache_control = metadata.get("cacheControl").unwrap_or("no-cache").to_owned();
        Ok(wanted)
    }

    /// Refuses an upload whose time is over.
    pub(super) fn check_time(&self, upload: &Upload) -> Outcome<()> {
        let now = time::OffsetDateTime::from(self.storage.clock.now());
        match parse_iso(&upload.expires_at) {
            Some(end) if end > now => Ok(()),
            _ => Err(Refusal::new(410, "Gone", "The file for this url no longer exists\n")),
        }
    }
}

/// The metadata in a row, which was checked before.
fn stored(upload: &Upload) -> Metadata {
    Metadata::parse(&upload.upload_metadata).unwrap_or_default()
}

/// When an upload's time is over, as headers have it.
pub(super) fn expires(upload: &Upload) -> String {
    parse_iso(&upload.expires_at).map(http_date).unwrap_or_default()
}

impl Storage {
    /// How many bytes of an upload are here.
    pub(super) async fn progress(&self, upload: &Upload) -> Outcome<u64> {
        if let (true, Some(length)) = (upload.is_completed, upload.length) {
            return Ok(length);
        }
        let key = self.new_key(upload.version);
        match self.machinery.blobs.grown(&key).await {
            Ok(length) => return Ok(length),
            Err(blob::Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        // Sealed by a request that could not say so any more, or not begun.
        match self.machinery.blobs.size(&key).await {
            Ok(length) => Ok(length),
            Err(blob::Error::NotFound) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

/// `HEAD /upload/resumable/<id>`
pub(super) async fn show(ask: Ask) -> Outcome<Answer> {
    // In a task of its own: what it makes up for is to be done also when the client is gone.
    let work = tokio::spawn(Box::pin(shown(ask)));
    work.await.map_err(|error| refusal::internal("Internal server error").caused_by(error))?
}

async fn shown(mut ask: Ask) -> Outcome<Answer> {
    let id = ask.upload_id()?;
    if ask.is_signed {
        ask.permission(&id.bucket, &id.key)?;
    }
    // Taking the lease ends what still appends: only then the length stays what it is said to be.
    let (lease, upload) = lease::hold(&ask, &id).await?;
    let progress = reached(&mut ask, &lease, &upload).await;
    lease.release().await;
    let answer = Answer::new(StatusCode::OK)
        .with("cache-control", "no-store")
        .with("upload-offset", &progress?.to_string())
        .with("upload-expires", &expires(&upload))
        .with("upload-metadata", &upload.upload_metadata);
    Ok(match upload.length {
        Some(length) => answer.with("upload-length", &length.to_string()),
        None => answer.with("upload-defer-length", "1"),
    })
}

/// How far an upload has come. A client that hears that all is here asks for nothing more: then it has to be an object.
async fn reached(ask: &mut Ask, lease: &Lease, upload: &Upload) -> Outcome<u64> {
    ask.check_time(upload)?;
    let progress = ask.storage.progress(upload).await?;
    if !upload.is_completed && progress > 0 && upload.length == Some(progress) {
        // As the request that brought the last byte.
        ask.method = Method::PATCH;
        ask.make_up(lease, upload).await?;
    }
    Ok(progress)
}

/// `DELETE /upload/resumable/<id>`
pub(super) async fn terminate(ask: &Ask) -> Outcome<Answer> {
    let id = ask.upload_id()?;
    let permission = ask.permission(&id.bucket, &id.key)?;
    let (lease, upload) = lease::hold(ask, &id).await?;
    let ended = end(ask, &lease, &upload, permission).await;
    lease.release().await;
    ended.map(|()| Answer::new(StatusCode::NO_CONTENT))
}

async fn end(ask: &Ask, lease: &Lease, upload: &Upload, permission: (Permission, bool)) -> Outcome<()> {
    ask.check_time(upload)?;
    if upload.is_completed {
        return Err(Refusal::new(400, "TusError", "Cannot terminate an already completed upload"));
    }
    let scope = ask.scope();
    ask.storage.permit_key(&scope, &ask.wanted_of(upload, permission)?).await?;
    forget(ask, lease, upload).await
}

/// Forgets an upload and its bytes, unless somebody else has it by now.
pub(super) async fn forget(ask: &Ask, lease: &Lease, upload: &Upload) -> Outcome<()> {
    let scope = ask.scope();
    let mut work = Work::new(&scope, As::Service);
    let ended = work.service(resumable::end(upload.version, lease.holder()));
    let results = ask.storage.db.run(&scope, work).await?;
    let is_named: bool = results.of(ended)?.first().ok_or_else(lease::lost)?.get(0)?;
    ask.storage.machinery.blobs.discard(&ask.storage.new_key(upload.version)).await?;
    if !is_named {
        ask.storage.forget_body(upload.version).await;
    }
    Ok(())
}
