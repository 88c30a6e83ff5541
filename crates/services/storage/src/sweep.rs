//! What nobody needs any more: resumable uploads whose time is over, uploads in parts that nobody goes on with, and
//! bodies that no row names.
//!
//! A body without a row is what a crash leaves behind, and what users leave who delete rows themselves. It is deleted
//! when it is older than a day: until then its row may still be on its way. Nothing is deleted unless the database
//! has said, in the same transaction, that it shows all rows of the project.

use crate::Storage;
use crate::caller::Identity;
use crate::db::{As, Scope, Work};
use crate::refusal::{self, Outcome};
use crate::store::{multipart, resumable, versions};
use blob::{Found, Key};
use http::{HeaderMap, Method};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// Bodies that are held against the rows at a time. There is no index of versions, so all rows of the project are read
/// for each page.
const PAGE: usize = 25_000;
/// Uploads whose time is over that are ended at a time.
const EXPIRED: usize = 500;
/// Uploads in parts that are ended at a time, each with up to 10,000 parts.
const LEFT_BEHIND: usize = 10;
/// Younger bodies may still get their row.
const AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What a sweep has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Uploads whose time was over.
    pub uploads: u64,
    /// Bodies that no row named, or only one of an upload whose time was over.
    pub bodies: u64,
}

/// How a sweep goes on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sweep {
    /// The pause after each page of work.
    pub pause: Duration,
    /// When it is enough for this time; nothing: when all is done.
    pub until: Option<Instant>,
    /// The last body that was looked at when it was enough, behind which the next sweep begins.
    pub after: Option<Uuid>,
}

