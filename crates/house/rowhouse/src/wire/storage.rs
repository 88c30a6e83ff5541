//! The storage of a project: its settings and its place behind the gateway.

use super::home::{Home, failed};
use super::settings::ProjectSettings;
use axum::body::Body;
use catalog::signing_keys::{HS256, KeyStatus};
use catalog::{Catalog, SigningKey};
use gateway::{BoxFuture, Service};
use http::{Request, Response};
use model::{ProjectRef, Secret, Tenancy};
use platform::Endpoint;
use platform::projects::signing_keys::key_set;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The keys of the S3 protocol that every local stack has, as the official CLI's: its clients are configured with
/// them. A platform's projects have keys of their own.
const LOCAL_ACCESS_KEY: &str = "625729a08b95bf1b7ff351a663f3a23c";
const LOCAL_SECRET_KEY: &str = "850181e4652dd023b7a98c58ae0d2d34bd487ee0cc3254aed6eda37307425907";
const LOCAL_REGION: &str = "local";

/// How long a statement may take in a database of several projects: as long as those of the data API.
const SHARED_STATEMENT_TIMEOUT: Duration = Duration::from_secs(8);

/// How many public keys of a project its users may sign with.
const PUBLIC_KEYS_MAX: usize = 8;

impl ProjectSettings {
    /// The settings of storage. `url` is the project's own; `is_local` is whether it is the local stack's.
    pub fn storage(
        &self,
        project: &ProjectRef,
        tenancy: Tenancy,
        endpoint: &Endpoint,
        signing_keys: &[SigningKey],
        (url, is_local): (&str, bool),
    ) -> storage::Settings {
        let mut settings = storage::Settings::new(project.clone(), Arc::new(key_set(signing_keys)));
        settings.tenancy = tenancy;
        settings.url_keys = Arc::new(url_keys(signing_keys));
        settings.extra_settings.clone_from(&endpoint.extra_settings);
        settings.public_url = format!("{url}/storage/v1");
        if tenancy == Tenancy::Pooled {
            // A shard's public schema is nobody's.
            settings.search_path = "storage, extensions".to_owned();
            settings.statement_timeout = SHARED_STATEMENT_TIMEOUT;
        }
        let section = &self.storage;
        settings.file_size_limit = section.file_size_limit;
        settings.quota_bytes = section.quota_bytes;
        settings.images.enabled = section.images;
        settings.images.side_max = section.image_side_max;
        settings.images.pixels_max = section.image_megapixels_max.map(|millions| millions * 1_000_000);
        settings.s3.enabled = section.s3;
        settings.sniff_types = section.content_sniffing;
        settings.unicode_keys = section.unicode_keys;
        settings.signed_upload_time = section.signed_upload_url_expiry;
        (settings.resumable_time, settings.open_resumable_max) =
            (section.resumable.expiry, section.resumable.open_max);
        (settings.multipart_time, settings.open_multipart_max) =
            (section.multipart.expiry, section.multipart.open_max);
        settings.scans = storage::ScanSettings {
            enabled: section.scanner.enabled,
            takes_unscanned: section.scanner.optional,
        };
        if is_local {
            settings.s3.region = LOCAL_REGION.to_owned();
            settings.s3.keys.push(storage::S3Key {
                access_key: LOCAL_ACCESS_KEY.to_owned(),
                secret_key: LOCAL_SECRET_KEY.into(),
                claims: r#"{"role":"service_role"}"#.into(),
            });
        }
        settings.s3.keys.extend(self.s3_keys.iter().map(StoredS3Key::key));
        settings
    }
}

/// An access key of the S3 protocol as the catalog keeps it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StoredS3Key {
    access_key: String,
    secret_key: Secret,
    role: String,
    subject: Option<String>,
}

impl StoredS3Key {
    /// Those of a setting. One whose secret does not open is left out.
    pub(super) fn list(setting: Value) -> Vec<StoredS3Key> {
        let Value::Array(items) = setting else { return Vec::new() };
        items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect()
    }

    fn key(&self) -> storage::S3Key {
        let mut claims = serde_json::json!({ "role": self.role });
        if let (Some(map), Some(subject)) = (claims.as_object_mut(), &self.subject) {
            map.insert("sub".to_owned(), Value::from(subject.as_str()));
        }
        storage::S3Key {
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
            claims: claims.to_string().into(),
        }
    }
}

