//! Deleting objects. What is not there counts as deleted.

use super::xml::{self, Xml};
use super::{Ask, Checked, buckets};
use crate::call::Incoming;
use crate::db::{As, Scope, Work};
use crate::names::BucketName;
use crate::refusal::{self, Outcome};
use crate::store;
use axum::body::Body;
use http::Response;
use serde_json::Value;
use std::collections::HashSet;

/// The most keys of a request, and the bytes of its list.
const KEYS_MAX: usize = 1000;
const LIST_BYTES_MAX: usize = 1 << 20;

/// `DELETE /<bucket>/<key>`
pub(super) async fn one(ask: &Ask<'_>, bucket: &BucketName, key: &str) -> Outcome<Response<Body>> {
    let scope = ask.scope("storage.s3.object.delete");
    let key = ask.storage.key(key)?;
    match ask.storage.delete(&scope, bucket, &key).await {
        Ok(()) => {}
        Err(refused) if refused.is("NoSuchKey") => must_be_there(ask, &scope, bucket).await?,
        Err(refused) => return Err(refused),
    }
    Ok(buckets::no_content())
}

async fn must_be_there(ask: &Ask<'_>, scope: &Scope, bucket: &BucketName) -> Outcome<()> {
    let found = ask.storage.bucket(scope, bucket.as_str()).await?;
    found.map(drop).ok_or_else(refusal::no_bucket)
}

/// What a request wants deleted.
struct Wanted {
    keys: Vec<String>,
    /// Whether only failures are told.
    quiet: bool,
}

fn read(bytes: &[u8]) -> Outcome<Wanted> {
    xml::parse(bytes, "Delete", |root| {
        let mut keys = Vec::new();
        for object in xml::children(root, "Object") {
            keys.push(xml::text_of(object, "Key")?.to_owned());
        }
        let quiet = xml::text_of(root, "Quiet").is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
        (!keys.is_empty() && keys.len() <= KEYS_MAX).then_some(Wanted { keys, quiet })
    })
}

/// `POST /<bucket>?delete`
pub(super) async fn many(ask: &Ask<'_>, bucket: &BucketName, body: Incoming) -> Outcome<Response<Body>> {
    let body = Checked::of(ask.call, body, &ask.verified)?.whole(LIST_BYTES_MAX).await?;
    let wanted = read(&body)?;
    let scope = ask.scope("storage.s3.object.delete_many");
    let mut deleted = HashSet::new();
    for row in ask.storage.delete_many(&scope, bucket, &wanted.keys).await? {
        let row: Value = serde_json::from_str(&row).unwrap_or_default();
        deleted.extend(row.get("name").and_then(Value::as_str).map(str::to_owned));
    }
    let left: Vec<String> = wanted.keys.iter().filter(|key| !deleted.contains(*key)).cloned().collect();
    let mut kept = HashSet::new();
    if !left.is_empty() {
        let mut work = Work::new(&scope, As::Service);
        let there = work.service(store::buckets::find(bucket.as_str()));
        let rows = work.service(store::objects::visible_of(bucket.as_str(), &left));
        let results = ask.storage.db.run(&scope, work).await?;
        if results.of(there)?.is_empty() {
            return Err(refusal::no_bucket());
        }
        kept.extend(results.of(rows)?.iter().filter_map(|row| row.text(0)).map(str::to_owned));
    }
    let mut xml = Xml::new("DeleteResult");
    for key in &wanted.keys {
        if kept.contains(key) {
            xml.begin("Error")
                .leaf("Key", key)
                .leaf("Code", "AccessDenied")
                .leaf("Message", "Access Denied")
                .end();
        } else if !wanted.quiet {
            xml.begin("Deleted").leaf("Key", key).end();
        }
    }
    Ok(xml.answer())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_keys() {
        let wanted = read(b"<Delete><Object><Key>a &amp; b</Key></Object><Object><Key>c</Key><VersionId/></Object><Quiet>true</Quiet></Delete>").unwrap();
        assert_eq!((wanted.keys, wanted.quiet), (vec!["a & b".to_owned(), "c".to_owned()], true));
        for bad in ["<Delete/>", "<Delete><Object/></Delete>", "<Delete><Object><Key>a</Key></Delete>", ""] {
            assert!(read(bad.as_bytes()).is_err_and(|refused| refused.is("MalformedXML")), "{bad}");
        }
        let many = format!("<Delete>{}</Delete>", "<Object><Key>a</Key></Object>".repeat(1001));
        assert!(read(many.as_bytes()).is_err());
    }
}
