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
        let mut work = Work::new(&scope, As::Service);
        let stored = work.service(resumable::is_stored(&upload.bucket, &upload.key, upload.version));
        if storage.db.run(&scope, work).await?.of(stored)?.is_empty() {
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

/// Whether trying again may help: then the bytes stay.
fn may_pass(refused: &Refusal) -> bool {
    refused.inner >= 500 || refused.inner == 429
}
