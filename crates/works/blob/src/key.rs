//! Names of bodies, and what is known of them.

use model::ProjectRef;
use std::fmt;
use std::time::SystemTime;
use uuid::Uuid;

/// Names one body. Never made of what a user typed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    project: ProjectRef,
    version: Uuid,
}

impl Key {
    /// The body of this version in this project.
    pub fn new(project: &ProjectRef, version: Uuid) -> Key {
        Key { project: project.clone(), version }
    }

    /// The project that it belongs to.
    pub fn project(&self) -> &ProjectRef {
        &self.project
    }

    /// The version.
    pub fn version(&self) -> Uuid {
        self.version
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.version)
    }
}

/// A body that has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its length in bytes.
    pub size: u64,
    /// The MD5 of its bytes, which is what clients know as its ETag.
    pub md5: [u8; 16],
}

/// A body that was found in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub key: Key,
    /// Its length in bytes.
    pub size: u64,
    /// When it got its name. A copy on disk shares its bytes with the original, not this.
    pub modified: SystemTime,
}
