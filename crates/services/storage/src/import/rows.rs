//! Rows that are there: each gets the body it names.

use super::copy::Hurt;
use super::facts::{Facts, Said, other_size};
use super::{Kind, Layout, Run, Stop, one_more};
use crate::store::import as store;
use futures_util::{Stream, TryStreamExt, stream};
use std::sync::atomic::Ordering;
use uuid::Uuid;

/// What separates key and version where the reference is told to use no folder for it.
pub(super) const FLAT_SEPARATOR: &str = "-$v-";

/// An object as its row has it.
#[derive(Debug, Clone)]
pub(super) struct Object {
    id: String,
    bucket: String,
    key: String,
    version: Option<String>,
    said: Said,
    updated_at: String,
}

impl Object {
    fn of(row: &pg::Row) -> Object {
        let word = |at: usize| row.text(at).unwrap_or_default().to_owned();
        Object {
            id: word(0),
            bucket: word(1),
            key: word(2),
            version: row.text(3).map(str::to_owned),
            said: Said::of(row.text(4)),
            updated_at: word(5),
        }
    }

    fn name(&self) -> String {
        [&*self.bucket, "/", &*self.key].concat()
    }

    /// Where its body may be.
    fn paths(&self, layout: Layout) -> Vec<String> {
        let name = self.name();
        match self.version.as_deref().filter(|version| !version.is_empty()) {
            Some(version) if layout == Layout::Versions => {
                vec![[&*name, "/", version].concat(), [&*name, FLAT_SEPARATOR, version].concat()]
            }
            _ => vec![name],
        }
    }
}

/// A version that can be the name of a body: a UUID as PostgreSQL writes it.
pub(super) fn as_version(text: &str) -> Option<Uuid> {
    let version = Uuid::try_parse(text).ok()?;
    (version.to_string() == text).then_some(version)
}

impl Run<'_> {
    /// All rows, a page at a time.
    pub(super) fn pages(&self) -> impl Stream<Item = Result<Object, Stop>> {
        let pages = stream::try_unfold(Some((String::new(), String::new())), async |after| {
            let Some((bucket, key)) = after else { return Ok::<_, Stop>(None) };
            let [rows] = self.ask([store::page(&bucket, &key)]).await?;
            let objects: Vec<Object> = rows.iter().map(Object::of).collect();
            let is_last = objects.len() < store::PAGE;
            let next =
                objects.last().filter(|_| !is_last).map(|last| (last.bucket.clone(), last.key.clone()));
            Ok(Some((stream::iter(objects.into_iter().map(Ok)), next)))
        });
        pages.try_flatten()
    }

    /// Sees to it that a row has its body.
    pub(super) async fn row(&self, object: Object) -> Result<(), Stop> {
        one_more(&self.tally.rows);
        let version = object.version.as_deref().and_then(as_version);
        if let Some(version) = version
            && let Some(size) = self.stored(version).await?
        {
            return self.row_with_body(&object, version, size).await;
        }
        let opened = match self.open(&object.paths(self.plan.layout)).await? {
            Ok(opened) => opened,
            Err(hurt) => return self.hurt(&object, hurt).await,
        };
        if let Some(said) = object.said.size.filter(|said| *said != opened.size)
            && !self.plan.take_differing
        {
            return self.trouble(Kind::Differing, object.name(), other_size(said, opened.size)).await;
        }
        if self.plan.check {
            self.copied(opened.size);
            return Ok(());
        }
        // What is to be scanned must not be readable before: its row does not name it until then.
        let kept = if self.storage.scanner()?.is_none() { version } else { None };
        let version = kept.unwrap_or_else(Uuid::new_v4);
        let facts = match self.copy(opened, version).await? {
            Ok(facts) => facts,
            Err(hurt) => return self.hurt(&object, hurt).await,
        };
        let contradiction = facts.contradiction(&object.said);
        if let Some(how) = contradiction.as_deref().filter(|_| !self.plan.take_differing) {
            self.storage.forget_body(version).await;
            return self.trouble(Kind::Differing, object.name(), how).await;
        }
        let is_new = kept.is_none() || contradiction.is_some() || !object.said.is_complete();
        let named = if is_new {
            self.name_it(&object, version, &facts, contradiction.is_some()).await?
        } else {
            let [rows] = self.ask([store::still(&object.id, &version.to_string())]).await?;
            !rows.is_empty()
        };
        if named {
            self.copied(facts.size);
        } else {
            one_more(&self.tally.changed);
            self.storage.forget_body(version).await;
        }
        Ok(())
    }

    pub(super) fn copied(&self, size: u64) {
        one_more(&self.tally.copied);
        self.tally.bytes.fetch_add(size, Ordering::Relaxed);
        self.tally.failures.store(0, Ordering::Relaxed);
    }

    /// Has the row name the body and say what is missing; whether it is still the row that was read.
    async fn name_it(&self, object: &Object, version: Uuid, facts: &Facts, anew: bool) -> Result<bool, Stop> {
        let mut from = facts.metadata(&object.key);
        // When a row was changed last is known better than when a file was copied somewhere.
        from["lastModified"] = object.updated_at.as_str().into();
        let metadata = object.said.filled(from, anew);
        let old = object.version.as_deref();
        let [rows] = self.ask([store::describe(&object.id, old, &version.to_string(), &metadata)]).await?;
        let named = !rows.is_empty();
        if named && !object.said.is_complete() {
            one_more(&self.tally.filled);
        }
        Ok(named)
    }

    /// A row whose body is here: what it does not say is added.
    async fn row_with_body(&self, object: &Object, version: Uuid, size: u64) -> Result<(), Stop> {
        one_more(&self.tally.there);
        let differs = object.said.size.filter(|said| *said != size);
        if let Some(said) = differs
            && !self.plan.take_differing
        {
            return self.trouble(Kind::Differing, object.name(), other_size(said, size)).await;
        }
        if self.plan.check || (object.said.is_complete() && differs.is_none()) {
            return Ok(());
        }
        let mut facts = self.facts(version).await?;
        // The notes are in the source, if that still has the file.
        if let Ok(opened) = self.open(&object.paths(self.plan.layout)).await? {
            facts.content_type = opened.content_type;
            facts.cache_control = opened.cache_control;
        }
        self.name_it(object, version, &facts, differs.is_some()).await.map(drop)
    }

    async fn hurt(&self, object: &Object, hurt: Hurt) -> Result<(), Stop> {
        match hurt {
            Hurt::Absent => {
                let version = object.version.as_deref().unwrap_or("none");
                self.trouble(Kind::Missing, object.name(), format!("version {version}")).await
            }
            Hurt::Failed(why) => self.trouble(Kind::Failed, object.name(), why).await,
        }
    }
}
