//! Uploads in parts: begun, completed, given up.
//!
//! Every part is a body of its own, named by its row. Completing joins those of the list into one body, which a row of
//! `storage.objects` then names as after any upload; the parts are deleted after that. Killed in between, an upload
//! can be completed once more.

use super::objects::{conditional, wanted};
use super::xml::{self, Xml};
use super::{Ask, Checked, refused};
use crate::again;
use crate::call::Incoming;
use crate::db::{As, Scope, Work};
use crate::metadata::iso;
use crate::names::BucketName;
use crate::refusal::{self, Outcome};
use crate::store::multipart::{self, Id, New, Said};
use crate::upload::{Finished, Origin, Stored, Wanted};
use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

/// The most parts, and the highest number of one.
pub(super) const PARTS_MAX: u32 = 10_000;
/// Bytes of the longest list of parts: each with all of its checksums.
const LIST_BYTES_MAX: usize = 4 << 20;
/// Bytes in memory for each byte of a list that is being read.
const NODE_BYTES: u64 = 6;
/// For how long it is known that somebody goes on with an upload, without noting it again.
const LATELY: Duration = Duration::from_secs(60 * 60);
/// How many first bytes tell a file's type.
const FIRST_BYTES: u64 = 8 * 1024;

/// An upload that goes on.
pub(super) struct Upload {
    /// The object that it is to become. Its permission is that of the caller at hand.
    pub(super) wanted: Wanted,
    /// The bytes in its other parts than the one asked about.
    pub(super) others: u64,
}

/// An upload of the caller's bucket and key, which is gone on with now: it is not swept in the meantime.
pub(super) async fn find(ask: &Ask<'_>, scope: &Scope, place: Id<'_>, but: u32) -> Outcome<Upload> {
    let (bucket, key) = (BucketName::parse(place.bucket)?, ask.storage.key(place.key)?);
    let now = ask.storage.clock.now();
    let mut work = Work::new(scope, As::Service);
    work.service(multipart::touch(place, &iso(now), &iso(now.checked_sub(LATELY).unwrap_or(now))));
    let found = work.service(multipart::find(place, but));
    let results = ask.storage.db.run(scope, work).await?;
    let row = results.of(found)?.first().ok_or_else(refused::no_upload)?;
    let said: Said = row.text(0).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let others: u64 = row.get(2)?;
    let mut wanted = wanted(ask, bucket, key, None);
    wanted.mime = said.mimetype.unwrap_or_else(|| crate::mime::DEFAULT.to_owned());
    wanted.cache_control = said.cache_control.unwrap_or_else(|| "no-cache".to_owned());
    wanted.user_metadata = Some(row.text(1).unwrap_or("{}").to_owned());
    wanted.limit = ask.storage.settings.file_size_limit;
    Ok(Upload { wanted, others })
}

/// `POST /<bucket>/<key>?uploads`
pub(super) async fn create(ask: &Ask<'_>, bucket: BucketName, key: &str) -> Outcome<Response<Body>> {
    let scope = ask.scope("storage.s3.upload.create_multipart");
    let mut wanted = wanted(ask, bucket, ask.storage.key(key)?, None);
    (wanted.limit, wanted.upsert) = (ask.storage.settings.file_size_limit, true);
    wanted.check()?;
    let found = ask.storage.permit_key(&scope, &wanted).await?;
    wanted.fits(&found, 0)?;
    let id = Uuid::new_v4().simple().to_string();
    let place = Id { id: &id, bucket: wanted.bucket.as_str(), key: wanted.key.as_str() };
    let metadata = json!({ "mimetype": wanted.mime, "cacheControl": wanted.cache_control }).to_string();
    let new = New {
        id: place,
        version: Uuid::new_v4(),
        owner_id: scope.identity.subject.as_deref(),
        user_metadata: wanted.user_metadata.as_deref(),
        metadata: &metadata,
    };
    let mut work = Work::new(&scope, As::Service);
    let begun = work.service(multipart::begin(&new, ask.storage.settings.open_multipart_max));
    if ask.storage.db.run(&scope, work).await?.of(begun)?.is_empty() {
        return Err(refused::too_many_uploads());
    }
    let mut xml = Xml::new("InitiateMultipartUploadResult");
    xml.leaf("Bucket", place.bucket).leaf("Key", place.key).leaf("UploadId", place.id);
    Ok(xml.answer())
}

/// A part as the client names it.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    number: u32,
    etag: Option<String>,
}