impl Sweep {
    fn is_enough(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

impl Storage {
    /// Removes what nobody needs any more.
    ///
    /// # Errors
    /// The database or the place of the bodies failed, as text. What was removed until then is removed.
    pub async fn sweep(&self, sweep: &mut Sweep) -> Result<Swept, String> {
        let mut swept = Swept::default();
        let outcome = async {
            swept.uploads = self.sweep_uploads(sweep).await?;
            self.sweep_parts(&mut swept, sweep).await?;
            swept.bodies += self.sweep_bodies(sweep).await?;
            self.sweep_growing(sweep).await
        };
        match outcome.await {
            Ok(growing) => {
                swept.bodies += growing;
                Ok(swept)
            }
            Err(refused) => {
                crate::log(&refused);
                Err(refused.fault.message)
            }
        }
    }

    fn sweeper(&self) -> Scope {
        Scope::new(Identity::service(), &Method::DELETE, "/sweep", &HeaderMap::new(), "storage.sweep")
    }

    /// Ends uploads whose time is over: their bytes now, their rows a day later.
    async fn sweep_uploads(&self, sweep: &Sweep) -> Outcome<u64> {
        let (scope, now) = (self.sweeper(), crate::metadata::iso(self.clock.now()));
        let (mut ended, mut after) = (0, None);
        loop {
            let mut work = Work::new(&scope, As::Service);
            let expired = work.service(resumable::expired(&now, after, EXPIRED));
            let results = self.db.run(&scope, work).await?;
            let rows = results.of(expired)?;
            for row in rows.iter() {
                let Some(version) = row.text(0).and_then(|text| text.parse::<Uuid>().ok()) else { continue };
                let key = self.new_key(version);
                if self.machinery.blobs.grown(&key).await.is_ok() {
                    self.machinery.blobs.discard(&key).await?;
                    ended += 1;
                }
                after = Some(version);
            }
            if rows.len() < EXPIRED || sweep.is_enough() {
                break;
            }
            tokio::time::sleep(sweep.pause).await;
        }
        let mut work = Work::new(&scope, As::Service);
        work.service(resumable::end_old(&now));
        self.db.run(&scope, work).await?;
        Ok(ended)
    }

    /// Ends uploads in parts that nobody goes on with. Their rows go first: whoever is just about to write one of
    /// their parts finds no upload then, and whoever got there before is left alone. Bodies that are left over by a
    /// crash have no row.
    async fn sweep_parts(&self, swept: &mut Swept, sweep: &Sweep) -> Outcome<()> {
        let scope = self.sweeper();
        let before = self.clock.now().checked_sub(self.settings.multipart_time);
        let before = crate::metadata::iso(before.unwrap_or(std::time::UNIX_EPOCH));
        loop {
            let mut work = Work::new(&scope, As::Service);
            let ended = work.service(multipart::end_old(&before, LEFT_BEHIND));
            let results = self.db.run(&scope, work).await?;
            let rows = results.of(ended)?;
            let ids: HashSet<&str> = rows.iter().filter_map(|row| row.text(0)).collect();
            swept.uploads += ids.len() as u64;
            for version in rows.iter().filter_map(|row| row.text(1)?.parse::<Uuid>().ok()) {
                self.machinery.blobs.delete(&self.new_key(version)).await?;
                swept.bodies += 1;
            }
            if ids.len() < LEFT_BEHIND || sweep.is_enough() {
                return Ok(());
            }
            tokio::time::sleep(sweep.pause).await;
        }
    }

    async fn sweep_bodies(&self, sweep: &mut Sweep) -> Outcome<u64> {
        let (mut deleted, mut after) = (0, sweep.after.take().map(|version| self.new_key(version)));
        loop {
            let page = self.machinery.blobs.list(&self.settings.project, after.as_ref(), PAGE).await?;
            let Some(last) = page.last().map(|found| found.key.clone()) else { return Ok(deleted) };
            for key in self.unnamed(&page, after.as_ref()).await? {
                self.machinery.blobs.delete(&key).await?;
                deleted += 1;
            }
            if page.len() < PAGE {
                return Ok(deleted);
            }
            if sweep.is_enough() {
                sweep.after = Some(last.version());
                return Ok(deleted);
            }
            after = Some(last);
            tokio::time::sleep(sweep.pause).await;
        }
    }

    async fn sweep_growing(&self, sweep: &Sweep) -> Outcome<u64> {
        let (mut deleted, mut after) = (0, None);
        loop {
            let page =
                self.machinery.blobs.list_growing(&self.settings.project, after.as_ref(), PAGE).await?;
            let Some(last) = page.last().map(|found| found.key.clone()) else { return Ok(deleted) };
            for key in self.unnamed(&page, after.as_ref()).await? {
                self.machinery.blobs.discard(&key).await?;
                deleted += 1;
            }
            if page.len() < PAGE || sweep.is_enough() {
                return Ok(deleted);
            }
            after = Some(last);
            tokio::time::sleep(sweep.pause).await;
        }
    }

    /// Those of a page that are old and that no row names. The rows are read after the bodies were: a row that comes
    /// later is that of a body which is not old.
    async fn unnamed(&self, page: &[Found], after: Option<&Key>) -> Outcome<Vec<Key>> {
        let now = self.clock.now();
        let is_old = |found: &&Found| now.duration_since(found.modified).is_ok_and(|age| age > AGE);
        let old: Vec<&Found> = page.iter().filter(is_old).collect();
        let (Some(first), Some(last)) = (old.first(), old.last()) else { return Ok(Vec::new()) };
        debug_assert!(after.is_none_or(|after| after.version() < first.key.version()));
        let scope = self.sweeper();
        let mut work = Work::new(&scope, As::Service);
        let sees_all = work.service(versions::sees_all(self.settings.is_pooled()));
        let named = work.service(versions::named(first.key.version(), last.key.version()));
        let results = self.db.run(&scope, work).await?;
        let sees_all: bool = results.of(sees_all)?.first().is_some_and(|row| row.get(0).unwrap_or(false));
        if !sees_all {
            return Err(refusal::internal("The sweeper does not see all rows"));
        }
        let rows = results.of(named)?;
        let named: HashSet<Uuid> =
            rows.iter().filter_map(|row| row.text(0)).filter_map(|text| text.parse().ok()).collect();
        Ok(old
            .into_iter()
            .map(|found| found.key.clone())
            .filter(|key| !named.contains(&key.version()))
            .collect())
    }
}
