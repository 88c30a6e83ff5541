//! Which store, and how it is reached.

use super::Remote;
use super::http::Http;
use crate::{Error, Store};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Tries of a request that failed in a way that may pass, and for how long they go on.
const RETRIES: usize = 4;
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
const BACKOFF_MAX: Duration = Duration::from_secs(3);

/// A bucket of Amazon's S3 or of a server that speaks its protocol.
#[derive(Clone, Default)]
pub struct S3 {
    /// The server's URL; Amazon's own if there is none.
    pub endpoint: Option<String>,
    /// The region, such as `eu-central-1`.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// The access key.
    pub access_key: String,
    /// The secret key.
    pub secret_key: String,
    /// Whether the bucket is in the path and not in the name of the host. Most servers of others want that.
    pub path_style: bool,
    /// Whether the endpoint may be `http://`.
    pub allow_http: bool,
    /// What the names of all objects begin with.
    pub prefix: String,
    /// How long a request may wait for its answer, if not as long as usual.
    pub patience: Option<Duration>,
    /// Authorities (DER) that are trusted besides those of the Mozilla programme.
    pub authorities: Vec<Vec<u8>>,
}

/// A bucket of Google Cloud Storage.
#[derive(Clone, Default)]
pub struct Gcs {
    /// The bucket.
    pub bucket: String,
    /// The service account's key, the JSON text of its file.
    pub service_account_key: String,
    /// The server's URL, if it is not Google's.
    pub endpoint: Option<String>,
    /// What the names of all objects begin with.
    pub prefix: String,
}

/// A container of Azure Blob Storage.
#[derive(Clone, Default)]
pub struct Azure {
    /// The storage account.
    pub account: String,
    /// Its access key.
    pub access_key: String,
    /// The container.
    pub container: String,
    /// The server's URL, if it is not Microsoft's.
    pub endpoint: Option<String>,
    /// Whether the endpoint may be `http://`.
    pub allow_http: bool,
    /// What the names of all objects begin with.
    pub prefix: String,
}

impl S3 {
    /// The store. No call is made yet.
    ///
    /// # Errors
    /// [`Error::Remote`] if the settings do not fit together.
    pub fn store(&self) -> Result<Store, Error> {
        Ok(made(self.connect()?, &self.prefix))
    }

    /// The bucket itself.
    pub(crate) fn connect(&self) -> Result<Arc<dyn ObjectStore>, Error> {
        let http = Http::new(&self.authorities, self.patience).map_err(|error| wrong(&error))?;
        let mut builder = AmazonS3Builder::new()
            .with_region(&self.region)
            .with_bucket_name(&self.bucket)
            .with_access_key_id(&self.access_key)
            .with_secret_access_key(&self.secret_key)
            .with_virtual_hosted_style_request(!self.path_style)
            .with_allow_http(self.allow_http)
            // Deleting many in one request is not part of what all servers know.
            .with_disable_bulk_delete(true)
            .with_retry(retry())
            .with_http_connector(http);
        let mut plain = false;
        if let Some(endpoint) = &self.endpoint {
            let endpoint = endpoint.trim_end_matches('/');
            plain = endpoint.starts_with("http://");
            refuse_plain(plain, self.allow_http)?;
            builder = builder.with_endpoint(endpoint);
        }
        // TLS guards the body as well; hashing it for the signature too would only cost time.
        let store = builder.with_unsigned_payload(!plain).build().map_err(|error| wrong(&error))?;
        Ok(Arc::new(store))
    }
}

impl Gcs {
    /// The store. No call is made yet.
    ///
    /// # Errors
    /// [`Error::Remote`] if the settings do not fit together.
    pub fn store(&self) -> Result<Store, Error> {
        let http = Http::new(&[], None).map_err(|error| wrong(&error))?;
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&self.bucket)
            .with_service_account_key(&self.service_account_key)
            .with_retry(retry())
            .with_http_connector(http);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        let store = builder.build().map_err(|error| wrong(&error))?;
        Ok(made(Arc::new(store), &self.prefix))
    }
}

impl Azure {
    /// The store. No call is made yet.
    ///
    /// # Errors
    /// [`Error::Remote`] if the settings do not fit together.
    pub fn store(&self) -> Result<Store, Error> {
        let http = Http::new(&[], None).map_err(|error| wrong(&error))?;
        let mut builder = MicrosoftAzureBuilder::new()
            .with_account(&self.account)
            .with_access_key(&self.access_key)
            .with_container_name(&self.container)
            .with_allow_http(self.allow_http)
            .with_retry(retry())
            .with_http_connector(http);
        if let Some(endpoint) = &self.endpoint {
            refuse_plain(endpoint.starts_with("http://"), self.allow_http)?;
            builder = builder.with_endpoint(endpoint.clone());
        }
        let store = builder.build().map_err(|error| wrong(&error))?;
        Ok(made(Arc::new(store), &self.prefix))
    }
}

fn made(store: Arc<dyn ObjectStore>, prefix: &str) -> Store {
    Store::of_remote(Remote::new(store, prefix))
}

fn retry() -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: BACKOFF_MAX, ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT }
}

fn refuse_plain(plain: bool, allowed: bool) -> Result<(), Error> {
    if plain && !allowed {
        return Err(Error::Remote("its endpoint is not https, which has to be allowed".to_owned()));
    }
    Ok(())
}

/// Settings that make no sense. Their values, some of them secret, are not shown.
fn wrong(error: &dyn std::error::Error) -> Error {
    tracing::debug!(%error, "settings of an object store");
    Error::Remote("its settings make no sense".to_owned())
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("S3");
        shown.field("endpoint", &self.endpoint).field("region", &self.region).field("bucket", &self.bucket);
        shown.finish_non_exhaustive()
    }
}

impl fmt::Debug for Gcs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gcs").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Azure");
        shown.field("account", &self.account).field("container", &self.container).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_has_to_be_allowed_and_secrets_are_not_shown() {
        let mut s3 = S3 {
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            region: "us-east-1".to_owned(),
            bucket: "b".to_owned(),
            access_key: "access-secret".to_owned(),
            secret_key: "very-secret".to_owned(),
            ..S3::default()
        };
        assert!(matches!(s3.store(), Err(Error::Remote(_))));
        s3.allow_http = true;
        assert!(s3.store().is_ok());
        let azure = Azure { access_key: "c2VjcmV0".to_owned(), account: "a".to_owned(), ..Azure::default() };
        let gcs = Gcs { service_account_key: "secret".to_owned(), ..Gcs::default() };
        assert!(matches!(gcs.store(), Err(Error::Remote(text)) if !text.contains("secret")));
        for shown in [format!("{s3:?}"), format!("{azure:?}"), format!("{gcs:?}")] {
            assert!(!shown.contains("secret") && !shown.contains("c2VjcmV0"), "{shown}");
        }
    }
}
