//! Caches in front of the storage, which are told when they are to forget something.
//!
//! Without such caches there is nothing to forget: readers revalidate with us.

use crate::Storage;
use crate::refusal::{self, Outcome, Refusal};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use model::Secret;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long the caches may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Buckets that the caches are told of behind an answer, of one project at a time.
const LATER_MAX: usize = 16;

/// Caches in front.
#[derive(Debug, Clone)]
pub struct Cdn {
    /// Asked with `/purge` behind it.
    pub endpoint: String,
    /// Sent as a bearer's token.
    pub key: Option<Secret>,
    pub outbound: outbound::Client,
}

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purged {
    /// Everything of the project.
    All,
    Bucket(String),
    Object(String, String),
}

impl Purged {
    /// What the caches are asked. `pictures` is whether only those made smaller are meant.
    fn message(&self, project: &str, pictures: bool) -> Value {
        let (kind, bucket, key) = match self {
            Purged::All => ("tenant", None, None),
            Purged::Bucket(bucket) => ("bucket", Some(bucket), None),
            Purged::Object(bucket, key) => ("object", Some(bucket), Some(key)),
        };
        let kind = if pictures { [kind, "-transforms"].concat() } else { kind.to_owned() };
        let mut message = Map::from_iter([
            ("type".to_owned(), kind.into()),
            ("tenant".to_owned(), json!({ "ref": project })),
        ]);
        for (name, value) in [("bucketId", bucket), ("objectName", key)] {
            if let Some(value) = value {
                message.insert(name.to_owned(), Value::from(value.as_str()));
            }
        }
        Value::Object(message)
    }
}

impl Cdn {
    /// Where they are asked: query and fragment are left out.
    fn url(&self) -> String {
        let end = self.endpoint.find(['?', '#']).unwrap_or(self.endpoint.len());
        [self.endpoint[..end].trim_end_matches('/'), "/purge"].concat()
    }

    async fn purge(&self, message: &Value) -> Result<(), Failure> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url())
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", key.expose()));
        }
        let request = request.body(Bytes::from(message.to_string())).map_err(|_| Failure::Malformed)?;
        let limits = outbound::Limits { timeout: TIMEOUT, body: ANSWER_BYTES_MAX };
        let answer = self.outbound.send(request, limits).await?;
        if answer.status().is_success() { Ok(()) } else { Err(Failure::Status(answer.status())) }
    }
}

/// Why caches may still have it.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the address of the caches or their key is malformed")]
    Malformed,
    #[error("the caches cannot be asked: {0}")]
    Call(#[from] outbound::Error),
    #[error("the caches answered {0}")]
    Status(StatusCode),
}

/// How many buckets the caches may still be told of.
#[derive(Debug, Clone)]
pub(crate) struct Later(Arc<Semaphore>);

impl Default for Later {
    fn default() -> Self {
        Later(Arc::new(Semaphore::new(LATER_MAX)))
    }
}

impl Storage {
    /// Has the caches in front, if there are any, forget something.
    pub(crate) async fn purge(&self, what: &Purged, pictures: bool) -> Outcome<()> {
        let Some(cdn) = &self.settings.cdn else { return Ok(()) };
        let message = what.message(self.settings.project.as_str(), pictures);
        cdn.purge(&message).await.map_err(|failure| failed().caused_by(failure))
    }

    /// The same of a bucket that is not public any more, or gone, behind the answer. Who depends on it asks again by
    /// the route.
    pub(crate) fn purge_later(&self, bucket: &str) {
        if self.settings.cdn.is_none() {
            return;
        }
        let project = &self.settings.project;
        let Ok(turn) = Arc::clone(&self.purges.0).try_acquire_owned() else {
            tracing::warn!(%project, bucket, "the caches are behind; they were not told of a bucket");
            return;
        };
        let (storage, what) = (self.clone(), Purged::Bucket(bucket.to_owned()));
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(refused) = storage.purge(&what, false).await {
                crate::log(&refused);
            }
        });
    }
}

fn failed() -> Refusal {
    refusal::internal("Error purging cache")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_is_meant() {
        let object = Purged::Object("b".to_owned(), "a/k".to_owned());
        let wanted =
            json!({ "type": "object", "tenant": { "ref": "p" }, "bucketId": "b", "objectName": "a/k" });
        assert_eq!(object.message("p", false), wanted);
        let wanted = json!({ "type": "bucket-transforms", "tenant": { "ref": "p" }, "bucketId": "b" });
        assert_eq!(Purged::Bucket("b".to_owned()).message("p", true), wanted);
        assert_eq!(Purged::All.message("p", false), json!({ "type": "tenant", "tenant": { "ref": "p" } }));
    }

    #[test]
    fn the_address_is_below_the_endpoint() {
        let outbound = outbound::Client::default();
        for (endpoint, url) in [
            ("https://cdn.test", "https://cdn.test/purge"),
            ("https://cdn.test/a/", "https://cdn.test/a/purge"),
            ("https://cdn.test/a?b=c", "https://cdn.test/a/purge"),
        ] {
            let cdn = Cdn { endpoint: endpoint.to_owned(), key: None, outbound: outbound.clone() };
            assert_eq!(cdn.url(), url);
        }
    }
}
