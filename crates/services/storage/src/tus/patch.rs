//! Receiving bytes.

use super::Ask;
use super::answer::Answer;
use super::head;
use super::lease::{self, Lease};
use super::state::expires;
use crate::call::Incoming;
use crate::db::{As, Work};
use crate::refusal::{self, Outcome, Refusal};
use crate::store::resumable::{self, Upload};
use crate::upload::{Permission, Wanted};
use http::StatusCode;

/// `PATCH /upload/resumable/<id>`
pub(super) async fn append(ask: Ask, body: Incoming) -> Outcome<Answer> {
    // In a task of its own: when the client is gone, what it has sent is still to be kept.
    let work = tokio::spawn(async move { Box::pin(appended(&ask, body)).await });
    work.await.map_err(|error| refusal::internal("Internal server error").caused_by(error))?
}

async fn appended(ask: &Ask, body: Incoming) -> Outcome<Answer> {
    let offset = head::offset(&ask.call)?;
    if !head::has_bytes(&ask.call) {
        return Err(Refusal::new(403, "TusError", "Content-Type header required\n"));
    }
    let id = ask.upload_id()?;
    let permission = ask.permission(&id.bucket, &id.key)?;
    let (lease, upload) = lease::hold(ask, &id).await?;
    let answer = gone_on(ask, &lease, upload, (offset, permission), body).await;
    lease.release().await;
    answer
}

async fn gone_on(
    ask: &Ask,
    lease: &Lease,
    mut upload: Upload,
    (offset, permission): (u64, (Permission, bool)),
    body: Incoming,
) -> Outcome<Answer> {
    ask.check_time(&upload)?;
    let wanted = ask.wanted_of(&upload, permission)?;
    let permitted = ask.storage.permit_key(&ask.scope(), &wanted).await;
    let is_there = async |upload: &Upload| match ask.storage.progress(upload).await? == offset {
        true => Ok(()),
        false => Err(conflict()),
    };
    let received = match permitted {
        Err(refused) => {
            // Its client may not have heard that it is complete: what is in its way is its own object.
            if !refused.is("KeyAlreadyExists") || !ask.is_object(lease, &upload).await? {
                return Err(refused);
            }
            is_there(&upload).await?;
            Received { offset, is_completed: true }
        }
        Ok(bucket) => {
            is_there(&upload).await?;
            let limit = wanted.limit_in(&bucket);
            if let Some(length) = head::length(&ask.call) {
                settle(ask, &mut upload, (length, offset, limit)).await?;
            }
            if upload.is_completed {
                Received { offset, is_completed: true }
            } else {
                receive(ask, lease, &upload, (&wanted, limit, offset), body).await?
            }
        }
    };
    let answer = Answer::new(StatusCode::NO_CONTENT).with("upload-offset", &received.offset.to_string());
    Ok(match received.is_completed {
        true => answer.with("tus-complete", "1"),
        false => answer.with("upload-expires", &expires(&upload)),
    })
}

/// Fixes the length of an upload that was begun without.
async fn settle(ask: &Ask, upload: &mut Upload, (length, offset, limit): (u64, u64, u64)) -> Outcome<()> {
    if upload.length.is_some() || length < offset {
        return Err(Refusal::new(400, "TusError", "Upload-Length or Upload-Defer-Length header required\n"));
    }
    if length > limit {
        return Err(too_long());
    }
    let scope = ask.scope();
    let mut work = Work::new(&scope, As::Service);
    work.service(resumable::set_length(upload.version, length));
    ask.storage.db.run(&scope, work).await?;
    upload.length = Some(length);
    Ok(())
}

pub(super) fn too_long() -> Refusal {
    Refusal::new(413, "EntityTooLarge", "Maximum size exceeded\n")
}

fn conflict() -> Refusal {
    Refusal::new(409, "TusError", "Upload-Offset conflict\n")
}

fn exceeded() -> Refusal {
    Refusal::new(413, "EntityTooLarge", "upload's size exceeded\n")
}

/// How far an upload has come.
pub(super) struct Received {
    pub(super) offset: u64,
    pub(super) is_completed: bool,
}

/// Appends a request's body from an offset on, and finishes the upload when it is all there.
pub(super) async fn receive(
    ask: &Ask,
    lease: &Lease,
    upload: &Upload,
    (wanted, limit, offset): (&Wanted, u64, u64),
    body: Incoming,
) -> Outcome<Received> {
    let most = upload.length.unwrap_or(limit).saturating_sub(offset);
    if ask.call.content_length().is_some_and(|length| length > most) {
        return Err(exceeded());
    }
    let (offset, end) = match most {
        // Nothing is missing: a request before this one got that far, and no further.
        0 if offset > 0 => (offset, Ok(())),
        _ => stream(ask, lease, upload, (offset, most), body).await?,
    };
    end?;
    if upload.length != Some(offset) {
        return Ok(Received { offset, is_completed: false });
    }
    ask.finish(lease, upload, wanted).await?;
    Ok(Received { offset, is_completed: true })
}

/// Appends bytes until there are no more, or too many, or the client is gone, or somebody else wants to go on. What has
/// come is kept, unless it was too much: a client that errs about its length may err about the rest. How far the
/// upload is then comes back.
async fn stream(
    ask: &Ask,
    lease: &Lease,
    upload: &Upload,
    (offset, mut left): (u64, u64),
    mut body: Incoming,
) -> Outcome<(u64, Outcome<()>)> {
    let key = ask.storage.new_key(upload.version);
    ask.storage.make_room(ask.call.content_length().unwrap_or_default(), 0).await?;
    let mut appender = ask.storage.machinery.blobs.append(&key, offset).await.map_err(refused)?;
    let end = loop {
        let piece = tokio::select! {
            biased;
            () = lease.asked() => break Err(stopped()),
            piece = body.next() => piece,
        };
        match piece {
            Ok(None) => break Ok(()),
            Err(gone) => break Err(gone),
            Ok(Some(piece)) if piece.len() as u64 > left => {
                return Ok((appender.undo().await.map_err(refused)?, Err(exceeded())));
            }
            Ok(Some(piece)) => {
                left -= piece.len() as u64;
                appender.push(piece).await.map_err(refused)?;
            }
        }
    };
    Ok((appender.sync().await.map_err(refused)?, end))
}

fn stopped() -> Refusal {
    Refusal::new(400, "TusError", "Request aborted due to lock acquired")
}

fn refused(error: blob::Error) -> Refusal {
    match error {
        blob::Error::Offset { .. } => conflict(),
        blob::Error::Busy => lease::lost(),
        other => other.into(),
    }
}
