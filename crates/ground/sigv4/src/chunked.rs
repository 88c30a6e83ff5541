//! Bodies in chunks (`content-encoding: aws-chunked`): read as they arrive, cut anywhere.
//!
//! ```text
//! <size in hexadecimal>[;chunk-signature=<64 hexadecimal digits>] CRLF <data> CRLF
//! …
//! 0[;chunk-signature=…] CRLF [<name>:<value> CRLF …] [x-amz-trailer-signature:… CRLF] CRLF
//! ```
//!
//! Every signature covers the one before it, so that chunks can be neither changed, dropped, moved nor added. Data is
//! handed out before the end of its chunk has been seen: nothing read is to be believed before [`Decoder::finish`].

use std::ops::Range;

use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::key::SigningKey;
use crate::payload::Streaming;

/// The longest chunk.
pub const CHUNK_MAX: u64 = 8 << 20;
/// The longest line that starts a chunk.
const HEAD_MAX: usize = 256;
/// All lines of the trailer together.
const TRAILER_MAX: usize = 8 << 10;
/// Line ends that some clients send behind the end.
const REST_MAX: u32 = 4;

/// The signatures of the chunks of one body.
pub struct Chain {
    key: SigningKey,
    stamp: String,
    scope: String,
    /// The signature before.
    last: String,
}

impl Chain {
    pub(crate) fn new(key: SigningKey, stamp: &str, scope: &str, seed: &str) -> Chain {
        Chain { key, stamp: stamp.to_owned(), scope: scope.to_owned(), last: seed.to_owned() }
    }

    fn text(&self, kind: &str, hashes: &[&str]) -> String {
        let mut text = [kind, &self.stamp, &self.scope, &self.last].join("\n");
        for hash in hashes {
            text.push('\n');
            text.push_str(hash);
        }
        text
    }

    fn chunk_text(&self, hash: &str) -> String {
        self.text("AWS4-HMAC-SHA256-PAYLOAD", &[crate::NOTHING, hash])
    }

    fn trailer_text(&self, hash: &str) -> String {
        self.text("AWS4-HMAC-SHA256-TRAILER", &[hash])
    }

    fn accept(&mut self, text: &str, signature: &str) -> Result<(), Error> {
        if !self.key.verify(text, signature) {
            return Err(Error::Mismatch);
        }
        signature.clone_into(&mut self.last);
        Ok(())
    }

    /// Signs a chunk: a client's side.
    pub(crate) fn sign_chunk(&mut self, data: &[u8]) -> String {
        self.last = self.key.sign(&self.chunk_text(&crate::sha256(data)));
        self.last.clone()
    }

    /// Signs a trailer, in its canonical form.
    pub(crate) fn sign_trailer(&mut self, lines: &str) -> String {
        self.last = self.key.sign(&self.trailer_text(&crate::sha256(lines.as_bytes())));
        self.last.clone()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the line that starts a chunk.
    Head,
    /// In its data, with so much left.
    Data(u64),
    /// Behind its data, with so many bytes of CRLF seen.
    DataEnd(u8),
    /// In the lines behind the last chunk.
    Trailer,
    /// Behind everything, with so many line ends seen.
    Done(u32),
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// How much of the input is dealt with: all of it, unless data starts later in it.
    pub consumed: usize,
    /// Where in the input data lies; empty if there is none.
    pub data: Range<usize>,
}

/// Takes a body in chunks apart.
pub struct Decoder {
    chain: Option<Chain>,
    with_trailer: bool,
    expected: Option<u64>,
    decoded: u64,
    state: State,
    /// The line that is being read.
    line: Vec<u8>,
    /// The chunk at hand: its signature as sent, and its hash so far.
    signature: String,
    hash: Sha256,
    trailer_bytes: usize,
    trailer: Vec<(String, String)>,
    /// The signature of the trailer has been read.
    sealed: bool,
}

impl Decoder {
    /// A decoder of a body of this kind. `chain` is used where chunks are signed; `expected` is the length of the
    /// data, if it was announced.
    pub fn new(streaming: Streaming, chain: Chain, expected: Option<u64>) -> Decoder {
        Decoder {
            chain: streaming.signed.then_some(chain),
            with_trailer: streaming.trailer,
            expected,
            decoded: 0,
            state: State::Head,
            line: Vec::new(),
            signature: String::new(),
            hash: Sha256::new(),
            trailer_bytes: 0,
            trailer: Vec::new(),
            sealed: false,
        }
    }

    /// Reads on. To be called with what is left of the input until nothing is.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        let mut at = 0;
        while let Some(byte) = input.get(at) {
            match self.state {
                State::Head => {
                    at += 1;
                    self.head_byte(*byte)?;
                }
                State::Data(left) => {
                    let here = (input.len() - at).min(usize::try_from(left).unwrap_or(usize::MAX));
                    let data = at..at + here;
                    self.data(left, input.get(data.clone()).unwrap_or_default());
                    return Ok(Step { consumed: data.end, data });
                }
                State::DataEnd(seen) => {
                    at += 1;
                    self.data_end(seen, *byte)?;
                }
                State::Trailer => {
                    at += 1;
                    self.trailer_byte(*byte)?;
                }
                State::Done(seen) => {
                    at += 1;
                    if seen == REST_MAX || !matches!(byte, b'\r' | b'\n') {
                        return Err(Error::Body("Unexpected data after the final chunk"));
                    }
                    self.state = State::Done(seen + 1);
                }
            }
        }
        Ok(Step { consumed: input.len(), data: 0..0 })
    }

