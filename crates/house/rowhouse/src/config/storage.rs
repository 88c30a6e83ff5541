//! `[storage]`: files.

use super::reader::{ConfigError, Section};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// The most open uploads that a project may be allowed: they are counted whenever one is begun.
const OPEN_MAX: u32 = 100_000;

/// What a project's storage is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageSection {
    pub enabled: bool,
    /// Bytes of the largest file.
    pub file_size_limit: u64,
    /// Bytes of all files together; nothing: no limit.
    pub quota_bytes: Option<u64>,
    pub images: bool,
    /// The longest side of a rendered picture, in pixels.
    pub image_side_max: u32,
    /// Megapixels of the largest source; nothing: what the renderer takes, which is 50.
    pub image_megapixels_max: Option<u64>,
    pub s3: bool,
    /// Whether a bucket's list of types is also held against contents.
    pub content_sniffing: bool,
    /// Whether keys may have letters of all scripts.
    pub unicode_keys: bool,
    pub signed_upload_url_expiry: Duration,
    /// Uploads by TUS.
    pub resumable: UploadsSection,
    /// Uploads in parts by the S3 protocol.
    pub multipart: UploadsSection,
    pub scanner: ScannerSection,
    pub cdn: CdnSection,
    pub events: EventsSection,
    /// Buckets that `rowhouse start` makes.
    pub buckets: Vec<BucketSection>,
}

/// `[storage.events]`: who hears what happens to objects. Ours; the official CLI has nothing like it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventsSection {
    /// Empty: nobody.
    pub url: String,
    pub key: model::Secret,
    pub disabled: Vec<String>,
}

impl EventsSection {
    /// The listener, if there is one.
    pub fn listener(
        &self,
        outbound: outbound::Client,
        bell: std::sync::Arc<dyn storage::Bell>,
    ) -> Option<storage::Listener> {
        (!self.url.is_empty()).then(|| storage::Listener {
            url: self.url.clone(),
            key: self.key.clone(),
            disabled: self.disabled.clone(),
            outbound,
            bell,
        })
    }
}

/// `[storage.resumable_uploads]`, and the keys of `[storage.s3_protocol]` about uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadsSection {
    /// How long they may take, or lie about.
    pub expiry: Duration,
    /// The most that are open at a time.
    pub open_max: u32,
}

/// `[storage.scanner]`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScannerSection {
    /// Nothing: if the program has a scanner.
    pub enabled: Option<bool>,
    /// Whether files are taken that it could not look at; nothing: as the program says.
    pub optional: Option<bool>,
}

/// `[storage.cdn]`: caches in front.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CdnSection {
    /// Empty: there are none.
    pub endpoint: String,
    pub key: model::Secret,
}

impl CdnSection {
    /// The caches, if there are any.
    pub fn caches(&self, outbound: outbound::Client) -> Option<storage::Cdn> {
        (!self.endpoint.is_empty()).then(|| storage::Cdn {
            endpoint: self.endpoint.clone(),
            key: Some(self.key.clone()).filter(|key| !key.expose().is_empty()),
            outbound,
        })
    }
}

/// `[storage.buckets.<name>]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BucketSection {
    pub name: String,
    pub public: Option<bool>,
    pub file_size_limit: Option<u64>,
    pub allowed_mime_types: Option<Vec<String>>,
    /// A folder, relative to that of the file, whose files are put into the bucket.
    pub objects_path: Option<String>,
}

