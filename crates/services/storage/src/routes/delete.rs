//! Deleting objects: the row first, the body after the commit.

use super::{Target, message, text_json};
use crate::Storage;
use crate::call::{Call, Incoming};
use crate::db::{As, Scope, Work};
use crate::names::{BucketName, ObjectKey};
use crate::refusal::{self, Outcome};
use crate::store::objects;
use axum::body::Body;
use http::Response;

/// The most objects that one request deletes.
pub(crate) const KEYS_MAX: usize = 1000;

/// `DELETE /object/<bucket>/…`
pub(crate) async fn one(storage: &Storage, call: &Call, target: &Target) -> Outcome<Response<Body>> {
    let scope = call.scope(call.identity(&storage.settings)?, "storage.object.delete");
    let bucket = BucketName::parse(&target.bucket)?;
    let key = storage.key(&target.key).map_err(|_| refusal::no_key())?;
    storage.delete(&scope, &bucket, &key).await?;
    Ok(message("Successfully deleted"))
}

/// `DELETE /object/<bucket>`
pub(crate) async fn many(
    storage: &Storage,
    call: &Call,
    bucket: &str,
    mut body: Incoming,
) -> Outcome<Response<Body>> {
    let identity = call.identity(&storage.settings)?;
    let mut fields = body.fields(&call.headers).await?;
    let keys = fields.required_texts("prefixes", 1, usize::MAX);
    fields.finish()?;
    if keys.len() > KEYS_MAX {
        let message = format!("You can only delete up to {KEYS_MAX} objects in a single request");
        return Err(refusal::invalid_request(message));
    }
    let bucket = BucketName::parse(bucket)?;
    let scope = call.scope(identity, "storage.object.delete_many");
    let deleted = storage.delete_many(&scope, &bucket, &keys).await?;
    Ok(text_json(format!("[{}]", deleted.join(","))))
}

impl Storage {
    /// Deletes an object that the caller may delete.
    pub(crate) async fn delete(&self, scope: &Scope, bucket: &BucketName, key: &ObjectKey) -> Outcome<()> {
        let mut work = Work::new(scope, As::Service);
        let held = work.service(objects::hold(bucket.as_str(), key.as_str()));
        let deleted = work.caller(objects::delete(bucket.as_str(), key.as_str()));
        let (storage, scope) = (self.clone(), scope.clone());
        to_the_end(async move {
            let results = storage.db.run(&scope, work).await?;
            if results.of(held)?.is_empty() {
                return Err(refusal::no_key());
            }
            let row = results.of(deleted)?.first().ok_or_else(|| refusal::denied("Access denied"))?;
            storage.forget_version(row.text(0)).await;
            Ok(())
        })
        .await
    }

    /// Deletes those of some objects that the caller may delete; their rows as JSON.
    pub(crate) async fn delete_many(
        &self,
        scope: &Scope,
        bucket: &BucketName,
        keys: &[String],
    ) -> Outcome<Vec<String>> {
        let mut work = Work::new(scope, As::Caller);
        let deleted = work.caller(objects::delete_of(bucket.as_str(), keys));
        let (storage, scope) = (self.clone(), scope.clone());
        to_the_end(async move {
            let results = storage.db.run(&scope, work).await?;
            let rows = results.of(deleted)?;
            storage
                .forget_versions(rows.iter().filter_map(|row| row.text(1).map(str::to_owned)).collect())
                .await;
            Ok(rows.iter().map(|row| row.text(0).unwrap_or_default().to_owned()).collect())
        })
        .await
    }
}

/// Does work to its end, also when the client leaves meanwhile: what rows no longer name is deleted by who changed them.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Outcome<T>> + Send + 'static,
) -> Outcome<T> {
    let done = tokio::spawn(work).await;
    done.map_err(|error| refusal::internal("Internal server error").caused_by(error))?
}