    /// The trailer of a body that ended as it should, names in lower case.
    pub fn finish(self) -> Result<Vec<(String, String)>, Error> {
        if !matches!(self.state, State::Done(_)) || self.expected.is_some_and(|length| length != self.decoded)
        {
            return Err(Error::Incomplete);
        }
        Ok(self.trailer)
    }

    fn head_byte(&mut self, byte: u8) -> Result<(), Error> {
        if byte != b'\n' {
            self.line.push(byte);
            // One more for the carriage return.
            if self.line.len() > HEAD_MAX + 1 {
                return Err(Error::TooLarge("A chunk's header exceeds the maximum allowed size"));
            }
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        let size = self.head(&line)?;
        self.hash = Sha256::new();
        self.state = match size {
            0 => {
                self.chunk_end()?;
                State::Trailer
            }
            size => State::Data(size),
        };
        Ok(())
    }

    /// The size in a chunk's first line; keeps its signature.
    fn head(&mut self, line: &[u8]) -> Result<u64, Error> {
        let malformed = Error::Body("Invalid chunk header");
        let line =
            line.strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok()).ok_or(malformed)?;
        let (size, extension) = line.split_once(';').map_or((line, None), |(size, rest)| (size, Some(rest)));
        if size.is_empty() || !size.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(malformed);
        }
        let size = u64::from_str_radix(size.trim_start_matches('0'), 16).or_else(|_| {
            if size.bytes().all(|b| b == b'0') {
                Ok(0)
            } else {
                Err(Error::TooLarge("A chunk exceeds 8388608 bytes"))
            }
        })?;
        if size > CHUNK_MAX {
            return Err(Error::TooLarge("A chunk exceeds 8388608 bytes"));
        }
        let signature = extension.map(|e| e.strip_prefix("chunk-signature=").ok_or(malformed)).transpose()?;
        if let Some(signature) = signature
            && (signature.len() != 64 || !signature.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return Err(malformed);
        }
        match (signature, &self.chain) {
            (None, Some(_)) => return Err(Error::Body("Missing chunk signature")),
            (signature, _) => self.signature = signature.unwrap_or_default().to_ascii_lowercase(),
        }
        self.decoded += size;
        if self.expected.is_some_and(|length| self.decoded > length) {
            return Err(Error::Body("The body is longer than x-amz-decoded-content-length"));
        }
        Ok(size)
    }

    fn data(&mut self, left: u64, data: &[u8]) {
        if self.chain.is_some() {
            self.hash.update(data);
        }
        let left = left - data.len() as u64;
        self.state = if left == 0 { State::DataEnd(0) } else { State::Data(left) };
    }

    fn data_end(&mut self, seen: u8, byte: u8) -> Result<(), Error> {
        match (seen, byte) {
            (0, b'\r') => self.state = State::DataEnd(1),
            (1, b'\n') => {
                self.chunk_end()?;
                self.state = State::Head;
            }
            _ => return Err(Error::Body("Missing CRLF after chunk data")),
        }
        Ok(())
    }

    fn chunk_end(&mut self) -> Result<(), Error> {
        let Some(chain) = &mut self.chain else { return Ok(()) };
        let hash = hex::encode(std::mem::take(&mut self.hash).finalize());
        let text = chain.chunk_text(&hash);
        chain.accept(&text, &self.signature)
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<(), Error> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_MAX {
            return Err(Error::TooLarge("The trailer exceeds the maximum allowed size"));
        }
        if byte != b'\n' {
            self.line.push(byte);
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            return self.trailer_blank();
        }
        let malformed = Error::Body("Invalid trailer");
        if !self.with_trailer || self.sealed {
            return Err(Error::Body("Unexpected data after the final chunk"));
        }
        let text = std::str::from_utf8(line).map_err(|_| malformed)?;
        let (name, value) = text.split_once(':').ok_or(malformed)?;
        let blank = [' ', '\t'];
        let (name, value) = (name.trim_matches(blank).to_ascii_lowercase(), value.trim_matches(blank));
        if name == "x-amz-trailer-signature" {
            return self.trailer_end(value);
        }
        self.trailer.push((name, value.to_owned()));
        Ok(())
    }

    /// An empty line ends the body; but some clients set the signature of the trailer apart by one.
    fn trailer_blank(&mut self) -> Result<(), Error> {
        if self.with_trailer && self.trailer.is_empty() {
            return Err(Error::Body("Incomplete trailer section"));
        }
        let awaited = self.with_trailer && self.chain.is_some() && !self.sealed;
        if !awaited {
            self.state = State::Done(0);
        }
        Ok(())
    }

    fn trailer_end(&mut self, signature: &str) -> Result<(), Error> {
        self.sealed = true;
        let Some(chain) = &mut self.chain else { return Ok(()) };
        let lines: String = self.trailer.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let text = chain.trailer_text(&crate::sha256(lines.as_bytes()));
        chain.accept(&text, &signature.to_ascii_lowercase())
    }
}
