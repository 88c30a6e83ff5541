//! From an upload of which all bytes are here to an object.

use super::Ask;
use crate::db::{As, Work};
use crate::refusal::{Outcome, Refusal};
use crate::store::resumable::{self, Upload};
use crate::upload::{Finished, Wanted};
use http_body_util::BodyExt;

/// How many first bytes tell a file's type.
const FIRST_BYTES: u64 = 8 * 1024;

impl Ask {
    /// Seals the body and has an object name it. Can be done again when it was cut short anywhere.
    pub(super) async fn finish(&self, upload: &Upload, wanted: &Wanted) -> Outcome<()> {
        let (storage, scope) = (&self.storage, self.scope());
        if !self.is_stored(upload).await? {
            let key = storage.new_key(upload.version);
            let written = storage.machinery.blobs.seal(&key).await?;
            let first = storage.machinery.blobs.read(&key, Some(0..written.size.min(FIRST_BYTES))).await?;
            let first = first.collect().await?.to_bytes();
            let finished = Finished::new(upload.version, written, first);
            if let Err(refused) = storage.commit(&scope, wanted, finished, false).await {
                if !may_pass(&refused) {
                    self.give_up(upload).await?;
                }
                return Err(refused);
            }
        }
        let mut work = Work::new(&scope, As::Service);
        work.service(resumable::complete(upload.version));
        storage.db.run(&scope, work).await?;
        Ok(())
    }

    /// Finishes an upload whose last bytes came with a request that could not.
    pub(super) async fn make_up(&self, upload: &Upload) -> Outcome<()> {
        let permission = self.permission(&upload.bucket, &upload.key)?;
        let wanted = self.wanted_of(upload, permission)?;
        if !self.is_stored(upload).await? {
            self.storage.permit_key(&self.scope(), &wanted).await?;
        }
        self.finish(upload, &wanted).await.map_err(later)
    }

    /// Whether an object has the body.
    async fn is_stored(&self, upload: &Upload) -> Outcome<bool> {
        let scope = self.scope();
        let mut work = Work::new(&scope, As::Service);
        let stored = work.service(resumable::is_stored(&upload.bucket, &upload.key, upload.version));
        Ok(!self.storage.db.run(&scope, work).await?.of(stored)?.is_empty())
    }

    /// Forgets an upload that can become no object.
    async fn give_up(&self, upload: &Upload) -> Outcome<()> {
        let scope = self.scope();
        let mut work = Work::new(&scope, As::Service);
        work.service(resumable::end(upload.version));
        self.storage.db.run(&scope, work).await?;
        self.storage.forget_body(upload.version).await;
        Ok(())
    }
}

/// What clients take for "ask again": any other error has them send everything once more.
fn later(refused: Refusal) -> Refusal {
    if !may_pass(&refused) {
        return refused;
    }
    crate::log(&refused);
    Refusal::new(423, "TusError", "All bytes are here, but they cannot be stored now\n")
}

/// Whether trying again may help: then the bytes stay.
fn may_pass(refused: &Refusal) -> bool {
    refused.inner >= 500 || refused.inner == 429
}
