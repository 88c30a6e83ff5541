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
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, SemaphorePermit};

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
    /// How long one file may take.
    pub time_limit: Duration,
    /// How long it may wait for its turn before that. Whoever waits longer is told so; the file is not taken, not even
    /// where files are that could not be scanned: otherwise anybody could keep the scanner busy for their own good.
    pub wait_limit: Duration,
    /// Files scanned at once; one project has at most a quarter of them.
    pub at_once: usize,
    /// Whether a file that could not be scanned is taken all the same.
    pub takes_unscanned: bool,
}

impl Default for Manner {
    fn default() -> Self {
        let limit = Duration::from_secs(60);
        Manner { time_limit: limit, wait_limit: limit, at_once: 8, takes_unscanned: false }
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
        let each = (at_once / 4).max(1);
        let turns = Turns { all: Semaphore::new(at_once), each, by_project: Mutex::default() };
        Scanner { place: Arc::new(place), manner, http, turns: Arc::new(turns) }
    }

    /// Has a body looked at; what is refused must not get a row. It is opened when it is its turn. `takes_unscanned`
    /// is the project's own word.
    pub(crate) async fn look(
        &self,
        project: &ProjectRef,
        body: impl Future<Output = Result<blob::Reading, blob::Error>> + Send,
        takes_unscanned: Option<bool>,
    ) -> Outcome<()> {
        let own = self.turns.of(project);
        let turn = tokio::time::timeout(self.manner.wait_limit, self.turns.turn(&own)).await;
        let Ok(Some(_turn)) = turn else { return Err(unavailable()) };
        let asked = Box::pin(self.ask(body.await?));
        let verdict =
            tokio::time::timeout(self.manner.time_limit, asked).await.unwrap_or(Err(Failure::Timeout));
        match verdict {
            Ok(Verdict::Clean) => Ok(()),
            Ok(Verdict::Infected(found)) => {
                tracing::warn!(%project, %found, "an upload was refused by the scanner");
                let message = "The file was refused by the malware scanner";
                Err(Refusal::new(422, "FileInfected", message).openly())
            }
            // That a body cannot be read says nothing of the scanner.
            Err(failure)
                if takes_unscanned.unwrap_or(self.manner.takes_unscanned)
                    && !matches!(failure, Failure::Body(_)) =>
            {
                tracing::warn!(%project, %failure, "an upload was taken without being scanned");
                Ok(())
            }
            Err(failure) => Err(unavailable().caused_by(failure)),
        }
    }

    async fn ask(&self, body: blob::Reading) -> Result<Verdict, Failure> {
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

    /// First the project's own: whoever waits there must not keep a turn of all.
    async fn turn<'a>(&'a self, own: &'a Own<'_>) -> Option<(SemaphorePermit<'a>, SemaphorePermit<'a>)> {
        Some((own.semaphore.acquire().await.ok()?, self.all.acquire().await.ok()?))
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn three_projects_leave_turns_to_a_fourth() {
        let http = outbound::Client::new(outbound::Reach::Anywhere).unwrap();
        let scanner = Scanner::new(Place::ClamdSocket("/nonexistent".into()), Manner::default(), http);
        let owns: Vec<Own<'_>> = ["a", "b", "c", "d"]
            .iter()
            .map(|letter| scanner.turns.of(&letter.repeat(ProjectRef::LENGTH).parse().unwrap()))
            .collect();
        let mut taken = Vec::new();
        for own in &owns[..3] {
            while let Some(turn) = scanner.turns.turn(own).now_or_never() {
                taken.push(turn.unwrap());
            }
        }
        assert_eq!(taken.len(), 6, "each has a quarter");
        assert!(scanner.turns.turn(&owns[3]).now_or_never().is_some());
        drop(taken);
        drop(owns);
        assert!(scanner.turns.by_project.lock().unwrap().is_empty());
    }
}
