//! Names of managed servers: safe as file names, short enough for socket paths.

use model::ProjectRef;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of a managed server: 1 to 40 characters of `a`–`z`, `0`–`9`, `_`, starting with a letter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceName(Arc<str>);

/// A text that cannot name a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid instance name: expected 1 to 40 of a-z, 0-9 and _, beginning with a letter")]
pub struct InvalidName;

impl InstanceName {
    const LENGTH_MAX: usize = 40;
    const SYSTEM: &'static str = "system";

    /// The server that holds the catalog and the shards.
    pub fn system() -> Self {
        InstanceName(Self::SYSTEM.into())
    }

    pub fn is_system(&self) -> bool {
        &*self.0 == Self::SYSTEM
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceName {
    type Err = InvalidName;
    fn from_str(s: &str) -> Result<Self, InvalidName> {
        let letters = s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        let begins = s.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if letters && begins && s.len() <= Self::LENGTH_MAX {
            Ok(InstanceName(s.into()))
        } else {
            Err(InvalidName)
        }
    }
}

impl From<&ProjectRef> for InstanceName {
    fn from(project: &ProjectRef) -> Self {
        InstanceName(project.as_str().into())
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_as_a_file_name() {
        for good in ["system", "abcdefghijklmnopqrst", "a_1"] {
            assert!(good.parse::<InstanceName>().is_ok(), "{good}");
        }
        for bad in ["", "1a", ".", "..", "a/b", "A", "_a", "ä", &"a".repeat(41)] {
            assert!(bad.parse::<InstanceName>().is_err(), "{bad}");
        }
    }
}
