//! One body, from there to here.

use super::facts::Facts;
use super::{Run, Stop, TRIES, TRY_PAUSE};
use crate::upload::SNIFFED_BYTES;
use blob::{Error, Opened};
use bytes::Bytes;
use http_body_util::BodyExt;
use md5::{Digest, Md5};
use uuid::Uuid;

/// Why one body is not here now. The others may well be.
#[derive(Debug)]
pub(super) enum Hurt {
    /// It is not in the source.
    Absent,
    /// It could not be read, written or scanned.
    Failed(String),
}

impl Run<'_> {
    /// How long the body of a version is, if it is here.
    pub(super) async fn stored(&self, version: Uuid) -> Result<Option<u64>, Stop> {
        let mut tries = 0;
        loop {
            match self.storage.machinery.blobs.size(&self.storage.new_key(version)).await {
                Ok(size) => return Ok(Some(size)),
                Err(Error::NotFound) => return Ok(None),
                Err(Error::Slow) if tries < TRIES => tries += 1,
                Err(error) => return Err(Stop::Store(error)),
            }
            tokio::time::sleep(TRY_PAUSE * tries).await;
        }
    }

    /// Opens the first of these files that is there.
    pub(super) async fn open(&self, paths: &[String]) -> Result<Result<Opened, Hurt>, Stop> {
        for path in paths {
            let mut tries = 0;
            loop {
                match self.source.open(path).await {
                    Ok(opened) => return Ok(Ok(opened)),
                    Err(Error::NotFound) => break,
                    Err(Error::Slow) if tries < TRIES => tries += 1,
                    Err(error) => return Ok(Err(Hurt::Failed(error.to_string()))),
                }
                tokio::time::sleep(TRY_PAUSE * tries).await;
            }
        }
        Ok(Err(Hurt::Absent))
    }

    /// Copies a body under the name of a version. It is durable and scanned then.
    pub(super) async fn copy(&self, opened: Opened, version: Uuid) -> Result<Result<Facts, Hurt>, Stop> {
        let (content_type, cache_control) = (opened.content_type.clone(), opened.cache_control.clone());
        let (modified, etag) = (opened.modified, opened.etag.clone());
        let (written, first) = match self.written(opened, version).await? {
            Ok(written) => written,
            Err(hurt) => return Ok(Err(hurt)),
        };
        if let Some(scanner) = self.storage.scanner()? {
            let (key, settings) = (self.storage.new_key(version), &self.storage.settings);
            let body = self.storage.machinery.blobs.read(&key, None);
            if let Err(refused) = scanner.look(&settings.project, body, settings.scans.takes_unscanned).await
            {
                self.storage.forget_body(version).await;
                return Ok(Err(Hurt::Failed(refused.fault.message)));
            }
        }
        let (size, md5) = (written.size, written.md5);
        Ok(Ok(Facts { size, md5, first, content_type, cache_control, modified: Some(modified), etag }))
    }

    async fn written(
        &self,
        mut opened: Opened,
        version: Uuid,
    ) -> Result<Result<(blob::Written, Bytes), Hurt>, Stop> {
        let key = self.storage.new_key(version);
        let mut writer = self.storage.machinery.blobs.write(&key).await.map_err(Stop::Store)?;
        let mut first = Vec::new();
        loop {
            let piece = match opened.next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(Error::NotFound) => return Ok(Err(Hurt::Absent)),
                Err(error) => return Ok(Err(Hurt::Failed(format!("it cannot be read: {error}")))),
            };
            begin(&mut first, &piece);
            if let Err(error) = writer.push(piece).await {
                return refused(error);
            }
        }
        match writer.finish().await {
            Ok(written) => Ok(Ok((written, first.into()))),
            Err(error) => refused(error),
        }
    }

    /// What is known of a body that is here.
    pub(super) async fn facts(&self, version: Uuid) -> Result<Facts, Stop> {
        let mut body = self.storage.machinery.blobs.read(&self.storage.new_key(version), None).await;
        let body = body.as_mut().map_err(|error| Stop::Store(std::mem::replace(error, Error::Slow)))?;
        let (mut hash, mut first, mut size) = (Md5::new(), Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(Stop::Store)?.into_data() else { continue };
            begin(&mut first, &piece);
            hash.update(&piece);
            size += piece.len() as u64;
        }
        let md5 = hash.finalize().into();
        Ok(Facts { size, md5, first: first.into(), ..Facts::default() })
    }
}

/// The MD5 of a file of the source.
pub(super) async fn hashed(opened: Result<Opened, Hurt>) -> Result<[u8; 16], Hurt> {
    let (mut opened, mut hash) = (opened?, Md5::new());
    let failed = |error: Error| Hurt::Failed(format!("it cannot be read: {error}"));
    while let Some(piece) = opened.next().await.map_err(failed)? {
        hash.update(&piece);
    }
    Ok(hash.finalize().into())
}

fn begin(first: &mut Vec<u8>, piece: &[u8]) {
    let room = SNIFFED_BYTES.saturating_sub(first.len());
    first.extend_from_slice(&piece[..piece.len().min(room)]);
}

/// A full store takes no other body either.
fn refused<T>(error: Error) -> Result<Result<T, Hurt>, Stop> {
    match error {
        Error::Full => Err(Stop::Store(Error::Full)),
        other => Ok(Err(Hurt::Failed(format!("it cannot be written: {other}")))),
    }
}