impl Default for StorageSection {
    fn default() -> Self {
        StorageSection {
            enabled: true,
            file_size_limit: 50 << 20,
            quota_bytes: None,
            images: true,
            image_side_max: 2000,
            image_megapixels_max: None,
            s3: true,
            content_sniffing: true,
            unicode_keys: false,
            signed_upload_url_expiry: 2 * HOUR,
            resumable: UploadsSection { expiry: 24 * HOUR, open_max: 1000 },
            multipart: UploadsSection { expiry: 7 * 24 * HOUR, open_max: 1000 },
            scanner: ScannerSection::default(),
            cdn: CdnSection::default(),
            events: EventsSection::default(),
            buckets: Vec::new(),
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Result<StorageSection, ConfigError> {
    let default = StorageSection::default();
    let mut images = section.section("image_transformation")?;
    let mut s3 = section.section("s3_protocol")?;
    let mut events = section.section("events")?;
    let mut resumable = section.section("resumable_uploads")?;
    let mut scanner = section.section("scanner")?;
    let mut cdn = section.section("cdn")?;
    let storage = StorageSection {
        enabled: section.flag("enabled")?.unwrap_or(default.enabled),
        file_size_limit: size(&mut section, "file_size_limit")?.unwrap_or(default.file_size_limit),
        quota_bytes: size(&mut section, "quota_bytes")?.or(default.quota_bytes),
        images: images.flag("enabled")?.unwrap_or(default.images),
        image_side_max: number(&mut images, "max_size", (1, 8192))?.unwrap_or(default.image_side_max),
        image_megapixels_max: images.number("max_resolution", 1, 50)?,
        s3: s3.flag("enabled")?.unwrap_or(default.s3),
        unicode_keys: section.flag("unicode_keys")?.unwrap_or(default.unicode_keys),
        content_sniffing: section.flag("content_sniffing")?.unwrap_or(default.content_sniffing),
        signed_upload_url_expiry: time(&mut section, "signed_upload_url_expiry", (SECOND, 30 * 24 * HOUR))?
            .unwrap_or(default.signed_upload_url_expiry),
        resumable: UploadsSection {
            expiry: time(&mut resumable, "expiry", (MINUTE, 30 * 24 * HOUR))?
                .unwrap_or(default.resumable.expiry),
            open_max: number(&mut resumable, "max_open", (1, OPEN_MAX))?
                .unwrap_or(default.resumable.open_max),
        },
        multipart: UploadsSection {
            // It is noted once an hour that somebody goes on with one.
            expiry: time(&mut s3, "upload_expiry", (24 * HOUR, 365 * 24 * HOUR))?
                .unwrap_or(default.multipart.expiry),
            open_max: number(&mut s3, "max_open_uploads", (1, OPEN_MAX))?
                .unwrap_or(default.multipart.open_max),
        },
        scanner: ScannerSection { enabled: scanner.flag("enabled")?, optional: scanner.flag("optional")? },
        cdn: CdnSection {
            endpoint: url(&mut cdn, "endpoint")?.unwrap_or_default(),
            key: header_secret(&mut cdn, "key")?.unwrap_or_default(),
        },
        events: EventsSection {
            url: events.text("url")?.unwrap_or_default(),
            key: events.secret("key")?.unwrap_or_default(),
            disabled: events.texts("disabled")?.unwrap_or_default(),
        },
        buckets: buckets(section.section("buckets")?)?,
    };
    hosted_only(&mut section, "analytics", ["max_namespaces", "max_tables", "max_catalogs"])?;
    hosted_only(&mut section, "vector", ["max_buckets", "max_indexes", ""])?;
    for section in [section, images, s3, events, resumable, scanner, cdn] {
        section.finish();
    }
    Ok(storage)
}

/// A table of the official CLI about kinds of buckets that this version does not have: its values are checked as
/// those of all others are, and whoever switches it on is told.
fn hosted_only(section: &mut Section<'_>, name: &str, numbers: [&str; 3]) -> Result<(), ConfigError> {
    let mut inner = section.section(name)?;
    if inner.flag("enabled")? == Some(true) {
        section.warn(name, "there are no such buckets in this version");
    }
    for number in numbers.into_iter().filter(|number| !number.is_empty()) {
        inner.number(number, 0, u64::from(u32::MAX))?;
    }
    let mut buckets = inner.section("buckets")?;
    for bucket in buckets.keys() {
        buckets.section(&bucket)?.finish();
    }
    for section in [buckets, inner] {
        section.finish();
    }
    Ok(())
}

fn number(section: &mut Section<'_>, name: &str, (min, max): (u32, u32)) -> Result<Option<u32>, ConfigError> {
    let number = section.number(name, u64::from(min), u64::from(max))?;
    Ok(number.and_then(|number| u32::try_from(number).ok()))
}

/// A duration between two others, both included.
fn time(
    section: &mut Section<'_>,
    name: &str,
    (min, max): (Duration, Duration),
) -> Result<Option<Duration>, ConfigError> {
    let Some(time) = section.duration(name)? else { return Ok(None) };
    if (min..=max).contains(&time) {
        return Ok(Some(time));
    }
    Err(section.refuse(name, format!("a duration from {min:?} to {max:?}"), format!("{time:?}")))
}

/// An address that can be called. It may hold a password, so it is not repeated.
fn url(section: &mut Section<'_>, name: &str) -> Result<Option<String>, ConfigError> {
    let Some(text) = section.text(name)? else { return Ok(None) };
    let is_url = text.is_empty()
        || text.parse::<http::Uri>().is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https"))
                && url.host().is_some_and(|host| !host.is_empty())
        });
    if is_url {
        return Ok(Some(text));
    }
    Err(section.refuse(name, "a URL such as \"https://cdn.example.com/api\"", "something else".to_owned()))
}

/// A secret that is sent in a header.
fn header_secret(section: &mut Section<'_>, name: &str) -> Result<Option<model::Secret>, ConfigError> {
    let Some(secret) = section.secret(name)? else { return Ok(None) };
    if http::HeaderValue::from_str(secret.expose()).is_ok() {
        return Ok(Some(secret));
    }
    Err(section.refuse(name, "a text that fits into a header", "something else".to_owned()))
}

fn buckets(mut section: Section<'_>) -> Result<Vec<BucketSection>, ConfigError> {
    let mut buckets = Vec::new();
    for name in section.keys() {
        let mut inner = section.section(&name)?;
        buckets.push(BucketSection {
            public: inner.flag("public")?,
            file_size_limit: size(&mut inner, "file_size_limit")?,
            allowed_mime_types: inner.texts("allowed_mime_types")?,
            objects_path: inner.text("objects_path")?,
            name,
        });
        inner.finish();
    }
    section.finish();
    Ok(buckets)
}

/// Sizes as the official CLI reads them: `50MiB`, where KB, MB and GB mean the binary units too.
fn size(section: &mut Section<'_>, name: &str) -> Result<Option<u64>, ConfigError> {
    let Some(text) = section.text_or_number(name)? else { return Ok(None) };
    match parse_size(&text) {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(section.refuse(name, "a size such as \"50MiB\"", text)),
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let shift = match unit.trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * f64::from(1u32 << (shift / 2)) * f64::from(1u32 << (shift / 2));
    (bytes < 9e15).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("50MiB", 50 << 20), ("5MB", 5 << 20), ("1024", 1024), ("1.5 GiB", 3 << 29), ("2k", 2048)]
        {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        assert_eq!((parse_size("many"), parse_size("5 apples"), parse_size("")), (None, None, None));
    }
}