/// The public keys of a project: what its users sign requests of the S3 protocol with, beside their tokens. Without
/// them only those requests are refused.
pub(super) async fn public_keys(catalog: &Catalog, project: &ProjectRef) -> Vec<Secret> {
    reveal(catalog, project).await.unwrap_or_else(|error| {
        tracing::warn!(%project, %error, "the public keys of a project cannot be read");
        Vec::new()
    })
}

async fn reveal(catalog: &Catalog, project: &ProjectRef) -> Result<Vec<Secret>, catalog::Error> {
    let mut connection = catalog.connection().await?;
    let all = catalog::keys::key_list(&mut connection, project).await?;
    let public =
        all.iter().filter(|key| key.enabled && key.role == model::role::ANON && key.settings.is_empty());
    let public = public.take(PUBLIC_KEYS_MAX);
    public.map(|key| catalog::keys::key_reveal(catalog.key(), project, key).map(Secret::new)).collect()
}

/// The shared secrets alone, where there are any, also when they sign no tokens of users any more: URLs are short
/// then.
fn url_keys(signing_keys: &[SigningKey]) -> token::KeySet {
    let mut secrets: Vec<SigningKey> =
        signing_keys.iter().filter(|key| key.algorithm == HS256).cloned().collect();
    let Some(at) = secrets.iter().position(|key| key.status == KeyStatus::InUse).or_else(|| newest(&secrets))
    else {
        return key_set(signing_keys);
    };
    secrets[at].status = KeyStatus::InUse;
    key_set(&secrets)
}

fn newest(keys: &[SigningKey]) -> Option<usize> {
    (0..keys.len()).max_by(|a, b| keys[*a].created_at.cmp(&keys[*b].created_at))
}

/// Storage as the gateway sees it.
pub(super) struct StorageService(pub Arc<Home>);

impl Service for StorageService {
    fn call(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>> {
        Box::pin(async move {
            match self.0.running().await {
                Ok(running) => running.storage.handle(request).await,
                Err(fault) => failed(&fault, fault::storage_body(&fault, fault.status.as_u16(), &fault.code)),
            }
        })
    }
}

impl super::Wire {
    /// What a project's storage holds now.
    pub(crate) async fn holdings(&self, project: &ProjectRef) -> anyhow::Result<storage::Holdings> {
        let running = self.running(project).await?;
        Ok(running.storage.holdings().await?)
    }

    /// Brings files of elsewhere into a project's storage.
    pub(crate) async fn import_files(
        &self,
        project: &ProjectRef,
        source: &blob::Source,
        plan: storage::import::Plan,
        news: &tokio::sync::mpsc::Sender<storage::import::News>,
    ) -> anyhow::Result<storage::import::Counts> {
        // At work it keeps the project's server awake.
        let running = self.running(project).await?;
        Box::pin(running.storage.import(source, plan, news)).await.map_err(anyhow::Error::msg)
    }

    /// Asks a project's storage; the path has no prefix.
    pub(crate) async fn storage(
        &self,
        project: &ProjectRef,
        request: Request<Body>,
    ) -> anyhow::Result<Response<Body>> {
        let running = self.running(project).await?;
        Ok(running.storage.handle(request).await)
    }

    async fn running(&self, project: &ProjectRef) -> anyhow::Result<Arc<super::home::Running>> {
        let missing = || anyhow::anyhow!("the project cannot be reached now");
        let found = self.find(gateway::Lookup::Ref(project.clone())).await.map_err(|_| missing())?;
        found.ok_or_else(missing)?;
        let home = self.tenants().get(project).map(|known| Arc::clone(&known.home)).ok_or_else(missing)?;
        home.running().await.map_err(|_| missing())
    }

    /// Deletes the files of a project that is gone; returns whether they are. If not, the catalog knows, and it is tried
    /// again.
    pub(crate) async fn remove_files(&self, project: &ProjectRef) -> bool {
        let removed = self.inner.settings.files.blobs.delete_project(project).await;
        if let Err(error) = &removed {
            tracing::warn!(%project, %error, "the files of a deleted project are still there");
        }
        if let Some(pictures) = &self.inner.settings.files.pictures {
            pictures.forget(project).await;
        }
        removed.is_ok()
    }
}