/// The list of parts; nothing: all of them.
fn read(bytes: &[u8]) -> Outcome<Option<Vec<Listed>>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let parts = xml::parse(bytes, "CompleteMultipartUpload", |root| {
        xml::children(root, "Part")
            .map(|part| {
                let number = xml::text_of(part, "PartNumber")?.trim().parse().ok()?;
                let etag = xml::text_of(part, "ETag").map(|etag| plain(etag).to_owned());
                (1..=PARTS_MAX).contains(&number).then_some(Listed { number, etag })
            })
            .collect::<Option<Vec<_>>>()
    })?;
    if parts.windows(2).any(|pair| matches!(pair, [a, b] if a.number >= b.number)) {
        return Err(refused::invalid_order());
    }
    Ok(Some(parts).filter(|parts| !parts.is_empty()))
}

/// An ETag without quotes.
fn plain(etag: &str) -> &str {
    etag.trim().trim_matches('"')
}

/// A part that is there.
struct Present {
    number: u32,
    etag: String,
    version: String,
}

async fn present(ask: &Ask<'_>, scope: &Scope, id: &str) -> Outcome<Vec<Present>> {
    let mut work = Work::new(scope, As::Service);
    let rows = work.service(multipart::parts(id, 0, PARTS_MAX as usize));
    let results = ask.storage.db.run(scope, work).await?;
    let part = |row: &pg::Row| {
        let word = |at: usize| row.text(at).unwrap_or_default().to_owned();
        Ok(Present { number: row.get(0)?, etag: word(1), version: word(3) })
    };
    results.of(rows)?.iter().map(part).collect()
}

/// The parts of the list, each as it is there.
fn chosen(present: Vec<Present>, listed: Option<&[Listed]>) -> Outcome<Vec<Present>> {
    let Some(listed) = listed else {
        return if present.is_empty() { Err(xml::malformed()) } else { Ok(present) };
    };
    let mut present = present.into_iter();
    let mut chosen = Vec::with_capacity(listed.len());
    for wanted in listed {
        // Both are in ascending order.
        let part = present.find(|part| part.number >= wanted.number).ok_or_else(refused::invalid_part)?;
        let same = wanted.etag.as_deref().is_none_or(|etag| etag == plain(&part.etag));
        if part.number != wanted.number || !same {
            return Err(refused::invalid_part());
        }
        chosen.push(part);
    }
    Ok(chosen)
}

/// `POST /<bucket>/<key>?uploadId=`
pub(super) async fn complete(
    ask: &Ask<'_>,
    bucket: BucketName,
    key: &str,
    id: &str,
    body: Incoming,
) -> Outcome<Response<Body>> {
    let scope = ask.scope("storage.s3.upload.complete_multipart");
    let place = Id { id, bucket: bucket.as_str(), key };
    let upload = find(ask, &scope, place, 0).await?;
    let in_bucket = ask.storage.permit_key(&scope, &upload.wanted).await.map_err(conditional)?;
    // Checksums in the headers are of the object, not of the list.
    let body = Checked::of_document(ask.call, body, &ask.verified)?.whole(LIST_BYTES_MAX).await?;
    if !ask.call.room.take(body.len() as u64 * NODE_BYTES) {
        return Err(refusal::no_room());
    }
    let listed = read(&body)?;
    upload.wanted.fits(&in_bucket, 0)?;
    // A part may be sent again meanwhile, and the body that it had be gone.
    let stored = again::read(|| async {
        let chosen = chosen(present(ask, &scope, id).await?, listed.as_deref())?;
        join(ask, &scope, &upload.wanted, &chosen).await
    });
    let stored = stored.await;
    // What is infected stays so, and nobody has to come back for it.
    if stored.as_ref().map_or_else(|refused| refused.is("FileInfected"), |_| true) {
        remove(ask, &scope, place).await?;
    }
    let stored = stored?;
    let mut xml = Xml::new("CompleteMultipartUploadResult");
    xml.leaf("Location", [place.bucket, "/", place.key].concat());
    xml.leaf("Bucket", place.bucket).leaf("Key", place.key).leaf("ETag", &stored.etag);
    Ok(xml.answer())
}

