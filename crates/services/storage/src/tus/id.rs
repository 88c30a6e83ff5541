//! The name of an upload in its URL: `bucket/key/version` in base64.

use crate::refusal::{Outcome, Refusal};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// Which upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UploadId {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) version: Uuid,
}

/// There is no such upload.
pub(super) fn not_found() -> Refusal {
    Refusal::new(404, "NotFound", "The file for this url was not found\n")
}

impl UploadId {
    pub(super) fn parse(text: &str) -> Outcome<UploadId> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| not_found())?;
        let text = String::from_utf8(bytes).map_err(|_| not_found())?;
        let (bucket, rest) = text.split_once('/').ok_or_else(not_found)?;
        let (key, version) = rest.rsplit_once('/').ok_or_else(not_found)?;
        let version = version.parse().map_err(|_| not_found())?;
        Ok(UploadId { bucket: bucket.to_owned(), key: key.to_owned(), version })
    }
}

impl std::fmt::Display for UploadId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(format!("{}/{}/{}", self.bucket, self.key, self.version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_round() {
        for key in ["k", "a/b/c.txt", "a//", "/", "x y+z"] {
            let id = UploadId { bucket: "b".into(), key: key.into(), version: Uuid::from_u128(7) };
            assert_eq!(UploadId::parse(&id.to_string()).unwrap(), id);
        }
        for bad in ["", "!", "YQ", "Yi9r", &URL_SAFE_NO_PAD.encode("b/k/not-a-uuid")] {
            assert!(UploadId::parse(bad).is_err(), "{bad}");
        }
    }
}
