//! Finding an object for a reader: is it there, and may they see it?

use crate::Storage;
use crate::db::{As, Scope, Work};
use crate::metadata::Metadata;
use crate::names::BucketName;
use crate::refusal::{self, Outcome};
use crate::store::objects;
use pg::Row;

/// An object that its reader may see.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) bucket: String,
    /// Whether anybody may read what is in the bucket.
    pub(crate) is_public: bool,
    pub(crate) key: String,
    pub(crate) id: String,
    /// Names the body.
    pub(crate) version: String,
    pub(crate) metadata: Metadata,
    /// JSON.
    pub(crate) user_metadata: Option<String>,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

/// Who may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Whoever asks, if the bucket is public.
    Public,
    /// The caller, under their policies; anybody, if the bucket is public.
    Caller,
    /// The caller, under their policies, also in public buckets.
    Policies,
    /// Whoever has a token for the object.
    Token,
}

impl Storage {
    /// The object, for a reader with this right.
    pub(crate) async fn find(&self, scope: &Scope, right: Right, bucket: &str, key: &str) -> Outcome<Found> {
        let bucket = BucketName::parse(bucket)?;
        let bucket = bucket.as_str();
        if !crate::names::is_readable(key, self.settings.unicode_keys) {
            return Err(refusal::invalid_key(key));
        }
        let mut work = Work::new(scope, As::Service);
        let found = work.service(objects::with_bucket(bucket, key));
        let asks = matches!(right, Right::Caller | Right::Policies);
        let visible = asks.then(|| work.caller(objects::visible(bucket, key)));
        let results = match self.db.run(scope, work).await {
            Ok(results) => results,
            // Claims that policies stumble over are no reason to hide what is public.
            Err(error) if right == Right::Caller && error.db().is_some() => {
                let public = Box::pin(self.find(scope, Right::Public, bucket, key)).await;
                return public.map_err(|_| error.into());
            }
            Err(error) => return Err(error.into()),
        };
        let row = results.of(found)?.first().ok_or_else(refusal::no_bucket)?;
        let is_public: bool = row.get(0)?;
        if right == Right::Public && !is_public {
            return Err(refusal::no_bucket());
        }
        let open = right == Right::Token || (is_public && right != Right::Policies);
        let sees = match visible {
            Some(place) => !results.of(place)?.is_empty(),
            None => false,
        };
        if !open && !sees {
            return Err(refusal::no_key());
        }
        Found::of(bucket, key, row)?.ok_or_else(refusal::no_key)
    }
}

impl Found {
    fn of(bucket: &str, key: &str, row: &Row) -> Outcome<Option<Found>> {
        let Some(id) = row.text(1) else { return Ok(None) };
        let word = |at: usize| row.text(at).unwrap_or_default().to_owned();
        Ok(Some(Found {
            bucket: bucket.to_owned(),
            is_public: row.get(0)?,
            key: key.to_owned(),
            id: id.to_owned(),
            version: word(2),
            metadata: Metadata::of(row.text(3)),
            user_metadata: row.text(4).map(str::to_owned),
            created_at: word(5),
            updated_at: word(6),
        }))
    }

    /// The ETag, in quotes.
    pub(crate) fn etag(&self) -> String {
        let etag = &self.metadata.etag;
        if etag.starts_with('"') || etag.starts_with("W/") { etag.clone() } else { format!("\"{etag}\"") }
    }

    /// When the body was written.
    pub(crate) fn modified(&self) -> Option<time::OffsetDateTime> {
        crate::metadata::parse_iso(&self.metadata.last_modified)
            .or_else(|| crate::metadata::parse_iso(&self.updated_at))
    }
}