/// Makes one object of the parts.
async fn join(ask: &Ask<'_>, scope: &Scope, wanted: &Wanted, parts: &[Present]) -> Outcome<Stored> {
    let storage = ask.storage;
    let keys = parts.iter().map(|part| storage.body_key(&part.version).ok_or_else(refusal::no_body));
    let keys: Vec<blob::Key> = keys.collect::<Outcome<_>>()?;
    let version = Uuid::new_v4();
    let key = storage.new_key(version);
    let written = storage.machinery.blobs.concat(&keys, &key).await?;
    let first = first_bytes(ask, &key, written.size).await;
    let (Ok(first), true) = (first, written.size <= wanted.limit) else {
        storage.forget_body(version).await;
        return Err(refusal::too_large());
    };
    let finished = Finished::new(version, written, first, Origin::Asked);
    storage.commit_or_undo(scope, wanted, finished).await.map_err(conditional)
}

async fn first_bytes(ask: &Ask<'_>, key: &blob::Key, size: u64) -> Outcome<Bytes> {
    if size == 0 {
        return Ok(Bytes::new());
    }
    let reading = ask.storage.machinery.blobs.read(key, Some(0..size.min(FIRST_BYTES))).await?;
    let collected = Body::new(reading).collect().await;
    Ok(collected.map_err(|error| refusal::internal("Internal server error").caused_by(error))?.to_bytes())
}

/// Forgets an upload and the bodies of its parts.
async fn remove(ask: &Ask<'_>, scope: &Scope, place: Id<'_>) -> Outcome<()> {
    let mut work = Work::new(scope, As::Service);
    let gone = work.service(multipart::end(place));
    let results = ask.storage.db.run(scope, work).await?;
    for row in results.of(gone)?.iter() {
        ask.storage.forget_version(row.text(0)).await;
    }
    Ok(())
}

/// `DELETE /<bucket>/<key>?uploadId=`
pub(super) async fn abort(ask: &Ask<'_>, bucket: BucketName, key: &str, id: &str) -> Outcome<Response<Body>> {
    let scope = ask.scope("storage.s3.upload.abort_multipart");
    let place = Id { id, bucket: bucket.as_str(), key };
    let mut upload = find(ask, &scope, place, 0).await?;
    upload.wanted.upsert = true;
    ask.storage.permit_key(&scope, &upload.wanted).await?;
    remove(ask, &scope, place).await?;
    Ok(Response::new(Body::empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(parts: &[(u32, &str)]) -> Vec<u8> {
        let parts: String = parts
            .iter()
            .map(|(n, etag)| format!("<Part><ETag>{etag}</ETag><PartNumber>{n}</PartNumber></Part>"))
            .collect();
        format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").into_bytes()
    }

    fn there(parts: &[(u32, &str)]) -> Vec<Present> {
        let present = |(number, etag): &(u32, &str)| Present {
            number: *number,
            etag: (*etag).to_owned(),
            version: format!("v{number}"),
        };
        parts.iter().map(present).collect()
    }

    fn versions(present: &[(u32, &str)], wanted: &[(u32, &str)]) -> Outcome<Vec<String>> {
        let chosen = chosen(there(present), read(&list(wanted))?.as_deref())?;
        Ok(chosen.into_iter().map(|part| part.version).collect())
    }

    #[test]
    fn parts_are_chosen_by_number_and_tag() {
        let all = [(1, "a"), (3, "b"), (9, "c")];
        assert_eq!(versions(&all, &[(1, "\"a\""), (9, "c")]).unwrap(), ["v1", "v9"]);
        assert_eq!(versions(&all, &[]).unwrap(), ["v1", "v3", "v9"]);
        assert!(versions(&all, &[(1, "x")]).unwrap_err().is("InvalidPart"));
        assert!(versions(&all, &[(2, "a")]).unwrap_err().is("InvalidPart"));
        assert!(versions(&all, &[(10, "a")]).unwrap_err().is("InvalidPart"));
        assert!(versions(&all, &[(3, "b"), (1, "a")]).unwrap_err().is("InvalidPartOrder"));
        assert!(versions(&all, &[(1, "a"), (1, "a")]).unwrap_err().is("InvalidPartOrder"));
        assert!(versions(&all, &[(0, "a")]).unwrap_err().is("MalformedXML"));
        assert!(versions(&all, &[(10_001, "a")]).unwrap_err().is("MalformedXML"));
        assert!(versions(&[], &[]).unwrap_err().is("MalformedXML"));
    }

    #[test]
    fn tags_may_be_left_out() {
        let text =
            b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>";
        assert_eq!(read(text).unwrap(), Some(vec![Listed { number: 1, etag: None }]));
        assert_eq!(read(b"").unwrap(), None);
        assert!(read(b"<CompleteMultipartUpload><Part/></CompleteMultipartUpload>").is_err());
    }
}
