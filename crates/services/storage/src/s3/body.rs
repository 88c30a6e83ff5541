//! Bodies that are held against what was promised of them: a hash, chunks with signatures, checksums, a length.
//!
//! Pieces are handed on before the end has been seen. Whoever stores them must not name them before
//! [`Checked::next`] has said that there is no more: then, and only then, every promise is kept.

use super::checksum::{Checksum, Kind};
use super::refused;
use crate::call::{Call, Incoming};
use crate::refusal::{self, Outcome};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use sigv4::{Decoder, Payload, Streaming, Verified};
use std::sync::{Arc, Mutex};

/// The most bytes of a form's file that nobody has bounded otherwise.
const UNBOUNDED: (u64, u64) = (0, u64::MAX);

/// Where pieces come from.
enum Pieces {
    Raw(Incoming),
    File(Box<super::form::File>),
}

/// The checksums of a body that was read to its end, by header.
pub(super) type Sums = Arc<Mutex<Vec<(&'static str, String)>>>;

/// A body on its way in.
pub(crate) struct Checked {
    pieces: Pieces,
    decoder: Option<Decoder>,
    /// What the decoder has not seen yet.
    pending: Bytes,
    sha256: Option<(Box<sha2::Sha256>, [u8; 32])>,
    md5: Option<(Box<md5::Md5>, [u8; 16])>,
    sums: Vec<Checksum>,
    /// Names that must come in the trailer.
    announced: Vec<String>,
    seen: u64,
    range: (u64, u64),
    done: bool,
    found: Sums,
}

impl Checked {
    /// The body of a signed request.
    pub(super) fn of(call: &Call, incoming: Incoming, verified: &Verified) -> Outcome<Checked> {
        let mut body = Checked::of_document(call, incoming, verified)?;
        body.promises(call)?;
        Ok(body)
    }

    /// The same where checksums in the headers are of something else than this body.
    pub(super) fn of_document(call: &Call, incoming: Incoming, verified: &Verified) -> Outcome<Checked> {
        let mut body = Checked::plain(Pieces::Raw(incoming));
        match payload(call, verified)? {
            Payload::Unsigned => {}
            Payload::Sha256(hash) => body.sha256 = Some((Box::default(), hash)),
            Payload::Streaming(streaming) => {
                body.decoder = Some(Decoder::new(streaming, verified.chain(), decoded_length(call)?));
                body.announce(call, streaming);
            }
        }
        Ok(body)
    }

    /// A file in a form, whose length the form's policy bounds.
    pub(super) fn of_file(file: super::form::File, range: Option<(u64, u64)>) -> Checked {
        let mut body = Checked::plain(Pieces::File(Box::new(file)));
        body.range = range.unwrap_or(UNBOUNDED);
        body
    }

    fn plain(pieces: Pieces) -> Checked {
        Checked {
            pieces,
            decoder: None,
            pending: Bytes::new(),
            sha256: None,
            md5: None,
            sums: Vec::new(),
            announced: Vec::new(),
            seen: 0,
            range: UNBOUNDED,
            done: false,
            found: Sums::default(),
        }
    }

    /// The checksums, once the body has been read.
    pub(super) fn found(&self) -> Sums {
        Arc::clone(&self.found)
    }

    fn announce(&mut self, call: &Call, streaming: Streaming) {
        let names = call.header("x-amz-trailer").filter(|_| streaming.trailer).unwrap_or_default();
        for name in
            names.split(',').map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty())
        {
            if let Some(kind) = Kind::of_header(&name) {
                self.sums.push(Checksum::new(kind));
            }
            self.announced.push(name);
        }
    }

    fn promises(&mut self, call: &Call) -> Outcome<()> {
        if let Some(text) = call.header("content-md5") {
            let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
            self.md5 = Some((Box::default(), bytes.ok_or_else(refused::invalid_digest)?));
        }
        for (name, value) in &call.headers {
            let Some(kind) = Kind::of_header(name.as_str()) else { continue };
            let mut sum = Checksum::new(kind);
            sum.expect(value.to_str().unwrap_or_default())?;
            self.sums.push(sum);
        }
        Ok(())
    }

    /// The next piece; nothing at the end, when every promise is kept.
    pub(crate) async fn next(&mut self) -> Outcome<Option<Bytes>> {
        while !self.done {
            if let Some(data) = self.decoded()? {
                return Ok(Some(data));
            }
            let piece = match &mut self.pieces {
                Pieces::Raw(incoming) => incoming.next().await?,
                Pieces::File(file) => file.next().await?,
            };
            match piece {
                None => self.finish()?,
                Some(piece) if self.decoder.is_some() => self.pending = piece,
                Some(piece) => {
                    self.see(&piece)?;
                    return Ok(Some(piece));
                }
            }
        }
        Ok(None)
    }

    /// The next data in what has been read.
    fn decoded(&mut self) -> Outcome<Option<Bytes>> {
        while let (Some(decoder), false) = (&mut self.decoder, self.pending.is_empty()) {
            let step = decoder.step(&self.pending)?;
            let data = self.pending.slice(step.data);
            let _ = self.pending.split_to(step.consumed);
            if !data.is_empty() {
                self.see(&data)?;
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    fn see(&mut self, data: &[u8]) -> Outcome<()> {
        self.seen += data.len() as u64;
        if self.seen > self.range.1 {
            return Err(refusal::too_large());
        }
        if let Some((digest, _)) = &mut self.sha256 {
            sha2::Digest::update(&mut **digest, data);
        }
        if let Some((digest, _)) = &mut self.md5 {
            md5::Digest::update(&mut **digest, data);
        }
        self.sums.iter_mut().for_each(|sum| sum.update(data));
        Ok(())
    }

    fn finish(&mut self) -> Outcome<()> {
        self.done = true;
        if let Some(decoder) = self.decoder.take() {
            let trailer = decoder.finish()?;
            self.trailer(&trailer)?;
        }
        if self.seen < self.range.0 {
            return Err(refused::too_small());
        }
        if let Some((digest, wanted)) = self.sha256.take()
            && sha2::Digest::finalize(*digest).as_slice() != wanted
        {
            return Err(refused::wrong_hash());
        }
        if let Some((digest, wanted)) = self.md5.take()
            && md5::Digest::finalize(*digest).as_slice() != wanted
        {
            return Err(refused::bad_digest("Content-MD5"));
        }
        let mut found = Vec::new();
        for sum in self.sums.drain(..) {
            let name = sum.kind().header();
            found.push((name, sum.finish()?));
        }
        if let Ok(mut shared) = self.found.lock() {
            *shared = found;
        }
        Ok(())
    }

    fn trailer(&mut self, trailer: &[(String, String)]) -> Outcome<()> {
        for name in &self.announced {
            if !trailer.iter().any(|(n, _)| n == name) {
                return Err(refusal::invalid_request("The trailer lacks what x-amz-trailer announced"));
            }
        }
        for (name, value) in trailer {
            let Some(kind) = Kind::of_header(name) else { continue };
            // What was not announced was not summed up from the start either.
            let announced = self.announced.iter().position(|n| n == name).is_some();
            match self.sums.iter_mut().find(|sum| sum.kind() == kind) {
                Some(sum) if announced => sum.expect(value)?,
                _ => {
                    return Err(refusal::invalid_request(
                        "The trailer holds what x-amz-trailer did not announce",
                    ));
                }
            }
        }
        Ok(())
    }

    /// The whole body, if it is no longer than so many bytes.
    pub(super) async fn whole(&mut self, bytes_max: usize) -> Outcome<Bytes> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if all.len() + piece.len() > bytes_max {
                return Err(super::xml::malformed());
            }
            if let Pieces::Raw(incoming) = &self.pieces {
                incoming.hold(piece.len())?;
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

/// How the body comes. A URL says nothing about it, so there the header may, as far as it needs no signature.
fn payload(call: &Call, verified: &Verified) -> Outcome<Payload> {
    let said = match (verified.payload, call.header("x-amz-content-sha256")) {
        (Payload::Unsigned, Some(text)) => Payload::parse(text)?,
        (payload, _) => return Ok(payload),
    };
    match said {
        Payload::Streaming(Streaming { signed: true, .. }) => {
            Err(refusal::invalid_request("Signed chunks need a signature in the Authorization header"))
        }
        other => Ok(other),
    }
}

/// `x-amz-decoded-content-length`.
fn decoded_length(call: &Call) -> Outcome<Option<u64>> {
    let Some(text) = call.header("x-amz-decoded-content-length") else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| refused::no_length())
}

/// The declared length of the data, whatever it is wrapped in.
pub(super) fn declared_length(call: &Call, verified: &Verified) -> Outcome<Option<u64>> {
    match payload(call, verified)? {
        Payload::Streaming(_) => decoded_length(call),
        Payload::Unsigned | Payload::Sha256(_) => Ok(call.content_length()),
    }
}
