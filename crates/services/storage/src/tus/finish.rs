//! From an upload of which all bytes are here to an object.

use super::Ask;
use super::lease::Lease;
use super::state::forget;
use crate::db::{As, Work};
use crate::refusal::{Outcome, Refusal};
use crate::store::resumable::{self, Upload};
use crate::upload::{Finished, Origin, Wanted};
use http_body_util::BodyExt;

/// How many first bytes tell a file's type.
const FIRST_BYTES: u64 = 8 * 1024;

impl Ask {
    /// Seals the body and has an object name it. Can be done again when it was cut short anywhere. Whoever loses the
    /// lease meanwhile changes nothing any more: the object is written only by who has it.
    pub(super) async fn finish(&self, lease: &Lease, upload: &Upload, wanted: &Wanted) -> Outcome<()> {
        let (storage, scope) = (&self.storage, self.scope());
        if self.is_object(lease, upload).await? {
            return Ok(());
        }
        let key = storage.new_key(upload.version);
        let written = storage.machinery.blobs.seal(&key).await?;
        let first = storage.machinery.blobs.read(&key, Some(0..written.size.min(FIRST_BYTES))).await?;
        let first = first.collect().await?.to_bytes();
        let finished = Finished::new(upload.version, written, first, Origin::Resumable(lease.holder()));
        let Err(not) = storage.commit(&scope, wanted, finished).await else { return Ok(()) };
        if not.is_certain
            && !may_pass(&not.refusal)
            && let Err(refused) = forget(self, lease, upload).await
        {
            crate::log(&refused);
        }
        Err(not.refusal)
    }

    /// Finishes an upload whose last bytes came with a request that could not.
    pub(super) async fn make_up(&self, lease: &Lease, upload: &Upload) -> Outcome<()> {
        let permission = self.permission(&upload.bucket, &upload.key)?;
        let wanted = self.wanted_of(upload, permission)?;
        if self.is_object(lease, upload).await? {
            return Ok(());
        }
        self.storage.permit_key(&self.scope(), &wanted).await?;
        self.finish(lease, upload, &wanted).await.map_err(later)
    }

    /// Whether an object has the body. Programs before this one noted the end of an upload after its object, so that it
    /// may be there without a note.
    pub(super) async fn is_object(&self, lease: &Lease, upload: &Upload) -> Outcome<bool> {
        let scope = self.scope();
        let mut work = Work::new(&scope, As::Service);
        let completed = work.service(resumable::complete(upload.version, lease.holder()));
        Ok(upload.is_completed || !self.storage.db.run(&scope, work).await?.of(completed)?.is_empty())
    }
}

/// What clients take for "ask again": any other error has them send everything once more.
fn later(refused: Refusal) -> Refusal {
    if !may_pass(&refused) || refused.inner == 403 {
        return refused;
    }
    crate::log(&refused);
    Refusal::new(423, "TusError", "All bytes are here, but they cannot be stored now\n")
}

/// Whether trying again may help, perhaps as somebody else: then the bytes stay.
fn may_pass(refused: &Refusal) -> bool {
    refused.inner >= 500 || matches!(refused.inner, 403 | 429)
}
