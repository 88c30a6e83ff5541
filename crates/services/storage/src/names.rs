//! Names of buckets and keys of objects: what may be one.

use crate::refusal::{self, Outcome};

/// The most characters of a bucket's name.
const BUCKET_CHARS_MAX: usize = 100;
/// The most bytes of a key, and of a part of it between slashes: what S3 and file systems can name.
const KEY_BYTES_MAX: usize = 1024;
const SEGMENT_BYTES_MAX: usize = 255;
/// Buckets of this ending hold tables of the analytics service.
const ANALYTICS_SUFFIX: &str = "--table-s3";
/// The end of keys that stand for empty folders in the dashboard.
const EMPTY_FOLDER: &str = ".emptyFolderPlaceholder";

/// A bucket's name that may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BucketName(String);

impl BucketName {
    pub(crate) fn parse(name: &str) -> Outcome<BucketName> {
        let fits = !name.is_empty()
            && name.len() <= BUCKET_CHARS_MAX
            && !name.ends_with(ANALYTICS_SUFFIX)
            && name.bytes().all(|byte| byte != b'/' && is_allowed(byte));
        if fits { Ok(BucketName(name.to_owned())) } else { Err(refusal::invalid_bucket()) }
    }

    /// The name of a bucket to be made: without blanks around it.
    pub(crate) fn parse_new(name: &str) -> Outcome<BucketName> {
        if name.trim() != name {
            return Err(refusal::invalid_bucket());
        }
        BucketName::parse(name)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A key that may be an object's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectKey(String);

impl ObjectKey {
    /// `unicode`: letters of all scripts may be in it, as may be nearly everything else that is no ASCII.
    pub(crate) fn parse(key: &str, unicode: bool) -> Outcome<ObjectKey> {
        let segment_fits =
            |segment: &str| segment.len() <= SEGMENT_BYTES_MAX && segment != "." && segment != "..";
        let fits = !key.is_empty()
            && key.len() <= KEY_BYTES_MAX
            && key.chars().all(|char| is_allowed_char(char, unicode))
            && key.split('/').all(segment_fits);
        if fits { Ok(ObjectKey(key.to_owned())) } else { Err(refusal::invalid_key(key)) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the key stands for an empty folder: such an object is empty and of any type.
    pub(crate) fn is_folder_mark(&self) -> bool {
        self.0.ends_with(EMPTY_FOLDER)
    }
}

/// Whether a key has only characters that keys have: readers of others need not look. With `unicode` they may look for
/// anything: rows made by SQL have all sorts of names.
pub(crate) fn is_readable(key: &str, unicode: bool) -> bool {
    !key.is_empty()
        && key.chars().all(|char| if unicode { char != '\0' } else { is_allowed_char(char, false) })
}

fn is_allowed_char(char: char, unicode: bool) -> bool {
    match u8::try_from(char) {
        Ok(byte) if byte.is_ascii() => is_allowed(byte),
        // The last of each plane are no characters.
        _ => unicode && !char.is_control() && u32::from(char) & 0xfffe != 0xfffe,
    }
}

/// The characters that S3 calls safe or possible, and blank.
fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_/!-.*'() &$@=;:+,?".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names() {
        for good in ["a", "a b", "My.Bucket_1!", "with'quote", &"x".repeat(100)] {
            assert!(BucketName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b", "ä", "a#b", "a%b", "x--table-s3", &"x".repeat(101), "a\0b"] {
            assert!(BucketName::parse(bad).is_err(), "{bad}");
        }
        assert!(BucketName::parse(" a").is_ok() && BucketName::parse_new(" a").is_err());
    }

    #[test]
    fn keys() {
        let long = ["x".repeat(255), "y".repeat(255), "z".repeat(255), "w".repeat(255)].join("/");
        for good in ["a", "a/b.txt", "a//b", "a/", "/a", "...", "a b&$@=;:+,?.png", &long] {
            assert!(ObjectKey::parse(good, false).is_ok() && ObjectKey::parse(good, true).is_ok(), "{good}");
        }
        let too_long = format!("{long}/v");
        for bad in
            ["", ".", "..", "a/../b", "a/./b", "../a", "a#b", "a\\b", "a\0b", "a\nb", "[a]", "a~b", &too_long]
        {
            assert!(ObjectKey::parse(bad, false).is_err() && ObjectKey::parse(bad, true).is_err(), "{bad}");
        }
        assert!(ObjectKey::parse(&"x".repeat(256), true).is_err());
    }

    #[test]
    fn keys_of_all_scripts_if_the_project_wants_them() {
        for key in ["naïve.txt", "写真/猫.jpg", "مستند.pdf", "😀/👩‍👩‍👧.png", "a\u{301}"]
        {
            assert!(ObjectKey::parse(key, false).is_err() && ObjectKey::parse(key, true).is_ok(), "{key}");
            assert!(!is_readable(key, false) && is_readable(key, true));
        }
        for bad in ["a\u{85}", "a\u{ffff}", "a\u{1fffe}", "ä\n", &"ä".repeat(128)] {
            assert!(ObjectKey::parse(bad, true).is_err(), "{bad:?}");
        }
        assert!(is_readable("a#b", true) && !is_readable("a\0", true));
    }
}
