//! Parts of uploads: sent, or taken from objects that are here already.

use super::body;
use super::copy::{source, source_range};
use super::multipart::{self as uploads, PARTS_MAX};
use super::objects::set;
use super::xml::Xml;
use super::{Ask, Checked, refused};
use crate::again;
use crate::call::Incoming;
use crate::db::{As, Scope, Work};
use crate::find::Found;
use crate::names::BucketName;
use crate::refusal::{self, Outcome, Refusal};
use crate::store::multipart::{self, Id, Part};
use crate::upload::NotStored;
use axum::body::Body;
use blob::Written;
use http::{HeaderName, HeaderValue, Response, header};
use http_body_util::BodyExt;
use std::ops::Range;
use uuid::Uuid;

/// Bytes of the longest part.
const PART_BYTES_MAX: u64 = 5 << 30;

fn number(ask: &Ask<'_>) -> Outcome<u32> {
    let number = ask
        .number("partNumber", 1)?
        .ok_or_else(|| refusal::invalid_request("Querystring, must have required property 'partNumber'"))?;
    match u32::try_from(number) {
        Ok(number) if number <= PARTS_MAX => Ok(number),
        _ => Err(refusal::invalid_request(format!("Querystring, partNumber must be <= {PARTS_MAX}"))),
    }
}

/// What is left for a part of the limit that the whole object has.
async fn permitted(ask: &Ask<'_>, scope: &Scope, place: Id<'_>, number: u32, size: u64) -> Outcome<u64> {
    let mut upload = uploads::find(ask, scope, place, number).await?;
    (upload.wanted.upsert, upload.wanted.if_match) = (true, None);
    let bucket = ask.storage.permit_key(scope, &upload.wanted).await?;
    let limit = upload.wanted.limit_in(&bucket);
    if size > PART_BYTES_MAX || size > limit.saturating_sub(upload.others) {
        return Err(refusal::too_large());
    }
    ask.storage.make_room(size, 0).await?;
    Ok(limit)
}

/// `PUT /<bucket>/<key>?partNumber=&uploadId=`
pub(super) async fn upload(
    ask: &Ask<'_>,
    bucket: BucketName,
    key: &str,
    id: &str,
    body: Incoming,
) -> Outcome<Response<Body>> {
    let scope = ask.scope("storage.s3.upload.part");
    let number = number(ask)?;
    let size = body::declared_length(ask.call, &ask.verified)?.ok_or_else(refused::no_length)?;
    let place = Id { id, bucket: bucket.as_str(), key };
    let limit = permitted(ask, &scope, place, number, size).await?;
    let mut body = Checked::of(ask.call, body, &ask.verified)?;
    let sums = body.found();
    let version = Uuid::new_v4();
    let mut writer = ask.storage.machinery.blobs.write(&ask.storage.new_key(version)).await?;
    let mut seen = 0;
    let until = ask.storage.coming_until();
    while let Some(piece) = body.next().await? {
        ask.storage.check_coming(until)?;
        seen += piece.len() as u64;
        if seen > size {
            return Err(refusal::too_large());
        }
        writer.push(piece).await?;
    }
    let etag = keep(ask, &scope, place, number, (version, writer.finish().await?), limit).await?;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    set(headers, header::ETAG, &etag);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("etag"));
    for (name, value) in sums.lock().map(|sums| sums.clone()).unwrap_or_default() {
        set(headers, HeaderName::from_static(name), &value);
    }
    Ok(response)
}

/// Has a row name a finished part, or removes its body. What the row named before is removed.
async fn keep(
    ask: &Ask<'_>,
    scope: &Scope,
    place: Id<'_>,
    number: u32,
    (version, written): (Uuid, Written),
    limit: u64,
) -> Outcome<String> {
    let etag = format!("\"{}\"", hex::encode(written.md5));
    let part = Part {
        number,
        size: written.size,
        etag: &etag,
        version,
        owner_id: scope.identity.subject.as_deref(),
    };
    let mut work = Work::new(scope, As::Service);
    let there = work.service(multipart::lock(place));
    let placed = work.service(multipart::place(place, &part, limit));
    let before = async {
        let results = ask.storage.db.attempt(scope, work).await.map_err(|failed| match failed.is_undone {
            true => Refusal::from(failed.error).into(),
            false => NotStored::unknown(failed.error),
        })?;
        if results.of(there)?.is_empty() {
            return Err(refused::no_upload().into());
        }
        let row = results.of(placed)?.first().ok_or_else(refusal::too_large)?;
        Ok::<_, NotStored>(row.text(0).map(str::to_owned))
    };
    match before.await {
        Ok(before) => {
            ask.storage.forget_version(before.as_deref()).await;
            Ok(etag)
        }
        Err(not) => {
            if not.is_certain {
                ask.storage.forget_body(version).await;
            }
            Err(not.refusal)
        }
    }
}

/// `PUT /<bucket>/<key>?partNumber=&uploadId=` with `x-amz-copy-source`
pub(super) async fn copy(ask: &Ask<'_>, bucket: BucketName, key: &str, id: &str) -> Outcome<Response<Body>> {
    let scope = ask.scope("storage.s3.upload.part_copy");
    let number = number(ask)?;
    let place = Id { id, bucket: bucket.as_str(), key };
    // The source may be overwritten meanwhile.
    let etag = again::read(|| async {
        let found = source(ask, "storage.s3.upload.part_copy").await?;
        let size = found.metadata.size;
        let range = source_range(ask.call, size)?.unwrap_or(0..size);
        let limit = permitted(ask, &scope, place, number, range.end - range.start).await?;
        let copied = copied(ask, &found, range).await?;
        keep(ask, &scope, place, number, copied, limit).await
    });
    let etag = etag.await?;
    let mut xml = Xml::new("CopyPartResult");
    xml.leaf("LastModified", crate::metadata::iso(ask.storage.clock.now())).leaf("ETag", &etag);
    Ok(xml.answer())
}

/// A body with a part of an object's bytes.
async fn copied(ask: &Ask<'_>, found: &Found, range: Range<u64>) -> Outcome<(Uuid, Written)> {
    let version = Uuid::new_v4();
    let mut writer = ask.storage.machinery.blobs.write(&ask.storage.new_key(version)).await?;
    let whole = found.metadata.size;
    let wanted = (range != (0..whole)).then_some(range);
    let mut body = ask.storage.read(found, wanted).await?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| refusal::internal("Internal server error").caused_by(error))?;
        if let Ok(data) = frame.into_data()
            && !data.is_empty()
        {
            ask.storage.settings.usage.copied(data.len() as u64);
            writer.push(data).await?;
        }
    }
    Ok((version, writer.finish().await?))
}
