//! Which projects are being changed by this process.

use crate::{Error, Platform};
use model::ProjectRef;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The refs of projects with a job at work.
#[derive(Debug, Default)]
pub(crate) struct RunningJobs(Mutex<HashSet<ProjectRef>>);

impl RunningJobs {
    fn with<T>(&self, change: impl FnOnce(&mut HashSet<ProjectRef>) -> T) -> T {
        // A set is valid whatever panicked while it was held.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The right to work on a project's job; given back when dropped.
pub(crate) struct Running {
    platform: Platform,
    project: ProjectRef,
}

impl Running {
    /// # Errors
    /// [`catalog::Error::Busy`] while somebody else of this process has it.
    pub(crate) fn begin(platform: &Platform, project: &ProjectRef) -> Result<Running, Error> {
        if platform.inner.running.with(|running| running.insert(project.clone())) {
            Ok(Running { platform: platform.clone(), project: project.clone() })
        } else {
            Err(catalog::Error::Busy { project: project.to_string() }.into())
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.platform.inner.running.with(|running| running.remove(&self.project));
    }
}
