//! Identifiers of projects, apps, shards, instances and organizations.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// A text that is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: expected {expected}")]
pub struct InvalidId {
    what: &'static str,
    expected: &'static str,
}

impl InvalidId {
    pub(crate) const fn new(what: &'static str, expected: &'static str) -> Self {
        InvalidId { what, expected }
    }
}

/// The public name of a project: exactly 20 letters `a`–`z`, as in Supabase (its CLI checks the form).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProjectRef(Box<str>);

impl ProjectRef {
    /// The number of letters.
    pub const LENGTH: usize = 20;

    /// A ref from 20 random bytes; each byte picks a letter.
    pub fn from_random(bytes: [u8; Self::LENGTH]) -> Self {
        ProjectRef(bytes.iter().map(|b| (b'a' + b % 26) as char).collect::<String>().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProjectRef {
    type Err = InvalidId;
    fn from_str(s: &str) -> Result<Self, InvalidId> {
        if s.len() == Self::LENGTH && s.bytes().all(|b| b.is_ascii_lowercase()) {
            Ok(ProjectRef(s.into()))
        } else {
            Err(InvalidId::new("project ref", "20 letters a-z"))
        }
    }
}

impl TryFrom<String> for ProjectRef {
    type Error = InvalidId;
    fn try_from(s: String) -> Result<Self, InvalidId> {
        s.parse()
    }
}

impl From<ProjectRef> for String {
    fn from(r: ProjectRef) -> String {
        r.0.into()
    }
}

impl fmt::Display for ProjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(s: &str) -> Result<Self, InvalidId> {
                s.parse().map($name).map_err(|_| InvalidId::new(stringify!($name), "a whole number"))
            }
        }
    };
}

number_id! {
    /// The small number of a pooled project: the `57` of `app_57`. Unique in the whole platform.
    AppId
}
number_id! {
    /// The number of a shard, counted from 1.
    ShardId
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(s: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(s).map($name).map_err(|_| InvalidId::new(stringify!($name), "a UUID"))
            }
        }
    };
}

uuid_id! {
    /// An organization: the owner of projects.
    OrgId
}
uuid_id! {
    /// A PostgreSQL server that the platform knows, managed or external.
    InstanceId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_ref_is_twenty_lower_case_letters() {
        assert!("abcdefghijklmnopqrst".parse::<ProjectRef>().is_ok());
        for bad in [
            "",
            "abc",
            "ABCDEFGHIJKLMNOPQRST",
            "abcdefghijklmnopqrs1",
            "abcdefghijklmnopqrstu",
            "äbcdefghijklmnopqrs",
        ] {
            assert!(bad.parse::<ProjectRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_random_ref_is_valid() {
        let made = ProjectRef::from_random([0xFF; 20]);
        assert_eq!(made.as_str().parse::<ProjectRef>(), Ok(made));
    }

    #[test]
    fn refs_are_checked_when_deserialized() {
        assert!(serde_json::from_str::<ProjectRef>("\"nope\"").is_err());
    }
}
