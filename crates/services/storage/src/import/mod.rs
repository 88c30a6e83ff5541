//! Files that come along from another Supabase Storage.
//!
//! There, a body lies under `<bucket>/<key>/<version>`; here its name is the version alone. [`Storage::import`] goes
//! over the rows of the project that a dump has brought, finds the body that each names and writes it into the store;
//! asked to, it makes rows for what has none. A row is made or changed after its body is durable, never before, and
//! where a request was faster, the request wins. So an import can be killed at any point and done again: what is
//! there is not copied twice.
//!
//! Nothing is held in memory but the files on their way and a page of rows, and nothing is ever written to the source.

mod copy;
mod facts;
mod found;
mod rows;

use crate::Storage;
use crate::caller::Identity;
use crate::db::{As, Results, Scope, Step, Work};
use crate::refusal::{Outcome, Refusal};
use crate::store::{import as store, versions};
use blob::Source;
use futures_util::{Stream, TryStreamExt};
use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often it is told how far an import is.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How many files may be on their way at once.
pub const JOBS_MAX: usize = 64;
/// So many failures in a row are no accident of single files.
const FAILURES_MAX: u64 = 100;
/// How often a statement or a read is tried that failed in a way that passes, and the pause before it is.
const TRIES: u32 = 5;
const TRY_PAUSE: Duration = Duration::from_millis(500);

/// How files lie in the source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// As Supabase Storage keeps them: `<bucket>/<key>/<version>`.
    #[default]
    Versions,
    /// As people see them: `<bucket>/<key>`.
    Plain,
}

/// What is wanted of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How files lie in the source.
    pub layout: Layout,
    /// Whether buckets and objects are made of files that have no row.
    pub create_rows: bool,
    /// Whether bodies are taken that are not what their row says; the row then says what they are.
    pub take_differing: bool,
    /// Whether nothing is written, and only told what would be.
    pub check: bool,
    /// How many files are on their way at once.
    pub jobs: usize,
}

/// What became of the files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows that were looked at.
    pub rows: u64,
    /// Bodies that were there already.
    pub there: u64,
    /// Bodies that were copied, or would be.
    pub copied: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows whose metadata was not complete.
    pub filled: u64,
    /// Rows that were made, or would be.
    pub created: u64,
    /// Files of older versions that have no row, and are left behind.
    pub superseded: u64,
    /// Uploads that were never finished, and are left behind.
    pub unfinished: u64,
    /// Objects that somebody changed meanwhile: theirs holds.
    pub changed: u64,
    /// Bodies that are not in the source.
    pub missing: u64,
    /// Bodies that are not what their row says.
    pub differing: u64,
    /// Bodies that could not be copied.
    pub failed: u64,
    /// What lies in the source and cannot be an object.
    pub skipped: u64,
}

impl Counts {
    /// Whether every row has its body, and every file that was looked at its row.
    pub fn is_whole(&self) -> bool {
        self.missing + self.differing + self.failed + self.skipped == 0
    }
}

/// What an import tells while it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// How far it is.
    Progress(Counts),
    /// A file that is not as it should be.
    Trouble {
        /// What is wrong with it.
        kind: Kind,
        /// Its bucket and key, or its path.
        name: String,
        /// More about that.
        detail: String,
    },
}

/// What can be wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A row names a body that is not in the source.
    Missing,
    /// A body is not what its row says.
    Differing,
    /// A body could not be copied.
    Failed,
    /// What lies there cannot be an object.
    Skipped,
}

/// Why an import ends before its end.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("the database failed: {0}")]
    Database(#[from] pg::Error),
    #[error("files cannot be kept: {0}")]
    Store(blob::Error),
    #[error("the source cannot be read: {0}")]
    Source(blob::Error),
    #[error("{0}")]
    Refused(String),
    #[error("nobody listens any more")]
    Alone,
    #[error("{FAILURES_MAX} files one after the other could not be copied, the last: {0}")]
    Failing(String),
}

impl From<Refusal> for Stop {
    fn from(refused: Refusal) -> Stop {
        Stop::Refused(refused.fault.message)
    }
}

/// The counters of a run.
#[derive(Debug, Default)]
struct Tally {
    rows: AtomicU64,
    there: AtomicU64,
    copied: AtomicU64,
    bytes: AtomicU64,
    filled: AtomicU64,
    created: AtomicU64,
    superseded: AtomicU64,
    unfinished: AtomicU64,
    changed: AtomicU64,
    missing: AtomicU64,
    differing: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
    /// Failures since the last success.
    failures: AtomicU64,
}

