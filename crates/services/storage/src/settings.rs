//! What a project's storage is told.

use crate::events::Listener;
use model::{ProjectRef, Secret, Tenancy};
use std::sync::Arc;
use std::time::Duration;

/// The settings of one project's storage.
#[derive(Debug, Clone)]
pub struct Settings {
    pub project: ProjectRef,
    pub tenancy: Tenancy,
    /// Verify the tokens of callers.
    pub keys: Arc<token::KeySet>,
    /// Sign and verify the tokens in URLs.
    pub url_keys: Arc<token::KeySet>,
    /// Set in every transaction, over whatever a request says.
    pub extra_settings: Vec<(String, String)>,
    /// Where names of users' policies are looked up.
    pub search_path: String,
    /// The URL under which clients reach this storage: `https://…/storage/v1`, without a slash at its end.
    pub public_url: String,
    /// Bytes of the largest object.
    pub file_size_limit: u64,
    /// Bytes of the largest object that is uploaded in one piece; nothing: the same.
    pub standard_size_limit: Option<u64>,
    /// Bytes of all files together; nothing: no limit.
    pub quota_bytes: Option<u64>,
    /// How long a signed upload URL is good for.
    pub signed_upload_time: Duration,
    /// How long a resumable upload may take from its creation.
    pub resumable_time: Duration,
    /// How long an upload in parts may lie about that nobody goes on with.
    pub multipart_time: Duration,
    /// The most resumable uploads that are open at a time.
    pub open_resumable_max: u32,
    /// The most uploads in parts that are open at a time.
    pub open_multipart_max: u32,
    /// The `s-maxage` that revalidating clients are told; nothing: none.
    pub s_maxage: Option<u32>,
    /// Whether a bucket's list of types is also held against the first bytes of a file.
    pub sniff_types: bool,
    /// Whether keys may have letters of all scripts. Off: the characters that the reference takes.
    pub unicode_keys: bool,
    /// How long a body may pause.
    pub idle_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
    pub images: ImageSettings,
    pub s3: S3Settings,
    /// Counts what goes in and out.
    pub usage: Arc<crate::Usage>,
    pub scans: ScanSettings,
    /// Caches in front.
    pub cdn: Option<crate::Cdn>,
    /// Who hears what happens to objects.
    pub events: Option<Listener>,
}

/// Pictures made smaller on their way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSettings {
    pub enabled: bool,
    /// The longest side, in pixels, that may be asked for.
    pub side_max: u32,
    /// Pixels of the largest source; nothing: what the renderer allows.
    pub pixels_max: Option<u64>,
}

impl Default for ImageSettings {
    fn default() -> Self {
        ImageSettings { enabled: true, side_max: 2000, pixels_max: None }
    }
}

/// Whether a scanner looks at files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanSettings {
    /// Nothing: if there is a scanner. Files are refused that must be looked at and cannot be.
    pub enabled: Option<bool>,
    /// Whether a file that could not be looked at is taken all the same; nothing: as the scanner is set.
    pub takes_unscanned: Option<bool>,
}

/// The S3 protocol.
#[derive(Debug, Clone)]
pub struct S3Settings {
    pub enabled: bool,
    pub region: String,
    pub keys: Vec<S3Key>,
    /// What stands for the access key beside the token of a user's session: the project's reference, and these.
    pub session_names: Vec<String>,
    /// What such requests may be signed with: the project's public keys.
    pub session_secrets: Vec<Secret>,
}

impl Default for S3Settings {
    fn default() -> Self {
        S3Settings {
            enabled: true,
            region: "local".to_owned(),
            keys: Vec::new(),
            session_names: Vec::new(),
            session_secrets: Vec::new(),
        }
    }
}

/// A pair of keys of the S3 protocol.
#[derive(Debug, Clone)]
pub struct S3Key {
    pub access_key: String,
    pub secret_key: Secret,
    /// Whom requests signed with it speak for: claims as in a token, `role` among them.
    pub claims: Arc<str>,
}

impl Settings {
    /// Settings with the defaults of a hosted project.
    pub fn new(project: ProjectRef, keys: Arc<token::KeySet>) -> Settings {
        Settings {
            project,
            tenancy: Tenancy::Dedicated,
            url_keys: Arc::clone(&keys),
            keys,
            extra_settings: Vec::new(),
            search_path: "storage, public, extensions".to_owned(),
            public_url: "http://127.0.0.1:54321/storage/v1".to_owned(),
            file_size_limit: 50 << 20,
            standard_size_limit: None,
            quota_bytes: None,
            signed_upload_time: Duration::from_secs(2 * 3600),
            resumable_time: Duration::from_secs(24 * 3600),
            multipart_time: Duration::from_secs(7 * 24 * 3600),
            open_resumable_max: 1000,
            open_multipart_max: 1000,
            s_maxage: None,
            sniff_types: true,
            unicode_keys: false,
            idle_timeout: Duration::from_secs(60),
            statement_timeout: Duration::from_secs(30),
            images: ImageSettings::default(),
            s3: S3Settings::default(),
            usage: Arc::default(),
            scans: ScanSettings::default(),
            cdn: None,
            events: None,
        }
    }

    /// Bytes of the largest object that may be uploaded in one piece.
    pub(crate) fn standard_limit(&self) -> u64 {
        self.standard_size_limit.map_or(self.file_size_limit, |limit| limit.min(self.file_size_limit))
    }

    pub(crate) fn is_pooled(&self) -> bool {
        self.tenancy == Tenancy::Pooled
    }
}
