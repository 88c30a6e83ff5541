//! What uploads go on, and what parts they have: as far as the caller's policies show them.

use super::listing::{encodes, read_token, token_of, written};
use super::multipart;
use super::xml::Xml;
use super::{Ask, refused};
use crate::db::{As, Work};
use crate::names::BucketName;
use crate::refusal::{self, Outcome};
use crate::store::buckets;
use crate::store::listed::{self, Page};
use crate::store::multipart::{self as rows, Id};
use axum::body::Body;
use http::Response;

/// The most entries of a page.
const ENTRIES_MAX: u64 = 1000;

/// `GET /<bucket>?uploads`
pub(super) async fn list(ask: &Ask<'_>, bucket: &BucketName) -> Outcome<Response<Body>> {
    let text = |name: &str| ask.call.query(name).filter(|text| !text.is_empty());
    let limit = ask.number("max-uploads", 1)?.unwrap_or(ENTRIES_MAX);
    if limit > ENTRIES_MAX {
        return Err(refusal::invalid_parameter("MaxUploads"));
    }
    let limit = usize::try_from(limit).unwrap_or(1);
    let marker = |name: &str| text(name).map(|token| read_token(token).unwrap_or_else(|| token.to_owned()));
    let (key, id) = (marker("key-marker"), marker("upload-id-marker"));
    let encodes = encodes(ask)?;
    let page = Page {
        prefix: text("prefix").unwrap_or_default(),
        delimiter: text("delimiter").unwrap_or_default(),
        after: key.as_deref().unwrap_or_default(),
        limit: limit + 1,
        ascends: true,
    };
    let scope = ask.scope("storage.s3.upload.list_multipart");
    let mut work = Work::new(&scope, As::Service);
    let there = work.service(buckets::find(bucket.as_str()));
    let found = work.caller(listed::uploads(bucket.as_str(), &page, id.as_deref().unwrap_or_default()));
    let results = ask.storage.db.run(&scope, work).await?;
    if results.of(there)?.is_empty() {
        return Err(refusal::no_bucket());
    }
    let rows: Vec<_> = results.of(found)?.iter().collect();
    let more = rows.len() > limit;
    let shown = rows.get(..limit).unwrap_or(&rows);
    let mut xml = Xml::new("ListMultipartUploadsResult");
    xml.leaf("Bucket", bucket.as_str()).leaf("Prefix", written(page.prefix, encodes));
    xml.leaf("KeyMarker", text("key-marker").unwrap_or_default());
    xml.leaf("UploadIdMarker", text("upload-id-marker").unwrap_or_default());
    if let (true, Some(last)) = (more, shown.last()) {
        xml.leaf("NextKeyMarker", token_of(last.text(0).unwrap_or_default()));
        xml.leaf("NextUploadIdMarker", token_of(last.text(1).unwrap_or_default()));
    }
    xml.value("MaxUploads", limit).value("IsTruncated", more);
    xml.maybe("Delimiter", text("delimiter").map(|d| written(d, encodes)));
    xml.maybe("EncodingType", encodes.then_some("url"));
    for row in shown {
        let name = written(row.text(0).unwrap_or_default(), encodes);
        match row.text(1) {
            Some(id) => {
                xml.begin("Upload").leaf("Key", name).leaf("UploadId", id).leaf("StorageClass", "STANDARD");
                xml.maybe("Initiated", row.text(2)).end();
            }
            None => {
                xml.begin("CommonPrefixes").leaf("Prefix", name).end();
            }
        }
    }
    Ok(xml.answer())
}

/// `GET /<bucket>/<key>?uploadId=`
pub(super) async fn parts(
    ask: &Ask<'_>,
    bucket: &BucketName,
    key: &str,
    id: &str,
) -> Outcome<Response<Body>> {
    let scope = ask.scope("storage.s3.upload.list_parts");
    let limit =
        ask.number("max-parts", 0)?.filter(|limit| *limit > 0).unwrap_or(ENTRIES_MAX).min(ENTRIES_MAX);
    let limit = usize::try_from(limit).unwrap_or(1);
    let after = ask.number("part-number-marker", 0)?.unwrap_or_default();
    let after = u32::try_from(after).ok().filter(|after| *after <= multipart::PARTS_MAX);
    let after = after.ok_or_else(|| refused::invalid_argument("part-number-marker must be at most 10000"))?;
    let place = Id { id, bucket: bucket.as_str(), key };
    let mut work = Work::new(&scope, As::Service);
    let there = work.service(rows::find(place, 0));
    let found = work.caller(rows::parts(id, after, limit + 1));
    let results = ask.storage.db.run(&scope, work).await?;
    if results.of(there)?.is_empty() {
        return Err(refused::no_upload());
    }
    let rows: Vec<_> = results.of(found)?.iter().collect();
    let more = rows.len() > limit;
    let shown = rows.get(..limit).unwrap_or(&rows);
    let mut xml = Xml::new("ListPartsResult");
    xml.leaf("Bucket", place.bucket).leaf("Key", place.key).leaf("UploadId", place.id);
    xml.value("PartNumberMarker", after);
    xml.maybe("NextPartNumberMarker", shown.last().filter(|_| more).and_then(|row| row.text(0)));
    xml.value("MaxParts", limit).value("IsTruncated", more);
    for row in shown {
        let word = |at: usize| row.text(at).unwrap_or_default();
        xml.begin("Part").leaf("PartNumber", word(0)).leaf("LastModified", word(4));
        xml.leaf("ETag", word(1)).leaf("Size", word(2)).end();
    }
    Ok(xml.answer())
}
