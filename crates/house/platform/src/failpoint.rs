//! Places at which a test can have the platform die.

use crate::Error;
use std::sync::{Arc, Mutex, PoisonError};

/// Names at which the next operation stops as if the process had been killed: nothing is undone, nothing is
/// recorded. A value given to the platform, so that no environment and no release setting can reach it.
#[derive(Debug, Clone, Default)]
pub struct Failpoints {
    armed: Arc<Mutex<Option<String>>>,
    passed: Arc<Mutex<Vec<String>>>,
}

/// How many passed names are remembered.
const PASSED_MAX: usize = 256;

impl Failpoints {
    /// Stops the operation that next passes this name; once.
    pub fn arm(&self, name: &str) {
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
    }

    /// The names passed so far, for a test that wants to try every one.
    pub fn passed(&self) -> Vec<String> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn hit(&self, name: &str) -> Result<(), Error> {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if passed.len() < PASSED_MAX {
            passed.push(name.to_owned());
        }
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        if armed.as_deref() == Some(name) {
            *armed = None;
            return Err(Error::Killed { failpoint: name.to_owned() });
        }
        Ok(())
    }
}
