//! Rendered pictures: from the cache, or made, once for everybody who asks for the same at the same time.

use crate::Storage;
use crate::find::Found;
use crate::refusal::{self, Outcome, Refusal};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use picture::{Cache, Error, Excess, Key, Options, Rendered, Renderer, Room};
use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use tokio::sync::Mutex;

/// Most bytes of results in memory, on their way to clients that may be slow.
const OUTGOING: u64 = 256 << 20;

/// What makes pictures smaller, shared by all projects. Cheap to clone.
#[derive(Clone)]
pub struct Pictures {
    renderer: Renderer,
    cache: Option<Cache>,
    outgoing: Room,
    turns: Arc<StdMutex<HashMap<Key, Arc<Mutex<()>>>>>,
}

impl Pictures {
    /// A renderer, and where its results are kept; nothing: nowhere.
    pub fn new(renderer: Renderer, cache: Option<Cache>) -> Pictures {
        Pictures::with_room(renderer, cache, Room::new(OUTGOING))
    }

    /// As [`Pictures::new`], with another bound for results in memory.
    pub fn with_room(renderer: Renderer, cache: Option<Cache>, outgoing: Room) -> Pictures {
        Pictures { renderer, cache, outgoing, turns: Arc::default() }
    }

    /// Forgets what was rendered for a project.
    pub async fn forget(&self, project: &model::ProjectRef) {
        if let Some(cache) = &self.cache {
            cache.forget(project.as_str()).await;
        }
    }

    /// The picture of an object, with these options.
    pub(crate) async fn rendered(
        &self,
        storage: &Storage,
        found: &Found,
        options: &Options,
    ) -> Outcome<Rendered> {
        let limit = self.renderer.settings().time_limit;
        let work = Box::pin(self.cached_or_made(storage, found, options));
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(refused(Error::Timeout)))
    }

    async fn cached_or_made(&self, storage: &Storage, found: &Found, options: &Options) -> Outcome<Rendered> {
        let Some(cache) = &self.cache else { return self.made(storage, found, options).await };
        let key = Key::new(storage.settings.project.as_str(), &found.version, options);
        if let Some(rendered) = self.cached(storage, cache, &key).await? {
            return Ok(rendered);
        }
        let turn = self.turn(key);
        let _first = turn.lock.lock().await;
        // Whoever was first has put it there.
        if let Some(rendered) = self.cached(storage, cache, &key).await? {
            return Ok(rendered);
        }
        let rendered = self.made(storage, found, options).await?;
        cache.put(&key, &rendered).await;
        Ok(rendered)
    }

    /// What is kept, read when there is room for it.
    async fn cached(&self, storage: &Storage, cache: &Cache, key: &Key) -> Outcome<Option<Rendered>> {
        let Some(size) = cache.size(key) else { return Ok(None) };
        let place = self.outgoing.take(storage.settings.project.as_str(), size);
        let place = place.ok_or_else(|| refused(Error::Busy))?;
        let rendered = cache.get(key, size).await;
        Ok(rendered.map(|rendered| Rendered { bytes: place.hold(rendered.bytes), ..rendered }))
    }

    async fn made(&self, storage: &Storage, found: &Found, options: &Options) -> Outcome<Rendered> {
        let body = storage.body_key(&found.version).ok_or_else(refusal::no_body)?;
        let reading = storage.machinery.blobs.read(&body, None).await?;
        let owner = storage.settings.project.as_str();
        let ticket = self.renderer.admit(owner, reading.size()).map_err(refused)?;
        let source = whole(reading).await?;
        let rendered = ticket.render(source, options).await.map_err(refused)?;
        let place = self.outgoing.take(owner, rendered.bytes.len() as u64);
        let place = place.ok_or_else(|| refused(Error::Busy))?;
        Ok(Rendered { bytes: place.hold(rendered.bytes), ..rendered })
    }

    fn turn(&self, key: Key) -> Turn<'_> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = Arc::clone(turns.entry(key).or_default());
        Turn { pictures: self, key, lock }
    }
}

/// A source that has found room in memory.
async fn whole(reading: blob::Reading) -> Outcome<Bytes> {
    let size = usize::try_from(reading.size()).map_err(|_| refused(Error::TooLarge(Excess::Bytes)))?;
    let body = Limited::new(reading, size).collect().await;
    body.map(|body| body.to_bytes())
        .map_err(|error| refusal::internal("Internal server error").caused_by(error))
}

/// A place among those who want the same picture.
struct Turn<'a> {
    pictures: &'a Pictures,
    key: Key,
    lock: Arc<Mutex<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.pictures.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // One is ours, one the map's.
        if Arc::strong_count(&self.lock) <= 2 {
            turns.remove(&self.key);
        }
    }
}

/// Why there is no picture, in the reference's words.
fn refused(error: Error) -> Refusal {
    match error {
        Error::Invalid => {
            refusal::invalid_request("The source image is invalid or unsupported for rendering")
        }
        Error::TooLarge(Excess::Bytes) => {
            refusal::invalid_request("The source image file is too large to process")
        }
        Error::TooLarge(Excess::Pixels | Excess::Memory) => {
            refusal::invalid_request("The source image resolution is too large to process")
        }
        Error::Timeout => Refusal::new(408, "InvalidRequest", "Image request timed out"),
        Error::Busy => Refusal::new(429, "SlowDown", "Too many requests"),
        Error::Internal(_) => refusal::internal("Internal error").caused_by(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_forgotten_with_the_last_who_waits() {
        let pictures = Pictures::new(Renderer::new(picture::Settings::default()), None);
        let key = Key::new("p", "v", &Options::default());
        let first = pictures.turn(key);
        let second = pictures.turn(key);
        assert!(Arc::ptr_eq(&first.lock, &second.lock));
        let left = || pictures.turns.lock().expect("lock").len();
        drop(first);
        assert_eq!(left(), 1);
        drop(second);
        assert_eq!(left(), 0);
    }
}
