//! `[storage]`: files.

use super::reader::{ConfigError, Section};
use serde::{Deserialize, Serialize};

/// What a project's storage is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageSection {
    pub enabled: bool,
    /// Bytes of the largest file.
    pub file_size_limit: u64,
    pub images: bool,
    pub s3: bool,
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
            images: true,
            s3: true,
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
    let storage = StorageSection {
        enabled: section.flag("enabled")?.unwrap_or(default.enabled),
        file_size_limit: size(&mut section, "file_size_limit")?.unwrap_or(default.file_size_limit),
        images: images.flag("enabled")?.unwrap_or(default.images),
        s3: s3.flag("enabled")?.unwrap_or(default.s3),
        events: EventsSection {
            url: events.text("url")?.unwrap_or_default(),
            key: events.secret("key")?.unwrap_or_default(),
            disabled: events.texts("disabled")?.unwrap_or_default(),
        },
        buckets: buckets(section.section("buckets")?)?,
    };
    for section in [section, images, s3, events] {
        section.finish();
    }
    Ok(storage)
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
    let Some(text) = section.text(name)? else { return Ok(None) };
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
