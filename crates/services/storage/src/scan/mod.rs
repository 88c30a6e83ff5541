//! Somebody looks at a file before it becomes readable.
//!
//! Every upload, of whatever kind, ends in one place where a finished body gets its row; the scanner is asked right
//! before. The body is streamed to it and is never whole in memory. A file that the scanner finds bad is deleted and
//! refused; so is, unless it is set otherwise, one that nobody could look at.

mod clamd;
mod web;

use crate::refusal::{Outcome, Refusal};
use http::Uri;
use model::{ProjectRef, Secret};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;

/// Where the scanner is.
#[derive(Debug, Clone)]
pub enum Place {
    /// The Unix socket of a clamd.
    ClamdSocket(PathBuf),
    /// Host and port of a clamd.
    ClamdAddress(String),
    /// A URL that takes the file by POST and answers `{"infected":false}`.
    Web {
        /// Where the file is sent.
        url: Uri,
        /// Sent as a bearer token.
        token: Option<Secret>,
    },
}

/// How it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How long one file may take, waiting for its turn included.
    pub time_limit: Duration,
    /// Files scanned at once; one project has at most all but one of them.
    pub at_once: usize,
    /// Whether a file that could not be scanned is taken all the same.
    pub takes_unscanned: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Manner { time_limit: Duration::from_secs(60), at_once: 8, takes_unscanned: false }
    }
}

/// Looks at files, for all projects. Cheap to clone.
#[derive(Clone)]
pub struct Scanner {
    place: Arc<Place>,
    manner: Manner,
    http: outbound::Client,
    turns: Arc<Turns>,
}

/// What a scanner says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Clean,
    /// With the name of what was found.
    Infected(String),
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the scanner did not answer in time")]
    Timeout,
    #[error("the scanner cannot be reached: {0}")]
    Io(#[from] std::io::Error),
    #[error("the scanner cannot be reached: {0}")]
    Http(#[from] outbound::Error),
    #[error("the scanner said: {0}")]
    Said(String),
    #[error("the body could not be read: {0}")]
    Body(#[from] blob::Error),
}

/// Nobody could look at a file that somebody must look at.
pub(crate) fn unavailable() -> Refusal {
    let message = "The file could not be checked by the malware scanner, try again later";
    Refusal::new(503, "ScannerUnavailable", message).openly()
}

impl Scanner {
    /// A scanner at a place. `http` reaches it there if that is a URL.
    pub fn new(place: Place, manner: Manner, http: outbound::Client) -> Scanner {
        let at_once = manner.at_once.max(1);
        let turns =
            Turns { all: Semaphore::new(at_once), each: (at_once - 1).max(1), by_project: Mutex::default() };
        Scanner { place: Arc::new(place), manner, http, turns: Arc::new(turns) }
    }

    /// Has a body looked at; what is refused must not get a row. `takes_unscanned` is the project's own word.
    pub(crate) async fn look(
        &self,
        project: &ProjectRef,
        body: blob::Reading,
        takes_unscanned: Option<bool>,
    ) -> Outcome<()> {
        let asked = Box::pin(self.ask(project, body));
        let verdict =
            tokio::time::timeout(self.manner.time_limit, asked).await.unwrap_or(Err(Failure::Timeout));
        match verdict {
            Ok(Verdict::Clean) => Ok(()),
            Ok(Verdict::Infected(found)) => {
                tracing::warn!(%project, %found, "an upload was refused by the scanner");
                let message = "The file was refused by the malware scanner";
                Err(Refusal::new(422, "FileInfected", message).openly())
            }
            Err(failure) if takes_unscanned.unwrap_or(self.manner.takes_unscanned) => {
                tracing::warn!(%project, %failure, "an upload was taken without being scanned");
                Ok(())
            }
            Err(failure) => Err(unavailable().caused_by(failure)),
        }
    }

    async fn ask(&self, project: &ProjectRef, body: blob::Reading) -> Result<Verdict, Failure> {
        let own = self.turns.of(project);
        let _own = own.semaphore.acquire().await.map_err(|_| Failure::Timeout)?;
        let _all = self.turns.all.acquire().await.map_err(|_| Failure::Timeout)?;
        match &*self.place {
            Place::ClamdSocket(path) => clamd::scan(UnixStream::connect(path).await?, body).await,
            Place::ClamdAddress(address) => clamd::scan(TcpStream::connect(address).await?, body).await,
            Place::Web { url, token } => {
                web::scan(&self.http, url, token.as_ref(), self.manner.time_limit, body).await
            }
        }
    }
}

/// Who scans when: a project that uploads much waits for itself.
struct Turns {
    all: Semaphore,
    each: usize,
    by_project: Mutex<HashMap<ProjectRef, Arc<Semaphore>>>,
}

impl Turns {
    fn of(&self, project: &ProjectRef) -> Own<'_> {
        let mut by_project = self.by_project.lock().unwrap_or_else(PoisonError::into_inner);
        let semaphore =
            by_project.entry(project.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.each)));
        Own { turns: self, project: project.clone(), semaphore: Arc::clone(semaphore) }
    }
}

/// A project's own turns, forgotten with the last file that waits for one.
struct Own<'a> {
    turns: &'a Turns,
    project: ProjectRef,
    semaphore: Arc<Semaphore>,
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        let mut by_project = self.turns.by_project.lock().unwrap_or_else(PoisonError::into_inner);
        // One is ours, one the map's.
        if Arc::strong_count(&self.semaphore) <= 2 {
            by_project.remove(&self.project);
        }
    }
}