impl Tally {
    fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            rows: of(&self.rows),
            there: of(&self.there),
            copied: of(&self.copied),
            bytes: of(&self.bytes),
            filled: of(&self.filled),
            created: of(&self.created),
            superseded: of(&self.superseded),
            unfinished: of(&self.unfinished),
            changed: of(&self.changed),
            missing: of(&self.missing),
            differing: of(&self.differing),
            failed: of(&self.failed),
            skipped: of(&self.skipped),
        }
    }
}

fn one_more(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// An import at work.
struct Run<'a> {
    storage: &'a Storage,
    source: &'a Source,
    plan: Plan,
    scope: Scope,
    tally: Tally,
    news: &'a mpsc::Sender<News>,
}

impl Storage {
    /// Brings the files of a source here, telling `news` how it goes. Ends when nobody takes the news. Dropped before
    /// its end, it stops; what is done until then is done.
    ///
    /// # Errors
    /// Why it could not go on, as text for the operator. Done again, it goes on from there.
    pub async fn import(
        &self,
        source: &Source,
        plan: Plan,
        news: &mpsc::Sender<News>,
    ) -> Result<Counts, String> {
        let scope =
            Scope::new(Identity::service(), &Method::POST, "/import", &HeaderMap::new(), "storage.import");
        let run = Run { storage: self, source, plan, scope, tally: Tally::default(), news };
        let mut work = Box::pin(run.all());
        let mut ticks = tokio::time::interval(TELL_EVERY);
        loop {
            let stopped = tokio::select! {
                done = &mut work => done.err(),
                _ = ticks.tick() => match news.try_send(News::Progress(run.tally.counts())) {
                    Err(mpsc::error::TrySendError::Closed(_)) => Some(Stop::Alone),
                    // Who is slow to take the news gets the next.
                    _ => continue,
                },
            };
            return stopped.map_or_else(|| Ok(run.tally.counts()), |stop| Err(stop.to_string()));
        }
    }
}

impl Run<'_> {
    async fn all(&self) -> Result<(), Stop> {
        let [sees_all] = self.ask([versions::sees_all(self.storage.settings.is_pooled())]).await?;
        let sees_all = sees_all.first().is_some_and(|row| row.get(0).unwrap_or(false));
        if !sees_all {
            let hint =
                "the role service_role does not see all rows of storage.objects; does it pass by policies?";
            return Err(Stop::Refused(hint.to_owned()));
        }
        self.work_off(self.pages(), |row| self.row(row)).await?;
        if self.plan.create_rows {
            self.work_off(self.files(), |found| self.found(found)).await?;
        }
        Ok(())
    }

    /// Does something with every item, with so many at a time.
    async fn work_off<T, F: Future<Output = Result<(), Stop>>>(
        &self,
        items: impl Stream<Item = Result<T, Stop>>,
        work: impl Fn(T) -> F,
    ) -> Result<(), Stop> {
        let work = &work;
        let works = items.map_ok(|item| Box::pin(work(item)));
        works.try_buffer_unordered(self.plan.jobs.clamp(1, JOBS_MAX)).try_collect().await
    }

    /// Runs statements as one transaction of the service. Nobody hears of what it changes: these are no events.
    async fn ask<const N: usize>(&self, steps: [Step; N]) -> Result<[pg::Rows; N], Stop> {
        let mut tries = 0;
        loop {
            let mut work = Work::new(&self.scope, As::Service);
            work.service(store::quiet());
            let places = steps.clone().map(|step| work.service(step));
            let results: Results = match self.storage.db.run(&self.scope, work).await {
                Ok(results) => results,
                Err(error) if passes(&error) && tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(TRY_PAUSE * tries).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let rows: Outcome<Vec<pg::Rows>> =
                places.into_iter().map(|place| results.of(place).cloned()).collect();
            return rows?.try_into().map_err(|_| Stop::Refused("an answer is missing".to_owned()));
        }
    }

    /// Tells of a file that is not as it should be.
    async fn trouble(&self, kind: Kind, name: String, detail: impl Into<String>) -> Result<(), Stop> {
        one_more(match kind {
            Kind::Missing => &self.tally.missing,
            Kind::Differing => &self.tally.differing,
            Kind::Failed => &self.tally.failed,
            Kind::Skipped => &self.tally.skipped,
        });
        let detail = detail.into();
        if kind == Kind::Failed && self.tally.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_MAX {
            return Err(Stop::Failing(detail));
        }
        let told = self.news.send(News::Trouble { kind, name, detail }).await;
        told.map_err(|_| Stop::Alone)
    }
}

/// Whether a statement that failed so may well succeed a moment later.
fn passes(error: &pg::Error) -> bool {
    match error {
        pg::Error::PoolTimeout | pg::Error::Closed | pg::Error::Timeout | pg::Error::Connect(_) => true,
        error => matches!(error.sqlstate(), Some("57P01" | "57P03" | "55P03" | "40001" | "53300")),
    }
}
