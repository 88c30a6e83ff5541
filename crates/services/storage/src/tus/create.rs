//! Beginning an upload.

use super::Ask;
use super::answer::Answer;
use super::head::{self, Metadata};
use super::id::UploadId;
use super::lease::Lease;
use super::location::location;
use super::patch::{receive, too_long};
use super::state::{expires, forget};
use crate::call::Incoming;
use crate::db::{As, Work};
use crate::mime;
use crate::names::BucketName;
use crate::refusal::{self, Outcome, Refusal};
use crate::store::resumable::{self, New, Upload};
use crate::upload::Wanted;
use http::StatusCode;
use uuid::Uuid;

/// `POST /upload/resumable`
pub(super) async fn create(ask: Ask, body: Incoming) -> Outcome<Answer> {
    // In a task of its own: the body may be the first bytes, which are to be kept.
    let work = tokio::spawn(async move { Box::pin(created(&ask, body)).await });
    work.await.map_err(|error| refusal::internal("Internal server error").caused_by(error))?
}

async fn created(ask: &Ask, body: Incoming) -> Outcome<Answer> {
    let length = head::new_length(&ask.call)?;
    let metadata = ask.call.header("upload-metadata").and_then(Metadata::parse);
    let metadata = metadata.ok_or_else(|| refusal::invalid_request("Metadata header is required"))?;
    let bucket = BucketName::parse(metadata.get("bucketName").unwrap_or_default())?;
    let key = ask.storage.key(metadata.get("objectName").unwrap_or_default())?;
    let permission = ask.permission(bucket.as_str(), key.as_str())?;
    let wanted = ask.wanted((bucket.as_str(), key.as_str()), &metadata, length, permission)?;
    mime::check_header(&wanted.mime)?;
    let found = ask.storage.permit_key(&ask.scope(), &wanted).await?;
    let limit = wanted.limit_in(&found);
    if length.is_some_and(|length| length > limit) {
        return Err(too_long());
    }
    wanted.fits(&found, length.unwrap_or_default())?;
    let (lease, upload) = begin(ask, &wanted, metadata.settled(), length).await?;
    let has_bytes = head::has_bytes(&ask.call);
    let received = if has_bytes || length == Some(0) {
        receive(ask, &lease, &upload, (&wanted, limit, 0), body).await.map(Some)
    } else {
        Ok(None)
    };
    // Nobody is told where the upload is, so nobody can go on with it.
    if received.is_err()
        && let Err(refused) = forget(ask, &lease, &upload).await
    {
        crate::log(&refused);
    }
    lease.release().await;
    answered(ask, &upload, has_bytes, received?)
}

fn too_many() -> Refusal {
    let message = "Too many resumable uploads are open: finish or terminate some of them first\n";
    Refusal::new(429, "TooManyUploads", message)
}

async fn begin(
    ask: &Ask,
    wanted: &Wanted,
    metadata: Metadata,
    length: Option<u64>,
) -> Outcome<(Lease, Upload)> {
    let (version, holder, scope) = (Uuid::new_v4(), Uuid::new_v4(), ask.scope());
    let upload = Upload {
        version,
        bucket: wanted.bucket.as_str().to_owned(),
        key: wanted.key.as_str().to_owned(),
        length,
        upload_metadata: metadata.header(),
        expires_at: crate::metadata::iso(ask.storage.clock.now() + ask.storage.settings.resumable_time),
        is_completed: false,
    };
    let new = New {
        version,
        bucket: &upload.bucket,
        key: &upload.key,
        length,
        upload_metadata: &upload.upload_metadata,
        expires_at: &upload.expires_at,
        holder,
    };
    let (now, most) =
        (crate::metadata::iso(ask.storage.clock.now()), ask.storage.settings.open_resumable_max);
    let mut work = Work::new(&scope, As::Service);
    let begun = work.service(resumable::begin(&new, &now, most));
    if ask.storage.db.run(&scope, work).await?.of(begun)?.is_empty() {
        return Err(too_many());
    }
    Ok((Lease::begin(ask, scope, version, holder), upload))
}

fn answered(
    ask: &Ask,
    upload: &Upload,
    has_bytes: bool,
    received: Option<super::patch::Received>,
) -> Outcome<Answer> {
    let id = UploadId { bucket: upload.bucket.clone(), key: upload.key.clone(), version: upload.version };
    let mut answer = Answer::new(StatusCode::CREATED)
        .with("location", &location(ask, &id))
        .with("upload-expires", &expires(upload));
    if let Some(received) = received {
        if has_bytes {
            answer = answer.with("upload-offset", &received.offset.to_string());
        }
        if received.is_completed {
            answer = answer.with("tus-complete", "1");
        }
    }
    Ok(answer)
}
