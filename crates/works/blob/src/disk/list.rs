//! Which bodies a project has, in the order of their versions.

use super::Disk;
use super::tree::{Shelf, Tree, fan, growing_name, stat};
use crate::{Error, Found, Key};
use model::ProjectRef;
use rustix::fs::Dir;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use uuid::Uuid;

impl Disk {
    /// At most so many bodies that come after this version.
    pub(crate) async fn list(
        &self,
        project: &ProjectRef,
        after: Option<Uuid>,
        limit: usize,
        shelf: Shelf,
    ) -> Result<Vec<Found>, Error> {
        let (tree, name) = (Arc::clone(&self.tree), project.clone());
        let list = move || match listed(&tree, &name, after, limit, shelf) {
            Err(Error::NotFound) => Ok(Vec::new()),
            other => other,
        };
        self.call(project, list).await
    }
}

fn listed(
    tree: &Tree,
    project: &ProjectRef,
    after: Option<Uuid>,
    limit: usize,
    shelf: Shelf,
) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    let home = tree.project(project)?;
    if shelf == Shelf::Growing {
        gather(&Tree::inner(&home, growing_name())?, project, after, limit, &mut found)?;
        return Ok(found);
    }
    let first = after.map_or(0, |after| after.as_bytes()[0]);
    for byte in first..=u8::MAX {
        if found.len() >= limit {
            break;
        }
        let mut version = [0; 16];
        version[0] = byte;
        match Tree::inner(&home, &fan(Uuid::from_bytes(version))) {
            Ok(directory) => gather(&directory, project, after, limit, &mut found)?,
            Err(Error::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Adds the bodies of one directory. What is not named by a version is not ours, and left alone.
fn gather(
    directory: &OwnedFd,
    project: &ProjectRef,
    after: Option<Uuid>,
    limit: usize,
    found: &mut Vec<Found>,
) -> Result<(), Error> {
    let mut versions = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let version = entry.file_name().to_str().ok().and_then(|name| Uuid::try_parse(name).ok());
        versions.extend(version.filter(|version| after.is_none_or(|after| *version > after)));
    }
    versions.sort_unstable();
    for version in versions {
        if found.len() >= limit {
            break;
        }
        match stat(directory, &version.to_string()) {
            Ok((size, modified)) => found.push(Found { key: Key::new(project, version), size, modified }),
            // Deleted in between.
            Err(Error::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
